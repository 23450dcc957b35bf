"""The dense (min,+) trajectory program for any cost: all layers in one pass over the columns."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .cuda import on_device, source

__all__ = ["dense_layers"]

# As in minplus.cu.
_TILE, _ROWS, _COLS, _SIDE = 32, 64, 64, 16


@on_device()
def dense_layers(F: Any, num_edges: int) -> tuple[Any, Any]:
    """Twin of dpmoracle.trajectory.dense.dense_layers; the same sums and ties, so the same bits.

    F : (n, n) float64. Needs 12 bytes per layer and node beside F. Returns (num_edges+1,) and (num_edges+1, n).
    """
    F, n = F.astype(np.float64, copy=False), len(F)
    layers = min(num_edges, n - 1)
    table = cupy.full((layers + 1, n), np.inf)
    table[0, 0] = 0.0
    found = cupy.full((layers + 1, n), -1, dtype=np.int32)
    minplus = source("minplus")
    settle, update = minplus.get_function("settle"), minplus.get_function("update")
    bands = -(-layers // _ROWS)
    for first in range(0, n if layers else 0, _TILE):
        args = (F, table, found, np.int32(n), np.int32(layers), np.int32(first))
        settle((bands,), (_ROWS + _TILE,), args)
        later = n - first - _TILE
        if later > 0:
            update((-(-later // _COLS), bands), (_SIDE, _SIDE), args)
    costs = cupy.full(num_edges + 1, np.inf)
    costs[: layers + 1] = table[:, -1]
    predecessors = cupy.full((num_edges + 1, n), -1, dtype=np.promote_types(np.min_scalar_type(-n), np.int16))
    predecessors[: layers + 1] = found
    return costs, predecessors
