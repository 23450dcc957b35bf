"""Claims on the notes' equations (5), (7), (8): verdicts as expected, and turned by each broken formula."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest

from claim_worlds import ONE_LINE, WORLD
from dpmoracle.claims import judge, notes_error, notes_variance
from dpmoracle.claims.notes_variance import cases, corrected, printed, variance
from dpmoracle.reverse_step import lambda2_ddim, lambda2_ddpm
from dpmoracle.variance import mmse_from_gamma, optimal_variance, optimal_variance_from_mmse

CLAIMS = {claim.id: claim for claim in (*notes_variance.CLAIMS, *notes_error.CLAIMS)}


# -- broken coefficients of (5), (7), (8) --------------------------------------------------------------------


def root(value):
    return sqrt(value) if value >= 0 else nan


def with_roots(first, second):
    """(first - second)², each a function of the schedule, s, t and λ²."""
    return lambda sch, s, t, lam2: (first(sch, s, t) - second(sch, s, t, lam2)) ** 2


def right_first(sch, s, t):
    return sqrt(sch.beta_bar[t] / sch.alpha(s, t))


def right_second(sch, s, t, lam2):
    return sqrt(sch.beta_bar[s] - lam2)


def beta(sch, n):
    return sch.betas[n - 1] if n else nan


COEFFICIENTS = [
    printed,
    with_roots(right_first, lambda sch, s, t, lam2: sqrt(sch.beta_bar[s]) - lam2),
    with_roots(right_first, lambda sch, s, t, lam2: sqrt(sch.beta_bar[s]) + lam2),
    with_roots(right_first, lambda sch, s, t, lam2: sqrt(sch.beta_bar[s])),
    with_roots(right_first, lambda sch, s, t, lam2: root(sch.beta_bar[s] - sqrt(lam2))),
    with_roots(right_first, lambda sch, s, t, lam2: root(beta(sch, s) - lam2)),
    with_roots(right_first, lambda sch, s, t, lam2: -right_second(sch, s, t, lam2)),
    with_roots(right_first, lambda sch, s, t, lam2: root(sch.beta_bar[t] - lam2)),
    with_roots(lambda sch, s, t: sqrt(beta(sch, t) / sch.alpha(s, t)), right_second),
    with_roots(lambda sch, s, t: sqrt(sch.beta_bar[t] * sch.alpha(s, t)), right_second),
    with_roots(lambda sch, s, t: sqrt(sch.beta_bar[t]), right_second),
    with_roots(lambda sch, s, t: sqrt(sch.beta_bar[s] / sch.alpha(s, t)), right_second),
    with_roots(lambda sch, s, t: sqrt(sch.beta_bar[t] / sch.alpha_bar[t]), right_second),
    lambda sch, s, t, lam2: sqrt(corrected(sch, s, t, lam2)),
    lambda sch, s, t, lam2: 1.0,
]


# -- broken variances ----------------------------------------------------------------------------------------


def with_bracket(bracket):
    def formula(sch, s, t, gamma, lam2):
        return lam2 + corrected(sch, s, t, lam2) * bracket(sch, s, t, gamma)

    return formula


VARIANCES = [
    *(variance(coefficient) for coefficient in COEFFICIENTS),
    with_bracket(lambda sch, s, t, gamma: 1 + sch.beta_bar[t] * gamma),
    with_bracket(lambda sch, s, t, gamma: 1 - beta(sch, t) * gamma),
    with_bracket(lambda sch, s, t, gamma: 1 - sch.beta_bar[s] * gamma),
    with_bracket(lambda sch, s, t, gamma: 1 - sch.beta_bar[t] * sqrt(gamma)),
    with_bracket(lambda sch, s, t, gamma: 1 - sch.beta_bar[t] ** 2 * gamma),
    with_bracket(lambda sch, s, t, gamma: 1.0),
    lambda sch, s, t, gamma, lam2: optimal_variance(sch, s, t, gamma, lam2) - lam2,
    lambda sch, s, t, gamma, lam2: optimal_variance(sch, s, t, gamma, lam2) - lam2 + sqrt(lam2),
    lambda sch, s, t, gamma, lam2: optimal_variance(sch, s, t, gamma, 0.0),
    lambda sch, s, t, gamma, lam2: sqrt(optimal_variance(sch, s, t, gamma, lam2)),
    lambda sch, s, t, gamma, lam2: (1 + 1e-7) * optimal_variance(sch, s, t, gamma, lam2),
    lambda sch, s, t, gamma, lam2: nan,
]
FIRST = [
    lambda sch, s, t, gamma, lam2: mmse_from_gamma(sch, t, gamma) + sch.betas[0],
    lambda sch, s, t, gamma, lam2: sch.beta_bar[t] / sch.alpha_bar[t],
    lambda sch, s, t, gamma, lam2: sch.betas[0],
    lambda sch, s, t, gamma, lam2: 1 - sch.beta_bar[t] * gamma,
    lambda sch, s, t, gamma, lam2: 0.0,
]


def one_step(sch, s, t, lam2):
    """The coefficient of the step from t to t - 1, which knows nothing of the trajectory."""
    return corrected(sch, t - 1, t, lambda2_ddpm(sch, t - 1, t))


BROKEN = {
    "notes.5.printed": [optimal_variance, variance(corrected)],
    "notes.5.bars": [optimal_variance, variance(corrected)],
    "notes.5.root": [optimal_variance, variance(corrected)],
    "notes.5.corrected": VARIANCES,
    "notes.5.first.printed": [optimal_variance, CLAIMS["notes.5.first.corrected"].formula],
    "notes.5.first.corrected": FIRST,
    "notes.7": VARIANCES[::4],
    "notes.8.printed": [corrected],
    "notes.8.corrected": COEFFICIENTS,
    "notes.8.coefficient": [
        one_step,
        printed,
        COEFFICIENTS[1],
        lambda sch, s, t, lam2: 2 * corrected(sch, s, t, lam2),
        lambda sch, s, t, lam2: 1 / corrected(sch, s, t, lam2),
    ],
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


# -- the road itself, and what the evidence says -------------------------------------------------------------


def test_the_road_knows_gaussian_data():
    """x_s regressed on x_t for N(m, v): their noises have correlation sqrt(1 - λ²/β̄_s)."""
    sch, v = WORLD.schedule, 0.49
    rules = {"DDIM": lambda2_ddim, "DDPM": lambda2_ddpm}
    found = [case for case in cases(WORLD, [(1, 2), (99, 100), (1, 1000)], rules) if case.law == "gaussian"]
    assert len(found) == 6
    for case in found:
        s, t = case.s, case.t
        (a_s, sigma_s), (a_t, sigma_t) = sch.levels(s), sch.levels(t)
        cross = a_s * a_t * v + sqrt(1 - case.lam2 / sigma_s**2) * sigma_s * sigma_t
        total = a_t**2 * v + sigma_t**2
        true = a_s**2 * v + sigma_s**2 - cross**2 / total
        assert case.true == pytest.approx(true, rel=1e-11, abs=1e-15)  # the truth subtracts numbers of size 1
        assert case.gamma == pytest.approx(1 / total, rel=1e-13)


def test_the_road_knows_the_oracle():
    """V by adaptive quadrature, another rule and another formula, gives the same variance."""
    for case in cases(WORLD, [(99, 100), (499, 500)], {"DDPM": lambda2_ddpm}):
        v = WORLD.oracle(WORLD.lines[case.law]).mmse(case.t, method="quadrature").value
        other = optimal_variance_from_mmse(WORLD.schedule, case.s, case.t, v, case.lam2)
        assert case.true == pytest.approx(float(other), rel=1e-12)


def test_evidence_shows_the_size_of_the_misprints():
    """Printed over true, for DDPM, 0.46, 0.86 and 0.9997 at t = 2, 10, 500."""
    evidence = judge(CLAIMS["notes.5.printed"], WORLD).evidence
    assert "DDPM: 0.46" in evidence
    assert "0.85" in evidence
    assert "0.999" in evidence


def test_what_has_no_value_is_no_number():
    verdict = judge(CLAIMS["notes.5.first.printed"], WORLD)
    assert verdict.measured == np.inf
    assert "nan" in verdict.evidence
