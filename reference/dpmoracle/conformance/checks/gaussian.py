"""Exact laws on a single Gaussian, where every step is affine: no sampling, the response to each draw of noise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ..law import Level
from ..results import Result, Seen, skipped, worst
from ..runs import Array, last_state, sharp, steps_within, tolerance
from ..subject import Subject
from ..worlds import gaussian, point
from .impulses import respond

__all__ = ["check_exact_on_gaussian"]

_WIDTH = 0.3


def check_exact_on_gaussian(subject: Subject, quick: bool = False) -> Result:
    """Mean and variance at the last σ > 0 are exact for the Gaussian on which the method is exact.

    That is a single point (variance 0) for deterministic methods and for noise of variance λ², unit variance for
    DDPM's fixed large variance in variance-preserving scaling, and any variance (here 0.3) for the optimal one. The
    chain is affine, so its variance is the sum of the squared responses to the start and to each draw: to rounding.
    """
    exact = sharp(subject)
    variance = _exact_variance(exact)
    if variance is None:
        return skipped("exact_on_gaussian", "its law is exact on no Gaussian in this scaling")
    steps = steps_within(exact, (5, 12) if quick else (5, 12, 20, 50))
    seen = (one for K in steps for one in _moments(exact, K, variance))
    return worst(
        "exact_on_gaussian", seen, f"mean and variance of the chain on data of variance {variance:g}"
    )


def _exact_variance(subject: Subject) -> float | None:
    if not subject.exact_on_point:
        return None
    rule = "lam2" if subject.law is None else subject.law.variance
    if subject.law is not None and rule == "range":
        rule = {0.0: "lam2", 1.0: "beta"}.get(subject.law.fraction, "neither")
    if rule == "optimal":
        return _WIDTH
    if rule == "lam2":
        return 0.0
    preserving = rule == "beta" and abs(np.hypot(*subject.ends(10)[0]) - 1.0) < 1e-6
    return 1.0 if preserving and subject.law is not None and subject.law.eta == 1.0 else None


def _moments(subject: Subject, K: int, variance: float) -> Iterator[Seen]:
    q0 = point() if variance == 0.0 else gaussian(variance)
    x, (a, sigma) = last_state(subject, respond(subject, q0, K).run, K)
    truth = a**2 * variance + sigma**2
    found = np.square(x[1:] - x[0]).sum(0)
    mean = float(np.abs(x[0] - a * q0.means[0]).max() / np.sqrt(truth))
    ratio = float(np.abs(found / truth - 1.0).max())
    bound = tolerance(subject, 1e-6, 1e-3)
    yield Seen(mean, bound, partial(_tell, "mean", K, (a, sigma), x[0], a * q0.means[0]))
    yield Seen(ratio, bound, partial(_tell, "variance", K, (a, sigma), found, np.full(q0.d, truth)))


def _tell(what: str, K: int, level: Level, found: Array, truth: Array) -> str:
    return (
        f"K = {K}: the {what} at (a, sigma) = ({level[0]:.6g}, {level[1]:.6g}) is {np.round(found, 8).tolist()}, "
        f"exact is {np.round(truth, 8).tolist()}"
    )
