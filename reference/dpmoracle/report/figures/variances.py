"""The variance of each reverse step between its bounds, beside β and β̃."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ...processes.schedule import Schedule
from ...reverse_step import lambda2_ddpm
from ...variance import variance_bounds
from ...variance_rules import nodes_of, reverse_variances
from .. import csv, page
from .picture import picture
from .style import BLUE, GREEN, GREY, RED, axes_to_draw_on, decades, key_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_variances", "variance_figure"]

#: of the axis: an excess of 0 has no place on it
_FLOOR = 1e-5

_LINES: dict[str, dict[str, Any]] = {
    "upper bound, any data": {"color": GREEN, "linestyle": ":"},
    "upper bound, data in the box": {"color": GREEN, "linestyle": "-."},
    "β": {"color": RED, "linestyle": "--"},
    "σ̂², optimal": {"color": BLUE, "linewidth": 2.4},
}


def plot_variances(
    trajectory: Any,
    schedule: Schedule,
    mmse: ArrayLike,
    ax: Axes | None = None,
    *,
    data_range: tuple[float, float] | None = None,
) -> Axes:
    """What the variance of every step has more than β̃, over β̃, for λ² = β̃ [bao2022, Theorems 1 and 2].

    β̃ itself, the lower bound, is at 0: below the axis, which is logarithmic.

    trajectory : Trajectory or (K,) increasing timesteps
    mmse       : (N+1,) V_t, or an MmseEstimate
    ax         : axes to draw on; None makes a figure of its own
    data_range : (a, b) with every coordinate of the data in it: adds the bound for data in a box
    """
    t, lines = _excesses(trajectory, schedule, mmse, data_range)
    ax = axes_to_draw_on("plot_variances", ax)
    bounds = [values for label, values in lines.items() if label.startswith("upper")]
    ax.fill_between(t, _FLOOR, np.minimum.reduce(bounds), color=GREEN, alpha=0.14, linewidth=0)
    for label, values in lines.items():
        ax.plot(t, values, label=label, **_LINES[label])
    ax.set_ylim(_FLOOR, 2 * max(float(values.max()) for values in lines.values()))
    ax.set(
        xscale="log",
        yscale="log",
        xlabel="t, where the step starts",
        ylabel="(variance of the step - β̃) / β̃",
    )
    ax.annotate("↓ β̃, the lower bound", (0.01, 0.02), xycoords="axes fraction", color=GREY)
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    decades(ax.yaxis)
    key_beside(ax)
    return ax


def variance_figure(
    name: str,
    trajectory: Any,
    schedule: Schedule,
    mmse: ArrayLike,
    where: str,
    data_range: tuple[float, float] | None = None,
) -> page.Figure:
    """The figure of `plot_variances`; `where` says on what data and which steps."""
    t, lines = _excesses(trajectory, schedule, mmse, data_range)
    best, beta = lines["σ̂², optimal"], lines["β"]
    k, far = int(best.argmax()), (1 + beta) / (1 + best)
    return picture(
        name,
        lambda figure: plot_variances(
            trajectory, schedule, mmse, figure.add_subplot(), data_range=data_range
        ),
        caption=f"How much more than β̃ the variance of each reverse step is, as a multiple of β̃; {where}. The "
        "optimum σ̂² (blue) must lie in the green area, between β̃ and the upper bounds of Theorem 2. It comes down "
        f"to β̃ where the data are already decided, and leaves it most at t = {t[k]}, by {best[k]:.3g} β̃. β is up "
        f"to {far.max():.3g} times the optimum, at t = {t[far.argmax()]}.",
        alt=f"Excess of the variance over β̃ against t, both axes logarithmic: σ̂² at most {best.max():.3g}, β at most "
        f"{beta.max():.3g}, both below the upper bounds.",
        csv=csv.dumps(("t", *(f"{label} over β̃, minus 1" for label in lines)), zip(t, *lines.values())),
    )


def _excesses(trajectory: Any, schedule: Schedule, mmse: Any, data_range: Any) -> tuple[Any, dict[str, Any]]:
    """Where the steps start, (K-1,), and each variance over β̃, minus 1."""
    nodes = nodes_of("plot_variances", trajectory, schedule)
    s, t = nodes[:-1], nodes[1:]
    tilde = lambda2_ddpm(schedule, s, t)
    lines = {"upper bound, any data": variance_bounds(schedule, s, t, tilde)[1]}
    if data_range is not None:
        lines["upper bound, data in the box"] = variance_bounds(schedule, s, t, tilde, data_range)[1]
    lines["β"] = reverse_variances(schedule, nodes, "beta")
    lines["σ̂², optimal"] = reverse_variances(schedule, nodes, "optimal", mmse=mmse)
    return t, {label: values / tilde - 1 for label, values in lines.items()}
