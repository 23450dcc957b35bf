"""The law of the samples of a stochastic sampler, within each component."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from ..results import Ending, Result, judged, skipped
from ..runs import Array, SubjectError, draws, play, sharp, steps_within
from ..subject import Subject
from ..worlds import ISLAND_STD, islands, particles

__all__ = ["check_terminal"]

#: standard errors of a confidence interval: false alarms below 1e-5 for each of 34 figures
_WIDE = 5.0
_ALWAYS = 0.02
#: numbers of steps that the curve shows and nothing judges
_SHOWN = (5, 10, 40, 80, 160)


def check_terminal(subject: Subject, quick: bool = False) -> Result:
    """Mean and variance within each component approach the truth as K grows.

    Within, because the spread between components hides an error of the variance within them. With deviations in
    units of the component's own mean and variance, the lower confidence limit at the most steps must not exceed a
    quarter of the largest upper limit at fewer, plus 0.02. Where it does K is doubled once more: two errors may cancel
    at the fewest steps. The curve of the result is the variance over the truth, of all components together.
    """
    exact = sharp(subject)
    # A consistency model integrates a flow in each call, and is exact for every K.
    wanted = (2, 4) if subject.endpoint else (20, 160, 320) if quick else (20, 320, 640)
    count = 256 if subject.endpoint else 1024 if quick else 2048
    steps = steps_within(exact, wanted)
    if len(steps) < 2:
        return skipped("terminal", f"max_steps is {subject.max_steps}: too few to compare")
    first, ending = _look(exact, steps[0], count)
    seen, curve = [first], [ending]
    for K in steps[1:]:
        most = max(seen, key=lambda one: one.upper)
        last, ending = _look(exact, K, count)
        curve.append(ending)
        bound = _ALWAYS + 0.25 * most.upper
        if last.lower <= bound:
            break
        seen.append(last)
    if not (quick or subject.endpoint):
        curve += _shown(exact, count)
    verdict = judged("terminal", last.lower, bound, f"off by {last}; at fewer steps {most}")
    return replace(verdict, curve=tuple(sorted(curve)))


@dataclass(frozen=True)
class _Deviation:
    """what : of which figure          size : relative deviation          error : its standard error"""

    what: str
    size: float
    error: float
    K: int

    @property
    def lower(self) -> float:
        return max(self.size - _WIDE * self.error, 0.0)

    @property
    def upper(self) -> float:
        return self.size + _WIDE * self.error

    def __str__(self) -> str:
        return f"{self.size:.3f} ± {self.error:.3f} in the {self.what} (K = {self.K})"


def _look(subject: Subject, K: int, count: int) -> tuple[_Deviation, Ending]:
    """The worst over components, of the mean of any coordinate and of the variance over all; and their variance."""
    q0, (start, end) = islands(), subject.ends(K)
    x = play(subject, q0, particles(q0, start, count, seed=K), K, draws(subject, seed=K)).end
    if not np.isfinite(x).all():
        raise SubjectError(f"with K = {K} the samples are not finite")
    member = (x @ q0.means.T).argmax(1)
    rests = [x[member == c] - end[0] * mean for c, mean in enumerate(q0.means)]
    truth = (end[0] * ISLAND_STD) ** 2 + end[1] ** 2
    found = [_Deviation(*figure, K) for figure in _figures(rests, truth)]
    return max(found, key=lambda one: one.size - _WIDE * one.error), Ending(K, *_variance(rests, truth))


def _shown(subject: Subject, count: int) -> Iterator[Ending]:
    for K in steps_within(subject, _SHOWN):
        with suppress(SubjectError):  # that it cannot run with few steps is for other checks to say
            yield _look(subject, K, count)[1]


def _figures(rests: list[Array], truth: float) -> Iterator[tuple[str, float, float]]:
    """(what, relative deviation, standard error) of the mean and the variance within each component."""
    for c, rest in enumerate(rests, 1):
        if len(rest) < 2:
            yield f"weight of component {c}, which has no samples", 1.0, 0.0
            continue
        off = np.abs(rest.mean(0)).max() / np.sqrt(truth)
        yield f"mean of component {c}", float(off), float(1 / np.sqrt(len(rest)))
        ratio, error = _variance([rest], truth)
        yield f"variance within component {c}", abs(ratio - 1.0), error


def _variance(rests: list[Array], truth: float) -> tuple[float, float]:
    """Of samples around the mean of their own component, over the truth; and its standard error."""
    squares = sum(float(np.square(rest - rest.mean(0)).sum()) for rest in rests if len(rest))
    freedom = sum(rest.shape[1] * (len(rest) - 1) for rest in rests if len(rest))
    ratio = squares / freedom / truth
    return ratio, float(ratio * np.sqrt(2 / freedom))
