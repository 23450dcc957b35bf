"""Time grids of the deterministic solvers, as nodes (K+1, 2) of (a, σ), noisiest first."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count
from ..errors import InvalidParameterError
from ..processes.process import Process
from ..processes.schedule import Schedule
from ..trajectory.grids import distinct
from .checks import check_choice, check_fraction
from .path import path_of

__all__ = ["GRIDS", "solver_nodes"]

Array = NDArray[np.float64]
GRIDS = ("time", "lambda", "quadratic", "karras")


def solver_nodes(
    process: Process | Schedule,
    K: int,
    grid: str = "lambda",
    *,
    t_start: Any = None,
    t_end: Any = None,
    power: float = 7.0,
) -> Array:
    r"""(K+1, 2) levels (a, σ) of K steps from t_start down to t_end, the last of them with σ > 0 by default.

    process : a Process or a Schedule
    grid    : "time" even in t; "quadratic" even in sqrt(t), dense near the data; "lambda" even in λ = log(a/σ)
              [lu2022, section 3.4]; "karras" even in (σ/a)^(1/power) [karras2022, eq. (5)]
    t_start : t_max, or N
    t_end   : the first time with noise: t_min, or 1e-3 t_max where that is clean (but for ve), or 1
    power   : of "karras", > 0

    A Schedule has whole timesteps: "time" and "quadratic" round to them, and K may be at most t_start - t_end;
    "lambda" and "karras" fall between them, on a² + σ² = 1, as in the published continuous interpolation.
    Raises InvalidParameterError for times out of range or order, and for an end where the grid's variable is infinite.
    """
    who = "solver_nodes"
    if not isinstance(process, Process | Schedule):
        raise InvalidParameterError(
            f"{who}: process must be a Process or a Schedule; got {type(process).__name__}"
        )
    steps = check_count(who, "K", K)
    check_choice(who, "grid", grid, GRIDS)
    power = check_fraction(who, "power", power, np.inf)
    first, last = _ends(who, process, t_start, t_end)
    share = np.arange(steps + 1) / steps
    if grid in ("time", "quadratic"):
        times = first + (last - first) * share if grid == "time" else _blend(first, last, share, 2.0)
        times[[0, -1]] = first, last
        nodes = np.stack(process.levels(_whole(who, process, times)), axis=-1)
    else:
        ends = np.array([process.levels(first), process.levels(last)])
        if not ends.all():
            raise InvalidParameterError(
                f"{who}: grid {grid!r} needs a > 0 and sigma > 0 at both ends; (a, sigma) is "
                f"{tuple(ends[0].tolist())} at t_start = {first:g} and {tuple(ends[1].tolist())} at t_end = "
                f"{last:g}. Choose another {'t_start' if not ends[0].all() else 't_end'}, or grid='time'"
            )
        rho = ends[:, 1] / ends[:, 0]
        middle = share[1:-1]
        if grid == "lambda":
            lam = -np.log(rho[0]) + np.log(rho[0] / rho[1]) * middle
        else:
            lam = -np.log(_blend(rho[0], rho[1], middle, power))
        path = path_of(process)
        nodes = np.array([ends[0], *map(path, lam.tolist()), ends[1]])
    return nodes


def _blend(first: float, last: float, share: Array, power: float) -> Array:
    """From first to last, even in the power-th root."""
    roots = first ** (1 / power), last ** (1 / power)
    return np.asarray((roots[0] + (roots[1] - roots[0]) * share) ** power)


def _ends(who: str, process: Process | Schedule, t_start: Any, t_end: Any) -> tuple[float, float]:
    if isinstance(process, Schedule):
        defaults: tuple[float, float] = (process.N, 1)
    else:
        clean = float(process.sigma(process.t_min)) == 0.0
        defaults = (process.t_max, 1e-3 * process.t_max if clean else process.t_min)
    ends = [default if t is None else t for t, default in zip((t_start, t_end), defaults)]
    for name, t in zip(("t_start", "t_end"), ends):
        if process.check_times(t, f"{who} ({name})").ndim:
            raise InvalidParameterError(
                f"{who}: {name} must be one time; got an array of shape {np.shape(t)}"
            )
    if not ends[1] < ends[0]:
        raise InvalidParameterError(
            f"{who}: t_end must be below t_start, a grid runs from noise to data; got t_start = {ends[0]:g}, "
            f"t_end = {ends[1]:g}"
        )
    return ends[0], ends[1]


def _whole(who: str, process: Process | Schedule, times: Array) -> NDArray[Any]:
    """The times themselves; for a Schedule the nearest distinct timesteps."""
    if isinstance(process, Process):
        return times
    low, count = round(float(times[-1])), round(float(times[0] - times[-1])) + 1
    if len(times) > count:
        raise InvalidParameterError(
            f"{who}: K must be at most {count - 1} steps, the whole timesteps from t_start to t_end; "
            f"got {len(times) - 1}"
        )
    return np.asarray(distinct(times[::-1] - low + 1, count)[::-1] + low - 1)
