"""The order of convergence, against the exact flow, on nodes even in λ."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from ...flow import flow_levels
from ..results import Result, judged, noted, skipped
from ..runs import Array, SubjectError, last_state, median_distance, play
from ..subject import Subject
from ..worlds import particles, smooth, spread

__all__ = ["check_order", "check_order_usual_start"]

_COUNT = 32
_SLACK = 0.25
#: of the spread of the data: what rounding leaves of an error
_FLOOR = 1e-12


def check_order(subject: Subject, quick: bool = False) -> Result:
    """The error at the last σ > 0 falls with the order that the subject claims, less 0.25.

    Nodes even in λ, float64, median over the particles of the distance to the exact flow, slope over the last
    doublings of K. With exact states at the first nodes where the subject takes them: a first step of low order is a
    matter of the start, not of the method.
    """
    steps, errors = _errors(subject, quick, subject.exact_start is not None)
    slope, claimed = _slope(steps, errors), subject.order or 1
    start = "exact starting values" if subject.exact_start is not None else "its own start"
    detail = f"order {slope:.2f} where {claimed} is claimed, with {start}; {_list(steps, errors)}"
    return judged("order", claimed - slope, _SLACK, detail)


def check_order_usual_start(subject: Subject, quick: bool = False) -> Result:
    """A note: the order seen with the subject's own first steps, which are often of lower order; not if quick."""
    if quick:
        return skipped("order_usual_start", "left out of a quick run")
    steps, errors = _errors(subject, quick, False)
    slope = _slope(steps, errors)
    return noted("order_usual_start", slope, f"order {slope:.2f} with its own start; {_list(steps, errors)}")


def _errors(subject: Subject, quick: bool, exact_start: bool) -> tuple[tuple[int, ...], list[float]]:
    if subject.asymptotic is None:
        raise SubjectError("it has no asymptotic")
    even, q0 = subject.asymptotic(), smooth()
    if exact_start and even.exact_start is None:
        raise SubjectError("its asymptotic lost exact_start")
    steps = (40, 80, 160) if quick else (80, 160, 320)
    truths: dict[tuple[float, ...], Array] = {}
    errors = []
    for K in steps:
        start = even.ends(K)[0]
        x = particles(q0, start, _COUNT)
        given = _exact_states(even, x, K, subject.order or 1) if exact_start else x
        found, end = last_state(even, play(even, q0, given, K, exact_start=exact_start), K)
        key = (*start, *end)
        if key not in truths:
            truths[key] = flow_levels(q0, x, np.array(start), np.array(end), 1e-12)
        errors.append(median_distance(found, truths[key]) / spread(q0))
    return steps, errors


def _exact_states(subject: Subject, x: Array, K: int, count: int) -> Array:
    """(count, M, d) the exact flow at nodes 0..count - 1."""
    if subject.levels is None:
        raise SubjectError("exact_start needs levels")
    nodes, states = subject.levels(K), [x]
    for start, end in pairwise(nodes[:count]):
        states.append(flow_levels(smooth(), states[-1], start, end, 1e-12))
    return np.array(states)


def _slope(steps: tuple[int, ...], errors: list[float]) -> float:
    """Of the better of the last doubling and all of them; inf where rounding is all that is left."""
    if not math.isfinite(max(errors)):
        return math.nan
    if errors[-1] < _FLOOR:
        return math.inf
    logs = np.log(steps), np.log(errors)
    whole = -np.polyfit(*logs, 1)[0]
    last = -np.diff(logs[1])[-1] / np.diff(logs[0])[-1]
    return float(max(whole, last))


def _list(steps: tuple[int, ...], errors: list[float]) -> str:
    return "errors " + ", ".join(f"{error:.2e} (K = {K})" for K, error in zip(steps, errors))
