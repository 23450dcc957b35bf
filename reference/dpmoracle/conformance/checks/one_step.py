"""One stochastic step against its closed form, the noise replaced by zeros and ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..law import Level, StepLaw
from ..results import Result, Seen, worst
from ..runs import Array, sharp, steps_within, tolerance
from ..subject import Subject
from ..worlds import gaussian, smooth
from .impulses import respond

__all__ = ["check_step_mean", "check_step_noise"]

_WIDTH = 0.3
#: of the noise that a step starts from: as good as no noise
_NONE = 1e-6
_FRACTIONS = (0.0, 0.5, 1.0)


def check_step_mean(subject: Subject, quick: bool = False) -> Result:
    """Without noise a step from t to s gives a_s x̂_0 + sqrt(σ_s² - λ²)(x_t - a_t x̂_0)/σ_t, x̂_0 the model's answer.

    Judged from each call of the model to the next, relative to a_s + σ_s.
    """
    exact = sharp(subject)
    bound = _bound(exact)
    seen = (Seen(step.off, bound, partial(_tell_mean, step)) for step in _steps(exact, quick))
    return worst("step_mean", seen, "the mean of every step is that of its law")


def check_step_noise(subject: Subject, quick: bool = False) -> Result:
    """The noise of a step has the variance of its law: DDPM's fixed small, fixed large or learned range,
    DDIM's, or the optimal.

    A learned range is asked for both its ends and the middle. Judged by standard deviations, relative to the larger. A
    last step to σ = 0 may be the mean alone.
    """
    versions = [subject] if subject.learned is None else [subject.learned(part) for part in _FRACTIONS]
    seen = (one for version in versions for one in _gains(sharp(version), quick))
    return worst("step_noise", seen, "the noise of every step is that of its law")


def _gains(subject: Subject, quick: bool) -> Iterator[Seen]:
    bound = _bound(subject)
    for step in _steps(subject, quick):
        if step.s[1] > 0.0 or step.gain > _NONE * step.t[1]:
            yield Seen(step.gain_off, bound, partial(_tell_noise, step))


@dataclass(frozen=True)
class _Step:
    """What happened in the step from t to s, the i-th of a run with K.

    off : largest distance of the mean from that of the law      gain, wanted : factor of the noise, and of the law
    """

    K: int
    i: int
    t: Level
    s: Level
    off: float
    gain: float
    wanted: float

    @property
    def gain_off(self) -> float:
        return abs(self.gain - self.wanted) / max(self.gain, self.wanted, _NONE * self.t[1])

    @property
    def name(self) -> str:
        ends = ", ".join(f"{part:.6g}" for part in (*self.t, *self.s))
        return f"K = {self.K}, step {self.i + 1}, (a, sigma) of t and of s = ({ends})"


def _bound(subject: Subject) -> float:
    # A consistency model is parametrised to return x at its smallest σ, which shows at 1e-7.
    return tolerance(subject, 1e-6 if subject.endpoint else 1e-9, 1e-3)


def _steps(subject: Subject, quick: bool) -> Iterator[_Step]:
    law = subject.law or StepLaw()
    # One Gaussian has V in closed form, which the optimal variance needs, and the end of its flow.
    q0 = gaussian(_WIDTH) if law.variance == "optimal" or subject.endpoint else smooth()
    for K in steps_within(subject, (5, 12) if quick else (5, 12, 20, 50)):
        found = respond(subject, q0, K)
        calls = found.run.calls
        levels = [*(call.level for call in calls), subject.ends(K)[1]]
        states = [*(call.x for call in calls), found.run.end]
        for i, call in enumerate(calls):
            t, s = levels[i], levels[i + 1]
            clean, keep = law.mean(t, s)
            rest = states[i + 1] - clean * call.x0 - keep * call.x
            rows = [2 + k for k, step in enumerate(found.steps) if step == i]
            off = float(np.abs(np.delete(rest, rows, axis=0)).max() / (s[0] + s[1]))
            gain = _norm(rest[rows])
            mmse = _WIDTH * t[1] ** 2 / (t[0] ** 2 * _WIDTH + t[1] ** 2)
            yield _Step(K, i, t, s, off, gain, math.sqrt(law.noise_variance(t, s, mmse)))


def _norm(responses: Array) -> float:
    """Standard deviation of what the draws of one step add, per coordinate; that furthest from the others counts."""
    return float(np.sqrt(np.square(responses).sum(0).max(initial=0.0)))


def _tell_mean(step: _Step) -> str:
    return f"{step.name}: the mean differs from a_s x0 + sqrt(sigma_s^2 - lambda^2) (x_t - a_t x0) / sigma_t"


def _tell_noise(step: _Step) -> str:
    ratio = (step.gain / step.wanted) ** 2 if step.wanted > 0.0 else math.inf
    found, wanted = step.gain**2, step.wanted**2
    return f"{step.name}: the noise has variance {found:.8g}, its law says {wanted:.8g} (ratio {ratio:.6g})"
