"""Rows of an array that need not fit on the device: the next block is copied while the device works on this one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cupy
import cupyx
import numpy as np

from .memory import free_bytes

__all__ = ["rows_that_fit", "stream"]


def rows_that_fit(bytes_per_row: int, share: float = 0.5) -> int:
    """Rows of that size, at least 1, in a share of the memory that is free on the device, the pool's included."""
    return max(1, int(share * free_bytes()) // bytes_per_row)


def stream(array: Any, rows: int) -> Iterator[tuple[slice, Any]]:
    """(slice, block on the device) over the rows of `array`; what is on the device already is cut, not copied.

    Two buffers take turns. A block may be used until the next one is asked for, by work in the current stream.
    """
    cuts = [slice(start, min(start + rows, len(array))) for start in range(0, len(array), rows)]
    if isinstance(array, cupy.ndarray):
        yield from ((cut, array[cut]) for cut in cuts)
        return
    shape = (min(rows, len(array)), *array.shape[1:])
    computing, copying = cupy.cuda.get_current_stream(), cupy.cuda.Stream(non_blocking=True)
    staged = [cupyx.empty_pinned(shape, dtype=array.dtype) for _ in range(min(2, len(cuts)))]
    buffers = [cupy.empty(shape, dtype=array.dtype) for _ in staged]
    copying.wait_event(computing.record())  # the buffers' memory may still be read by what is queued
    copied: list[Any] = [None] * len(staged)
    used: list[Any] = [None] * len(staged)

    def load(k: int) -> None:
        slot, size = k % 2, cuts[k].stop - cuts[k].start
        if copied[slot] is not None:
            copied[slot].synchronize()  # the staging memory is free again
            copying.wait_event(used[slot])
        np.copyto(staged[slot][:size], array[cuts[k]])
        buffers[slot][:size].set(staged[slot][:size], stream=copying)
        copied[slot] = copying.record()

    load(0)
    for k, cut in enumerate(cuts):
        slot = k % 2
        computing.wait_event(copied[slot])
        yield cut, buffers[slot][: cut.stop - cut.start]
        used[slot] = computing.record()
        if k + 1 < len(cuts):
            load(k + 1)
