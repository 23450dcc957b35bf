"""Claims on Analytic-DPM's two theorems and its rule for the last step; a broken formula turns each verdict."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest

from dpmoracle.claims import World, bao2022, bao2022_bounds, bao2022_clipping, judge
from dpmoracle.claims.conditioning import Plane
from dpmoracle.claims.roads import Bayes
from dpmoracle.reverse_step import forward_posterior_mean, lambda2_ddpm, optimal_mean
from dpmoracle.variance import optimal_variance_from_mmse
from small_world import ODD, SMALL, WORLD, remember, turns, verdicts

CLAIMS = (*bao2022.CLAIMS, *bao2022_bounds.CLAIMS, *bao2022_clipping.CLAIMS)
ON_DATA = [claim for claim in CLAIMS if claim.id.endswith(".data")]


def root(value):
    return sqrt(value) if value >= 0 else nan


# -- Theorem 1: mean -----------------------------------------------------------------------------------------


def mean_with(x0):
    def mean(sch, s, t, x_t, score, lam2):
        a, b = sch.alpha_bar[t], sch.beta_bar[t]
        return forward_posterior_mean(sch, s, t, x_t, x0(sch, s, t, x_t, score, a, b), lam2)

    return mean


MEANS = [
    mean_with(lambda sch, s, t, x, score, a, b: (x - b * score) / sqrt(a)),
    mean_with(lambda sch, s, t, x, score, a, b: (x + b * score) / a),
    mean_with(lambda sch, s, t, x, score, a, b: (x + sqrt(b) * score) / sqrt(a)),
    mean_with(lambda sch, s, t, x, score, a, b: (x + b * score) / sqrt(1 - sch.betas[t - 1])),
    mean_with(lambda sch, s, t, x, score, a, b: (x + sch.beta(s, t) * score) / sqrt(a)),
    mean_with(lambda sch, s, t, x, score, a, b: (x + sch.beta_bar[s] * score) / sqrt(a)),
    mean_with(lambda sch, s, t, x, score, a, b: (x + b * score) / sqrt(sch.alpha_bar[s])),
    mean_with(lambda sch, s, t, x, score, a, b: x / sqrt(a)),
    lambda sch, s, t, x, score, lam2: optimal_mean(sch, s, t, x, score, 0.0),
    lambda sch, s, t, x, score, lam2: optimal_mean(sch, s, t, x, score, lambda2_ddpm(sch, s, t)),
    lambda sch, s, t, x, score, lam2: optimal_mean(sch, s, t, x, score, lam2) + 1e-6,
]


# -- Theorem 1: variance -------------------------------------------------------------------------------------


def variance_with(first, second, bracket=lambda sch, s, t, gamma: 1 - sch.beta_bar[t] * gamma, power=2):
    def variance(sch, s, t, gamma, lam2):
        gap = root(first(sch, s, t)) - second(sch, s, t, lam2)
        return lam2 + gap**power * bracket(sch, s, t, gamma)

    return variance


def right_first(sch, s, t):
    return sch.beta_bar[t] / sch.alpha(s, t)


def right_second(sch, s, t, lam2):
    return root(sch.beta_bar[s] - lam2)


VARIANCES = [
    variance_with(lambda sch, s, t: sch.betas[t - 1] / (1 - sch.betas[t - 1]), right_second),
    variance_with(lambda sch, s, t: sch.beta_bar[t] / (1 - sch.betas[t - 1]), right_second),
    variance_with(lambda sch, s, t: sch.beta_bar[t] / sch.alpha_bar[t], right_second),
    variance_with(lambda sch, s, t: sch.beta_bar[t] * sch.alpha(s, t), right_second),
    variance_with(lambda sch, s, t: sch.beta_bar[s] / sch.alpha(s, t), right_second),
    variance_with(lambda sch, s, t: right_first(sch, s, t) ** 2, right_second),
    variance_with(right_first, lambda sch, s, t, lam2: root(sch.beta_bar[s]) - lam2),
    variance_with(right_first, lambda sch, s, t, lam2: root(sch.beta_bar[s])),
    variance_with(right_first, lambda sch, s, t, lam2: root(sch.betas[s - 1] - lam2)),
    variance_with(right_first, lambda sch, s, t, lam2: sch.beta_bar[s] - lam2),
    variance_with(right_first, lambda sch, s, t, lam2: -right_second(sch, s, t, lam2)),
    variance_with(right_first, right_second, power=1),
    variance_with(right_first, right_second, lambda sch, s, t, gamma: 1 + sch.beta_bar[t] * gamma),
    variance_with(right_first, right_second, lambda sch, s, t, gamma: 1 - sch.beta_bar[s] * gamma),
    variance_with(right_first, right_second, lambda sch, s, t, gamma: 1 - sch.beta(s, t) * gamma),
    variance_with(right_first, right_second, lambda sch, s, t, gamma: 1 - sch.beta_bar[t] * np.sqrt(gamma)),
    variance_with(right_first, right_second, lambda sch, s, t, gamma: 1 - sqrt(sch.beta_bar[t]) * gamma),
    lambda sch, s, t, gamma, lam2: variance_with(right_first, right_second)(sch, s, t, gamma, lam2) - lam2,
]


def from_mmse_with(coefficient, power=2, added=1):
    def variance(sch, s, t, mmse, lam2):
        return added * lam2 + coefficient(sch, s, t, lam2) ** power * mmse

    return variance


def weight(sch, s, t, lam2):
    return sqrt(sch.alpha_bar[s]) - root(sch.beta_bar[s] - lam2) * sqrt(sch.snr[t])


FROM_MMSE = [
    from_mmse_with(weight, power=1),
    from_mmse_with(weight, added=0),
    from_mmse_with(weight, added=2),
    from_mmse_with(
        lambda sch, s, t, lam2: sch.alpha_bar[s] - root(sch.beta_bar[s] - lam2) * sqrt(sch.snr[t])
    ),
    from_mmse_with(
        lambda sch, s, t, lam2: sqrt(sch.alpha_bar[s]) - root(sch.beta_bar[s] - lam2) * sch.snr[t]
    ),
    from_mmse_with(lambda sch, s, t, lam2: sqrt(sch.alpha_bar[s]) - root(sch.beta_bar[s]) * sqrt(sch.snr[t])),
    from_mmse_with(
        lambda sch, s, t, lam2: sqrt(sch.alpha_bar[s]) + root(sch.beta_bar[s] - lam2) * sqrt(sch.snr[t])
    ),
    from_mmse_with(
        lambda sch, s, t, lam2: sqrt(sch.alpha_bar[s]) - root(sch.beta_bar[s] - lam2) * sqrt(sch.alpha_bar[t])
    ),
    from_mmse_with(
        lambda sch, s, t, lam2: sqrt(sch.alpha_bar[t]) - root(sch.beta_bar[s] - lam2) * sqrt(sch.snr[t])
    ),
    lambda sch, s, t, mmse, lam2: (1 + 1e-8) * optimal_variance_from_mmse(sch, s, t, mmse, lam2),
]


def step_with(mean=lambda mean, variance, x: mean, variance=lambda variance, lam2: variance):
    def step(oracle, sch, s, t, x, lam2):
        best, spread = bao2022._best_step(oracle, sch, s, t, x, lam2)
        return mean(best, spread, x), variance(spread, lam2)

    return step


STEPS = [
    step_with(variance=lambda variance, lam2: 1.002 * variance),
    step_with(variance=lambda variance, lam2: 0.998 * variance),
    step_with(variance=lambda variance, lam2: lam2),
    step_with(variance=lambda variance, lam2: variance - lam2),
    step_with(variance=lambda variance, lam2: variance**2),
    step_with(variance=lambda variance, lam2: -variance),
    step_with(mean=lambda mean, variance, x: mean + 0.002 * sqrt(variance)),
    step_with(mean=lambda mean, variance, x: mean + 0.01 * sqrt(variance) * x),
    step_with(mean=lambda mean, variance, x: x),
]

DDIM = [
    lambda sch, s, t, g: (
        (root(right_first(sch, s, t)) + root(sch.beta_bar[s])) ** 2 * (1 - sch.beta_bar[t] * g)
    ),
    lambda sch, s, t, g: (root(right_first(sch, s, t)) - root(sch.beta_bar[s])) * (1 - sch.beta_bar[t] * g),
    lambda sch, s, t, g: (root(sch.beta_bar[t]) - root(sch.beta_bar[s])) ** 2 * (1 - sch.beta_bar[t] * g),
    lambda sch, s, t, g: (root(right_first(sch, s, t)) - sch.beta_bar[s]) ** 2 * (1 - sch.beta_bar[t] * g),
    lambda sch, s, t, g: (
        (root(right_first(sch, s, t)) - root(sch.betas[s - 1])) ** 2 * (1 - sch.beta_bar[t] * g)
    ),
    lambda sch, s, t, g: (
        (root(right_first(sch, s, t)) - root(sch.beta_bar[s])) ** 2 * (1 - sch.beta(s, t) * g)
    ),
    lambda sch, s, t, g: 0.0,
]

DDPM = [
    lambda sch, s, t, g: sch.beta(s, t) / sch.alpha(s, t) * (1 - sch.beta_bar[t] * g),
    lambda sch, s, t, g: sch.beta(s, t) * (1 - sch.beta(s, t) * g),
    lambda sch, s, t, g: sch.beta(s, t) / sch.alpha_bar[t] * (1 - sch.beta(s, t) * g),
    lambda sch, s, t, g: sch.beta_bar[t] / sch.alpha(s, t) * (1 - sch.beta(s, t) * g),
    lambda sch, s, t, g: sch.beta(s, t) / sch.alpha(s, t) * (1 + sch.beta(s, t) * g),
    lambda sch, s, t, g: sch.beta(s, t) / sch.alpha(s, t) * (1 - sch.betas[t - 1] * g),
    lambda sch, s, t, g: sch.beta(s, t) / sqrt(sch.alpha(s, t)) * (1 - sch.beta(s, t) * g),
    lambda sch, s, t, g: float(lambda2_ddpm(sch, s, t)),
    lambda sch, s, t, g: sch.beta(s, t),
]


# -- Theorem 2 -----------------------------------------------------------------------------------------------


def upper_with(first, second, power=2, added=1):
    def upper(sch, s, t, lam2):
        return added * lam2 + (root(first(sch, s, t)) - second(sch, s, t, lam2)) ** power

    return upper


RIGHT_UPPER, RIGHT_LOWER = bao2022_bounds._upper, bao2022_bounds._lower
LOWERS = [
    lambda sch, s, t, lam2: (1 + 1e-9) * lam2,
    lambda sch, s, t, lam2: sqrt(lam2),
    lambda sch, s, t, lam2: float(lambda2_ddpm(sch, s, t)),
    lambda sch, s, t, lam2: sch.betas[t - 1],
    lambda sch, s, t, lam2: lam2 + 1e-9,
    RIGHT_UPPER,
]
UPPERS = [
    upper_with(lambda sch, s, t: sch.betas[t - 1] / (1 - sch.betas[t - 1]), right_second),
    upper_with(lambda sch, s, t: sch.beta_bar[t] / (1 - sch.betas[t - 1]), right_second),
    upper_with(lambda sch, s, t: sch.beta_bar[t], right_second),
    upper_with(right_first, right_second, added=0),
    upper_with(right_first, lambda sch, s, t, lam2: root(sch.beta_bar[s])),
    lambda sch, s, t, lam2: (1 - 1e-7) * RIGHT_UPPER(sch, s, t, lam2),
    RIGHT_LOWER,
]
LOOSE = [
    upper_with(lambda sch, s, t: sch.beta_bar[t] / sch.alpha_bar[t], right_second),
    upper_with(right_first, lambda sch, s, t, lam2: -right_second(sch, s, t, lam2)),
    upper_with(right_first, right_second, power=1),
    upper_with(right_first, right_second, added=2),
]


def box_upper(half_width, power=2):
    def upper(sch, s, t, lam2, box):
        return lam2 + weight(sch, s, t, lam2) ** power * min(1 / sch.snr[t], half_width(*box))

    return upper


BOXES = [
    box_upper(lambda a, b: ((b - a) / 4) ** 2),
    box_upper(lambda a, b: (b - a) ** 2 / 12),
    box_upper(lambda a, b: ((b + a) / 2) ** 2),
    box_upper(lambda a, b: (1 - 1e-4) * ((b - a) / 2) ** 2),
    lambda sch, s, t, lam2, box: weight(sch, s, t, lam2) ** 2 * ((box[1] - box[0]) / 2) ** 2,
    lambda sch, s, t, lam2, box: RIGHT_LOWER(sch, s, t, lam2),
]
LOOSE_BOXES = [
    box_upper(lambda a, b: (b - a) / 2),
    box_upper(lambda a, b: (b - a) ** 2),
    box_upper(lambda a, b: max(abs(a), abs(b)) ** 2),
    box_upper(lambda a, b: ((b - a) / 2) ** 2, power=1),
    lambda sch, s, t, lam2, box: RIGHT_UPPER(sch, s, t, lam2),
]


def both(upper):
    return lambda sch, s, t, lam2, box: (lam2, upper(sch, s, t, lam2, box))


DDPM_BOUNDS = [
    lambda sch, s, t: (float(lambda2_ddpm(sch, s, t)), float(sch.beta(s, t))),
    lambda sch, s, t: (float(lambda2_ddpm(sch, s, t)), float(sch.beta(s, t) / sch.alpha_bar[t])),
    lambda sch, s, t: (0.0, float(sch.beta(s, t) / sch.alpha(s, t))),
    lambda sch, s, t: (float(sch.beta_bar[s]), float(sch.beta(s, t) / sch.alpha(s, t))),
    lambda sch, s, t: (float(lambda2_ddpm(sch, s, t)), float(sch.betas[t - 1] / (1 - sch.betas[t - 1]))),
]

BROKEN = {
    "bao.thm1.mean": MEANS,
    "bao.thm1.variance": VARIANCES,
    "bao.thm1.mmse-form": FROM_MMSE,
    "bao.thm1.optimal": STEPS,
    "bao.thm1.ddim": DDIM,
    "bao.thm1.ddpm": DDPM,
    "bao.thm1.data": VARIANCES,
    "bao.thm2.lower": LOWERS,
    "bao.thm2.upper": UPPERS,
    "bao.thm2.point-mass": [RIGHT_UPPER, *LOWERS],
    "bao.thm2.upper-attained": [RIGHT_LOWER],
    "bao.thm2.upper-approached": [*UPPERS, *LOOSE],
    "bao.thm2.ddpm": DDPM_BOUNDS,
    "bao.thm2.range": BOXES,
    "bao.thm2.range-approached": [*BOXES, *LOOSE_BOXES],
    "bao.thm2.data": [
        *(both(upper) for upper in BOXES),
        lambda *step: (2e4, np.inf),
        lambda *step: (nan, nan),
    ],
    "bao.last-step": [
        bao2022_clipping._rule_read_as_variance,
        lambda y: (2 * y / 255) ** 2,
        lambda y: (y / 255) ** 2 * np.pi / 2,
        lambda y: (2 * y / 256) ** 2 * np.pi / 2,
        lambda y: (2 * y / 255) ** 2 * np.sqrt(np.pi / 2),
        lambda y: (2 * y / 255) ** 2 * 2 / np.pi,
    ],
    "bao.last-step.as-variance": [lambda y: (2 * y / 255) ** 2 * np.pi / 2],
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_verdict_is_as_expected(claim):
    verdict = judge(claim, WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), verdicts(CLAIMS, BROKEN))
def test_a_broken_formula_turns_the_verdict(name, k, monkeypatch):
    remember(
        monkeypatch,
        (bao2022, "variances"),
        (bao2022_bounds, "variances"),
        (bao2022, "_gamma"),
        (Bayes, "of"),
        (Plane, "over"),
    )
    assert turns(CLAIMS, BROKEN, name, k)


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
@pytest.mark.parametrize("claim", ON_DATA, ids=lambda claim: claim.id)
def test_odd_data_get_no_false_verdict(claim, data):
    verdict = judge(claim, World(data, "odd", 1))
    assert verdict.as_expected, verdict


def test_the_parts_that_the_mutants_change_are_right():
    sch = SMALL.schedule
    control = {
        "bao.thm1.variance": variance_with(right_first, right_second),
        "bao.thm1.mmse-form": from_mmse_with(weight),
        "bao.thm1.optimal": step_with(),
        "bao.thm2.upper": upper_with(right_first, right_second),
        "bao.thm2.range": box_upper(lambda a, b: ((b - a) / 2) ** 2),
        "bao.thm1.mean": mean_with(lambda sch, s, t, x, score, a, b: (x + b * score) / sqrt(a)),
    }
    for claim in CLAIMS:
        if claim.id in control:
            assert judge(claim, SMALL, control[claim.id]).verdict == "holds", claim.id
    assert weight(sch, 1, 2, 0.0) > 0
