"""The oracle: plain Bayes, integrals by mpmath's own quadrature, and the flow as a map of quantiles."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath as mp

import mp_expected
from mp_mixture import Law

from .schedules import alpha_bar, exact


def law(mixture: dict[str, Any], a: Any, sigma: Any, x: list[Any]) -> Law:
    blocks = exact(mixture["covariances"])
    if mixture["covariance_type"] == "full":
        blocks = [mp.matrix(block) for block in blocks]
    return Law(exact(mixture["weights"]), exact(mixture["means"]), blocks, x, mp.mpf(a), mp.mpf(sigma))


def at_rows(take: Callable[[Law], Any]) -> Callable[..., Any]:
    def truth(mixture: Any, a: float, sigma: float, x: Any) -> Any:
        return [take(law(mixture, a, sigma, row)) for row in exact(x)]

    return truth


def every(q: Law) -> tuple[int, ...]:
    return tuple(range(q.d))


def velocity(q: Law) -> list[Any]:
    """a ε - σ x_0 with ε = (x - a x_0)/σ, for the mean x_0."""
    return [-(q.a * q.sigma * s + q.sigma * m) for s, m in zip(q.score(every(q)), q.x0(every(q)))]


def expected(which: int) -> Callable[..., Any]:
    def truth(mixture: Any, a: float, sigma: float) -> Any:
        means, variances = (tuple(row[0] for row in mixture[name]) for name in ("means", "covariances"))
        return _both(tuple(mixture["weights"]), means, variances, a, sigma)[which]

    return truth


@functools.cache
def _both(*law: Any) -> tuple[Any, Any]:
    return mp_expected.expected(*law, digits=12)


def reverse(mixture: Any, schedule: Any, s: int, t: int, x_t: Any, x_s: Any) -> Any:
    """Bayes' rule."""
    p, q = alpha_bar(schedule, s), alpha_bar(schedule, t)
    alpha, x = q / p, exact(x_t)
    evidence = law(mixture, mp.sqrt(q), mp.sqrt(1 - q), x).log_prob()
    found = []
    for row in exact(x_s):
        far = mp.fsum((one - mp.sqrt(alpha) * two) ** 2 for one, two in zip(x, row))
        step = -far / (2 * (1 - alpha)) - len(x) * mp.log(2 * mp.pi * (1 - alpha)) / 2
        found.append(law(mixture, mp.sqrt(p), mp.sqrt(1 - p), row).log_prob() + step - evidence)
    return found


def flow(mixture: Any, x: Any, start: Any, end: Any) -> Any:
    """In one dimension, and axis by axis of one Gaussian, the flow keeps the probability to the left of x."""
    d = len(mixture["means"][0])
    assert d == 1 or len(mixture["weights"]) == 1

    def left(value: Any, axis: int, level: Any) -> Any:
        a, sigma = exact(level)
        return mp.fsum(
            w * mp.ncdf((value - a * m[axis]) / mp.sqrt(a * a * v[axis] + sigma**2))
            for w, m, v in zip(*(exact(mixture[name]) for name in ("weights", "means", "covariances")))
        )

    def right(p: Any, axis: int) -> Any:
        low, high = mp.mpf(-12), mp.mpf(12)
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if left(middle, axis, end) < p else (low, middle)
        return low

    return [[right(left(value, axis, start), axis) for axis, value in enumerate(row)] for row in exact(x)]


TRUTH = {
    "log_prob": at_rows(lambda q: q.log_prob()),
    "score": at_rows(lambda q: q.score(every(q))),
    "eps": at_rows(lambda q: [-q.sigma * s for s in q.score(every(q))]),
    "x0": at_rows(lambda q: q.x0(every(q))),
    "v": at_rows(velocity),
    "posterior_cov": at_rows(lambda q: [[q.covariance(j, k) for k in every(q)] for j in every(q)]),
    "mmse": expected(0),
    "gamma": expected(1),
    "reverse_log_prob": reverse,
    "flow": flow,
}
