"""Estimate: a value with the error that it carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A number, or an array of numbers, and how far it can be trusted.

    value           : (...,) the estimate
    error           : (...,) a bound where method is "quadrature" or "exact", else one standard error
    method          : how it was found
    effective_count : (...,) number of samples that carry the sum, (Σf)²/Σf²; inf where nothing was sampled.
                      Below about 30 the standard error flatters: a few rare events decide the value.
    """

    value: NDArray[np.float64]
    error: NDArray[np.float64]
    method: str
    effective_count: NDArray[np.float64]
