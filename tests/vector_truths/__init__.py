"""Every quantity of the test vectors in 40 digits, by another road than the package: Bayes, conditioning, integrals.

TRUTH[name](**inputs) takes the inputs of a vector, decoded, and returns numbers of mpmath in nested lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import formulas, information, oracle, schedules, solutions, steps, trajectories
from .schedules import DIGITS
from .trajectories import two_best

__all__ = ["DIGITS", "TRUTH", "two_best"]

TRUTH: dict[str, Callable[..., Any]] = {
    **schedules.TRUTH,
    **formulas.TRUTH,
    **oracle.TRUTH,
    **steps.TRUTH,
    **trajectories.TRUTH,
    **information.TRUTH,
    **solutions.TRUTH,
}
