"""The two errors this package raises on purpose, and how a missing extra is named."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = ["InvalidParameterError", "MissingExtraError", "require"]


class InvalidParameterError(ValueError):
    """An argument that the function cannot take; the message says who, what was required, what came."""


class MissingExtraError(ImportError):
    """A feature whose optional dependency is not installed; the message names the extra."""


def require(module: str, extra: str, who: str) -> ModuleType:
    """Import `module`, or say which extra of dpmoracle brings it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        other = ", or for CUDA 12: pip install 'dpmoracle[gpu-cuda12]'" if extra == "gpu" else ""
        raise MissingExtraError(
            f"{who} needs {module.partition('.')[0]}, which cannot be imported ({error}); "
            f"install it with: pip install 'dpmoracle[{extra}]'{other}"
        ) from error
