"""Trajectories that look at no data: even, quadratic, power, and those of the published code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count
from ..errors import InvalidParameterError
from .step_cost import check_nodes

__all__ = [
    "ddim_quadratic_grid",
    "ddim_uniform_grid",
    "diffusers_grid",
    "even_grid",
    "power_grid",
    "published_even_grid",
    "published_power_grid",
    "quadratic_grid",
]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


def even_grid(N: int, K: int) -> Steps:
    """K nodes from 1 to N: 1 + (N-1) k/(K-1) rounded, halves to even.

    Raises InvalidParameterError unless N and K are whole and 2 <= K <= N.
    """
    last, nodes = _sizes("even_grid", N, K)
    # one division of integers: a quotient below 2^26 is rounded to a half only where it is one
    grid: Steps = np.rint((nodes - 1 + (last - 1) * np.arange(nodes)) / (nodes - 1)).astype(np.int64)
    return grid


def quadratic_grid(N: int, K: int) -> Steps:
    """K nodes from 1 to N: 1 + (N-1) (k/(K-1))^2 rounded, then made distinct; dense near the data.

    Raises InvalidParameterError unless N and K are whole and 2 <= K <= N.
    """
    last, nodes = _sizes("quadratic_grid", N, K)
    return _power(last, nodes, 2.0)


def power_grid(N: int, K: int, power: float) -> Steps:
    """K nodes from 1 to N: 1 + (N-1) (k/(K-1))^power rounded, then made distinct; 1 is even, 2 quadratic.

    Raises InvalidParameterError unless N and K are whole, 2 <= K <= N, and 0 < power < inf.
    """
    last, nodes = _sizes("power_grid", N, K)
    return _power(last, nodes, _exponent("power_grid", power))


def _power(last: int, nodes: int, power: float) -> Steps:
    return distinct(1 + (last - 1) * (np.arange(nodes) / (nodes - 1)) ** power, last)


def distinct(positions: Array, last: int) -> Steps:
    """Positions rounded to integers of 1..last and moved apart, upwards first, then down from `last`."""
    rank = np.arange(positions.size)
    up = np.maximum.accumulate(np.rint(positions).astype(np.int64) - rank) + rank
    apart: Steps = np.minimum(up, last - rank[::-1])
    return apart


def published_even_grid(N: int, K: int) -> Steps:
    """The even grid of the Analytic-DPM code, type linear: a running sum of (N-1)/(K-1) from 1, each rounded.

    It differs from even_grid by one step where the running sum drifts across a half.
    """
    last, nodes = _sizes("published_even_grid", N, K)
    strides = np.full(nodes, (last - 1) / (nodes - 1))
    strides[0] = 1.0
    grid: Steps = np.rint(np.cumsum(strides)).astype(np.int64)
    return grid


def published_power_grid(N: int, K: int, power: float) -> Steps:
    """The power grid of the Analytic-DPM code, type power<p>: 1 + (N-1) (1 - (1 - k/(K-1))^(1/p)), distinct.

    Not power_grid: for p > 1 its last step is by far the largest, (N-1) / (K-1)^(1/p).
    """
    last, nodes = _sizes("published_power_grid", N, K)
    root = 1.0 / _exponent("published_power_grid", power)
    return distinct(1 + (last - 1) * (1.0 - (np.arange(nodes)[::-1] / (nodes - 1)) ** root), last)


def ddim_quadratic_grid(N: int, K: int) -> Steps:
    """The quadratic grid of the DDIM and Analytic-DPM code: 1 + floor(k^2 0.8 N / (K-1)^2).

    It ends near 0.8 N, not at N, and for large K the published formula repeats timesteps: refused here.
    """
    last, nodes = _sizes("ddim_quadratic_grid", N, K)
    grid = 1 + (np.linspace(0, np.sqrt(last * 0.8), nodes) ** 2).astype(np.int64)
    repeated = grid[1:][np.diff(grid) == 0]
    if repeated.size:
        raise InvalidParameterError(
            f"ddim_quadratic_grid: K = {nodes} of N = {last} repeats {repeated.size} timesteps, the first is "
            f"{repeated[0]}; a step from a timestep to itself is not defined. Use quadratic_grid, or a "
            "smaller K"
        )
    return grid


def ddim_uniform_grid(N: int, K: int) -> Steps:
    """The uniform grid of the DDIM code: 1, 1 + q, 1 + 2q, ... up to N, q = N // K.

    It has more than K nodes where K does not divide N (N = 1000, K = 300: 334), and ends below N.
    """
    last, nodes = _sizes("ddim_uniform_grid", N, K)
    return np.arange(1, last + 1, last // nodes, dtype=np.int64)


def diffusers_grid(N: int, K: int, spacing: str, steps_offset: int = 0) -> Steps:
    """The timesteps of diffusers' `set_timesteps(K)`, increasing and in our indices (theirs + 1).

    spacing      : "linspace", "leading" or "trailing" [lin2024, Table 2]
    steps_offset : only "leading" uses it
    "leading" ends below N; "trailing" starts at N/K. Its published form, arange(N, 0, -N/K), yields one
    timestep more, -1, for some K (N = 1000: 61, 103, ...); here it always has K.
    """
    last, nodes = _sizes("diffusers_grid", N, K)
    offset = check_count("diffusers_grid", "steps_offset", steps_offset, low=0)
    if spacing == "linspace":
        return 1 + np.rint(np.linspace(0, last - 1, nodes)).astype(np.int64)
    if spacing == "leading":
        grid = 1 + offset + np.arange(nodes, dtype=np.int64) * (last // nodes)
        if grid[-1] > last:
            raise InvalidParameterError(
                f"diffusers_grid: steps_offset = {offset} moves the last timestep to {grid[-1]}, beyond N = "
                f"{last}"
            )
        return grid
    if spacing == "trailing":
        trailing: Steps = np.rint(np.arange(last, 0, -(last / nodes))[:nodes][::-1]).astype(np.int64)
        return trailing
    raise InvalidParameterError(
        f"diffusers_grid: spacing must be 'linspace', 'leading' or 'trailing'; got {spacing!r}"
    )


def _sizes(who: str, N: Any, K: Any) -> tuple[int, int]:
    last = check_count(who, "N", N, low=2)
    return last, check_nodes(who, K, last)


def _exponent(who: str, power: Any) -> float:
    if isinstance(power, bool) or not isinstance(power, int | float | np.number) or not 0 < power < np.inf:
        raise InvalidParameterError(f"{who}: power must be a positive number; got {power!r}")
    return float(power)
