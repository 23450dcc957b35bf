"""How many times faster than each peer, and how near to the limit of the machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InvalidParameterError
from .. import csv, page
from .picture import picture
from .records import read_fields
from .style import BLUE, GOLD, RED, axes_to_draw_on, ink, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_limit_shares", "plot_ratios", "ratio_figure", "share_figure"]


@dataclass(frozen=True)
class _Bar:
    work: str
    beside: str
    value: float
    aim: float | None


def plot_ratios(run: Any, ax: Axes | None = None) -> Axes:
    """Time of each peer over ours, a bar for each piece of work and peer; a tick where the aim is.

    run : what `dpmoracle bench` returns, a Run, or the mapping that its JSON holds
    ax  : axes to draw on; None makes a figure of its own
    """
    bars = _ratios("plot_ratios", run)
    ax = _plot("plot_ratios", bars, ax, 1.0)
    ax.set(xscale="log", xlabel="times as long as ours takes")
    ax.axvline(1.0, color=ink(), linewidth=1.0, alpha=0.4, zorder=0.5)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    return ax


def plot_limit_shares(run: Any, ax: Axes | None = None) -> Axes:
    """Share of what bounds the speed of each piece of work, as measured in the same run; arguments as `plot_ratios`."""
    bars = _shares("plot_limit_shares", run)
    ax = _plot("plot_limit_shares", bars, ax, 0.0)
    ax.set(xlim=(0, max(1.0, 1.05 * max(bar.value for bar in bars))), xlabel="share of the limit")
    ax.axvline(1.0, color=ink(), linewidth=1.0, alpha=0.4, zorder=0.5)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return ax


def ratio_figure(name: str, run: Any) -> page.Figure:
    """The figure of `plot_ratios`."""
    bars = _ratios("plot_ratios", run)
    best, worst = max(bars, key=lambda bar: bar.value), min(bars, key=lambda bar: bar.value)
    told = f"from {short(worst.value)} times ({_label(worst)}) to {short(best.value)} times ({_label(best)})"
    return _figure(
        name,
        bars,
        plot_ratios,
        run,
        f"How many times as long a peer takes as we do, timed in turns in one run; {told}. Bars left of 1 are peers "
        "that are faster. Gold ticks are aims; a bar that reaches its aim is blue, one that does not is red.",
        f"Bars of time ratios, {told}.",
    )


def share_figure(name: str, run: Any) -> page.Figure:
    """The figure of `plot_limit_shares`."""
    bars = _shares("plot_limit_shares", run)
    told = ", ".join(f"{_label(bar)}: {bar.value:.0%}" for bar in bars)
    return _figure(
        name,
        bars,
        plot_limit_shares,
        run,
        "Share of the limit of the machine, as measured in the same run, that each piece of work reaches; at 100% "
        "nothing is left to gain. Gold ticks are aims; a bar that reaches its aim is blue, one that does not is red.",
        f"Bars of shares of the limit, by piece of work: {told}.",
    )


def _figure(name: str, bars: list[_Bar], plot: Any, run: Any, caption: str, alt: str) -> page.Figure:
    works = len({bar.work for bar in bars})
    return picture(
        name,
        lambda figure: plot(run, figure.add_subplot()),
        size=(8.0, 0.8 + 0.24 * (len(bars) + works)),
        caption=caption,
        alt=alt,
        csv=csv.dumps(("work", "beside", "value", "aim"), ((b.work, b.beside, b.value, b.aim) for b in bars)),
    )


def _plot(who: str, bars: list[_Bar], ax: Axes | None, start: float) -> Axes:
    """Bars from top to bottom, those of one piece of work below its name; each from `start` to its value."""
    ax = axes_to_draw_on(who, ax)
    rows: list[float] = []
    last, row = "", -1.0
    for bar in bars:
        row += 1.0
        if bar.work != last:
            ax.text(
                0.0,
                row,
                bar.work,
                transform=ax.get_yaxis_transform(),
                va="center",
                fontsize="small",
                style="italic",
            )
            last, row = bar.work, row + 1.0
        missed = bar.aim is not None and bar.value < bar.aim
        ax.barh(row, bar.value - start, left=start, height=0.66, color=RED if missed else BLUE, alpha=0.85)
        if bar.aim is not None:
            ax.plot([bar.aim], [row], "|", color=GOLD, markersize=14, markeredgewidth=2.5)
        rows.append(row)
    ax.set_yticks(rows, [bar.beside for bar in bars])
    ax.set_ylim(row + 0.6, -0.7)
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    return ax


def _label(bar: _Bar) -> str:
    return f"{bar.work}, {bar.beside}"


def _ratios(who: str, run: Any) -> list[_Bar]:
    bars = []
    for result in _results(who, run):
        work, ratios, target = read_fields(who, result, ("work", "ratios", "target"))
        for peer, value in (ratios() if callable(ratios) else ratios).items():
            if value is not None and 0 < value < math.inf:
                bars.append(_Bar(work, peer, value, target.get(peer)))
    return _some(who, bars, "a peer that was timed")


def _shares(who: str, run: Any) -> list[_Bar]:
    bars = []
    for result in _results(who, run):
        work, limit, target = read_fields(who, result, ("work", "limit", "target"))
        if limit is not None and limit[1] is not None and math.isfinite(limit[1]):
            bars.append(_Bar(work, limit[0], limit[1], target.get(limit[0])))
    return _some(who, bars, "a share of a limit")


def _results(who: str, run: Any) -> list[Any]:
    (results,) = read_fields(who, run, ("results",))
    if not isinstance(results, Mapping):
        raise InvalidParameterError(
            f"{who}: run must be a Run of dpmoracle.bench or its JSON, results by benchmark; got "
            f"{type(results).__name__}"
        )
    return [result for found in results.values() for result in found]


def _some(who: str, bars: list[_Bar], what: str) -> list[_Bar]:
    if not bars:
        raise InvalidParameterError(f"{who}: run must have one result at least with {what}")
    return bars
