"""Where a kernel is found: the plain function's twin by name, or the plain function itself."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import Any, TypeVar

# One class for what a device refuses, here and in the kernels; this module of theirs imports nothing.
from dpmoracle_kernels.errors import DeviceError

from .errors import InvalidParameterError, require

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "REALS",
    "WORTH_COMPILING",
    "DeviceError",
    "device",
    "lives_on_gpu",
    "pick",
    "products",
    "within",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: backend -> (module that its kernels stand in, library they need, extra that brings it)
_KERNELS = {
    "numba": ("dpmoracle_kernels.cpu", "numba", "numba"),
    "cupy": ("dpmoracle_kernels.gpu", "cupy", "gpu"),
}
BACKENDS = ("auto", "numpy", *_KERNELS)

#: precision -> dtype; "tf32" is float32 whose products are in tf32 where they are computed on a GPU
REALS = {"float64": "float64", "float32": "float32", "tf32": "float32"}
PRECISIONS = tuple(REALS)

#: Seconds of the plain function from which "auto" loads kernels: Numba takes 0.3 s to import, a kernel 0.05 s to
#: load, and a few seconds to compile where it never ran before.
WORTH_COMPILING = 2.0


def pick(name: str, backend: str, plain: _Function, *arrays: Any, seconds: float = 0.0) -> _Function:
    """The function that computes `name`: a kernel with the same arguments, or `plain`.

    backend : "numpy" is `plain`; "numba" and "cupy" are the kernels of dpmoracle_kernels.cpu and .gpu; "auto"
              takes CuPy's where an array is on its device. On the host it takes Numba's where they are loaded
              already (by earlier work, or `import dpmoracle_kernels.cpu`) or where `seconds` is at least
              WORTH_COMPILING, so small work never waits for a compiler; else, and where there is none, `plain`.
    arrays  : the arrays it will be called on; only their kind is looked at.
    seconds : about what `plain` will take.
    Raises MissingExtraError where a kernel is asked for and its library is missing, InvalidParameterError for
    an unknown backend and for one that has no kernel of that name.
    """
    if backend == "numpy":
        return plain
    if backend == "auto":
        on_device = any(lives_on_gpu(array) for array in arrays)
        kernels = _kernels_or_none("cupy" if on_device else "numba", on_device or seconds >= WORTH_COMPILING)
        return plain if kernels is None else getattr(kernels, name, plain)
    kernel: _Function | None = getattr(_kernels(name, backend), name, None)
    if kernel is None:
        raise InvalidParameterError(
            f"{name}: there is no {backend} kernel of this name in {_KERNELS[backend][0]}; use backend='auto' or "
            "'numpy'"
        )
    return kernel


def lives_on_gpu(value: Any) -> bool:
    """Whether `value` is a CuPy array or a CUDA tensor of torch, whose memory CuPy can use without a copy."""
    kind = type(value).__module__.partition(".")[0]
    return kind == "cupy" or (kind == "torch" and bool(getattr(value, "is_cuda", False)))


def device(who: str, backend: str, *values: Any) -> ModuleType | None:
    """dpmoracle_kernels.gpu.place where a call with these values is computed on a GPU, None where on the host.

    That is where backend is "cupy", and where it is "auto", some value lives on a GPU and CuPy is installed.
    Raises as `pick` does.
    """
    if backend not in BACKENDS:
        raise InvalidParameterError(_unknown(who, backend))
    if backend == "cupy":
        _kernels(who, backend)
    elif backend != "auto" or not any(map(lives_on_gpu, values)) or not _kernels_or_none("cupy", load=True):
        return None
    return importlib.import_module("dpmoracle_kernels.gpu.place")


def within(there: ModuleType | None, who: str, *values: Any) -> AbstractContextManager[None]:
    """Make current the device and the stream of `values`; nothing where `device` said None."""
    return nullcontext() if there is None else there.place(who, *values)


def products(precision: str, there: ModuleType | bool | None) -> AbstractContextManager[None]:
    """Where precision is "tf32" and the work is on a GPU (`there`), float32 products inside are of that kind."""
    if precision != "tf32" or not there:
        return nullcontext()
    found: AbstractContextManager[None] = importlib.import_module("dpmoracle_kernels.gpu").tf32()
    return found


def _kernels(who: str, backend: str) -> ModuleType:
    """The kernels of a backend that was asked for by name."""
    if not isinstance(backend, str) or backend not in _KERNELS:
        raise InvalidParameterError(_unknown(who, backend))
    module, library, extra = _KERNELS[backend]
    require(library, extra, f"{who} with backend={backend!r}")
    return require(module, extra, f"{who} with backend={backend!r}")


def _unknown(who: str, backend: object) -> str:
    return f"{who}: backend must be one of {', '.join(BACKENDS)}; got {backend!r}"


def _kernels_or_none(backend: str, load: bool) -> ModuleType | None:
    module = _KERNELS[backend][0]
    if not load:
        return sys.modules.get(module)
    try:
        return importlib.import_module(module)
    except ImportError:
        return None
