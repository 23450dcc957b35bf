"""The variance with which stochastic samplers end, against the number of steps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidParameterError
from .. import csv, page
from .picture import picture
from .records import read_fields
from .style import PALETTE, axes_to_draw_on, ink, key_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_terminal_variance", "terminal_figure"]

_MARKERS, _LINES = "os^Dv", ("-", "--", "-.", ":")
_TOLD = 4  # samplers that a caption bears
_LONG = 36  # characters of a label that take room from the axes


def plot_terminal_variance(records: Iterable[Any], ax: Axes | None = None) -> Axes:
    """Variance of the samples over that of the data, against K.

    records : mappings or objects with sampler, K, ratio > 0 and, where it was estimated, error (one standard error)
    ax      : axes to draw on; None makes a figure of its own
    """
    lines = _lines(records)
    ax = axes_to_draw_on("plot_terminal_variance", ax)
    ax.axhline(1.0, color=ink(), linewidth=1.0, linestyle=":", label="the data")
    for i, (sampler, found) in enumerate(lines.items()):
        counts, ratios, errors = (np.array(column) for column in zip(*found))
        style: dict[str, Any] = {
            "color": PALETTE[i % len(PALETTE)],
            "marker": _MARKERS[i % len(_MARKERS)],
            "linestyle": _LINES[i // len(PALETTE) % len(_LINES)],
        }
        ax.plot(counts, ratios, label=sampler, **style)
        ax.vlines(counts, ratios - errors, ratios + errors, style["color"], linewidth=0.8)
    shown = sorted({count for found in lines.values() for count, *_ in found})
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="K, network evaluations",
        ylabel="variance of the samples / of the data",
    )
    ax.set_xticks(shown, [str(count) for count in shown])
    ax.xaxis.set_minor_formatter(lambda value, _: "")
    low, high = (round(np.log2(end)) for end in ax.get_ylim())
    halvings = 2.0 ** np.arange(min(low, -1), max(high, 1) + 1)
    ax.set_yticks(halvings, [f"{ratio:g}" for ratio in halvings])
    ax.yaxis.set_minor_formatter(lambda value, _: "")
    key_beside(ax)
    return ax


def terminal_figure(name: str, records: Iterable[Any], where: str) -> page.Figure:
    """The figure of `plot_terminal_variance`; `where` says on what data and how the variance was found."""
    given = list(records)
    lines = _lines(given)
    ends = {sampler: (found[0], found[-1]) for sampler, found in lines.items()}
    far = sorted(ends, key=lambda sampler: -abs(np.log(ends[sampler][1][1])))[:_TOLD]
    told = "; ".join(
        f"{sampler} {first[1]:.3g} at K = {first[0]}, {last[1]:.4g} at {last[0]}"
        for sampler in far
        for first, last in [ends[sampler]]
    )
    if len(far) < len(ends):
        told = f"Farthest from 1 at the end: {told}"
    return picture(
        name,
        lambda figure: plot_terminal_variance(given, figure.add_subplot()),
        size=(9.2 if max(map(len, lines)) > _LONG else 7.6, 4.2),
        caption=f"Variance of the samples over that of the data; {where}. 1 is right. A line that stays away from 1 "
        f"as K grows is a sampler whose noise is wrong, not its steps. {told}.",
        alt=f"Variance ratio against K on a logarithmic axis: {told}.",
        csv=csv.dumps(
            ("sampler", "K", "ratio", "standard_error"),
            ((sampler, *numbers) for sampler, found in lines.items() for numbers in found),
        ),
    )


def _lines(records: Iterable[Any]) -> dict[str, list[tuple[int, float, float]]]:
    """(K, ratio, error) by sampler, K increasing."""
    who = "plot_terminal_variance"
    lines: dict[str, list[tuple[int, float, float]]] = {}
    for record in records:
        sampler, count, ratio = read_fields(who, record, ("sampler", "K", "ratio"))
        (error,) = read_fields(who, record, ("error",), missing=0.0)
        if not (np.isfinite(ratio) and ratio > 0 and count >= 1):
            raise InvalidParameterError(
                f"{who}: ratio must be finite and > 0, and K >= 1; got {ratio!r} for {sampler} at K = {count!r}"
            )
        lines.setdefault(str(sampler), []).append((int(count), float(ratio), float(error or 0.0)))
    if not lines:
        raise InvalidParameterError(f"{who}: records must hold one record at least")
    return {sampler: sorted(found) for sampler, found in lines.items()}
