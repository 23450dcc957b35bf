"""What one step of a trajectory costs, and what a whole trajectory does."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import to_numpy
from ..backends import device, lives_on_gpu, pick
from ..checking import as_float, as_steps, check_count
from ..errors import InvalidParameterError
from ..estimate import Estimate

__all__ = [
    "as_curve",
    "as_nodes",
    "check_nodes",
    "cost_matrix",
    "cost_on_gpu",
    "mmse_integral",
    "name_steps",
    "path_cost",
    "sum_cost",
    "trajectory_cost",
]

Array = NDArray[np.float64]

#: V u <= 1 for every distribution; an exact V near the bound carries the rounding of its quadrature
BOUND_RTOL = 1e-10


def as_curve(who: str, snr: ArrayLike, mmse: ArrayLike, bounded: bool = False) -> tuple[Array, Array]:
    """The validated pair (u, V), each (N+1,), with u[0] = inf and V[0] = 0 whatever stood there.

    Refuses unequal lengths, nan or inf in the entries 1..N, an SNR that does not decrease strictly to a last
    entry >= 0, and V < 0; with `bounded` also V > 1/u and a range of SNR whose costs overflow. V = 0 is taken: V of
    a finite data set underflows at high SNR. Curves that live on a GPU come to the host: they are O(N).
    """
    u, v = (
        as_float(who, name, to_numpy(curve, who, name) if lives_on_gpu(curve) else curve)
        for name, curve in (("snr", snr), ("mmse", mmse))
    )
    if u.ndim != 1 or u.shape != v.shape or u.size < 3:
        raise InvalidParameterError(
            f"{who}: snr and mmse must be arrays of one length N+1 >= 3, indexed by the timesteps 0..N with "
            f"the entries 0 ignored; got shapes {u.shape} and {v.shape}"
        )
    u[0], v[0] = np.inf, 0.0
    # What is wrong is looked for only where something is: a nan fails every comparison.
    if not (u[1] < np.inf and u[-1] >= 0 and (u[2:] < u[1:-1]).all() and v.min() >= 0 and v.max() < np.inf):
        _refuse_curve(who, u, v)
    if bounded:
        _refuse_impossible(who, u, v)
        _refuse_overflow(who, u, v)
    return u, v


def _refuse_curve(who: str, u: Array, v: Array) -> None:
    """Say which of the requirements on u and V fails first."""
    _refuse_nonfinite(
        who,
        "snr",
        u[1:],
        "only snr[0], clean data, may be: compute it from a schedule with alpha_bar < 1 at every t >= 1, and "
        "reverse the arrays if they run from noise to data",
    )
    _refuse_nonfinite(
        who,
        "mmse",
        v[1:],
        "a nan decides the path silently. Estimate again with more samples, or use shortest_paths with "
        "+inf to forbid a step",
    )
    rises = np.flatnonzero(np.diff(u[1:]) >= 0) + 2
    if rises.size:
        raise InvalidParameterError(
            f"{who}: snr must decrease strictly over the timesteps 1..N; snr[{rises[0]}] = "
            f"{u[rises[0]]:.6g} is not below snr[{rises[0] - 1}] = {u[rises[0] - 1]:.6g} ({rises.size} such "
            "entries). Index 0 is clean data: reverse the arrays if they run from noise to data"
        )
    if u[-1] < 0:
        raise InvalidParameterError(f"{who}: snr must be >= 0; snr[{u.size - 1}] = {u[-1]:.6g}")
    negative = name_steps(np.flatnonzero(v < 0))
    raise InvalidParameterError(
        f"{who}: mmse must be >= 0; it is negative at {negative}, where beta_bar*gamma > 1, which no distribution "
        "has. Estimate again with more samples or another estimator, or clip on "
        "purpose with clip_mmse"
    )


def _refuse_impossible(who: str, u: Array, v: Array) -> None:
    products = v[1:] * u[1:]
    if products.max() > 1 + BOUND_RTOL:
        large, t = np.flatnonzero(products > 1 + BOUND_RTOL) + 1, int(np.argmax(products)) + 1
        raise InvalidParameterError(
            f"{who}: mmse must be at most 1/snr; it is larger at {name_steps(large)} (snr * mmse = "
            f"{products[t - 1]:.6g} at {t}), which no distribution has. Estimate again with more samples or "
            "another estimator, or clip on purpose with clip_mmse"
        )


def _refuse_overflow(who: str, u: Array, v: Array) -> None:
    """With V <= 1/u, exp(cost) of no trajectory is above u_1/u_{N-1} + u_1 V_N."""
    first = float(u[1])  # Python's floats overflow to inf without a warning
    span = first / float(u[-2]) + first * float(v[-1])
    if not span < 1e300:
        raise InvalidParameterError(
            f"{who}: snr[1]/snr[N-1] + snr[1]*mmse[N] must be below 1e300, or exp(cost) overflows; it is {span:.3g}"
        )


def _refuse_nonfinite(who: str, name: str, values: Array, advice: str) -> None:
    if not np.isfinite(values).all():
        bad = np.flatnonzero(~np.isfinite(values)) + 1
        kind = "nan" if np.isnan(values[bad[0] - 1]) else "infinite"
        count = f" ({bad.size} such entries)" if bad.size > 1 else ""
        raise InvalidParameterError(f"{who}: {name}[{bad[0]}] is {kind}{count}; {advice}")


def name_steps(steps: NDArray[Any], limit: int = 5) -> str:
    """'timesteps 3, 17, 20, 21, 40 and 12 more'."""
    shown = ", ".join(str(int(t)) for t in steps[:limit])
    more = f" and {steps.size - limit} more" if steps.size > limit else ""
    return f"timestep{'s' if steps.size > 1 else ''} {shown}{more}"


def check_nodes(who: str, num_nodes: Any, last: int, name: str = "K") -> int:
    """K, the number of nodes (network evaluations), in 2..N."""
    count = check_count(who, name, num_nodes, low=2)
    if count > last:
        raise InvalidParameterError(
            f"{who}: {name} counts the nodes of a trajectory in 1..N and must be at most N = {last}; got "
            f"{count}"
        )
    return count


def as_nodes(who: str, timesteps: Any, last: int, partial: bool = False) -> NDArray[np.int64]:
    """Timesteps as (K,) int64: increasing, in 1..N, from 1 to N unless `partial`."""
    nodes = as_steps(who, "timesteps", timesteps, 1, last)
    if nodes.ndim != 1 or nodes.size < 2:
        raise InvalidParameterError(
            f"{who}: timesteps must be a list of at least 2 nodes; got shape {nodes.shape}"
        )
    falls = np.flatnonzero(np.diff(nodes) <= 0)
    if falls.size:
        i = int(falls[0])
        raise InvalidParameterError(
            f"{who}: timesteps must increase strictly; timesteps[{i}] = {nodes[i]} is followed by "
            f"{nodes[i + 1]}. A sampler's order, noisiest first, must be reversed"
        )
    if not partial and (nodes[0] != 1 or nodes[-1] != last):
        raise InvalidParameterError(
            f"{who}: a trajectory runs from timestep 1 to N = {last}; got one from {nodes[0]} to "
            f"{nodes[-1]}. Pass partial=True for the cost of a part"
        )
    return nodes


def trajectory_cost(snr: ArrayLike, mmse: ArrayLike, backend: str = "auto") -> Any:
    r"""Cost of every step from t down to s, for the DDPM choice of lambda^2.

    .. math:: J(s, t) = \log(\sigma^{*2}_{s|t} / \tilde\beta_{s|t}) = \log(1 + V_t (u_s - u_t)), \quad s < t
       \qquad \text{[bao2022, eq. (10) of the notes in SNR form]}

    snr, mmse : (N+1,) u_t decreasing and V_t >= 0; entries 0 ignored
    backend   : "cupy" computes on a GPU, and so does "auto" where snr or mmse lives there; the result is of their kind
    Returns (N+1, N+1), J[s, t] in nats per dimension times two; +inf for s >= t and for s = 0. Raises
    InvalidParameterError for anything else.
    """
    who = "trajectory_cost"
    u, v = as_curve(who, snr, mmse)
    there = device(who, backend, snr, mmse)
    if there is None:
        return cost_matrix(u, v)
    with there.place(who, snr, mmse):
        cost = cost_on_gpu(u, v, there)
        return there.release(cost, mmse if lives_on_gpu(mmse) else snr)


def cost_on_gpu(u: Array, v: Array, there: ModuleType) -> Any:
    """`cost_matrix` by its CuPy kernel, on the current device; there : dpmoracle_kernels.gpu.place."""
    return pick("cost_matrix", "cupy", cost_matrix)(there.adopt(u), there.adopt(v))


def cost_matrix(u: Array, v: Array) -> Array:
    """J[s, t] of plain arrays; the plain function of `trajectory_cost`."""
    inner = np.log1p(np.triu(u[1:, None] - u[None, 1:], 1) * v[None, 1:])
    cost = np.full((u.size, u.size), np.inf)
    cost[1:, 1:] = np.where(np.tri(u.size - 1, dtype=bool), np.inf, inner)
    return cost


def path_cost(snr: ArrayLike, mmse: ArrayLike, timesteps: ArrayLike, partial: bool = False) -> float:
    """Sum of J over a given trajectory: no factor d/2, and the last step 1 -> 0 is not in it.

    snr, mmse : (N+1,) u_t decreasing and V_t >= 0; entries 0 ignored
    timesteps : (K,) increasing, from 1 to N; with partial=True any increasing nodes within 1..N
    Raises InvalidParameterError for anything else.
    """
    u, v = as_curve("path_cost", snr, mmse)
    return sum_cost(u, v, as_nodes("path_cost", timesteps, u.size - 1, partial))


def sum_cost(u: Array, v: Array, nodes: NDArray[np.int64]) -> float:
    """Sum of log(1 + V_t (u_s - u_t)) over the edges of `nodes`; plain arrays."""
    s, t = nodes[:-1], nodes[1:]
    return float(np.log1p(v[t] * (u[s] - u[t])).sum())


def mmse_integral(snr: ArrayLike, mmse: ArrayLike) -> Estimate:
    r"""Integral of V du from u_N to u_1, with a bound on its error; J minus this is a trajectory's excess.

    .. math:: -\log(1 - V_s \Delta u) \le \int_{u_t}^{u_s} V\,du \le \log(1 + V_t \Delta u), \quad s = t - 1

    because 1/V - u increases with u for the V of any data distribution: the value is half the sum of the two,
    the error half their difference. Both are equal, and exact, for isotropic Gaussian data. Where the
    certificate fails, V is not exact and the error is no bound.

    snr, mmse : (N+1,) u_t decreasing and V_t in [0, 1/u_t]; entries 0 ignored
    Returns an Estimate in nats times 2/d. Raises InvalidParameterError for anything else, naming the timesteps.
    """
    u, v = as_curve("mmse_integral", snr, mmse, bounded=True)
    step = u[1:-1] - u[2:]
    upper = np.log1p(v[2:] * step)
    with np.errstate(divide="ignore"):
        lower = -np.log1p(-v[1:-1] * step)
    value, error = 0.5 * (upper + lower).sum(), 0.5 * np.abs(upper - lower).sum()
    return Estimate(np.asarray(value), np.asarray(error), "quadrature", np.asarray(np.inf))
