"""Deterministic samplers on their own grid: they converge, and what their last step costs."""

from __future__ import annotations

import numpy as np

from ...flow import flow_levels
from ..law import noise_ratio
from ..results import Result, judged, noted, skipped
from ..runs import median_distance, play, sharp, steps_within
from ..subject import Subject
from ..worlds import particles, smooth, spread

__all__ = ["check_converges", "check_last_step"]

_COUNT = 32
#: of the spread of the data: what a last step to σ = 0 by x̂_0 alone may leave
_PLATEAU = 0.01


def check_converges(subject: Subject, quick: bool = False) -> Result:
    """More steps on the subject's own grid come nearer to the exact flow, or stay as near as its last step allows.

    The error (median over particles, in standard deviations of the data) must fall to a third from the fewest to
    the most steps, or be below 0.01 there. Where it is not, four times as many are tried, which must bring it to a
    third of that as well: a spacing that spends its first nodes on one end of the levels is slow, and no fault.
    """
    exact = sharp(subject)
    steps = steps_within(exact, (10, 80) if quick else (10, 40, 160))
    if len(steps) < 2:
        return skipped("converges", f"max_steps is {subject.max_steps}: too few to compare")
    errors = {K: _error(exact, K) for K in steps}
    first, last = errors[steps[0]], errors[steps[-1]]
    bound = max(_PLATEAU, first / 3)
    for K in steps_within(exact, (4 * steps[-1],)):
        if bound < last < np.inf:
            errors[K] = _error(exact, K)
            bound = max(_PLATEAU, min(first, last) / 3)
    detail = "errors " + ", ".join(f"{error:.2e} (K = {K})" for K, error in errors.items())
    return judged("converges", errors[max(errors)], bound, detail)


def check_last_step(subject: Subject, quick: bool = False) -> Result:
    """A note: whether the last step, to σ = 0, returns x̂_0, which is of order 1 whatever came before."""
    exact, q0 = sharp(subject), smooth()
    steps = steps_within(exact, (5, 20))
    if not steps:
        return skipped("last_step", f"max_steps is {subject.max_steps}: fewer than are tried")
    start, end = exact.ends(steps[-1])
    run = play(exact, q0, particles(q0, start, 8), steps[-1])
    if not run.finite:
        return skipped("last_step", f"K = {steps[-1]}: the samples are not finite, see the check finite")
    last = run.calls[-1]
    if end[1] > 0.0 or not np.abs(run.end - end[0] * last.x0).max() < 1e-5:
        return judged("last_step", 0.0, 0.0, f"ends at sigma = {end[1]:g} by a step of its own kind")
    ratio = noise_ratio(last.level)
    detail = (
        f"K = {steps[-1]}: the last step, from sigma/a = {ratio:.4g} to 0, returns x0, which is of order 1"
    )
    return noted("last_step", ratio, detail)


def _error(subject: Subject, K: int) -> float:
    q0, (start, end) = smooth(), subject.ends(K)
    x = particles(q0, start, _COUNT)
    run = play(subject, q0, x, K)
    truth = flow_levels(q0, x, np.array(start), np.array(end), 1e-6)
    return median_distance(run.end, truth) / spread(q0)
