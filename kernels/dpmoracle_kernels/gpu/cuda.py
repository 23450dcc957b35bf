"""What every CuPy kernel needs: its compiled source, arrays on one device, and errors that say what to do."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib.resources import files
from typing import Any, ParamSpec, cast

import cupy
import numpy as np

from ..errors import DeviceError
from .memory import explained

__all__ = ["on_device", "require_device", "source"]

P = ParamSpec("P")

#: double atomics, 64-bit products and 48 KiB of shared memory are there from 6.0; nothing older is tested
_LEAST_CAPABILITY = 70


def require_device(who: str) -> None:
    """Raise DeviceError where CuPy finds no CUDA device."""
    try:
        count, reason = cupy.cuda.runtime.getDeviceCount(), "CuPy counts 0"
    except cupy.cuda.runtime.CUDARuntimeError as error:
        count, reason = 0, str(error)
    if not count:
        raise DeviceError(
            f"{who}: backend='cupy' needs a CUDA device, and there is none here ({reason}). "
            "Use backend='auto', 'numba' or 'numpy'"
        )


@functools.cache
def _module(name: str, real: str, device: int) -> Any:
    capability = int(cupy.cuda.Device(device).compute_capability)
    if capability < _LEAST_CAPABILITY:
        raise DeviceError(
            f"{name}: needs compute capability {_LEAST_CAPABILITY / 10} or later; device {device} has "
            f"{capability / 10}. Use backend='numba' or 'numpy'"
        )
    code = files(__package__).joinpath(f"{name}.cu").read_text(encoding="utf-8")
    return cupy.RawModule(code=code, options=("--std=c++17", f"-DREAL={real}"))


def source(name: str, real: str = "double") -> Any:
    """The kernels of `name`.cu, compiled for the current device and kept by CuPy on disk; ask by get_function.

    real : what REAL stands for in the source
    """
    return _module(name, real, cupy.cuda.runtime.getDevice())


def on_device(stays: tuple[str, ...] = ()) -> Callable[[Callable[P, Any]], Callable[P, Any]]:
    """Let a function of CuPy arrays take NumPy arrays too, and give back the kind that it was given.

    Arrays arrive C-contiguous, in the machine's byte order, on one device; a CuPy array that is so already is not
    copied. Those named in `stays` are left where they are, for the function to stream. Raises DeviceError for arrays
    on different devices, where there is no device, and where its memory ends.
    """

    def decorate(kernel: Callable[P, Any]) -> Callable[P, Any]:
        who, names = kernel.__name__, list(inspect.signature(kernel).parameters)
        compute = cast(Callable[..., Any], kernel)

        @functools.wraps(kernel)
        def outside(*args: P.args, **kwargs: P.kwargs) -> Any:
            require_device(who)
            named: dict[str, Any] = dict(zip(names, args)) | kwargs
            given = [value for value in named.values() if isinstance(value, cupy.ndarray)]
            places = {array.device.id for array in given}
            if len(places) > 1:
                raise DeviceError(f"{who}: all arrays must be on one device; they are on {sorted(places)}")
            number = places.pop() if places else cupy.cuda.runtime.getDevice()
            with cupy.cuda.Device(number), explained(who, len(next(iter(named.values())))):
                ready = {name: value if name in stays else _ready(value) for name, value in named.items()}
                out = compute(**ready)
                return out if given else _to_host(out)

        return outside

    return decorate


def _ready(value: Any) -> Any:
    if not isinstance(value, np.ndarray | cupy.ndarray):
        return value
    native = value.dtype.newbyteorder("=")
    if not isinstance(value, cupy.ndarray):
        value = np.ascontiguousarray(value, dtype=native)
    return cupy.ascontiguousarray(cupy.asarray(value))


def _to_host(out: Any) -> Any:
    if isinstance(out, tuple):
        return tuple(_to_host(part) for part in out)
    return cupy.asnumpy(out) if isinstance(out, cupy.ndarray) else out
