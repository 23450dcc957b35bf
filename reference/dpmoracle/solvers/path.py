"""Where a solver evaluates between nodes: a path gives a level (a, σ) for every λ."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..oracle import Forward
from ..processes.process import Process
from .coefficients import Level

__all__ = ["Path", "path_of", "vp_path"]

#: λ -> (a, σ) with log(a/σ) = λ
Path = Callable[[float], Level]


def vp_path(lam: float) -> Level:
    """The level with a² + σ² = 1 at λ; for networks of any process, since only its scale is chosen."""
    shrink = math.exp(-abs(lam))
    small, large = shrink / math.sqrt(1.0 + shrink * shrink), 1.0 / math.sqrt(1.0 + shrink * shrink)
    return (large, small) if lam > 0.0 else (small, large)


def path_of(process: Forward) -> Path:
    """The levels of the process itself: those of a Process at its inverse, `vp_path` for a Schedule."""
    if not isinstance(process, Process):
        return vp_path

    def levels(lam: float) -> Level:
        a, sigma = process.levels(process.inverse(lam))
        return float(a), float(sigma)

    return levels
