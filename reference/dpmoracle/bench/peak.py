"""Work that matrix products bound, as a share of the peak of the machine, measured in the same turns."""

from __future__ import annotations

from typing import Any

import numpy as np

from .harness import Contender, interleave, ratio
from .results import Result

__all__ = ["at_peak", "share_of_peak"]

_SIZE, _TIMES = 1536, 8


def at_peak(operations: float, dtype: Any) -> Contender:
    """What so many floating point operations take in square products, on the threads of this process."""
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((_SIZE, _SIZE)).astype(dtype) for _ in range(2))
    out = np.empty_like(a)

    def call() -> None:
        for _ in range(_TIMES):
            np.matmul(a, b, out=out)

    scale = operations / (2.0 * _SIZE**3 * _TIMES)
    return Contender("its matrix products at the peak", call, scale, "square products, scaled")


def share_of_peak(work: str, ours: Contender, peak: Contender, turns: int, target: float) -> Result:
    """The share of the peak that ours reaches: the median over the turns."""
    timings = interleave([ours, peak], turns)
    limit = (peak.name, ratio(timings[1], timings[0]))
    return Result(work, timings, limit=limit, target={"limit": target})
