"""Where and when a result was made: versions, machine, date. Nothing that names a person or a host."""

from __future__ import annotations

import platform
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata

from ..bench.machine import cores, processor

__all__ = ["date", "machine", "versions"]

_PACKAGES = ("dpmoracle", "numpy", "scipy", "numba", "cupy", "torch", "jax", "diffusers", "scikit-learn")
_IMPORTED_AS = {"scikit-learn": "sklearn"}


def versions() -> dict[str, str]:
    """Of Python and of those packages that this process has loaded: no other can have had a part in it."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        module = sys.modules.get(_IMPORTED_AS.get(name, name))
        if module is None:
            continue
        with suppress(
            metadata.PackageNotFoundError
        ):  # run from a source tree, or CuPy, whose name has its CUDA
            found[name] = metadata.version(name)
        found.setdefault(name, str(getattr(module, "__version__", "unknown")))
    return found


def machine() -> str:
    """'AMD EPYC 9354, 2 cores; Linux x86_64'; what cannot be told is left out."""
    counted = f"{cores()} core{'s' if cores() != 1 else ''}"
    system = f"{platform.system()} {platform.machine()}".strip()
    return f"{', '.join(filter(None, (processor(), counted)))}; {system}"


def date() -> str:
    """Now, in UTC: '2026-07-01 12:34 UTC'."""
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
