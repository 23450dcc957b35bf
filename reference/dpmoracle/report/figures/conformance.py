"""Which sampler fails which check: a matrix of verdicts, the values on hover."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InvalidParameterError
from .. import csv, page
from .picture import picture, tip
from .records import read_fields
from .style import BLUE, GOLD, GREEN, GREY, PURPLE, RED, axes_to_draw_on, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["conformance_figure", "plot_conformance"]

_FIELDS = ("subject", "config", "check", "status", "measured", "bound", "detail")
#: worst first: colour and sign of a cell
_LOOK = {
    "failed": (RED, "✗"),
    "xpassed": (PURPLE, "!"),
    "xfailed": (GOLD, "×"),
    "note": (BLUE, "i"),
    "passed": (GREEN, "✓"),
    "skipped": (GREY, "·"),
}
_MEANING = {
    "failed": "failed",
    "xpassed": "passed, but a failure was expected",
    "xfailed": "failed, as expected",
    "note": "a design choice worth knowing",
    "passed": "passed",
    "skipped": "skipped: the subject lacks what the check needs",
}
#: what a reader need not look at stands back
_WEIGHT = {"note": 0.45, "passed": 0.3, "skipped": 0.12}
_TOLD = 8  # results that a hover text lists


@dataclass(frozen=True)
class _Row:
    subject: str
    config: str
    check: str
    status: str
    measured: float | None
    bound: float | None
    detail: str

    def told(self) -> str:
        numbers = "" if self.measured is None else f", measured {short(self.measured)}"
        numbers += "" if self.bound is None else f", bound {short(self.bound)}"
        return f"{self.config or self.subject}: {self.status}{numbers}. {self.detail}".strip()


def plot_conformance(results: Iterable[Any], ax: Axes | None = None) -> Axes:
    """A row for each subject, a column for each check, a cell for the worst status among the subject's configurations.

    results : mappings or objects with subject, config, check, status, measured, bound, detail
    ax      : axes to draw on; None makes a figure of its own
    A number in a cell counts the configurations with that status, where there are several. In an SVG of
    `dpmoracle.report` every cell tells its values on hover.
    """
    rows = _rows(results)
    ax = axes_to_draw_on("plot_conformance", ax)
    from matplotlib.patches import Rectangle

    subjects, checks = (
        list(dict.fromkeys(getattr(row, name) for row in rows)) for name in ("subject", "check")
    )
    for (subject, check), cell in _cells(rows).items():
        x, y = checks.index(check), subjects.index(subject)
        status = cell[0].status
        colour, sign = _LOOK[status]
        told = [f"{subject}, {check}", *(row.told() for row in cell[:_TOLD])]
        if len(cell) > _TOLD:
            told.append(f"and {len(cell) - _TOLD} more")
        box = Rectangle(
            (x - 0.47, y - 0.45),
            0.94,
            0.9,
            facecolor=colour,
            edgecolor="none",
            alpha=_WEIGHT.get(status, 0.85),
        )
        box.set_gid(tip(*told))
        ax.add_patch(box)
        count = sum(row.status == status for row in cell)
        ax.text(x, y, f"{sign}{count}" if len(cell) > 1 else sign, ha="center", va="center", fontsize="small")
    ax.set(xlim=(-0.5, len(checks) - 0.5), ylim=(len(subjects) - 0.5, -0.5))
    ax.set_xticks(range(len(checks)), checks, rotation=50, ha="left", rotation_mode="anchor")
    ax.set_yticks(range(len(subjects)), subjects)
    ax.tick_params(length=0, bottom=False, labelbottom=False, labeltop=True)
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def conformance_figure(name: str, results: Iterable[Any], where: str) -> page.Figure:
    """The figure of `plot_conformance`; `where` says of which library and version."""
    rows = _rows(results)
    counts = Counter(row.status for row in rows)
    told = ", ".join(f"{counts[status]} {status}" for status in _LOOK if counts[status])
    failing = Counter(row.check for row in rows if row.status == "failed").most_common(3)
    most = (
        f" Most often failed: {', '.join(f'{check} ({count})' for check, count in failing)}."
        if failing
        else ""
    )
    signs = "; ".join(f"{_LOOK[status][1]} {_MEANING[status]}" for status in _LOOK if counts[status])
    subjects, checks = (len({getattr(row, field) for row in rows}) for field in ("subject", "check"))
    label = min(max(len(row.subject) for row in rows), 60)
    return picture(
        name,
        lambda figure: plot_conformance(rows, figure.add_subplot()),
        size=(1.1 + 0.075 * label + 0.38 * checks, 1.8 + 0.26 * subjects),
        caption=f"Every subject against every check; {where}. {signs}. A cell shows the worst of the subject's "
        f"configurations and how many of them; hover for the values. {told}.{most}",
        alt=f"Matrix of {subjects} subjects and {checks} checks: {told}.{most}",
        csv=csv.dumps(_FIELDS, ([getattr(row, field) for field in _FIELDS] for row in rows)),
    )


def _rows(results: Iterable[Any]) -> list[_Row]:
    who = "plot_conformance"
    rows = []
    for result in results:
        if isinstance(result, _Row):
            rows.append(result)
            continue
        subject, config, check, status, measured, bound, detail = read_fields(who, result, _FIELDS)
        if status not in _LOOK:
            raise InvalidParameterError(f"{who}: status must be one of {', '.join(_LOOK)}; got {status!r}")
        rows.append(_Row(str(subject), _config(config), str(check), status, measured, bound, str(detail)))
    if not rows:
        raise InvalidParameterError(f"{who}: results must hold one result at least")
    return rows


def _cells(rows: list[_Row]) -> dict[tuple[str, str], list[_Row]]:
    """The results of each cell, the worst first."""
    cells: dict[tuple[str, str], list[_Row]] = {}
    for row in rows:
        cells.setdefault((row.subject, row.check), []).append(row)
    order = list(_LOOK)
    return {key: sorted(cell, key=lambda row: order.index(row.status)) for key, cell in cells.items()}


def _config(config: Any) -> str:
    if isinstance(config, dict):
        return ", ".join(f"{key} = {value}" for key, value in config.items())
    return str(config or "")
