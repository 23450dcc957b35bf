"""The figures of the README: python benchmarks/readme.py writes them from what benchmarks/results/*.json hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BEGIN = "<!-- from benchmarks/results, by python benchmarks/readme.py -->"
END = "<!-- end of the figures -->"


def render(runs: Mapping[str, Any]) -> str:
    """A table of all runs, content of the JSON by name: for each piece of work its time, and how the rest compare.

    Beside ours stand the peers that an aim is set for, or all where none is, and code that is not our own if there is
    any; `dpmoracle bench` tells all of them.
    """
    lines = ["| work | ours | times as long, or share | error |", "|---|---|---|---|"]
    for name, run in runs.items():
        if run["settings"]["quick"]:
            raise SystemExit(f"{name}: a run with --quick says nothing of speed; run it without")
        for results in run["results"].values():
            lines += [_row(result) for result in results]
    where = dict.fromkeys(_machine(run["machine"]) for run in runs.values())
    return "\n".join(
        [*lines, "", f"{'; '.join(where)}. Medians of turns; error is ours against the reference."]
    )


def replaced(readme: str, table: str) -> str:
    """The README with the table between its two marks."""
    before, found, rest = readme.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"README.md must have the lines {BEGIN} and {END}, in this order")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def stored() -> dict[str, Any]:
    """The runs that are kept, by the name of their file."""
    found = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
    runs = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in found}
    return {name: run for name, run in runs.items() if run["format"] == "dpmoracle.bench"}


def _row(result: Mapping[str, Any]) -> str:
    ours = _seconds(result["medians"][result["timings"][0]["name"]])
    error = result["error"]
    off = "" if error is None else f"{error:.0e}" if error else "0"
    return f"| {result['work']} | {ours} | {', '.join(_beside(result))} | {off} |"


def _beside(result: Mapping[str, Any]) -> Iterator[str]:
    aims, limit = result["target"], result["limit"]
    ratios = {name: value for name, value in result["ratios"].items() if limit is None or name != limit[0]}
    aimed = {name: value for name, value in ratios.items() if name in aims} or ratios
    others = {name: value for name, value in aimed.items() if not name.startswith("our ")} or aimed
    for name, value in others.items():
        yield f"{name} {_plain(value)}×" + (f" (aim {aims[name]:g}×)" if name in aims else "")
    if limit is not None and limit[1] is not None:
        aim = aims.get("limit", aims.get(limit[0]))
        yield f"{limit[1]:.0%} of {limit[0]}" + (f" (aim {aim:.0%})" if aim is not None else "")
    times = "×" if result["ratios"] else ""
    for name, value in result["figures"].items():
        if name in aims and not name.startswith("our "):
            yield f"{name} {_plain(value)}{times} (aim {aims[name]:g}{times})"


def _machine(machine: Mapping[str, Any]) -> str:
    chosen = ("numpy", "numba", "torch", "jax", "scikit-learn")
    versions = ", ".join(
        f"{name} {machine['versions'][name]}" for name in chosen if name in machine["versions"]
    )
    device = f"{machine['device']['name']}, " if "device" in machine else ""
    processor = f"{machine['cpu']}, {machine['cores']} cores, load {machine['load']}"
    return f"{device}{processor}, Python {machine['python']}, {versions}"


def _plain(value: float) -> str:
    """Two digits, three from 100, without an exponent."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2g}"


def _seconds(seconds: float) -> str:
    unit, size = next(((u, s) for u, s in (("s", 1.0), ("ms", 1e-3)) if seconds >= s), ("µs", 1e-6))
    return f"{seconds / size:.3g} {unit}"


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(replaced(readme.read_text(encoding="utf-8"), render(stored())), encoding="utf-8")
