"""Claims on samples (equations (6) to (8), and which M suffices): as expected, and turned by a broken formula."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
import pytest

from claim_worlds import ONE_LINE, WORLD
from dpmoracle.claims import World, judge, notes_enough, notes_samples
from dpmoracle.claims.notes_variance import corrected, printed, variance
from dpmoracle.gamma import estimate_gamma
from dpmoracle.oracle import Oracle
from dpmoracle.variance import clip_variance, optimal_variance, variance_bounds

CLAIMS = {claim.id: claim for claim in (*notes_samples.CLAIMS, *notes_enough.CLAIMS)}


# -- (6): Γ from M draws -------------------------------------------------------------------------------------


def gamma(score, x0, sch, times, rng):
    return estimate_gamma(score, x0, sch, times, rng=rng).gamma


def of_score(change):
    """(6) with something done to the score first."""
    return lambda score, x0, sch, times, rng: gamma(
        lambda x, t: change(score(x, t), x, sch, t), x0, sch, times, rng
    )


MEANS = [
    lambda score, x0, sch, times, rng: gamma(score, x0, sch, times, rng) * len(x0) / (len(x0) - 1),
    lambda score, x0, sch, times, rng: gamma(score, x0, sch, times, rng) * x0.shape[1],
    lambda score, x0, sch, times, rng: gamma(score, x0, sch, times, rng) * len(x0),
    lambda score, x0, sch, times, rng: np.sqrt(gamma(score, x0, sch, times, rng)),
    lambda score, x0, sch, times, rng: gamma(score, x0, sch, times, rng)[::-1],
    of_score(lambda score, x, sch, t: np.sqrt(np.abs(score))),
    of_score(lambda score, x, sch, t: np.sqrt(sch.beta_bar[t])[:, None] * score),
    of_score(lambda score, x, sch, t: -x),
    lambda score, x0, sch, times, rng: np.full(3, nan),
]
RATES = [
    lambda score, x0, sch, times, rng: gamma(score, x0[:10], sch, times, rng),
    lambda score, x0, sch, times, rng: gamma(score, x0[: int(len(x0) ** 0.5)], sch, times, rng),
    lambda score, x0, sch, times, rng: gamma(score, np.repeat(x0[:1], len(x0), 0), sch, times, rng),
    lambda score, x0, sch, times, rng: 1.2 * gamma(score, x0, sch, times, rng),
    lambda score, x0, sch, times, rng: np.full(3, nan),
]


# -- (7): σ̂² from Γ̂ ----------------------------------------------------------------------------------------


def clipped(sch, s, t, estimate, lam2):
    """Within the bounds it is better in the mean square, and biased."""
    return clip_variance(optimal_variance(sch, s, t, estimate, lam2), variance_bounds(sch, s, t, lam2))


VARIANCES = [
    variance(printed),
    lambda sch, s, t, estimate, lam2: optimal_variance(sch, s, t, estimate, lam2) - lam2,
    lambda sch, s, t, estimate, lam2: optimal_variance(sch, s, t, 2 * estimate, lam2),
    lambda sch, s, t, estimate, lam2: optimal_variance(sch, s, t, np.sqrt(estimate), lam2),
    lambda sch, s, t, estimate, lam2: optimal_variance(sch, s, t, 0 * estimate, lam2),
    lambda sch, s, t, estimate, lam2: nan * estimate,
    variance(lambda sch, s, t, lam2: sqrt(corrected(sch, s, t, lam2))),
]
ROOT = variance(
    lambda sch, s, t, lam2: (sqrt(sch.beta_bar[t] / sch.alpha(s, t)) - sqrt(sch.beta_bar[s]) - lam2) ** 2
)


# -- which M suffices ----------------------------------------------------------------------------------------


def exact(q0, sch, t, count, rng):
    return Oracle(q0, sch).gamma(t, method="quadrature").value


def far_off(q0, sch, t, count, rng):
    """Ten times what Γ can be at most."""
    return 10 / sch.beta_bar[t]


def summed(claim):
    """(6) without 1/M."""

    def estimate(q0, sch, t, count, rng):
        return count * CLAIMS[claim].formula(q0, sch, t, count, rng)

    return estimate


def unbiased(sch, s, t, estimates, exact_gamma, lam2):
    return 0.0


BROKEN = {
    "notes.6.unbiased": MEANS,
    "notes.6.rate": RATES,
    "notes.7.unbiased": [*VARIANCES, ROOT, clipped],
    "notes.7.data": VARIANCES,  # not ROOT: on points (1 - β̄Γ) is 0 where the root matters
    "notes.8.bias": [unbiased],
    **{
        f"notes.7.M{count}.{where}": [summed(f"notes.7.M{count}.{where}")]
        for count in (10, 100, 1000)
        for where in ("mixtures", "data")
    },
    "notes.7.M0.mixtures": [far_off],
    "notes.7.M0.data": [far_off],
    **{name: [exact] for name in CLAIMS if name.endswith(("ddim", "short"))},
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


# -- the statistics themselves -------------------------------------------------------------------------------

DATA = {
    "dense": np.linspace(-1, 1, 25)[:, None],
    "two points": np.array([[0.0], [0.3]]),
    "far apart": 1e6 * np.random.default_rng(1).normal(size=(6, 2)),
    "one point": np.ones((3, 2)),
    "clusters and an outlier": np.array([[0.0], [1.0], [1e15], [1e15 + 1]]),
}


@pytest.mark.parametrize("data", DATA.values(), ids=DATA)
def test_the_level_holds_on_any_data(data):
    """Twelve cases, ten seeds: normal errors exceed 4 of their standard errors once in 130 such tests."""
    claim = CLAIMS["notes.7.data"]
    assert max(judge(claim, World(data, "test", seed)).measured for seed in range(10)) < 4


def test_seeds_decide_the_numbers():
    claim = CLAIMS["notes.7.M10.data"]
    one, again, other = (judge(claim, World(WORLD.data, "test", seed)).measured for seed in (1, 1, 2))
    assert one == again != other
