"""The time value that a network is given, against the level that the sampler means."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

from ..law import Level
from ..model import Call
from ..results import Result, Seen, worst
from ..runs import (
    SubjectError,
    draws,
    median_distance,
    name_call,
    noise_ratio,
    play,
    sharp,
    steps_within,
    usual_steps,
)
from ..subject import Subject
from ..worlds import particles, point, smooth, spread

__all__ = ["check_fed_by_time", "check_time_values"]

#: of log(σ/a): rounding in float32, and what lies between two whole timesteps
_AGREE = 5e-4
_FED = 0.01


def check_time_values(subject: Subject, quick: bool = False) -> Result:
    """The time value passed to the network stands for the level (a, σ) that the sampler computes with.

    Compared in log(σ/a). Where all time values are whole numbers they may be rounded, by half a unit.
    """
    seen = (one for K in usual_steps(subject, quick) for one in _disagreements(subject, K))
    return worst("time_values", seen, "every time value stands for the level of its call")


def check_fed_by_time(subject: Subject, quick: bool = False) -> Result:
    """Fed by the time values that a network would see, the sampler ends where it does fed by its levels.

    Median distance of the two ends, in standard deviations of the data, the same noise in both.
    """
    exact = sharp(subject)
    steps = steps_within(exact, (20,) if quick else (20, 50))
    return worst(
        "fed_by_time", _gaps(exact, steps), f"fed by level and by time value it ends alike, K in {steps}"
    )


def _gaps(subject: Subject, steps: list[int]) -> Iterator[Seen]:
    q0 = smooth()
    for K in steps:
        x = particles(q0, subject.ends(K)[0], 64)
        ends = [play(subject, q0, x, K, draws(subject), by_time=by_time).end for by_time in (False, True)]
        tell = partial("K = {}: fed by time values the samples are others than fed by levels".format, K)
        yield Seen(median_distance(*ends) / spread(q0), _FED, tell)


def _disagreements(subject: Subject, K: int) -> Iterator[Seen]:
    understood, q0 = subject.time_level, point()
    calls = play(subject, q0, particles(q0, subject.ends(K)[0], 2), K, draws(subject)).calls
    times = [call.time for call in calls if call.time is not None]
    if understood is None or len(times) < len(calls):
        raise SubjectError("it has time_level but passes no time value to the model")
    whole = all(time == int(time) for time in times)
    for i, (call, time) in enumerate(zip(calls, times)):
        level = understood(time)
        allowed = _AGREE + (_half_a_unit(understood, time, subject.time_range) if whole else 0.0)
        yield Seen(abs(_log_gap(level, call.level)), allowed, partial(_tell, K, calls, i, level))


def _half_a_unit(
    understood: Callable[[float], Level], time: float, span: tuple[float, float] | None
) -> float:
    """How far log(σ/a) moves within half a unit of time, on the steeper side."""
    low, high = span if span is not None else (-math.inf, math.inf)
    sides = [max(low, time - 0.5), min(high, time + 0.5)]
    return max(abs(_log_gap(understood(side), understood(time))) for side in sides)


def _log_gap(one: Level, other: Level) -> float:
    """log(σ/a) of one minus that of the other; 0 where both have a = 0."""
    first, second = noise_ratio(one), noise_ratio(other)
    return 0.0 if first == second else math.log(first) - math.log(second)


def _tell(K: int, calls: list[Call], i: int, level: Level) -> str:
    return (
        f"K = {K}: at {name_call(calls, i)} a network understands sigma/a = {noise_ratio(level):.6g} by that time "
        "value; the step computes with another level"
    )
