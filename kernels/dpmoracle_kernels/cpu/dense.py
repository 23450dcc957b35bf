"""The (min,+) program for any cost, in tiles that stay in cache; its plain twin is dpmoracle.trajectory.dense.

C_k[t] = min_{s<t} C_{k-1}[s] + F[s, t]. For a block of t and an earlier block of s, all k together are a (min,+)
product of C (K, s) and F (s, t): the tile of F is read from memory once for all layers. Within the block of t itself
the layers follow one another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import contiguous, no_steps
from .compiled import compiled

__all__ = ["dense_layers"]

#: both multiples of 4; a tile of F is 128 KiB, its share of C and of the predecessors less
_ROWS, _COLUMNS = 64, 256


def dense_layers(F: ArrayLike, num_edges: int) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Least costs from node 0 to n-1 for 0..num_edges edges, and (num_edges+1, n) smallest predecessors, -1 for none.

    F : (n, n), F[s, t] used for s < t; +inf forbids
    """
    cost = contiguous(F)
    reached = np.full((num_edges + 1, len(cost)), np.inf)
    reached[0, 0] = 0.0
    predecessors = no_steps(num_edges, len(cost))
    _tiles(cost, reached, predecessors)
    return reached[:, -1].copy(), predecessors


@compiled
def _tiles(cost, reached, predecessors):
    n = cost.shape[0]
    layers = min(reached.shape[0], n)
    # s is reached by s edges at most, so layer k begins at s = k - 1
    for left in range(0, n, _COLUMNS):
        right = min(left + _COLUMNS, n)
        for top in range(0, left, _ROWS):
            bottom = min(top + _ROWS, left)
            for k in range(1, min(layers, bottom + 1)):
                before, after, best = reached[k - 1], reached[k], predecessors[k]
                for s in range(max(top, (k - 1) // 4 * 4), bottom, 4):
                    _relax_four(cost, s, before, left, right, after, best)
        for k in range(1, min(layers, right)):
            before, after, best = reached[k - 1], reached[k], predecessors[k]
            for s in range(max(left, (k - 1) // 4 * 4), right, 4):
                within = min(s + 4, right)
                for i in range(s, within):
                    _relax(cost, i, before, i + 1, within, after, best)
                if within < right:
                    _relax_four(cost, s, before, within, right, after, best)


@compiled
def _relax(cost, s, before, left, right, reached, best):
    """reached[t] = before[s] + cost[s, t] where that is less, and best[t] = s, for t in left..right-1."""
    for t in range(left, right):
        total = before[s] + cost[s, t]
        if total < reached[t]:
            reached[t], best[t] = total, s


@compiled
def _relax_four(cost, s, before, left, right, reached, best):
    """The same from s, s+1, s+2 and s+3, in this order: the smallest wins a tie.

    Slices, because a row of known stride becomes vector instructions, and selections for the same reason.
    """
    row_0, row_1 = cost[s, left:right], cost[s + 1, left:right]
    row_2, row_3 = cost[s + 2, left:right], cost[s + 3, left:right]
    before_0, before_1, before_2, before_3 = before[s], before[s + 1], before[s + 2], before[s + 3]
    step = best.dtype.type
    s_0, s_1, s_2, s_3 = step(s), step(s + 1), step(s + 2), step(s + 3)
    reached, best = reached[left:right], best[left:right]
    for t in range(reached.size):
        least, at = reached[t], best[t]
        total = before_0 + row_0[t]
        least, at = (total, s_0) if total < least else (least, at)
        total = before_1 + row_1[t]
        least, at = (total, s_1) if total < least else (least, at)
        total = before_2 + row_2[t]
        least, at = (total, s_2) if total < least else (least, at)
        total = before_3 + row_3[t]
        least, at = (total, s_3) if total < least else (least, at)
        reached[t], best[t] = least, at
