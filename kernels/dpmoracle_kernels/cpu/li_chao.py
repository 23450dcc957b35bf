"""Li Chao trees over the sorted g_t; what they compute and why stands in dpmoracle.trajectory.li_chao."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import contiguous, no_steps
from .compiled import compiled

__all__ = ["li_chao_layers"]


def li_chao_layers(
    snr: ArrayLike, mmse: ArrayLike, num_edges: int
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """(num_edges+1,) exp(cost) of the best trajectory to N, and (num_edges+1, N+1) predecessors, -1 for none.

    snr, mmse : (N+1,) V_t >= 0 in any order; entries 0 are not used
    """
    u, v = contiguous(snr), contiguous(mmse)
    totals = np.full(num_edges + 1, np.inf)
    predecessors = no_steps(num_edges, u.size)
    with np.errstate(over="ignore"):  # V = 0 stands at g = +inf, and so may the smallest
        g = np.divide(1.0, v[2:], out=np.full(u.size - 2, np.inf), where=v[2:] != 0) - u[2:]
    _layers(u, v, np.argsort(g, kind="stable") + 2, totals, predecessors)
    return totals, predecessors


@compiled
def _layers(u, v, order, totals, predecessors):
    last = u.size - 1
    position = np.zeros(last + 1, np.int64)
    for p in range(order.size):
        position[order[p]] = p
    reached, following = np.full(last + 1, np.inf), np.full(last + 1, np.inf)
    reached[1] = 1.0
    tree = np.empty(order.size, np.int64)
    for k in range(1, min(totals.size, last)):
        tree[:] = 0
        following[k] = np.inf
        for t in range(k + 1, last + 1):
            if reached[t - 1] < np.inf:
                _insert(tree, order, t - 1, reached, u, v)
            s = _lowest(tree, order, position[t], reached, u, v)
            following[t] = _value(s, t, reached, u, v)
            predecessors[k, t] = s
        reached, following = following, reached
        totals[k] = reached[last]


@compiled
def _insert(tree, order, s, slopes, u, v):
    """Keep at each node the line that is lowest in the middle; the other goes on to where it may be."""
    low, high = 0, order.size - 1
    while True:
        middle = (low + high) // 2
        held = tree[middle]
        if held == 0:
            tree[middle] = s
            return
        t = order[middle]
        ours, theirs = _value(s, t, slopes, u, v), _value(held, t, slopes, u, v)
        # of lines with one slope the later is the lower, even where their values round to a tie
        if ours < theirs or (ours == theirs and s > held):
            tree[middle], s, held = s, held, s
        if slopes[s] < slopes[tree[middle]] and middle < high:
            low = middle + 1
        elif slopes[s] > slopes[tree[middle]] and low < middle:
            high = middle - 1
        else:
            return


@compiled
def _lowest(tree, order, position, slopes, u, v):
    """The line that is lowest at a position, among those held on the way down to it."""
    low, high = 0, order.size - 1
    t = order[position]
    best, value = 0, np.inf
    while low <= high:
        middle = (low + high) // 2
        held = tree[middle]
        if held != 0:
            candidate = _value(held, t, slopes, u, v)
            if candidate < value:
                best, value = held, candidate
        if position == middle:
            break
        if position < middle:
            high = middle - 1
        else:
            low = middle + 1
    return best


@compiled
def _value(s, t, slopes, u, v):
    """Height of line s at t."""
    return slopes[s] * (1.0 + v[t] * (u[s] - u[t]))
