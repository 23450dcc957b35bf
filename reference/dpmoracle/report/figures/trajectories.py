"""Where trajectories spend their steps, on the axis of the signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ...trajectory.density import root_kappa_steps
from ...trajectory.step_cost import as_curve
from .. import csv, page
from .cost_map import read_paths, snr_places
from .picture import picture
from .style import GREEN, GREY, PALETTE, axes_to_draw_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_trajectories", "trajectory_figure"]

#: rows of the picture that the density takes
_HEIGHT = 2.2


def plot_trajectories(
    snr: ArrayLike, trajectories: Mapping[str, Any], ax: Axes | None = None, *, mmse: ArrayLike | None = None
) -> Axes:
    """One row of dots for each trajectory, at log₁₀ of the SNR of its timesteps; noise is on the left.

    snr          : (N+1,) u_t decreasing; entry 0 is ignored
    trajectories : labels to Trajectory or (K,) timesteps from 1 to N; a label that begins with "even" is drawn grey
    ax           : axes to draw on; None makes a figure of its own
    mmse         : (N+1,) V_t: adds the density of steps that is optimal in the limit of many, ∝ sqrt(κ)
    """
    who = "plot_trajectories"
    u, v = as_curve(who, snr, np.zeros(np.shape(snr)) if mmse is None else mmse)
    paths = read_paths(who, trajectories, u.size - 1)
    ax = axes_to_draw_on(who, ax)
    place, labels = snr_places(u), list(paths)
    colours = iter(PALETTE * len(paths))
    for above, (label, nodes) in enumerate(paths.items(), 1):
        colour, row = GREY if label.startswith("even") else next(colours), len(paths) - above
        ax.plot(
            place[nodes],
            np.full(nodes.size, row),
            "|",
            color=colour,
            markersize=11,
            markeredgewidth=1.6,
            label=label,
        )
    ax.set_yticks(range(len(labels)), labels[::-1])
    middle, density = _density(u, v)
    if density.any():
        base = len(labels) - 0.2
        height = base + _HEIGHT * density / density.max()
        ax.fill_between(middle, base, height, color=GREEN, alpha=0.3, linewidth=0)
        ax.plot(middle, height, color=GREEN, label="sqrt(κ)")
        ax.set_yticks([*range(len(labels)), base + 0.3 * _HEIGHT], [*labels[::-1], "√κ density"])
    ax.set_xlabel("log₁₀ SNR: noise on the left, data on the right")
    ax.tick_params(axis="y", length=0)
    ax.grid(False, axis="y")
    return ax


def trajectory_figure(
    name: str, snr: ArrayLike, mmse: ArrayLike, trajectories: Mapping[str, Any], where: str
) -> page.Figure:
    """The figure of `plot_trajectories`; `where` says on what data."""
    u, v = as_curve("plot_trajectories", snr, mmse)
    paths, place = read_paths("plot_trajectories", trajectories, u.size - 1), snr_places(u)
    middle, density = _density(u, v)
    rows: list[tuple[object, ...]] = [
        (label, t, place[t], None) for label, nodes in paths.items() for t in nodes.tolist()
    ]
    rows += [("sqrt(kappa)", None, x, y) for x, y in zip(middle, density)]
    told = "κ is 0 here: every trajectory is equally good."
    if density.any():
        share = np.cumsum(density * np.gradient(middle))
        low, high = np.interp([0.1, 0.9], share / share[-1], middle)
        told = (
            "The optimal ones crowd where the data are being decided, as the √κ density (green) says for the limit of "
            f"many steps: 80% of it lies at log₁₀ SNR from {low:.2g} to {high:.2g}. Steps elsewhere gain little."
        )
    return picture(
        name,
        lambda figure: plot_trajectories(snr, trajectories, figure.add_subplot(), mmse=mmse),
        size=(7.6, 1.6 + 0.27 * (len(paths) + _HEIGHT)),
        caption=f"Where each trajectory spends its steps; {where}. {told}",
        alt=f"Rows of marks at the log SNR of the timesteps of {', '.join(paths)}. {told}",
        csv=csv.dumps(("series", "t", "log10_snr", "density"), rows),
    )


def _density(u: Any, v: Any) -> tuple[Any, Any]:
    """sqrt(κ) du as a density over log₁₀ u, at the middle of each interval, noisiest first; nan reads as 0."""
    place = snr_places(u)[1:]
    weight = np.nan_to_num(root_kappa_steps(u, v)) / -np.diff(place)
    return 0.5 * (place[1:] + place[:-1])[::-1], weight[::-1]
