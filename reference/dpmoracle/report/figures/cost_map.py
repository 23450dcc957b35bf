"""What every step would cost, as a map, with the cheapest paths through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...trajectory.step_cost import as_curve, as_nodes, cost_matrix, sum_cost
from .. import csv, page
from .picture import picture
from .style import axes_to_draw_on, check_mapping

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["cost_figure", "plot_cost", "read_paths", "snr_places"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: steps cheaper than this look alike: log(1 + VΔu), of a whole range of some units
_CHEAP = 1e-3
_CELLS = 200
_MARKERS = "os^Dv"
#: not black and white, which turn with the paper; these stand on the map
_BRIGHT, _DARK = "#fdfdfd", "#151515"


def plot_cost(
    snr: ArrayLike, mmse: ArrayLike, ax: Axes | None = None, *, trajectories: Mapping[str, Any] | None = None
) -> Axes:
    """J(s, t) of every step from t to s, with trajectories as staircases: down a step, then along to the diagonal.

    snr, mmse    : (N+1,) u_t decreasing and V_t >= 0; entries 0 are ignored
    ax           : axes to draw on; None makes a figure of its own
    trajectories : labels to Trajectory or (K,) timesteps from 1 to N
    Both axes are log₁₀ of the SNR; at most 200 timesteps are mapped, evenly spaced on it.
    """
    who = "plot_cost"
    u, v = as_curve(who, snr, mmse)
    paths = read_paths(who, trajectories, u.size - 1)
    ax = axes_to_draw_on(who, ax)
    from matplotlib.colors import LogNorm
    from matplotlib.patheffects import withStroke

    chosen, cost = _map(u, v)
    place = snr_places(u)
    norm = LogNorm(_CHEAP, max(float(np.nanmax(cost)), 10 * _CHEAP))
    drawn = ax.pcolormesh(
        place[chosen],
        place[chosen],
        np.maximum(cost, _CHEAP),
        cmap="cividis",
        norm=norm,
        shading="nearest",
        rasterized=True,
    )
    bar = ax.figure.colorbar(drawn, ax=ax, label="J(s, t) = log(1 + Vₜ(uₛ - uₜ))", extend="min")
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    halo = [withStroke(linewidth=3, foreground=_DARK)]
    for (label, nodes), marker in zip(paths.items(), _MARKERS * len(paths)):
        at = place[nodes][::-1]
        ax.step(at, np.append(at[1:], at[-1]), where="post", color=_BRIGHT, linewidth=1.2, path_effects=halo)
        ax.plot(
            at[:-1], at[1:], marker, color=_BRIGHT, markeredgecolor=_DARK, markeredgewidth=0.8, label=label
        )
    ax.set(xlabel="from t: log₁₀ SNR", ylabel="to s: log₁₀ SNR")
    ax.grid(False)
    if paths:
        ax.legend(loc="lower right", title="cheapest path", frameon=False)
    return ax


def cost_figure(
    name: str, snr: ArrayLike, mmse: ArrayLike, trajectories: Mapping[str, Any], where: str
) -> page.Figure:
    """The figure of `plot_cost`; `where` says on what data."""
    u, v = as_curve("plot_cost", snr, mmse)
    paths = read_paths("plot_cost", trajectories, u.size - 1)
    place = snr_places(u)
    rows = [
        (label, s, t, place[s], place[t], float(np.log1p(v[t] * (u[s] - u[t]))))
        for label, nodes in paths.items()
        for s, t in zip(nodes[:-1].tolist(), nodes[1:].tolist())
    ]
    costs = ", ".join(f"{label}: {sum_cost(u, v, nodes):.4g}" for label, nodes in paths.items())
    return picture(
        name,
        lambda figure: plot_cost(snr, mmse, figure.add_subplot(), trajectories=trajectories),
        size=(6.6, 5.2),
        caption=f"What a reverse step from t to s costs, J = log(σ*²/β̃), for every pair; {where}. Bright steps are "
        "dear: long ones through the SNRs at which the data are being decided. A trajectory walks along the diagonal "
        "from noise (lower left) to data; each mark is one step, and the cheapest path keeps all of them out of the "
        f"bright field. Sum of J: {costs}.",
        alt="Heat map of J over the SNR where a step starts and the SNR where it ends, with staircases of the "
        f"trajectories {', '.join(paths)}. Sum of J: {costs}.",
        csv=csv.dumps(("trajectory", "s", "t", "log10_snr_s", "log10_snr_t", "J"), rows),
    )


def snr_places(u: Array) -> Array:
    """log₁₀ u, where u = 0 (zero terminal SNR) stands as far below its neighbour as that below the next."""
    with np.errstate(divide="ignore"):
        place = np.log10(u)
    if u[-1] == 0:
        place[-1] = 2 * place[-2] - place[-3]
    return place


def _map(u: Array, v: Array) -> tuple[Steps, Array]:
    """Timesteps evenly spaced in log u, noisiest first, and J from each (column) to each (row); nan where s >= t."""
    place = snr_places(u)[1:]
    wanted = np.linspace(place[-1], place[0], _CELLS)
    chosen = np.unique(np.abs(place - wanted[:, None]).argmin(1) + 1)[::-1]
    cost = cost_matrix(u, v)[np.ix_(chosen, chosen)]
    return chosen, np.where(np.isfinite(cost), cost, np.nan)


def read_paths(who: str, trajectories: Any, last: int) -> dict[str, Steps]:
    if trajectories is None:
        return {}
    given = check_mapping(who, "trajectories", trajectories, "trajectory")
    return {label: as_nodes(who, getattr(path, "timesteps", path), last) for label, path in given.items()}
