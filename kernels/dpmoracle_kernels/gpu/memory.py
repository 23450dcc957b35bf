"""Memory that ends, in words: how much was asked for, and how many rows would go."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cupy

from ..errors import DeviceError

__all__ = ["explained", "free_bytes"]


def free_bytes() -> int:
    """What can still be allocated on the current device, the memory that CuPy's pool keeps included."""
    free: int = cupy.cuda.runtime.memGetInfo()[0] + cupy.get_default_memory_pool().free_bytes()
    return free


@contextmanager
def explained(who: str, rows: int) -> Iterator[None]:
    """Turn the error of CuPy's allocator into a DeviceError that names the number of rows to ask for.

    rows : of the work inside; what it holds is taken to grow with them
    """
    try:
        yield
    except cupy.cuda.memory.OutOfMemoryError as error:
        raise DeviceError(_message(who, rows, error)) from error


def _message(who: str, rows: int, error: Any) -> str:
    before = free_bytes()
    traceback.clear_frames(error.__traceback__)  # gives back what the call that failed still held
    free, asked = free_bytes(), int(getattr(error, "_size", 0))
    needed = max(asked + free - before, 1)
    fit = max(1, rows * free // (2 * needed))  # twice: the allocation that failed need not have been the last
    block = f"at most {min(fit, rows - 1)} rows at a time instead of {rows}" if rows > 1 else "smaller arrays"
    return (
        f"{who}: the device's memory ends: {_gib(needed)} or more are needed at once, the last {_gib(asked)} of them "
        f"could not be had, {_gib(free)} of {_gib(cupy.cuda.runtime.memGetInfo()[1])} are free. Nothing is lost: give "
        f"{block}, or go on on the CPU with backend='numba' or 'numpy'"
    )


def _gib(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"
