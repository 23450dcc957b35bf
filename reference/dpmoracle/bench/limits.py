"""What the machine can do, measured: products per second, exponentials per second, bytes per second."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .harness import LEAST_SECONDS, Contender, interleave

__all__ = ["Limits", "bandwidth", "best", "exp_rate", "gemm_rate"]


def gemm_rate(dtype: Any, size: int = 1536, turns: int = 7) -> float:
    """Floating point operations per second of a square matrix product, on the BLAS and threads of this process."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((size, size)).astype(dtype) for _ in range(2))
    out = np.empty_like(a)
    return 2.0 * size**3 / best(lambda: np.matmul(a, b, out=out), turns)


def exp_rate(dtype: Any, turns: int = 7) -> float:
    """Exponentials per second of NumPy on one core, arguments and results in the first cache."""
    x = np.linspace(-80.0, 0.0, 2048, dtype=dtype)
    out = np.empty_like(x)
    return x.size / best(lambda: np.exp(x, out=out), turns)


def bandwidth(megabytes: int = 128, turns: int = 7) -> float:
    """Bytes per second read and written by a copy on one core, of an array that no cache holds."""
    source = np.ones(megabytes * 2**17)
    target = np.empty_like(source)
    return 2.0 * source.nbytes / best(lambda: np.copyto(target, source), turns)


def best(call: Callable[[], Any], turns: int, least: float = LEAST_SECONDS) -> float:
    """Seconds of a call; a limit is the best that was seen. least : as of `interleave`."""
    return min(interleave([Contender("", call)], turns, least=least)[0].seconds)


@dataclass(frozen=True)
class Limits:
    """The limits of this run, each measured when it is first asked for."""

    turns: int = 7

    @cached_property
    def gemm64(self) -> float:
        return gemm_rate(np.float64, turns=self.turns)

    @cached_property
    def gemm32(self) -> float:
        return gemm_rate(np.float32, turns=self.turns)

    @cached_property
    def exp64(self) -> float:
        return exp_rate(np.float64, self.turns)

    @cached_property
    def exp32(self) -> float:
        return exp_rate(np.float32, self.turns)

    @cached_property
    def copy(self) -> float:
        return bandwidth(turns=self.turns)

    def measured(self) -> dict[str, float]:
        """Those that were asked for, by name, in the units of their names."""
        names = {
            "gemm64": "float64 product, GFLOP/s",
            "gemm32": "float32 product, GFLOP/s",
            "exp64": "float64 exp on one core, 1e9/s",
            "exp32": "float32 exp on one core, 1e9/s",
            "copy": "copy on one core, GB/s",
        }
        return {text: vars(self)[name] / 1e9 for name, text in names.items() if name in vars(self)}
