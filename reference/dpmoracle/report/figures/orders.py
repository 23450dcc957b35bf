"""Error against function evaluations, for every solver, with fitted slopes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InvalidParameterError
from ...solvers.order import OrderFit
from .. import csv, page
from .picture import picture
from .style import PALETTE, axes_to_draw_on, check_mapping, decades, key_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["fitted_slope", "order_figure", "plot_orders"]

#: of the largest numbers of steps, of which the slope is taken: an order is what errors tend to
_TAIL = 3
_MARKERS, _LINES = "os^Dv", ("-", "--", "-.", ":")


def plot_orders(fits: Mapping[str, OrderFit], ax: Axes | None = None) -> Axes:
    """Root mean square error against function evaluations, with the slope of each solver in the key.

    fits : labels to what `measure_order` returns; labels that begin with the same word share a colour
    ax   : axes to draw on; None makes a figure of its own
    A slope is that of log error against log steps over the three largest numbers of steps; the thin line continues it.
    """
    given = _fits(fits)
    ax = axes_to_draw_on("plot_orders", ax)
    families: dict[str, list[str]] = {}
    for label in given:
        families.setdefault(label.split()[0], []).append(label)
    colours = dict(zip(families, PALETTE * len(families)))
    for label, fit in sorted(given.items(), key=lambda item: fitted_slope(item[1])):
        family = label.split()[0]
        rank, slope = families[family].index(label), fitted_slope(fit)
        ax.plot(
            fit.evaluations,
            fit.errors,
            color=colours[family],
            marker=_MARKERS[rank % len(_MARKERS)],
            linestyle=_LINES[rank % len(_LINES)],
            linewidth=1.3,
            label=f"{slope:.2f}  {label}",
        )
        ends = np.array(fit.evaluations)[[0, -1]]
        line = fit.errors[-1] * (np.array(fit.steps)[[0, -1]] / fit.steps[-1]) ** -slope
        ax.plot(ends, line, color=colours[family], linewidth=0.7, linestyle=":")
    ax.set(xscale="log", yscale="log", xlabel="function evaluations", ylabel="rms distance to the exact flow")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    decades(ax.yaxis)
    key_beside(ax, title="slope  solver", alignment="left")
    return ax


def order_figure(name: str, fits: Mapping[str, OrderFit], where: str) -> page.Figure:
    """The figure of `plot_orders`; `where` says on what data, schedule and range of λ."""
    given = _fits(fits)
    slopes = {label: fitted_slope(fit) for label, fit in given.items()}
    shown = ", ".join(
        f"{label} {slope:.2f}" for label, slope in sorted(slopes.items(), key=lambda item: item[1])
    )
    last = {label: fit.errors[-1] for label, fit in given.items()}
    best = min(last, key=lambda label: last[label])
    return picture(
        name,
        lambda figure: plot_orders(fits, figure.add_subplot()),
        size=(7.6, 4.8),
        caption=f"Error of each solver against the number of evaluations of the network; {where}. The steeper, the "
        f"higher the order; the number in the key is the slope over the {_TAIL} largest numbers of steps, and the "
        f"thin line continues it. Most exact at the end: {best}, {last[best]:.1e}.",
        alt=f"Error against function evaluations, both logarithmic, falling for every solver. Slopes: {shown}.",
        csv=csv.dumps(
            ("solver", "steps", "evaluations", "error", "fitted_slope"),
            (
                (label, *numbers, slopes[label])
                for label, fit in given.items()
                for numbers in zip(fit.steps, fit.evaluations, fit.errors)
            ),
        ),
    )


def fitted_slope(fit: OrderFit) -> float:
    """The order that the largest numbers of steps show."""
    return OrderFit(fit.steps[-_TAIL:], fit.errors[-_TAIL:], fit.evaluations[-_TAIL:]).slope


def _fits(fits: Any) -> dict[str, OrderFit]:
    given = check_mapping("plot_orders", "fits", fits, "solver")
    for label, fit in given.items():
        if not isinstance(fit, OrderFit) or len(fit.steps) < 2 or not label.strip():
            raise InvalidParameterError(
                f"plot_orders: fits must hold an OrderFit of 2 numbers of steps or more for each label; {label!r} has "
                f"{type(fit).__name__}{f' of {len(fit.steps)}' if isinstance(fit, OrderFit) else ''}"
            )
    return given
