"""Claims on the notes' equations (1) to (4): each verdict is as expected, and turns when the formula is broken."""

from __future__ import annotations

import numpy as np
import pytest

from claim_worlds import WORLD
from dpmoracle.claims import judge, notes_forward
from dpmoracle.reverse_step import forward_posterior_mean, lambda2_ddim, lambda2_ddpm, optimal_mean

CLAIMS = {claim.id: claim for claim in notes_forward.CLAIMS}


# -- (1): the mean of q(x_s|x_t, x_0) ------------------------------------------------------------------------


def posterior_mean(clean, noise):
    """clean(sch, s, lam2) x_0 + noise(sch, s, t, lam2) (x_t - sqrt(ᾱ_t) x_0)."""

    def mean(sch, s, t, x_t, x0, lam2):
        rest = x_t - np.sqrt(sch.alpha_bar[t]) * x0
        return clean(sch, s, lam2) * x0 + noise(sch, s, t, lam2) * rest

    return mean


def right_clean(sch, s, lam2):
    return np.sqrt(sch.alpha_bar[s])


def right_noise(sch, s, t, lam2):
    return np.sqrt((sch.beta_bar[s] - lam2) / sch.beta_bar[t])


def beta_for_beta_bar(sch, s, t, lam2):
    return np.sqrt(np.maximum(sch.betas[s - 1] - lam2, 0) / sch.betas[t - 1])


MARGINAL = [
    posterior_mean(lambda sch, s, lam2: sch.alpha_bar[s], right_noise),
    posterior_mean(lambda sch, s, lam2: 1.0, right_noise),
    posterior_mean(right_clean, lambda sch, s, t, lam2: (sch.beta_bar[s] - lam2) / sch.beta_bar[t]),
    posterior_mean(right_clean, lambda sch, s, t, lam2: np.sqrt(sch.beta_bar[s] - lam2)),
    posterior_mean(right_clean, lambda sch, s, t, lam2: np.sqrt(sch.beta_bar[s] / sch.beta_bar[t])),
    posterior_mean(
        right_clean, lambda sch, s, t, lam2: (np.sqrt(sch.beta_bar[s]) - lam2) / np.sqrt(sch.beta_bar[t])
    ),
    posterior_mean(right_clean, lambda sch, s, t, lam2: right_noise(sch, s, t, 0.9 * lam2)),
    posterior_mean(right_clean, beta_for_beta_bar),
    lambda sch, s, t, x_t, x0, lam2: forward_posterior_mean(sch, s, t, x0, x_t, lam2),
]


# -- (1), (2): the variances ---------------------------------------------------------------------------------

DDPM = [
    lambda sch, s, t: sch.beta(s, t),
    lambda sch, s, t: sch.betas[t - 1],
    lambda sch, s, t: sch.beta_bar[s],
    lambda sch, s, t: sch.beta_bar[s] / sch.beta_bar[t] * sch.betas[t - 1],
    lambda sch, s, t: sch.beta_bar[t] / sch.beta_bar[s] * sch.beta(s, t),
    lambda sch, s, t: np.sqrt(lambda2_ddpm(sch, s, t)),
    lambda sch, s, t: lambda2_ddpm(sch, s, t) / sch.alpha(s, t),
    lambda sch, s, t: 0.0,
]
DDIM = [
    lambda2_ddpm,
    lambda sch, s, t: lambda2_ddim(sch, s, t, 0.1),
    lambda sch, s, t: 1e-6 * sch.beta_bar[s],
]


def variances(sch, t):
    return float(sch.betas[t - 1]), float(lambda2_ddpm(sch, t - 1, t))


PAIRS = [
    lambda sch, t: variances(sch, t)[::-1],
    lambda sch, t: (variances(sch, t)[0] ** 0.5, variances(sch, t)[1] ** 0.5),
    lambda sch, t: (variances(sch, t)[0], variances(sch, t)[0]),
    lambda sch, t: (float(sch.beta_bar[t]), variances(sch, t)[1]),
    lambda sch, t: (float(sch.betas[t - 2]), variances(sch, t)[1]),
    lambda sch, t: (variances(sch, t)[0] / (1 - variances(sch, t)[0]), variances(sch, t)[1]),
]


# -- (3): the bound ------------------------------------------------------------------------------------------


def terms(*chain):
    return notes_forward._bound_terms(*chain)


BOUND = [
    lambda *chain: terms(*chain)[1:],
    lambda *chain: terms(*chain)[:-1],
    lambda *chain: terms(*chain)[:1] + terms(*chain)[2:],
    lambda *chain: [2 * term for term in terms(*chain)],
    lambda *chain: [-terms(*chain)[0], *terms(*chain)[1:]],
    lambda sch, tau2, slopes, variances: terms(sch, tau2, slopes, np.sqrt(variances)),
    lambda sch, tau2, slopes, variances: terms(sch, tau2**0.5, slopes, variances),
    lambda sch, tau2, slopes, variances: terms(sch, tau2, slopes[::-1], variances),
]


# -- (4): the optimal mean -----------------------------------------------------------------------------------


def optimal(clean):
    return lambda sch, s, t, x_t, score, lam2: forward_posterior_mean(
        sch, s, t, x_t, clean(sch, t, x_t, score), lam2
    )


MEAN = [
    CLAIMS["notes.4.printed"].formula,
    optimal(lambda sch, t, x, score: (x - sch.beta_bar[t] * score) / np.sqrt(sch.alpha_bar[t])),
    optimal(lambda sch, t, x, score: (x + sch.betas[t - 1] * score) / np.sqrt(sch.alpha_bar[t])),
    optimal(lambda sch, t, x, score: (x + np.sqrt(sch.beta_bar[t]) * score) / np.sqrt(sch.alpha_bar[t])),
    optimal(lambda sch, t, x, score: (x + sch.beta_bar[t] * score) / sch.alpha_bar[t]),
    optimal(lambda sch, t, x, score: x / np.sqrt(sch.alpha_bar[t])),
]

BROKEN = {
    "notes.1.marginal": MARGINAL,
    "notes.1.ddpm.printed": [lambda2_ddpm],
    "notes.1.ddpm.corrected": DDPM,
    "notes.1.ddim": DDIM,
    "notes.2.ddpm.printed": [variances],
    "notes.2.ddpm.corrected": PAIRS,
    "notes.3": BOUND,
    "notes.4.printed": [optimal_mean],
    "notes.4.corrected": MEAN,
}


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict_is_as_expected(name):
    verdict = judge(CLAIMS[name], WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in BROKEN for k in range(len(BROKEN[name]))])
def test_a_broken_formula_turns_the_verdict(name, k):
    turned = {"holds": "refuted", "refuted": "holds"}
    assert judge(CLAIMS[name], WORLD, BROKEN[name][k]).verdict == turned[CLAIMS[name].expected]


def test_every_claim_is_covered():
    assert set(BROKEN) == set(CLAIMS)
