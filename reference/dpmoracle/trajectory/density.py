"""The sqrt(kappa) grid: the step density that is optimal in the limit of many steps, without a program."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checking import as_float
from ..errors import InvalidParameterError
from .grids import distinct, even_grid
from .step_cost import as_curve, check_nodes, name_steps

__all__ = ["root_kappa_steps", "sqrt_kappa_grid"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: rounding of V in V_t - V_s - V_s V_t (u_s - u_t), relative to V_t; the certificate's tolerance
RTOL = 1e-10


def sqrt_kappa_grid(
    snr: ArrayLike,
    K: int,
    mmse: ArrayLike | None = None,
    kappa: ArrayLike | None = None,
    cap: float | None = None,
) -> Steps:
    r"""K timesteps whose density in u is proportional to sqrt(kappa), from 1 to N.

    .. math:: \kappa = \mathrm{E}\,\mathrm{Tr}(\mathrm{Cov}^2)/d - V^2 = -(dV/du + V^2), \qquad
       n\Big(\sum J - \int V\,du\Big) \to \tfrac12 \Big(\int \sqrt\kappa\,du\Big)^2

    is the least excess of n = K - 1 steps as n grows, and this density attains it; the grid must be much
    finer than the trajectory, N >= 50 n. Where kappa is exponentially small over a wide range it is far from
    optimal at any practical K: cap V_t (u_s - u_t), or use optimal_trajectory.

    snr   : (N+1,) u_t decreasing; entry 0 ignored
    mmse  : (N+1,) V_t, with the certificate: kappa comes from its differences, or
    kappa : (N+1,) kappa_t >= 0 itself, entry 0 ignored; V is then needed only for the cap
    cap   : steps get at least the density V/cap, so that V_t (u_s - u_t) is about cap at most
    Where kappa = 0 everywhere every trajectory is equally good, and the even grid is returned. Raises
    InvalidParameterError for curves and K out of range, kappa < 0, and a cap that K - 1 steps cannot keep.
    """
    who = "sqrt_kappa_grid"
    if mmse is None and (kappa is None or cap is not None):
        raise InvalidParameterError(
            f"{who}: give mmse, or kappa and no cap; both were missing or the cap needs mmse"
        )
    u, v = as_curve(who, snr, np.zeros(np.shape(snr)) if mmse is None else mmse, bounded=True)
    nodes = check_nodes(who, K, u.size - 1)
    weight = (
        root_kappa_steps(u, v) if kappa is None else _integrate(u, np.sqrt(_as_kappa(who, kappa, u.size)))
    )
    if np.isnan(weight).any():
        raise InvalidParameterError(
            f"{who}: kappa is negative at {name_steps(np.flatnonzero(np.isnan(weight)) + 2)}, where the "
            "certificate of mmse fails: no distribution has this mmse. Use optimal_trajectory, which needs "
            "no kappa"
        )
    if cap is not None:
        weight = _capped(who, weight, _integrate(u, v[1:]), nodes - 1, cap)
    if not weight.any():
        return even_grid(u.size - 1, nodes)
    return quantile_nodes(weight, nodes)


def root_kappa_steps(u: Array, v: Array) -> Array:
    r"""Integral of sqrt(kappa) over each grid interval, (N-1,); nan where kappa < 0 beyond rounding.

    .. math:: \int_{u_t}^{u_s} \sqrt\kappa\,du \approx
       \sqrt{\Delta u\,(V_t - V_s - V_s V_t \Delta u)}, \quad s = t - 1, \; \Delta u = u_s - u_t

    because kappa = V^2 dg/du, g = 1/V - u; with V_s V_t for V^2 it needs no division, and its square w^2 is
    the room between the bounds of `mmse_integral`: log(1 + w^2).
    """
    before, after, step = v[1:-1], v[2:], u[1:-1] - u[2:]
    fall = after - before - before * after * step
    fall = np.where(np.abs(fall) <= RTOL * after, np.abs(fall) * (fall > 0), fall)
    return np.sqrt(step * fall, out=np.full_like(fall, np.nan), where=fall >= 0)


def quantile_nodes(weight: Array, num_nodes: int) -> Steps:
    """K timesteps, each nearest to an equal share of the cumulated weight of the N-1 intervals, distinct."""
    share = np.concatenate([[0.0], np.cumsum(weight)])
    targets = share[-1] * np.arange(num_nodes) / (num_nodes - 1)
    positions = np.interp(targets, share, np.arange(share.size, dtype=float))
    positions[[0, -1]] = 0.0, share.size - 1.0  # where the weight ends in zeros, interp may stop short
    return distinct(1 + positions, share.size)


def _integrate(u: Array, heights: Array) -> Array:
    """Integral over each interval by the trapezoid rule, (N-1,), of heights at 1..N."""
    return 0.5 * (heights[:-1] + heights[1:]) * (u[1:-1] - u[2:])


def _as_kappa(who: str, kappa: ArrayLike, size: int) -> Array:
    values = as_float(who, "kappa", kappa)
    if values.shape != (size,):
        raise InvalidParameterError(
            f"{who}: kappa must have the length of snr, {size}; got shape {values.shape}"
        )
    bad = np.flatnonzero(~(values[1:] >= 0) | np.isinf(values[1:])) + 1
    if bad.size:
        raise InvalidParameterError(f"{who}: kappa must be finite and >= 0; it is not at {name_steps(bad)}")
    return values[1:]


def _capped(who: str, weight: Array, fraction: Array, num_edges: int, cap: float) -> Array:
    """Shares max(c w_i, f_i / cap), c such that they sum to n: no step then spans more than cap of f."""
    least = fraction / cap if cap > 0 else np.full_like(fraction, np.inf)
    if not least.sum() <= num_edges:
        raise InvalidParameterError(
            f"{who}: cap = {cap!r} asks for {least.sum():.4g} steps, the integral of V du over it; K = "
            f"{num_edges + 1} has {num_edges}. Raise the cap or K"
        )
    if not weight.any():
        return least if least.any() else weight
    low, high = 0.0, num_edges / weight.sum()
    while np.nextafter(low, high) < high:
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.maximum(middle * weight, least).sum() < num_edges else (low, middle)
    shares: Array = np.maximum(high * weight, least)
    return shares
