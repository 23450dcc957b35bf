"""Estimate: a value with the error that it carries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Estimate", "effective_count"]


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


def effective_count(total: NDArray[np.float64], squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Σf)²/Σf² of non-negative contributions f: 1 if one sample is everything, M if all are equal.

    0 where every contribution is zero: no sample saw the event at all.
    """
    return np.divide(total * total, squares, out=np.zeros_like(squares), where=squares > 0)
