"""Claims on the notes' equation (9): each verdict is as expected, and turns when the formula is broken."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest

from claim_worlds import ONE_LINE, WORLD
from dpmoracle.claims import judge, notes_skipped
from dpmoracle.claims.notes_variance import corrected, printed, variance
from dpmoracle.reverse_step import forward_posterior_mean, optimal_mean
from dpmoracle.variance import optimal_variance

CLAIMS = {claim.id: claim for claim in notes_skipped.CLAIMS}


def optimal(clean):
    return lambda sch, s, t, x_t, score, lam2: forward_posterior_mean(
        sch, s, t, x_t, clean(sch, s, t, x_t, score), lam2
    )


def one_step_down(sch, s, t, x_t, score, lam2):
    return optimal_mean(sch, t - 1, t, x_t, score, lam2)


MEANS = [
    CLAIMS["notes.9.mean.printed"].formula,
    one_step_down,
    optimal(lambda sch, s, t, x, score: (x + sch.beta_bar[t] * score) / np.sqrt(sch.alpha(s, t))),
    optimal(lambda sch, s, t, x, score: (x + sch.beta(s, t) * score) / np.sqrt(sch.alpha_bar[t])),
    optimal(lambda sch, s, t, x, score: (x - sch.beta_bar[t] * score) / np.sqrt(sch.alpha_bar[t])),
    optimal(lambda sch, s, t, x, score: (x + sch.beta_bar[s] * score) / np.sqrt(sch.alpha_bar[t])),
    lambda sch, s, t, x_t, score, lam2: optimal_mean(sch, s, t, x_t, score, 0.0),
]


def root(value):
    return sqrt(value) if value >= 0 else nan


def coefficient(alpha, beta_bar):
    """(7) with another α under the first root and another β̄ under the second."""

    def formula(sch, s, t, lam2):
        return (sqrt(sch.beta_bar[t] / alpha(sch, s, t)) - root(beta_bar(sch, s, t) - lam2)) ** 2

    return variance(formula)


VARIANCES = [
    variance(printed),
    CLAIMS["notes.9.variance.alpha"].formula,
    CLAIMS["notes.9.variance.index"].formula,
    coefficient(lambda sch, s, t: sch.alpha(s, t), lambda sch, s, t: sch.beta_bar[t - 1]),
    coefficient(lambda sch, s, t: sch.alpha(t - 1, t), lambda sch, s, t: sch.beta_bar[t - 1]),
    coefficient(lambda sch, s, t: sch.alpha_bar[t], lambda sch, s, t: sch.beta_bar[s]),
    coefficient(lambda sch, s, t: sch.alpha(s, t), lambda sch, s, t: sch.betas[s - 1]),
    coefficient(lambda sch, s, t: sch.alpha(s, t) ** 2, lambda sch, s, t: sch.beta_bar[s]),
    lambda sch, s, t, gamma, lam2: optimal_variance(sch, s, t, gamma, lam2) - lam2,
    lambda sch, s, t, gamma, lam2: (1 + 1e-7) * optimal_variance(sch, s, t, gamma, lam2),
]

BROKEN = {
    "notes.9.mean.printed": [optimal_mean],
    "notes.9.mean.corrected": MEANS,
    "notes.9.variance.printed": [optimal_variance, variance(corrected)],
    "notes.9.variance.alpha": [optimal_variance, variance(corrected)],
    "notes.9.variance.index": [optimal_variance, variance(corrected)],
    "notes.9.variance.corrected": VARIANCES,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict_is_as_expected(name):
    verdict = judge(CLAIMS[name], WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in BROKEN for k in range(len(BROKEN[name]))])
def test_a_broken_formula_turns_the_verdict(name, k):
    turned = {"holds": "refuted", "refuted": "holds"}
    assert judge(CLAIMS[name], ONE_LINE, BROKEN[name][k]).verdict == turned[CLAIMS[name].expected]


def test_every_claim_is_covered():
    assert set(BROKEN) == set(CLAIMS)


def test_the_skips_skip():
    assert (1, WORLD.schedule.N) in notes_skipped.SKIPS
    assert min(t - s for s, t in notes_skipped.SKIPS) > 1


def test_alpha_of_one_step_loses_four_digits_on_the_longest_skip():
    """On (1, 1000) the one-step α gives next to nothing."""
    verdict = judge(CLAIMS["notes.9.variance.alpha"], WORLD)
    assert verdict.measured == pytest.approx(1, abs=1e-3)
    assert "(1, 1000)" in verdict.evidence
