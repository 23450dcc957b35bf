"""The time value that a network is given, against the level that the sampler means."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from ...mixture import GaussianMixture
from ..law import Level, noise_ratio
from ..model import Call, understood
from ..results import Result, Seen, noted, worst
from ..runs import (
    SubjectError,
    draws,
    median_distance,
    name_call,
    play,
    sharp,
    steps_within,
    usual_steps,
)
from ..subject import Subject
from ..worlds import particles, point, smooth, spread

__all__ = ["Told", "check_fed_by_time", "check_time_values", "told"]

#: of log(σ/a): rounding in float32
_AGREE = 5e-4
_FED = 0.01
#: of the distance between two whole time values: more is the next one, told for this
_CUT = 0.999


class Told(NamedTuple):
    """What a time value tells of the level of its call.

    level   : that a network understands
    gap     : from it to the level of the call, in log(σ/a)
    allowed : of it, for rounding, a whole time value to the nearest too
    cut     : the level of the call lies between that of the whole time value and that of the next one
    """

    level: Level
    gap: float
    allowed: float
    cut: bool

    @property
    def explained(self) -> bool:
        """By rounding to whole time values, up, down or to the nearest."""
        return self.cut or self.gap <= self.allowed


def check_time_values(subject: Subject, quick: bool = False) -> Result:
    """The time value passed to the network stands for the level (a, σ) that the sampler computes with.

    Compared in log(σ/a). A whole time value may be rounded, by half a unit; one that is cut off, by less than a unit,
    is a note.
    """
    seen = [
        one for K in usual_steps(subject, quick) for one in _told(subject, K, _calls(subject, point(), K))
    ]
    fine = "every time value stands for the level of its call"
    found = worst("time_values", (one for one, _ in seen), fine)
    if found.status != "failed":
        return found
    unexplained = [one for one, explained in seen if not explained]
    if unexplained:
        return worst("time_values", unexplained, fine)
    return noted("time_values", found.measured, f"{found.detail}; {_WHOLE}")


def check_fed_by_time(subject: Subject, quick: bool = False) -> Result:
    """Fed by the time values that a network would see, the sampler ends where it does fed by its levels.

    Median distance of the two ends, in standard deviations of the data, the same noise in both. What rounding to
    whole time values explains is a note.
    """
    exact = sharp(subject)
    steps = steps_within(exact, (20,) if quick else (20, 50))
    found = worst(
        "fed_by_time", _gaps(exact, steps), f"fed by level and by time value it ends alike, K in {steps}"
    )
    if found.status == "failed" and math.isfinite(found.measured or 0.0):
        runs = [_calls(exact, smooth(), K) for K in steps]
        if all(told(exact, call).explained for calls in runs for call in calls):
            return noted("fed_by_time", found.measured, f"{found.detail}; {_WHOLE}")
    return found


_WHOLE = (
    "all of it is whole time values, a design choice, cut off or to the nearest; to the nearest costs half, fractional "
    "ones nothing, to a network that takes them"
)


def told(subject: Subject, call: Call) -> Told:
    """Raises SubjectError for a call without a time value, or a subject without time_level."""
    time, reading = call.time, subject.time_level
    if time is None or reading is None:
        raise SubjectError("it has time_level but passes no time value to the model")
    level = understood(time, call.level, reading, subject.time_span)
    off = _log_gap(call.level, level)
    if not time.is_integer() or abs(off) <= _AGREE:
        return Told(level, abs(off), _AGREE, False)
    low, high = subject.time_range or (-math.inf, math.inf)

    def beside(step: float) -> float:
        return _log_gap(reading(min(max(time + step, low), high)), level)

    allowed = _AGREE + max(abs(beside(-0.5)), abs(beside(0.5)))
    cut = abs(off) > allowed and any(
        off * whole > 0.0 and abs(off) < _CUT * abs(whole) for whole in (beside(-1.0), beside(1.0))
    )
    return Told(level, abs(off), allowed, cut)


def _gaps(subject: Subject, steps: list[int]) -> Iterator[Seen]:
    q0 = smooth()
    for K in steps:
        x = particles(q0, subject.ends(K)[0], 64)
        ends = [play(subject, q0, x, K, draws(subject), by_time=by_time).end for by_time in (False, True)]
        tell = partial("K = {}: fed by time values the samples are others than fed by levels".format, K)
        yield Seen(median_distance(*ends) / spread(q0), _FED, tell)


def _calls(subject: Subject, q0: GaussianMixture, K: int) -> list[Call]:
    return play(subject, q0, particles(q0, subject.ends(K)[0], 2), K, draws(subject)).calls


def _told(subject: Subject, K: int, calls: list[Call]) -> Iterator[tuple[Seen, bool]]:
    """What is seen at each call, and whether rounding explains it."""
    for i, call in enumerate(calls):
        one = told(subject, call)
        yield Seen(one.gap, one.allowed, partial(_tell, K, calls, i, one.level)), one.explained


def _log_gap(one: Level, other: Level) -> float:
    """log(σ/a) of one minus that of the other; 0 where both have a = 0."""
    first, second = (
        math.log(ratio) if (ratio := noise_ratio(level)) else -math.inf for level in (one, other)
    )
    return 0.0 if first == second else first - second


def _tell(K: int, calls: list[Call], i: int, level: Level) -> str:
    return (
        f"K = {K}: at {name_call(calls, i)} a network understands sigma/a = {noise_ratio(level):.6g} by that time "
        "value; the step computes with another level"
    )
