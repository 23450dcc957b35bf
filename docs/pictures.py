"""The pictures of the README: python docs/pictures.py writes docs/*.svg, the same bytes for the same versions."""

from __future__ import annotations

from pathlib import Path

from dpmoracle.claims.cloud import Cloud
from dpmoracle.claims.world import World
from dpmoracle.datasets import digits
from dpmoracle.report.page import Figure
from dpmoracle.report.sections.laws import compared_laws, law_mmse
from dpmoracle.report.sections.optimum import law_chains, law_figure
from dpmoracle.report.sections.solvers import solver_section
from dpmoracle.report.svg import inline

# An <img> does not see the page around it: paper and ink come with it, and turn with the reader's system.
_PAPER = (
    "svg{color:#1f2328;--paper:#ffffff;background:#ffffff}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;--paper:#0d1117;background:#0d1117}}"
)


def standalone(figure: Figure) -> str:
    """The figure as an SVG file that is read on light and dark."""
    svg = inline(figure.svg, figure.name, figure.alt)
    head = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
    return svg.replace("<svg ", head, 1).replace(">", f"><style>{_PAPER}</style>", 1) + "\n"


def main() -> None:
    world = World(digits(), "digits", 0)
    law = compared_laws(world, Cloud.of(world, world.rng("report.data")))[0]
    pictures = {
        "optimum": law_figure(world, law, law_chains(world, law), law_mmse(world, law)),
        "orders": solver_section(world).figures[0],
    }
    for name, figure in pictures.items():
        Path(__file__).with_name(f"{name}.svg").write_text(standalone(figure), encoding="utf-8")
        print(f"docs/{name}.svg: {figure.caption}")


if __name__ == "__main__":
    main()
