"""Sweeps over a monotone hull of lines; what they compute and why stands in dpmoracle.trajectory.hull."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import contiguous, no_steps
from .compiled import compiled

__all__ = ["hull_layers", "lagrange_nodes", "lagrange_pass"]


def hull_layers(
    snr: ArrayLike, mmse: ArrayLike, num_edges: int, monotone: bool
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """(num_edges+1,) exp(cost) of the best trajectory to N, and (num_edges+1, N+1) predecessors, -1 for none.

    snr, mmse : (N+1,); entries 0 are not used
    monotone  : walk along the hull rather than bisect it; the result is the same
    """
    u, v = contiguous(snr), contiguous(mmse)
    totals = np.full(num_edges + 1, np.inf)
    predecessors = no_steps(num_edges, u.size)
    _layers(u, v, monotone, totals, predecessors)
    return totals, predecessors


def lagrange_pass(snr: ArrayLike, mmse: ArrayLike, penalty: float) -> NDArray[np.int64]:
    """Nodes of the trajectory that minimises the sum of J plus log(penalty) per edge."""
    return lagrange_nodes(contiguous(snr), contiguous(mmse), penalty)


@compiled
def lagrange_nodes(u, v, penalty):
    """lagrange_pass on contiguous arrays."""
    last = u.size - 1
    reached = np.full(last + 1, np.inf)
    reached[1] = 1.0
    predecessors = np.zeros(last + 1, np.int64)
    _sweep(u, v, reached, reached, 1, penalty, True, np.empty(last + 1, np.int64), predecessors)
    count, t = 1, last
    while t != 1:
        count, t = count + 1, predecessors[t]
    nodes = np.empty(count, np.int64)
    t = last
    for i in range(count - 1, -1, -1):
        nodes[i] = t
        t = predecessors[t]
    return nodes


@compiled
def _layers(u, v, monotone, totals, predecessors):
    last = u.size - 1
    reached, following = np.full(last + 1, np.inf), np.full(last + 1, np.inf)
    reached[1] = 1.0
    hull = np.empty(last + 1, np.int64)
    for k in range(1, min(totals.size, last)):
        following[k] = np.inf
        _sweep(u, v, reached, following, k, 1.0, monotone, hull, predecessors[k])
        reached, following = following, reached
        totals[k] = reached[last]


@compiled
def _sweep(u, v, slopes, out, first, factor, monotone, hull, best):
    """out[t] = factor * min_{s<t} slopes[s] (1 + V_t (u_s - u_t)) for t > first, best[t] the s.

    `out` may be `slopes` itself; hull is room for as many lines as there are.
    """
    size, at = 0, 0
    for t in range(first + 1, u.size):
        if slopes[t - 1] < np.inf:
            size = _push(hull, size, slopes, u, t - 1)
        if monotone:
            at = _walk(hull, size, at, slopes, u, u[t], v[t])
        else:
            at = _bisect(hull, size, slopes, u, u[t], v[t])
        s = hull[at]
        out[t] = factor * (slopes[s] * (1.0 + v[t] * (u[s] - u[t])))
        best[t] = s


@compiled
def _push(hull, size, slopes, u, s):
    """The number of lines after line s came and those that are lowest nowhere any more went."""
    e, b = slopes[s], slopes[s] * u[s]
    while size > 0 and slopes[hull[size - 1]] >= e:
        size -= 1
    while size >= 2:
        middle, left = hull[size - 1], hull[size - 2]
        e_middle, e_left = slopes[middle], slopes[left]
        b_middle, b_left = e_middle * u[middle], e_left * u[left]
        # crossings g = (b_left - b_middle) / (e_middle - e_left), ..., compared without dividing
        if (b_middle - b) * (e_middle - e_left) < (b_left - b_middle) * (e - e_middle):
            break
        size -= 1
    hull[size] = s
    return size + 1


@compiled
def _walk(hull, size, at, slopes, u, u_t, v_t):
    """Position of the lowest line, walking from `at`: forward where g falls, back where rounding lifts it."""
    at = min(at, size - 1)
    start, value = at, _value(hull[at], slopes, u, u_t, v_t)
    while at + 1 < size:
        ahead = _value(hull[at + 1], slopes, u, u_t, v_t)
        if not ahead <= value:
            break
        at, value = at + 1, ahead
    if at > start:
        return at
    while at > 0:
        behind = _value(hull[at - 1], slopes, u, u_t, v_t)
        if not behind < value:
            break
        at, value = at - 1, behind
    return at


@compiled
def _bisect(hull, size, slopes, u, u_t, v_t):
    """Position of the lowest line by bisection: along a hull the values fall, then rise."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        here = _value(hull[middle], slopes, u, u_t, v_t)
        if _value(hull[middle + 1], slopes, u, u_t, v_t) <= here:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _value(s, slopes, u, u_t, v_t):
    """Height of line s at t."""
    return slopes[s] * (1.0 + v_t * (u[s] - u_t))
