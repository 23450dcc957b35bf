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
    u_at, v_at = u[order], v[order]
    reached, following = np.full(last + 1, np.inf), np.full(last + 1, np.inf)
    reached[1] = 1.0
    tree = (np.empty(order.size, np.int64), np.empty(order.size), np.empty(order.size))
    for k in range(1, min(totals.size, last)):
        tree[0][:] = 0
        following[k] = np.inf
        _layer(u, u_at, v_at, position, reached, following, k, tree, predecessors[k])
        reached, following = following, reached
        totals[k] = reached[last]


@compiled
def _layer(u, u_at, v_at, position, slopes, out, first, tree, best):
    """out[t] = min_{s<t} slopes[s] (1 + V_t (u_s - u_t)) for t > first, best[t] the s.

    tree : of the node whose interval has this middle, the timestep (0 for none), slope and u of the line it holds
    """
    line_s, line_e, line_u = tree
    for t in range(first + 1, u.size):
        if slopes[t - 1] < np.inf:
            # each node keeps the line that is lowest in the middle; the other goes on to where it may be
            s, e, u_s = t - 1, slopes[t - 1], u[t - 1]
            low, high = 0, u_at.size - 1
            while True:
                middle = (low + high) // 2
                held, e_held, u_held = line_s[middle], line_e[middle], line_u[middle]
                if held == 0:
                    line_s[middle], line_e[middle], line_u[middle] = s, e, u_s
                    break
                ours = e * (1.0 + v_at[middle] * (u_s - u_at[middle]))
                theirs = e_held * (1.0 + v_at[middle] * (u_held - u_at[middle]))
                # of lines with one slope the later is the lower, even where their values round to a tie
                if ours < theirs or (ours == theirs and s > held):
                    line_s[middle], line_e[middle], line_u[middle] = s, e, u_s
                    s, e, u_s, e_held = held, e_held, u_held, e
                if e < e_held and middle < high:
                    low = middle + 1
                elif e > e_held and low < middle:
                    high = middle - 1
                else:
                    break
        # the lowest at t among the lines held on the way down to it
        low, high = 0, u_at.size - 1
        goal, at, value = position[t], 0, np.inf
        u_t, v_t = u_at[goal], v_at[goal]
        while low <= high:
            middle = (low + high) // 2
            if line_s[middle] != 0:
                candidate = line_e[middle] * (1.0 + v_t * (line_u[middle] - u_t))
                if candidate < value:
                    at, value = line_s[middle], candidate
            if goal == middle:
                break
            if goal < middle:
                high = middle - 1
            else:
                low = middle + 1
        out[t] = value
        best[t] = at
