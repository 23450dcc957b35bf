"""The notes, equations (6) to (8), as statements on samples: Γ from M draws, and what it does to σ²."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..gamma import estimate_gamma
from ..mixture import GaussianMixture
from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddim, lambda2_ddpm
from .cloud import Cloud
from .notes_variance import (
    NEIGHBOURS,
    Case,
    Formula,
    Rule,
    cases,
    corrected,
    exact_gamma,
    variance,
)
from .registry import Measurement, holds, refuted
from .roads import Bayes, relative, worst, z_score
from .world import World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]
Estimator = Callable[..., Array]

# Standard errors: beyond this a right formula comes once in 5e8 cases, and no claim here has a hundred.
_LEVEL = 6.0
_TIMES = (2, 10, 100, 300, 500, 1000)
_SOME = (10, 300, 1000)


def _gamma_hat(score: Callable[..., Any], x0: Array, sch: Schedule, times: Any, rng: Any) -> Array:
    """(6): (T,) the mean of ‖s(x_t)‖²/d over the rows of x0."""
    return estimate_gamma(score, x0, sch, times, rng=rng).gamma


def _laws(world: World) -> dict[str, tuple[GaussianMixture, Array]]:
    """Mixtures and their Γ at some times: by direct summation on a line, in closed form for one Gaussian in d = 3."""
    a, sigma = world.schedule.levels(np.array(_SOME))
    line, spread = world.lines["three gaussians"], np.array([[0.05, 0.4, 2.0]])
    summed = [exact_gamma(Bayes.of(line, *level), *level) for level in zip(a.tolist(), sigma.tolist())]
    return {
        "three gaussians": (line, np.array(summed)),
        "gaussian in d=3": (
            GaussianMixture([1.0], [[0.3, -0.5, 1.0]], spread, "diag"),
            (1 / (np.outer(a * a, spread) + (sigma**2)[:, None])).mean(1),
        ),
    }


def _unbiased_gamma(estimate: Estimator, world: World) -> Measurement:
    """Mean of 300 estimates from 4 draws each, against Γ."""
    rng, errors = world.rng("notes.6.unbiased"), {}
    for name, (q0, exact) in _laws(world).items():
        score = world.oracle(q0).score
        found = np.array([estimate(score, q0.sample(4, rng), world.schedule, _SOME, rng) for _ in range(300)])
        for t, off in zip(_SOME, (found - exact).T):
            errors[f"{name}, t = {t}"] = z_score(off)
    error, where = worst(errors)
    return Measurement(error, f"mean of 300 estimates, M = 4, in standard errors, worst for {where}")


def _convergence(estimate: Estimator, world: World) -> Measurement:
    """|slope + 1/2|, the slope of log root mean square error over log M, from M = 10 to M = 1000."""
    rng, slopes = world.rng("notes.6.rate"), {}
    for name, (q0, exact) in _laws(world).items():
        score, size = world.oracle(q0).score, {}
        for count in (10, 1000):
            found = [estimate(score, q0.sample(count, rng), world.schedule, _SOME, rng) for _ in range(100)]
            size[count] = float(np.mean(np.square(np.array(found) / exact - 1)))
        slopes[name] = 0.5 * math.log(size[1000] / size[10]) / math.log(100)
    error, where = worst({name: relative(slope, -0.5) / 2 for name, slope in slopes.items()})
    return Measurement(
        error, f"slope {slopes[where]:.3f} of log error over log M, 100 runs each, for {where}"
    )


def _estimates(world: World, case: Case, rng: np.random.Generator, runs: int) -> Array:
    """(runs,) Γ̂ of ten draws each."""
    q0 = world.lines[case.law]
    x0 = q0.sample(10 * runs, rng)
    a, sigma = world.schedule.levels(case.t)
    score = world.oracle(q0).score(a * x0 + sigma * rng.standard_normal(x0.shape), case.t)
    return np.asarray(np.square(score).sum(1).reshape(runs, 10).mean(1))


def _unbiased_variance(formula: Formula, world: World) -> Measurement:
    rng, errors = world.rng("notes.7.unbiased"), {}
    for case in cases(world, NEIGHBOURS, _RULES):
        found = formula(world.schedule, case.s, case.t, _estimates(world, case, rng, 1000), case.lam2)
        errors[case.where] = z_score(found - case.true)
    error, where = worst(errors)
    return Measurement(error, f"mean of 1000 σ̂², M = 10, in standard errors, worst for {where}")


def _bias(claimed: Callable[..., float], world: World) -> Measurement:
    """|mean σ̂² - σ*²| against what is claimed for it, in standard errors."""
    sch, rng, errors, sides = world.schedule, world.rng("notes.8.bias"), {}, {}
    for case in cases(world, NEIGHBOURS, _RULES):
        estimates = _estimates(world, case, rng, 1000)
        off = variance(corrected)(sch, case.s, case.t, estimates, case.lam2) - case.true
        seen, size = abs(off.mean()), off.std(ddof=1) / math.sqrt(len(off))
        said = claimed(sch, case.s, case.t, estimates, case.gamma, case.lam2)
        errors[case.where] = float(abs(seen - said) / size)
        sides[case.where] = f"claimed {said:.2g}, seen {seen:.1g} ± {size:.1g}"
    error, where = worst(errors)
    return Measurement(error, f"mean of 1000 σ̂² - σ*², M = 10: {sides[where]}, worst for {where}")


def _error_as_bias(sch: Schedule, s: int, t: int, estimates: Array, gamma: float, lam2: float) -> float:
    """(8) read as a bias: its right side, averaged over Γ̂, is |E σ̂² - σ*²|."""
    return float(corrected(sch, s, t, lam2) * sch.beta_bar[t] * np.abs(estimates - gamma).mean())


def _on_data(formula: Formula, world: World) -> Measurement:
    """E[σ̂² - ‖x_s - μ*(x_t)‖²/d] = 0 by paired draws, in standard errors.

    Both are polynomials of ε, ξ and E[ε|x_t], whose moments are those of normal variables whatever the data: the
    level holds for data of any scale, also where the posterior is a point or decided by rare events.
    """
    sch, rng, errors = world.schedule, world.rng("notes.7.data"), {}
    cloud = Cloud.of(world, rng)
    d = cloud.points.shape[1]
    for t, sample in zip(_TIMES, cloud.samples(sch.snr[list(_TIMES)], rng)):
        noise = sample.predicted_noise()
        gamma = np.square(noise).sum(1) / d / sch.beta_bar[t]
        for name, rule in _RULES.items():
            lam2 = float(rule(sch, t - 1, t))
            # x_s - μ* = sqrt(ᾱ_s)(x_0 - E x_0) + sqrt(β̄_s - λ²)(ε - E ε) + λ ξ, eq. (1) less its mean given x_t
            apart = math.sqrt(sch.beta_bar[t - 1] - lam2) * (sample.noise - noise)
            apart -= math.sqrt(sch.alpha_bar[t - 1]) * sample.mean
            apart += math.sqrt(lam2) * rng.standard_normal(apart.shape)
            off = formula(sch, t - 1, t, gamma, lam2) - np.square(apart).sum(1) / d
            errors[f"{name} at t = {t}"] = z_score(off)
    error, where = worst(errors)
    return Measurement(
        error, f"{len(gamma)} draws of x_s on {cloud.label}, in standard errors, worst for {where}"
    )


_RULES: dict[str, Rule] = {"DDIM": lambda2_ddim, "DDPM": lambda2_ddpm}
_HAT = variance(corrected)

CLAIMS = (
    holds(
        id="notes.6.unbiased",
        source="notes eq. (6)",
        statement=r"\mathbb E\,\Gamma_n=\mathbb E\|\nabla\log q_n\|^2/d",
        road="Γ by direct summation and in closed form",
        tolerance=_LEVEL,
        formula=_gamma_hat,
        check=_unbiased_gamma,
    ),
    holds(
        id="notes.6.rate",
        source="notes eq. (6)",
        statement=r"\Gamma_n-\mathbb E\|\nabla\log q_n\|^2/d=O(M^{-1/2})",
        road="errors against Γ by direct summation and in closed form",
        tolerance=0.12,  # the slope's standard error is 0.02
        formula=_gamma_hat,
        check=_convergence,
    ),
    holds(
        id="notes.7.unbiased",
        source="notes eq. (7)",
        statement=r"\mathbb E\,\hat\sigma_n^2=\sigma_n^{*2}\text{ with the exact score}",
        road="E‖x_s - E[x_s|x_t]‖² by direct summation over the prior",
        tolerance=_LEVEL,
        formula=_HAT,
        check=_unbiased_variance,
    ),
    holds(
        id="notes.7.data",
        source="notes eqs. (6), (7) on data",
        statement=r"\mathbb E\,\hat\sigma_n^2=\mathbb E\|x_{n-1}-\mu_n^*(x_n)\|^2/d",
        road="x_s drawn from the forward posterior, μ* from Bayes' rule over the points",
        tolerance=_LEVEL,
        formula=_HAT,
        check=_on_data,
    ),
    refuted(
        id="notes.8.bias",
        source="notes after eq. (8), as printed: 'bias (?)'",
        statement=r"|\mathbb E\,\hat\sigma_n^2-\sigma_n^{*2}|="
        r"\text{coefficient}\cdot\bar\beta_n\mathbb E|\Gamma_n-\mathbb E\Gamma_n|",
        road="mean of σ̂² against E‖x_s - E[x_s|x_t]‖² by direct summation over the prior",
        tolerance=_LEVEL,
        formula=_error_as_bias,
        check=_bias,
    ),
)
