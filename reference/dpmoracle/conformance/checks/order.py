"""The order of convergence, against the exact flow, on nodes even in λ and on uneven ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ...flow import flow_levels
from ..results import Result, Status, noted, skipped
from ..runs import Array, SubjectError, last_state, median_distance, play
from ..subject import Subject
from ..worlds import particles, smooth, spread

__all__ = ["check_order", "check_order_uneven", "check_order_usual_start"]

_COUNT = 32
_SLACK = 0.25
#: of the spread of the data: what rounding leaves of an error
_FLOOR = 1e-12
_MOST = 640


def check_order(subject: Subject, quick: bool = False) -> Result:
    """The error at the last σ > 0 falls with the order that the subject claims, less 0.25.

    Nodes even in λ, float64, median over the particles of the distance to the exact flow, slope of the last doubling
    of K. Where that is too low K is doubled on, up to 640: two terms of an error may cancel at first. With exact
    states at the first nodes where the subject takes them: a first step of low order is a matter of the start, not of
    the method.
    """
    return _judged("order", subject, subject.asymptotic, 160 if quick else 320)


def check_order_uneven(subject: Subject, quick: bool = False) -> Result:
    """The same on nodes whose steps in λ are alternately short and long: a method with a memory must know by how much.

    Coefficients for even steps lose an order here, where check_order cannot see it.
    """
    return _judged("order_uneven", subject, subject.uneven, 160 if quick else 320)


def check_order_usual_start(subject: Subject, quick: bool = False) -> Result:
    """A note: the order seen with the subject's own first steps, which are often of lower order; not if quick."""
    if quick:
        return skipped("order_usual_start", "left out of a quick run")
    errors = _Errors(subject, subject.asymptotic, exact_start=False)
    slope = errors.slope(320)
    return noted("order_usual_start", slope, f"order {slope:.2f} with its own start; {errors}")


def _judged(check: str, subject: Subject, nodes: Callable[[], Subject] | None, K: int) -> Result:
    """The slope of the last doubling up to K, or beyond it where that is too low."""
    claimed = subject.order or 1
    given = subject.exact_start is not None and claimed > 1
    errors = _Errors(subject, nodes, given)
    while (slope := errors.slope(K)) < claimed - _SLACK and K < _MOST:  # nan goes no further
        K *= 2
    start = "exact starting values" if given else "its own start"
    detail = f"order {slope:.2f} where {claimed} is claimed, with {start}; {errors}"
    status: Status = "passed" if slope >= claimed - _SLACK else "failed"
    return Result(check, status, slope, claimed - _SLACK, detail)


class _Errors:
    """Median distance to the exact flow, in standard deviations of the data, by the number of steps."""

    def __init__(self, subject: Subject, nodes: Callable[[], Subject] | None, exact_start: bool) -> None:
        if nodes is None:
            raise SubjectError("it has no nodes on which an order can be measured")
        self.subject, self.q0 = nodes(), smooth()
        self.given = (subject.order or 1) if exact_start else 1
        self.truths: dict[tuple[float, ...], Array] = {}
        self.known: dict[int, float] = {}

    def slope(self, K: int) -> float:
        """From K/2 to K; inf where rounding is all that is left."""
        before, after = self.at(K // 2), self.at(K)
        if not math.isfinite(before + after):
            return math.nan
        return math.inf if after < _FLOOR else math.log2(before / after)

    def at(self, K: int) -> float:
        if K not in self.known:
            start = self.subject.ends(K)[0]
            x = particles(self.q0, start, _COUNT)
            exact = self.given > 1
            states = self._states(x, K) if exact else x
            run = play(self.subject, self.q0, states, K, exact_start=exact)
            found, end = last_state(self.subject, run, K)
            if (ends := (*start, *end)) not in self.truths:
                self.truths[ends] = flow_levels(self.q0, x, np.array(start), np.array(end), 1e-12)
            self.known[K] = median_distance(found, self.truths[ends]) / spread(self.q0)
        return self.known[K]

    def _states(self, x: Array, K: int) -> Array:
        """(n, M, d) the exact flow at the first n nodes, n the order."""
        if self.subject.levels is None:
            raise SubjectError("exact_start needs levels")
        states = [x]
        for start, end in pairwise(self.subject.levels(K)[: self.given]):
            states.append(flow_levels(self.q0, states[-1], start, end, 1e-12))
        return np.array(states)

    def __str__(self) -> str:
        return "errors " + ", ".join(f"{error:.2e} (K = {K})" for K, error in sorted(self.known.items()))
