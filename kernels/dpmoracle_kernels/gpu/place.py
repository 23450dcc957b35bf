"""Where a call is computed: the device and stream of the caller's arrays, which are taken and given without a copy."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import cupy
import numpy as np

from ..errors import DeviceError
from .cuda import require_device
from .memory import explained, free_bytes

__all__ = ["adopt", "place", "release", "settle"]


@contextmanager
def place(who: str, *values: Any) -> Iterator[None]:
    """Make current the device and the stream of those values that live on a GPU; as they are if none does.

    That is CuPy's current stream, and torch's where the first of them is a tensor: work is then in order without any
    waiting. Raises DeviceError for values on different devices, where there is no device, and where its memory ends.
    """
    require_device(who)
    there = [value for value in values if _device(value) is not None]
    places = {_device(value) for value in there}
    if len(places) > 1:
        raise DeviceError(
            f"{who}: all arrays must be on one device; they are on devices {', '.join(map(str, sorted(places)))}. "
            "Move them to one, with tensor.to('cuda:0') or, in CuPy, under `with cupy.cuda.Device(0)`"
        )
    rows = math.prod(getattr(values[0], "shape", ())[:-1]) if values else 1
    with ExitStack() as stack:
        for number in places:
            stack.enter_context(cupy.cuda.Device(number))
        if there and not isinstance(there[0], cupy.ndarray):
            stream = _stream_of(there[0])
            if any(isinstance(value, cupy.ndarray) for value in there):
                stream.wait_event(cupy.cuda.get_current_stream().record())
            stack.enter_context(stream)
        stack.enter_context(explained(who, rows))
        yield


def _device(value: Any) -> int | None:
    if isinstance(value, cupy.ndarray):
        return int(value.device.id)
    return int(value.device.index) if getattr(value, "is_cuda", False) else None


def _stream_of(tensor: Any) -> Any:
    pointer = sys.modules["torch"].cuda.current_stream(tensor.device).cuda_stream
    return cupy.cuda.ExternalStream(pointer) if pointer else cupy.cuda.Stream.null


def adopt(value: Any) -> Any:
    """A CuPy array over the memory of a CuPy array or a CUDA tensor; a copy on the current device of a NumPy array."""
    if isinstance(value, cupy.ndarray):
        return value
    if _device(value) is not None:
        return cupy.from_dlpack(value)
    return cupy.asarray(np.asarray(value, dtype=value.dtype.newbyteorder("=")))


def settle(array: Any) -> Any:
    """A copy on the current device of a NumPy array; itself where that takes more than half of what is free there."""
    return array if 2 * array.nbytes > free_bytes() else adopt(array)


def release(array: Any, like: Any) -> Any:
    """A CuPy array as the kind of `like`, without a copy where that lives on a GPU; NumPy otherwise."""
    if isinstance(like, cupy.ndarray):
        return array
    return cupy.asnumpy(array) if _device(like) is None else sys.modules["torch"].from_dlpack(array)
