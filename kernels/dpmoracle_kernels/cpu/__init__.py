"""Numba kernels, each the twin of a plain function of the reference: same name, same plain arrays.

Importing this compiles nothing: a kernel is compiled, or loaded from its cache, at the first call.
"""

from __future__ import annotations

import importlib
from typing import Any

import numba  # noqa: F401  what is missing for one kernel is missing here

#: module -> its kernels; a module that is named as a kernel would hide it
_MODULES = {
    "dense": ["dense_layers"],
    "hull": ["hull_layers", "lagrange_pass"],
    "li_chao": ["li_chao_layers"],
    "monge": ["certify"],
    "multiplier": ["multiplier_path"],
    "moments": ["shared_samples"],
    "features": ["pair_samples"],
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
