"""The law of the samples of a stochastic sampler, within each component."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...mixture import GaussianMixture
from ..law import Level
from ..results import Result, judged, skipped
from ..runs import Array, draws, play, sharp, steps_within
from ..subject import Subject
from ..worlds import ISLAND_STD, islands, particles

__all__ = ["check_terminal"]

#: standard errors of a confidence interval: false alarms below 1e-5 for each of 34 figures
_WIDE = 5.0
_ALWAYS = 0.02


def check_terminal(subject: Subject, quick: bool = False) -> Result:
    """Mean and variance within each component approach the truth as K grows.

    Within, because the spread between components hides an error of the variance within them. With deviations in
    units of the component's own mean and variance, the lower confidence limit at the most steps must not exceed a
    quarter of the upper limit at the fewest, plus 0.02.
    """
    exact = sharp(subject)
    # A consistency model integrates a flow in each call, and is exact for every K.
    wanted, count = (
        ((2, 4), 256) if subject.endpoint else ((20, 160 if quick else 320), 1024 if quick else 2048)
    )
    steps = steps_within(exact, wanted)
    if len(steps) < 2:
        return skipped("terminal", f"max_steps is {subject.max_steps}: too few to compare")
    few, many = (_deviation(exact, K, count) for K in steps)
    detail = f"{many.what} off by {many.size:.3f} ± {many.error:.3f} at K = {steps[1]}, {few.what} by {few.size:.3f} ± "
    detail += f"{few.error:.3f} at K = {steps[0]}"
    bound = _ALWAYS + 0.25 * (few.size + _WIDE * few.error)
    return judged("terminal", max(many.size - _WIDE * many.error, 0.0), bound, detail)


@dataclass(frozen=True)
class _Deviation:
    """what : of which figure          size : relative deviation          error : its standard error"""

    what: str
    size: float
    error: float


def _deviation(subject: Subject, K: int, count: int) -> _Deviation:
    """The worst over components, of the mean of any coordinate and of the variance over all."""
    q0, (start, end) = islands(), subject.ends(K)
    x = play(subject, q0, particles(q0, start, count, seed=K), K, draws(subject, seed=K)).end
    if not np.isfinite(x).all():
        return _Deviation("not finite: the samples", np.inf, 0.0)
    return max(_within(q0, x, end), key=lambda one: one.size - _WIDE * one.error)


def _within(q0: GaussianMixture, x: Array, end: Level) -> list[_Deviation]:
    truth = (end[0] * ISLAND_STD) ** 2 + end[1] ** 2
    member = (x @ q0.means.T).argmax(1)
    found = []
    for c, mean in enumerate(q0.means):
        rest = x[member == c] - end[0] * mean
        if len(rest) < 2:
            return [_Deviation(f"component {c + 1} has no samples: its weight", 1.0, 0.0)]
        off = float(np.abs(rest.mean(0)).max() / np.sqrt(truth))
        found.append(_Deviation(f"mean of component {c + 1}", off, 1 / np.sqrt(len(rest))))
        ratio = float(np.square(rest - rest.mean(0)).sum() / ((len(rest) - 1) * q0.d) / truth)
        error = ratio * np.sqrt(2 / (q0.d * (len(rest) - 1)))
        found.append(_Deviation(f"variance within component {c + 1}", abs(ratio - 1.0), float(error)))
    return found
