"""The arrays that kernels take and return."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["contiguous", "no_steps"]


def contiguous(array: ArrayLike, dtype: DTypeLike = np.float64) -> NDArray[Any]:
    """A C-contiguous array of one dtype that may be written to: every layout then runs one compiled version.

    No copy is made where the array is one already.
    """
    found = np.asarray(array, dtype=dtype)
    return found if found.flags.carray else np.array(found, order="C")  # np.require takes ten times as long


def no_steps(num_edges: int, size: int) -> NDArray[Any]:
    """A table of predecessors of `size` nodes, (num_edges+1, size), all -1, in int16 where that holds them."""
    dtype = np.promote_types(np.min_scalar_type(-size), np.int16)
    return np.full((num_edges + 1, size), -1, dtype=dtype)
