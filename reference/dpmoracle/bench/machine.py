"""What the figures were measured on: processor, versions, threads; and how the threads are set."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import require

__all__ = ["cores", "describe", "on_threads", "processor"]

#: distributions whose version may matter
_LIBRARIES = (
    "dpmoracle",
    "numpy",
    "scipy",
    "numba",
    "llvmlite",
    "scikit-learn",
    "torch",
    "triton",
    "jax",
    "jaxlib",
)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """'AMD EPYC 9354'."""
    with suppress(OSError):  # Linux alone has the file; platform.processor() is empty there
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or platform.machine()


def describe() -> dict[str, Any]:
    """A dict of texts and numbers that JSON can hold."""
    return {
        "cpu": processor(),
        "cores": cores(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version for name in _LIBRARIES if (version := _version(name))},
        "threads": _threads(),
    }


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """So many threads for BLAS and OpenMP, Numba, and torch where it is loaded; as before at the end.

    What is loaded later is told by OMP_NUM_THREADS; JAX takes the cores it finds, whatever is said here.
    """
    limits = require("threadpoolctl", "cli", "dpmoracle bench").threadpool_limits
    with ExitStack() as stack:
        stack.callback(_set_environment, "OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS"))
        _set_environment("OMP_NUM_THREADS", str(count))
        stack.enter_context(limits(limits=count))
        for library in _loaded():
            most = library.config.NUMBA_NUM_THREADS if library.__name__ == "numba" else count
            stack.callback(library.set_num_threads, library.get_num_threads())
            library.set_num_threads(min(count, most))
        yield


def _set_environment(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _loaded() -> list[Any]:
    """The libraries with threads of their own that this process has imported."""
    return [sys.modules[name] for name in ("numba", "torch") if name in sys.modules]


def _threads() -> dict[str, int]:
    pools = require("threadpoolctl", "cli", "dpmoracle bench").threadpool_info()
    # the architecture too: OPENBLAS_CORETYPE may set another than the processor's
    named = ("internal_api", "version", "architecture")
    found = {" ".join(filter(None, map(pool.get, named))): pool["num_threads"] for pool in pools}
    return found | {library.__name__: library.get_num_threads() for library in _loaded()}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
