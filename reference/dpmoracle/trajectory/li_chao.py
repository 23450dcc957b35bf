"""The trajectory program by Li Chao trees: lines in any order of slopes, queries in any order of g.

The second road to what hull.py computes: nothing here rests on the order of the slopes or on the
certificate, only on two lines crossing once along the sorted g_t = 1/V_t - u_t.
"""

from __future__ import annotations

from math import inf

import numpy as np
from numpy.typing import NDArray

from .dense import Table, no_steps

__all__ = ["li_chao_layers"]

Array = NDArray[np.float64]
Floats = list[float]


def li_chao_layers(snr: Array, mmse: Array, num_edges: int) -> tuple[Array, Table]:
    """As `hull_layers`: (num_edges+1,) exp(cost) and (num_edges+1, N+1) predecessors; O(N log N) per layer.

    snr, mmse : (N+1,) u_t decreasing, V_t >= 0, not monotone in general; entries 0 are not used
    """
    u, v = snr.tolist(), mmse.tolist()
    last = len(u) - 1
    # order of g; V = 0 stands at g = +inf, where the smallest slope is lowest, as 1 + 0 (u_s - u_t) says too
    g = [inf if v[t] == 0 else 1.0 / v[t] - u[t] for t in range(2, last + 1)]
    order = sorted(range(2, last + 1), key=lambda t: g[t - 2])
    position = [0] * (last + 1)
    for p, t in enumerate(order):
        position[t] = p

    reached: Floats = [inf] * (last + 1)
    reached[1] = 1.0
    totals = np.full(num_edges + 1, np.inf)
    predecessors = no_steps(num_edges, last + 1)
    for k in range(1, min(num_edges, last - 1) + 1):
        tree = [0] * len(order)  # line held by the node whose interval has this middle; 0 is none
        following: Floats = [inf] * (last + 1)
        for t in range(k + 1, last + 1):
            if reached[t - 1] < inf:
                _insert(tree, order, t - 1, reached, u, v)
            s, following[t] = _lowest(tree, order, position[t], reached, u, v)
            predecessors[k, t] = s
        reached = following
        totals[k] = reached[last]
    return totals, predecessors


def _insert(tree: list[int], order: list[int], s: int, slopes: Floats, u: Floats, v: Floats) -> None:
    """Keep at each node the line that is lowest in the middle; the other goes on to where it may be.

    That side is told by the slopes: values at the ends of the interval are ties up to rounding where V = 1/u.
    """
    low, high = 0, len(order) - 1
    while True:
        middle = (low + high) // 2
        held = tree[middle]
        if held == 0:
            tree[middle] = s
            return
        t = order[middle]
        # of lines with one slope the later is the lower, even where their values round to a tie
        if (_value(s, t, slopes, u, v), -s) < (_value(held, t, slopes, u, v), -held):
            tree[middle], s, held = s, held, s
        if slopes[s] < slopes[tree[middle]] and middle < high:
            low = middle + 1
        elif slopes[s] > slopes[tree[middle]] and low < middle:
            high = middle - 1
        else:
            return


def _lowest(
    tree: list[int], order: list[int], position: int, slopes: Floats, u: Floats, v: Floats
) -> tuple[int, float]:
    """The line that is lowest at a position, among those held on the way down to it, and its value."""
    low, high = 0, len(order) - 1
    t = order[position]
    best, value = 0, inf
    while low <= high:
        middle = (low + high) // 2
        held = tree[middle]
        if held and (candidate := _value(held, t, slopes, u, v)) < value:
            best, value = held, candidate
        if position == middle:
            break
        low, high = (low, middle - 1) if position < middle else (middle + 1, high)
    return best, value


def _value(s: int, t: int, slopes: Floats, u: Floats, v: Floats) -> float:
    """Height of line s at t."""
    return slopes[s] * (1.0 + v[t] * (u[s] - u[t]))
