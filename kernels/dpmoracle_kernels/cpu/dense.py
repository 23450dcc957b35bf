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

#: a tile of F is 128 KiB, its share of C and of the predecessors less
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
    for left in range(0, n, _COLUMNS):
        right = min(left + _COLUMNS, n)
        for top in range(0, left, _ROWS):
            for k in range(1, layers):
                for s in range(max(top, k - 1), min(top + _ROWS, left)):
                    _relax(cost, reached, predecessors, k, s, left, right)
        for k in range(1, layers):
            for s in range(max(left, k - 1), right):
                _relax(cost, reached, predecessors, k, s, s + 1, right)


@compiled
def _relax(cost, reached, predecessors, k, s, left, right):
    """Go from s, reached in k-1 edges, to left..right-1; s rises from call to call, so the smallest wins a tie."""
    before = reached[k - 1, s]
    for t in range(left, right):
        sum_ = before + cost[s, t]
        if sum_ < reached[k, t]:
            reached[k, t] = sum_
            predecessors[k, t] = s
