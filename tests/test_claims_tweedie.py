"""Claims on Tweedie's formula and on V as a function of the SNR; a broken formula turns each verdict."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from dpmoracle.claims import judge, tweedie
from dpmoracle.claims.conditioning import Plane
from dpmoracle.claims.roads import Bayes
from dpmoracle.variance import mmse_from_gamma
from small_world import SMALL, WORLD, remember, turns, verdicts

CLAIMS = tweedie.CLAIMS


def eye(curvature):
    return np.eye(curvature.shape[-1])


def traced(covariance):
    return np.trace(covariance, axis1=-2, axis2=-1)


BROKEN = {
    "tweedie.first": [
        lambda x, score, a, sigma: (x - sigma**2 * score) / a,
        lambda x, score, a, sigma: (x + sigma * score) / a,
        lambda x, score, a, sigma: (x + sigma**2 * score) / a**2,
        lambda x, score, a, sigma: x + sigma**2 * score,
        lambda x, score, a, sigma: x / a + sigma**2 * score,
        lambda x, score, a, sigma: (x + (sigma / a) ** 2 * score) / a,
        lambda x, score, a, sigma: x / a,
        lambda x, score, a, sigma: (x + (1 + 1e-8) * sigma**2 * score) / a,
    ],
    "tweedie.second": [
        lambda h, a, sigma: (sigma / a) ** 2 * (eye(h) - sigma**2 * h),
        lambda h, a, sigma: (sigma / a) ** 2 * (eye(h) + sigma * h),
        lambda h, a, sigma: (sigma / a) * (eye(h) + sigma**2 * h),
        lambda h, a, sigma: (sigma / a) ** 2 * (1 + sigma**2 * h),
        lambda h, a, sigma: sigma**2 * (eye(h) + sigma**2 * h),
        lambda h, a, sigma: (sigma**2 / a) * (eye(h) + sigma**2 * h),
        lambda h, a, sigma: (sigma / a) ** 2 * eye(h) + sigma**2 * h,
        lambda h, a, sigma: (sigma / a) ** 2 * (eye(h) + sigma**2 * h * eye(h)),
    ],
    "tweedie.mmse": [
        lambda sch, t, g: 1 - sch.beta_bar[t] * g,
        lambda sch, t, g: sch.snr[t] * (1 - sch.beta_bar[t] * g),
        lambda sch, t, g: (1 + sch.beta_bar[t] * g) / sch.snr[t],
        lambda sch, t, g: (1 - sch.beta_bar[t] * np.sqrt(g)) / sch.snr[t],
        lambda sch, t, g: (1 - sqrt(sch.beta_bar[t]) * g) / sch.snr[t],
        lambda sch, t, g: (1 - sch.betas[t - 1] * g) / sch.snr[t],
        lambda sch, t, g: sch.betas[t - 1] / sch.alpha_bar[t] * (1 - sch.beta_bar[t] * g),
        lambda sch, t, g: sch.beta_bar[t] / (1 - sch.betas[t - 1]) * (1 - sch.beta_bar[t] * g),
        lambda sch, t, g: mmse_from_gamma(sch, t - 1, g),
    ],
    "mmse.derivative": [
        lambda cov: -np.square(cov).sum((-2, -1)) / cov.shape[-1],
        lambda cov: np.square(cov).sum((-2, -1)),
        lambda cov: np.square(traced(cov)) / cov.shape[-1],
        lambda cov: np.square(traced(cov) / cov.shape[-1]),
        lambda cov: traced(np.square(cov)) / cov.shape[-1],
        lambda cov: traced(cov) / cov.shape[-1],
        lambda cov: 0.5 * np.square(cov).sum((-2, -1)) / cov.shape[-1],
    ],
    "mmse.single-crossing": [
        lambda v: -1.0001 * v**2,
        lambda v: -v,
        lambda v: -2 * v**2,
        lambda v: -np.sqrt(v),
        lambda v: np.nan,
    ],
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_verdict_is_as_expected(claim):
    verdict = judge(claim, WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), verdicts(CLAIMS, BROKEN))
def test_a_broken_formula_turns_the_verdict(name, k, monkeypatch):
    places = ((tweedie, "_slope"), (tweedie, "_curve"), (Bayes, "of"), (Plane, "over"))
    remember(monkeypatch, *places)
    # Only the single Gaussian of WORLD is near to the limit.
    assert turns(CLAIMS, BROKEN, name, k, WORLD if name == "mmse.single-crossing" else SMALL)
