"""What an estimate of V may be: bounds, clipping on request, and the published code's way with a bad one."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checking import as_float
from ..errors import InvalidParameterError
from .dense import backtrack, dense_layers
from .step_cost import as_curve, check_nodes, cost_matrix, name_steps

__all__ = ["clip_mmse", "mmse_bounds", "published_dp_trajectory"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


def mmse_bounds(snr: ArrayLike, data_range: tuple[float, float] | None = None) -> tuple[Array, Array]:
    r"""What V can be for any distribution, per timestep: (lower, upper), each (N+1,).

    .. math:: 0 \le V_t \le \min(1/u_t, ((b-a)/2)^2), \quad \text{data in } [a, b]^d
       \qquad \text{[bao2022, Theorem 2]}

    snr        : (N+1,) u_t, decreasing; entry 0 ignored, and its bounds are 0
    data_range : (a, b); None leaves the second bound out, and +inf at u = 0
    The lower bound is attained only by a point mass, 1/u by no distribution. Raises InvalidParameterError if snr
    does not decrease or data_range is not finite with a < b.
    """
    u, _ = as_curve("mmse_bounds", snr, np.zeros(np.shape(snr)))
    largest = np.inf
    if data_range is not None:
        a, b = float(data_range[0]), float(data_range[1])
        if not (np.isfinite([a, b]).all() and a < b):
            raise InvalidParameterError(
                f"mmse_bounds: data_range must be (a, b) with a < b; got {data_range!r}"
            )
        half = 0.5 * b - 0.5 * a
        largest = half * half  # inf beyond the largest float, where half**2 would be an OverflowError
    with np.errstate(divide="ignore"):
        upper = np.minimum(1.0 / u, largest)
    return np.zeros_like(upper), upper


def clip_mmse(mmse: ArrayLike, bounds: tuple[ArrayLike, ArrayLike]) -> Array:
    """V moved into bounds.

    mmse   : (N+1,) estimates of V_t; entry 0 ignored
    bounds : (lower, upper), each (N+1,), as `mmse_bounds` gives them

    V clipped to 0 makes every step that ends there free, which draws the trajectory to the worst estimates: raise
    the lower bound, or estimate with the same (x_0, eps) for all timesteps and clip nothing.
    Raises InvalidParameterError for a nan, of which nothing says where it belongs, for other lengths, and where lower
    exceeds upper.
    """
    v = as_float("clip_mmse", "mmse", mmse)
    low, high = as_float("clip_mmse", "bounds[0]", bounds[0]), as_float("clip_mmse", "bounds[1]", bounds[1])
    if v.ndim != 1 or low.shape not in ((), v.shape) or high.shape not in ((), v.shape):
        raise InvalidParameterError(
            f"clip_mmse: mmse must be (N+1,) and the bounds of that length; got shapes {v.shape}, "
            f"{low.shape} and {high.shape}"
        )
    if not (low <= high).all():
        raise InvalidParameterError(
            "clip_mmse: the lower bound must not exceed the upper one, and neither be nan"
        )
    if np.isnan(v[1:]).any():
        raise InvalidParameterError(
            f"clip_mmse: mmse is nan at {name_steps(np.flatnonzero(np.isnan(v[1:])) + 1)}; a nan has no "
            "place between bounds. Estimate again with more samples"
        )
    v[0] = 0.0
    return np.clip(v, low, high)


def published_dp_trajectory(snr: ArrayLike, mmse: ArrayLike, K: int) -> Steps:
    r"""The trajectory that the code published with Analytic-DPM makes of a noisy Gamma; for comparison only.

    V < 0 is "poor estimation" there (beta_bar Gamma > 1). With n the first such timestep, the last
    B = 2 (N - n + 1) timesteps are taken from the program and given an even grid; the program gets the first
    N_1 = N - B of them and K_1 = ceil((1 - 0.8 B/N) K) nodes, the even grid the rest. Without V < 0 it is
    the dense program. (The cost there is the first term of J = log(1 - beta_{t|s} Gamma_t) + log(u_s/u_t),
    which has the same best paths.) [bao2022, published code, trajectory type dp_seg]

    snr, mmse : (N+1,), entries 0 ignored; V may be negative, not nan
    Returns (K,) int64. Raises InvalidParameterError where the published code stops: more than half of the
    timesteps discarded, or a program left with one node.
    """
    who = "published_dp_trajectory"
    raw = as_float(who, "mmse", mmse)
    u, _ = as_curve(who, snr, np.where(raw < 0, 0.0, raw))
    last = u.size - 1
    nodes = check_nodes(who, K, last)
    poor = np.flatnonzero(raw[1:] < 0) + 1
    dropped = 2 * (last - int(poor[0]) + 1) if poor.size else 0
    kept = last - dropped
    planned = min(ceil((1.0 - 0.8 * (dropped / last)) * nodes), max(kept, 0))
    even = min(nodes - planned, dropped)
    if dropped and not even:
        even = 1
    planned = nodes - even
    if kept < 1 or not (2 <= planned <= kept or planned == kept == 1):
        raise InvalidParameterError(
            f"{who}: the published code has no trajectory here: mmse < 0 first at timestep "
            f"{poor[0]}, which discards {dropped} of N = {last} timesteps and leaves "
            f"{planned} of K = {nodes} nodes for the program on 1..{kept}. Estimate again with more samples"
        )
    head = _dense_path(u[: kept + 1], raw[: kept + 1], planned)
    tail = [round(last - (dropped / even) * k) for k in range(even)][::-1] if even else []
    return np.concatenate([head, np.array(tail, dtype=np.int64)])


def _dense_path(u: Array, v: Array, num_nodes: int) -> Steps:
    if num_nodes == u.size - 1:
        return np.arange(1, u.size, dtype=np.int64)
    _, predecessors = dense_layers(cost_matrix(u, v)[1:, 1:], num_nodes - 1)
    return backtrack(predecessors, num_nodes - 1, u.size - 2) + 1
