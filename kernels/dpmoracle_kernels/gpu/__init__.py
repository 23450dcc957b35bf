"""CuPy kernels, each the twin of a plain function of the reference; arrays go back as the kind they came.

The CUDA sources stand beside the Python that launches them and are compiled at the first call; importing this compiles
nothing.
"""

from __future__ import annotations

import importlib
from typing import Any

import cupy  # noqa: F401  what is missing for one kernel is missing here

#: module -> its kernels, and the context of their products; a module that is named as a kernel would hide it
_MODULES = {
    "curves": ["certify", "cost_matrix", "sum_cost"],
    "dense": ["dense_layers"],
    "features": ["pair_samples"],
    "moments": ["shared_samples"],
    "products": ["tf32"],
    "posterior": ["mixture_moments", "mixture_score"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = list(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
