"""Sweeps over a monotone hull of lines; what they compute and why stands in dpmoracle.trajectory.hull."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import contiguous, no_steps
from .compiled import compiled

__all__ = ["empty_hull", "hull_layers", "lagrange_nodes", "lagrange_pass", "sweep"]


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
    u, v = contiguous(snr), contiguous(mmse)
    room = np.empty(u.size), np.empty(u.size, np.int64), empty_hull(u.size)
    return lagrange_nodes(u, v, penalty, room)


@compiled
def lagrange_nodes(u, v, penalty, room):
    """lagrange_pass on contiguous arrays; room for the values, the predecessors and the hull is brought along."""
    reached, predecessors, hull = room
    reached[1] = 1.0
    sweep(u, v, reached, reached, 1, penalty, True, hull, predecessors)
    count, t = 1, u.size - 1
    while t != 1:
        count, t = count + 1, predecessors[t]
    nodes = np.empty(count, np.int64)
    t = u.size - 1
    for i in range(count - 1, -1, -1):
        nodes[i] = t
        t = predecessors[t]
    return nodes


@compiled
def _layers(u, v, monotone, totals, predecessors):
    last = u.size - 1
    reached, following = np.full(last + 1, np.inf), np.full(last + 1, np.inf)
    reached[1] = 1.0
    hull = empty_hull(last + 1)
    for k in range(1, min(totals.size, last)):
        following[k] = np.inf
        sweep(u, v, reached, following, k, 1.0, monotone, hull, predecessors[k])
        reached, following = following, reached
        totals[k] = reached[last]


@compiled
def empty_hull(size):
    """Room for the lines of a hull: their slopes E, the u they come from, and its timesteps."""
    return np.empty(size), np.empty(size), np.empty(size, np.int64)


@compiled
def sweep(u, v, slopes, out, first, factor, monotone, hull, best):
    """out[t] = factor * min_{s<t} slopes[s] (1 + V_t (u_s - u_t)) for t > first, best[t] the s.

    `out` may be `slopes` itself. One function, not one per step of the algorithm: a call that takes arrays costs
    more than the step.
    """
    line_e, line_u, line_s = hull
    size, at = 0, 0
    for t in range(first + 1, u.size):
        u_t, v_t = u[t], v[t]
        e, u_s = slopes[t - 1], u[t - 1]
        if e < np.inf:
            # the line of t-1 comes; those that are lowest nowhere any more go
            b = e * u_s
            while size > 0 and line_e[size - 1] >= e:
                size -= 1
            while size >= 2:
                e_middle, e_left = line_e[size - 1], line_e[size - 2]
                b_middle, b_left = e_middle * line_u[size - 1], e_left * line_u[size - 2]
                # crossings g = (b_left - b_middle) / (e_middle - e_left), ..., compared without dividing
                if (b_middle - b) * (e_middle - e_left) < (b_left - b_middle) * (e - e_middle):
                    break
                size -= 1
            line_e[size], line_u[size], line_s[size] = e, u_s, t - 1
            size += 1
        if monotone:
            # forward where g falls, back where rounding lifts it
            at = min(at, size - 1)
            start, value = at, line_e[at] * (1.0 + v_t * (line_u[at] - u_t))
            while at + 1 < size:
                ahead = line_e[at + 1] * (1.0 + v_t * (line_u[at + 1] - u_t))
                if not ahead <= value:
                    break
                at, value = at + 1, ahead
            while at <= start and at > 0:
                behind = line_e[at - 1] * (1.0 + v_t * (line_u[at - 1] - u_t))
                if not behind < value:
                    break
                at, value = at - 1, behind
        else:
            # along a hull the values fall, then rise
            at, high = 0, size - 1
            while at < high:
                middle = (at + high) // 2
                here = line_e[middle] * (1.0 + v_t * (line_u[middle] - u_t))
                ahead = line_e[middle + 1] * (1.0 + v_t * (line_u[middle + 1] - u_t))
                if ahead <= here:
                    at = middle + 1
                else:
                    high = middle
            value = line_e[at] * (1.0 + v_t * (line_u[at] - u_t))
        out[t] = factor * value
        best[t] = line_s[at]
