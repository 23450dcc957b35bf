"""Variances of the reverse steps of a trajectory, by the name of a rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_finite
from .errors import InvalidParameterError
from .oracle import Oracle
from .processes.schedule import Schedule
from .reverse_step import check_schedule, lambda2_ddpm, read_step_lam2
from .trajectory.step_cost import as_nodes, name_steps
from .variance import clip_variance, optimal_variance_from_mmse, variance_bounds

__all__ = [
    "RULES",
    "check_chain",
    "nodes_of",
    "per_step",
    "positive_variances",
    "reverse_variances",
    "step_lam2",
]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

RULES = ("lam2", "beta", "beta_tilde", "optimal")
_NAMED_LAM2 = ("ddpm", "ddim")


def reverse_variances(
    sch: Schedule,
    trajectory: Any,
    rule: str = "optimal",
    *,
    lam2: Any = "ddpm",
    mmse: Any = None,
    clip: Any = None,
    last_step: float | None = None,
) -> Array:
    r"""Variances (K-1,) of the steps of a trajectory; entry k is that of the step from node k+1 to node k.

    trajectory : Trajectory or (K,) increasing timesteps in 1..N
    rule       : "lam2", the forward posterior's own (0 for DDIM, β̃ for DDPM); "beta", β_{t|s};
                 "beta_tilde", β̃_{s|t}; "optimal", λ² + c² V_t from `mmse` [bao2022, Theorem 1]
    lam2       : "ddpm", "ddim", a number or (K-1,), in [0, beta_bar_s]
    mmse       : (N+1,) V_t, or an MmseEstimate, for "optimal"; with an estimate it is σ̂², and not clipped here
    clip       : None; "bounds", the bounds of Theorem 2 that hold for any data; or (a, b), those for data in
                 that box
    last_step  : None, or a bound on the variance of the last noisy step, from node 1 to node 0, such as
                 `last_step_bound(2)`; applied last, it may go below lam2
    Raises InvalidParameterError for an unknown rule, lam2 out of range, V missing or nan at a node.
    """
    who = "reverse_variances"
    check_schedule(who, sch)
    nodes = nodes_of(who, trajectory, sch)
    s, t = nodes[:-1], nodes[1:]
    lam2 = step_lam2(who, sch, nodes, lam2)
    if not isinstance(rule, str) or rule not in RULES:
        raise InvalidParameterError(
            f"{who}: rule must be one of {', '.join(RULES)}; got {rule!r}. Variances of your own need no rule"
        )
    if rule == "optimal":
        sigma2 = optimal_variance_from_mmse(sch, s, t, _at_nodes(who, mmse, t, sch), lam2)
    else:
        sigma2 = {"lam2": lam2, "beta": sch.beta(s, t), "beta_tilde": lambda2_ddpm(sch, s, t)}[rule]
    if clip is not None:
        if isinstance(clip, str) and clip != "bounds":
            raise InvalidParameterError(f'{who}: clip must be None, "bounds" or (a, b); got {clip!r}')
        box = None if isinstance(clip, str) else clip
        sigma2 = clip_variance(sigma2, variance_bounds(sch, s, t, lam2, data_range=box))
    if last_step is not None:
        limit = as_float(who, "last_step", last_step)
        if limit.ndim or not limit > 0:
            raise InvalidParameterError(f"{who}: last_step must be one positive variance; got {last_step!r}")
        sigma2 = np.append(np.minimum(sigma2[:1], limit), sigma2[1:])
    return np.array(sigma2)


def nodes_of(who: str, trajectory: Any, sch: Schedule) -> Steps:
    """(K,) timesteps of a Trajectory or an array: increasing in 1..N, K >= 2, not necessarily from 1 to N."""
    return as_nodes(who, getattr(trajectory, "timesteps", trajectory), sch.N, partial=True)


def step_lam2(who: str, sch: Schedule, nodes: Steps, lam2: Any) -> Array:
    """λ² of every step, (K-1,), from "ddpm", "ddim", a number or (K-1,)."""
    s, t = nodes[:-1], nodes[1:]
    if isinstance(lam2, str):
        if lam2 not in _NAMED_LAM2:
            raise InvalidParameterError(
                f"{who}: lam2 must be one of {', '.join(_NAMED_LAM2)}, a number or an array of shape "
                f"({len(s)},); got {lam2!r}"
            )
        return lambda2_ddpm(sch, s, t) if lam2 == "ddpm" else np.zeros(len(s))
    return read_step_lam2(who, sch, s, t, per_step(who, "lam2", lam2, len(s)))[1]


def per_step(who: str, name: str, value: ArrayLike, count: int) -> Array:
    """A number or (count,), one entry for each step, finite."""
    array = as_float(who, name, value)
    if array.shape not in ((), (count,)):
        raise InvalidParameterError(
            f"{who}: {name} must be one number or one for each of the {count} steps, ({count},), the least noisy "
            f"first; got shape {array.shape}"
        )
    check_finite(who, name, array)
    return np.broadcast_to(array, (count,)).copy()


def _at_nodes(who: str, mmse: Any, t: Steps, sch: Schedule) -> Array:
    """V at the nodes t, from an array over 0..N or an estimate."""
    if mmse is None:
        raise InvalidParameterError(
            f'{who}: rule "optimal" needs mmse, V_t for the timesteps 0..N: Oracle.mmse, estimate_mmse or '
            "mmse_from_gamma"
        )
    if hasattr(mmse, "on_schedule"):
        if mmse.schedule != sch:
            raise InvalidParameterError(f"{who}: mmse was estimated on {mmse.schedule!r}, sch is {sch!r}")
        mmse = mmse.on_schedule()
    curve = as_float(who, "mmse", mmse)
    if curve.shape != (sch.N + 1,):
        raise InvalidParameterError(
            f"{who}: mmse must have shape (N+1,) = ({sch.N + 1},), indexed by timestep; got {curve.shape}"
        )
    bad = t[~np.isfinite(curve[t])]
    if bad.size:
        raise InvalidParameterError(
            f"{who}: mmse must be finite at the nodes; it is not at {name_steps(bad)}"
        )
    return np.asarray(curve[t])


def check_chain(who: str, orc: Any, trajectory: Any) -> tuple[Schedule, Steps]:
    """The schedule of an oracle, and the nodes of a trajectory on it."""
    if not isinstance(orc, Oracle) or not isinstance(orc.process, Schedule):
        what = type(orc.process).__name__ if isinstance(orc, Oracle) else type(orc).__name__
        raise InvalidParameterError(
            f"{who}: orc must be an Oracle on a Schedule: a chain has integer timesteps; got {what}"
        )
    return orc.process, nodes_of(who, trajectory, orc.process)


def positive_variances(who: str, sigma2: Any, count: int) -> Array:
    """Variances (count,), each positive: a chain with a step that adds no noise has an infinite KL."""
    values = per_step(who, "sigma2", sigma2, count)
    bad = np.flatnonzero(values <= 0)
    if bad.size:
        raise InvalidParameterError(
            f"{who}: sigma2 must be positive; entry {bad[0]} is {values[bad[0]]:.6g}. A deterministic step (DDIM) has "
            "no density, so its KL and its bound are not defined"
        )
    return values
