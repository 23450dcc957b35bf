"""What the optimum buys: KL against the number of nodes, for every variance rule and grid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...comparison import ChainRow
from ...errors import InvalidParameterError
from .. import csv, page
from .picture import picture
from .style import BLUE, GOLD, GREEN, RED, axes_to_draw_on, decades, ink, key_beside, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RULE_NAMES", "kl_figure", "plot_kl"]

RULE_NAMES = {"beta": "β", "beta_tilde": "β̃", "optimal": "σ̂²"}
_COLOURS = {"beta": GOLD, "beta_tilde": RED, "optimal": BLUE}
_GRIDS: dict[str, dict[str, Any]] = {
    "even": {"linestyle": "--", "marker": "o", "markerfacecolor": "none"},
    "optimal": {"linestyle": "-", "marker": "o"},
}

#: a limit below this part of the least KL is named, not shown
_FAR = 0.003
#: how far down a bar goes that has no end on this axis, as a part of the value
_BAR_END = 0.1


def plot_kl(
    rows: Sequence[ChainRow], ax: Axes | None = None, *, limit: float | None = None, law: float | None = None
) -> Axes:
    r"""KL of the reverse chain against K, with one standard error (or bound) as bars.

    rows  : what `compare_chains` returns
    ax    : axes to draw on; None makes a figure of its own
    limit : KL(q_N ‖ N(0, I)) in nats, what is left where Σ J has come down to its I-MMSE limit ∫ V du; a dotted line
    law   : (d/4) (∫ sqrt(κ) du)² in nats: draws limit + law/(K-1), to which the best trajectory tends
    """
    lines = _lines(rows)
    ax = axes_to_draw_on("plot_kl", ax)
    for (rule, grid), found in lines.items():
        counts, values, errors = (np.array(column, dtype=float) for column in zip(*found))
        label = f"{RULE_NAMES[rule]}, {grid} grid"
        ax.plot(counts, values, color=_COLOURS[rule], label=label, **_GRIDS[grid])
        ax.vlines(
            counts,
            np.maximum(values - errors, _BAR_END * values),
            values + errors,
            _COLOURS[rule],
            linewidth=0.8,
        )
    counts = np.array(sorted({row.K for row in rows}), dtype=float)
    lowest = min(value for found in lines.values() for _, value, _ in found)
    if law is not None:
        ax.plot(
            counts,
            (limit or 0.0) + law / (counts - 1),
            color=GREEN,
            linewidth=1.2,
            linestyle="-.",
            label="√κ law",
        )
    if limit is not None:
        ax.axhline(limit, color=ink(), linestyle=":", linewidth=1.2, label="I-MMSE limit, Σ J = ∫ V du")
        if limit < _FAR * lowest:  # the lines would be flat above so much empty paper
            ax.annotate(f"↓ limit {short(limit)}", (0.01, 0.02), xycoords="axes fraction")
    ax.set(xscale="log", yscale="log", xlabel="K, network evaluations", ylabel="KL, nats")
    ax.set_ylim(bottom=0.6 * limit if limit is not None and limit >= _FAR * lowest else 0.2 * lowest)
    ax.set_xticks(counts, [f"{count:.0f}" for count in counts])
    ax.xaxis.set_minor_formatter(lambda value, _: "")
    decades(ax.yaxis)
    key_beside(ax)
    return ax


def kl_figure(name: str, rows: Sequence[ChainRow], where: str, limit: float, law: float) -> page.Figure:
    """The figure of `plot_kl`; `where` says on what data and how V was found."""
    by = {(row.K, row.grid, row.rule): float(row.kl.value) for row in rows}
    least, most = min(row.K for row in rows), max(row.K for row in rows)
    _, grid, rule = max((key for key in by if key[0] == least), key=lambda key: by[key])
    few = [by[least, each, "optimal"] for each in ("even", "optimal")]
    return picture(
        name,
        lambda figure: plot_kl(rows, figure.add_subplot(), limit=limit, law=law),
        caption=f"Price of a chain of K evaluations in nats, KL of the forward chain to the reverse chain; {where}. "
        f"The optimal trajectory (solid) does at K = {least} with {few[1]:.3g} nats what costs {few[0]:.3g} on the "
        "even grid; the optimal variance (blue) is never above β or β̃. No choice passes the dotted line, the KL of "
        "the start that is left where the sum of J is down to its I-MMSE limit ∫ V du; the green law, with the "
        "density √κ, is where the best trajectories go while K is far below N.",
        alt=f"KL in nats against K from {least} to {most}, both logarithmic: six falling lines, the lowest σ̂² on the "
        f"optimal trajectory, from {few[1]:.3g} to {by[most, 'optimal', 'optimal']:.3g}, the highest "
        f"{RULE_NAMES[rule]} on the {grid} grid, from {by[least, grid, rule]:.3g} to {by[most, grid, rule]:.3g}; limit "
        f"{limit:.3g}.",
        csv=csv.dumps(
            ("K", "grid", "rule", "kl_nats", "error", "bits_per_dim", "limit_nats", "law_nats"),
            (
                (r.K, r.grid, r.rule, r.kl.value, r.kl.error, r.bits_per_dim, limit, limit + law / (r.K - 1))
                for r in rows
            ),
        ),
    )


def _lines(rows: Any) -> dict[tuple[str, str], list[tuple[int, float, float]]]:
    """(K, KL, error) by rule and grid, K increasing."""
    if not len(rows) or not all(isinstance(row, ChainRow) for row in rows):
        raise InvalidParameterError(
            "plot_kl: rows must be what compare_chains returns, a list of ChainRow, not empty"
        )
    lines: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
    for row in sorted(rows, key=lambda row: row.K):
        lines.setdefault((row.rule, row.grid), []).append((row.K, float(row.kl.value), float(row.kl.error)))
    return lines
