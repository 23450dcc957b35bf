"""Claims: every formula as printed and as corrected, each judged by a road that does not use it."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from .registry import Claim, Measurement, find
from .results import Report, Verdict
from .world import World

__all__ = ["Claim", "Measurement", "Report", "Verdict", "World", "all_claims", "judge", "validate"]


def all_claims() -> tuple[Claim, ...]:
    """Every claim, in the order of the notes and then of the papers."""
    from .catalogue import CLAIMS

    return CLAIMS


def judge(claim: Claim, world: World, formula: Callable[..., object] | None = None) -> Verdict:
    """Check one claim, or the same statement with another formula in its place.

    A check that raises gives the verdict "error" and one that measures nan "undecided": the other claims go on.
    """
    start = time.perf_counter()
    try:
        seen = claim.check(claim.formula if formula is None else formula, world)
    except Exception as error:
        seen = Measurement(math.nan, f"the check raised {type(error).__name__}: {error}")
        verdict = "error"
    else:
        verdict = "holds" if seen.error <= claim.tolerance else "refuted"
        verdict = "undecided" if math.isnan(seen.error) else verdict
    return Verdict(
        id=claim.id,
        source=claim.source,
        statement=claim.statement,
        verdict=verdict,
        expected=claim.expected,
        measured=seen.error,
        tolerance=claim.tolerance,
        evidence=f"{claim.road}: {seen.evidence}",
        seconds=time.perf_counter() - start,
    )


def validate(
    data: ArrayLike | None = None,
    only: str | None = None,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> Report:
    """Judge every claim whose id matches the glob `only`, on exact mixtures and on a data set.

    data     : (C, d) points taken as they are, C >= 2; None is scikit-learn's digits, 1797 x 64, X/8 - 1
    progress : called with (done, total, id of the claim about to be judged)
    The same seed gives the same numbers, whichever claims are chosen.
    Raises InvalidParameterError if data is no such array or nothing matches `only`.
    """
    from ..datasets import as_points, digits

    chosen = find(all_claims(), only)
    points = digits() if data is None else as_points("validate", "data", data)
    name = "digits" if data is None else f"{points.shape[0]} x {points.shape[1]} points"
    world = World(points, name, seed)
    start = time.perf_counter()
    verdicts = []
    for done, claim in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen), claim.id)
        verdicts.append(judge(claim, world))
    return Report(tuple(verdicts), seed, name, _versions(), time.perf_counter() - start)


def _versions() -> dict[str, str]:
    import scipy

    from .. import __version__

    return {
        "dpmoracle": __version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "python": platform.python_version(),
    }
