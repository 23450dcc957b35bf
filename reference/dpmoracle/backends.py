"""Where a kernel is found: the plain function's twin by name, or the plain function itself."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from .errors import InvalidParameterError, require

__all__ = ["BACKENDS", "WORTH_COMPILING", "pick"]

_Function = TypeVar("_Function", bound=Callable[..., Any])

#: backend -> (module that its kernels stand in, library they need, extra that brings it)
_KERNELS = {
    "numba": ("dpmoracle_kernels.cpu", "numba", "numba"),
    "cupy": ("dpmoracle_kernels.gpu", "cupy", "gpu"),
}
BACKENDS = ("auto", "numpy", *_KERNELS)

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
        on_device = any(type(array).__module__.partition(".")[0] == "cupy" for array in arrays)
        kernels = _kernels_or_none("cupy" if on_device else "numba", on_device or seconds >= WORTH_COMPILING)
        return plain if kernels is None else getattr(kernels, name, plain)
    if not isinstance(backend, str) or backend not in _KERNELS:
        raise InvalidParameterError(f"{name}: backend must be one of {', '.join(BACKENDS)}; got {backend!r}")
    module, library, extra = _KERNELS[backend]
    require(library, extra, f"{name} with backend={backend!r}")
    kernels = require(module, extra, f"{name} with backend={backend!r}")
    kernel: _Function | None = getattr(kernels, name, None)
    if kernel is None:
        raise InvalidParameterError(
            f"{name}: there is no {backend} kernel of this name in {module}; use backend='auto' or 'numpy'"
        )
    return kernel


def _kernels_or_none(backend: str, load: bool) -> ModuleType | None:
    module = _KERNELS[backend][0]
    if not load:
        return sys.modules.get(module)
    try:
        return importlib.import_module(module)
    except ImportError:
        return None
