"""Each step lands where the grid says that the next one starts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ..law import Level, noise_ratio
from ..results import Result, Seen, worst
from ..runs import Array, Run, draws, name_call, play, sharp, tolerance, usual_steps
from ..subject import Subject
from ..worlds import particles, point

__all__ = ["check_landing"]


def check_landing(subject: Subject, quick: bool = False) -> Result:
    """With one data point m as the truth, the state is a m + σ ε at every level (a, σ) where the model is asked.

    x̂_0 = m and ε̂ are constant along the flow, so every consistent method, of any order and with any points between
    its nodes, is exact here; a state elsewhere sits at another level than the subject believes. A stochastic sampler
    is started at ε = 0 with its noise at zero, and must keep to a m.
    """
    exact = sharp(subject)
    steps = usual_steps(exact, quick)
    return worst(
        "landing", (seen for K in steps for seen in _landings(exact, K)), "every step lands on the grid"
    )


def _landings(subject: Subject, K: int) -> Iterator[Seen]:
    q0, (start, end) = point(), subject.ends(K)
    mean = q0.means[0]
    x = start[0] * q0.means if subject.stochastic else particles(q0, start, 16)
    eps = (x - start[0] * mean) / start[1]
    run = play(subject, q0, x, K, np.zeros if draws(subject) is not None else None)
    bound = tolerance(subject, 1e-5 if subject.endpoint else 1e-6, 1e-3)
    reach = max(float(np.abs(eps).max()), 1.0)
    for i, (state, level) in enumerate([*((call.x, call.level) for call in run.calls), (run.end, end)]):
        wanted = level[0] * mean + level[1] * eps
        scale = level[0] * np.abs(mean).max() + level[1] * reach
        off = float(np.abs(state - wanted).max() / scale)
        yield Seen(off, bound, partial(_tell, run, K, i, level, state, mean, eps))
        if not off <= bound:  # what follows starts from here
            return


def _tell(run: Run, K: int, i: int, level: Level, state: Array, mean: Array, eps: Array) -> str:
    place = "the end" if i == len(run.calls) else name_call(run.calls, i)
    return (
        f"K = {K}: at {place} the state belongs to {_actual(state, mean, eps)}; the grid says (a, sigma) = "
        f"({level[0]:.6g}, {level[1]:.6g}), sigma/a = {noise_ratio(level):.6g}. Look at where the step before it goes"
    )


def _actual(x: Array, mean: Array, eps: Array) -> str:
    """Which (a, σ) fits the state, by least squares; without noise which a."""
    if not np.isfinite(x).all():
        return "no level: it is not finite"
    if not eps.any():
        return f"a = {float((x * mean).sum() / np.square(np.broadcast_to(mean, x.shape)).sum()):.6g}"
    basis = np.stack([np.broadcast_to(mean, x.shape).ravel(), eps.ravel()], axis=1)
    a, sigma = np.linalg.lstsq(basis, x.ravel(), rcond=None)[0]
    return f"(a, sigma) = ({a:.6g}, {sigma:.6g}), sigma/a = {sigma / a:.6g}"
