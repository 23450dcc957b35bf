"""The trajectory program as a lower envelope of lines: sweeps over a monotone hull, no matrix, no logarithm.

E = exp(sum of J) obeys E_k[t] = min_{s<t} E_{k-1}[s] (1 + V_t (u_s - u_t)): for a given t the candidates are
lines in g_t = 1/V_t - u_t with slope E_{k-1}[s] and intercept E_{k-1}[s] u_s, times V_t. The value is
evaluated as written, which is the homogeneous pair (1 - V u, V) of the line, so V = 0 (g = inf) needs no
care.

Lines arrive with s increasing, u_s decreasing. A line whose slope is not above an earlier one's lies below it
everywhere, so the earlier one goes, and the slopes on the hull increase whatever V is: the sweep is exact for
every V >= 0. The certificate decides only how fast the best line is found: where g does not increase
it moves forward along the hull, O(N) per sweep; otherwise it is searched for, O(N log N).
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from numpy.typing import NDArray

from .dense import Table, no_steps

__all__ = ["hull_layers", "lagrange_pass"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]
Floats = list[float]


def hull_layers(snr: Array, mmse: Array, num_edges: int, monotone: bool) -> tuple[Array, Table]:
    """exp(cost) of the best trajectory to N for 0..num_edges edges, and the predecessors; ties undefined.

    snr, mmse : (N+1,) u_t decreasing, 0 <= V_t <= 1/u_t; entries 0 are not used
    monotone  : the certificate holds; decides the time, never the result
    Returns (num_edges+1,) and (num_edges+1, N+1) with -1 for none.
    """
    u, v = snr.tolist(), mmse.tolist()
    last = len(u) - 1
    locate = _walk if monotone else _bisect
    reached: Floats = [inf] * (last + 1)
    reached[1] = 1.0
    totals = np.full(num_edges + 1, np.inf)
    predecessors = no_steps(num_edges, last + 1)
    for k in range(1, min(num_edges, last - 1) + 1):
        following: Floats = [inf] * (last + 1)
        predecessors[k, k + 1 :] = _sweep(u, v, reached, following, k, 1.0, locate)
        reached = following
        totals[k] = reached[last]
    return totals, predecessors


def lagrange_pass(snr: Array, mmse: Array, penalty: float) -> Steps:
    """Nodes of the trajectory that minimises the sum of J plus log(penalty) per edge; ties undefined.

    One sweep in which each value becomes a line as soon as it is known: O(N) where the certificate holds.
    penalty : exp of the Lagrange multiplier, >= 1
    """
    u, v = snr.tolist(), mmse.tolist()
    last = len(u) - 1
    reached: Floats = [inf] * (last + 1)
    reached[1] = 1.0
    predecessors = [0, 0, *_sweep(u, v, reached, reached, 1, penalty, _walk)]
    nodes = [last]
    while nodes[-1] != 1:
        nodes.append(predecessors[nodes[-1]])
    return np.array(nodes[::-1], dtype=np.int64)


def _sweep(
    u: Floats, v: Floats, slopes: Floats, out: Floats, first: int, factor: float, locate: Callable[..., int]
) -> list[int]:
    """out[t] = factor * min_{s<t} slopes[s] (1 + V_t (u_s - u_t)) for t > first; returns the best s.

    `out` may be `slopes` itself. slopes[s] is inf for the s that cannot be used.
    """
    hull: list[int] = []
    best: list[int] = []
    at = 0
    for t in range(first + 1, len(u)):
        if slopes[t - 1] < inf:
            _push(hull, slopes, u, t - 1)
        at = locate(hull, at, slopes, u, u[t], v[t])
        s = hull[at]
        out[t] = factor * (slopes[s] * (1.0 + v[t] * (u[s] - u[t])))
        best.append(s)
    return best


def _push(hull: list[int], slopes: Floats, u: Floats, s: int) -> None:
    """Add line s, which has the smallest u, and drop the lines that are lowest nowhere any more."""
    e, b = slopes[s], slopes[s] * u[s]
    while hull and slopes[hull[-1]] >= e:
        hull.pop()
    while len(hull) >= 2:
        middle, left = hull[-1], hull[-2]
        e_middle, e_left = slopes[middle], slopes[left]
        b_middle, b_left = e_middle * u[middle], e_left * u[left]
        # crossings g = (b_left - b_middle) / (e_middle - e_left), ..., compared without dividing
        if (b_middle - b) * (e_middle - e_left) < (b_left - b_middle) * (e - e_middle):
            break
        hull.pop()
    hull.append(s)


def _walk(hull: list[int], at: int, slopes: Floats, u: Floats, u_t: float, v_t: float) -> int:
    """Position of the lowest line, walking from `at`: forward where g falls, back where rounding lifts it."""
    at = min(at, len(hull) - 1)
    start, value = at, _value(hull[at], slopes, u, u_t, v_t)
    while at + 1 < len(hull) and (ahead := _value(hull[at + 1], slopes, u, u_t, v_t)) <= value:
        at, value = at + 1, ahead
    if at > start:
        return at
    while at > 0 and (behind := _value(hull[at - 1], slopes, u, u_t, v_t)) < value:
        at, value = at - 1, behind
    return at


def _bisect(hull: list[int], _: int, slopes: Floats, u: Floats, u_t: float, v_t: float) -> int:
    """Position of the lowest line by bisection: along a hull the values fall, then rise."""
    low, high = 0, len(hull) - 1
    while low < high:
        middle = (low + high) // 2
        here = _value(hull[middle], slopes, u, u_t, v_t)
        if _value(hull[middle + 1], slopes, u, u_t, v_t) <= here:
            low = middle + 1
        else:
            high = middle
    return low


def _value(s: int, slopes: Floats, u: Floats, u_t: float, v_t: float) -> float:
    """Height of line s at t."""
    return slopes[s] * (1.0 + v_t * (u[s] - u_t))
