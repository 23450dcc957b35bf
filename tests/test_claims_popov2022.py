"""Claims on the maximum-likelihood SDE solver: verdicts as expected, and turned by every broken formula."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from claim_worlds import WORLD
from dpmoracle.claims import judge, popov2022
from dpmoracle.reverse_step import lambda2_ddpm
from dpmoracle.sde_step import ml_sde_coefficients, ml_sde_step
from dpmoracle.solvers.stochastic import sde_dpm_solver
from dpmoracle.variance import optimal_variance_from_mmse

CLAIMS = {claim.id: claim for claim in popov2022.CLAIMS}


def printed(change):
    """Theorem 1 with one symbol changed: change edits the dict of what the formula is made of."""

    def coefficients(sch, s, t, mmse, rate):
        p = {
            "g_st": np.sqrt(float(sch.alpha(s, t))),
            "g_0s": np.sqrt(float(sch.alpha_bar[s])),
            "g_0t": np.sqrt(float(sch.alpha_bar[t])),
            "free_s": float(sch.beta_bar[s]),
            "free_t": float(sch.beta_bar[t]),
            "free_st": float(sch.beta(s, t)),
            "half": 0.5,
            "one": 1.0,
            "power": 2,
        }
        p |= change(p)
        mu, nu = p["g_st"] * p["free_s"] / p["free_t"], p["g_0s"] * p["free_st"] / p["free_t"]
        kappa = nu * p["free_t"] / (p["g_0t"] * rate) - p["one"]
        omega = (mu - 1) / rate + (1 + kappa) / p["free_t"] - p["half"]
        return kappa, omega, p["free_s"] * p["free_st"] / p["free_t"] + nu ** p["power"] * mmse

    return coefficients


COEFFICIENTS = [
    printed(lambda p: {"g_st": p["g_st"] ** 2}),  # the missing root
    printed(lambda p: {"g_0s": p["g_0s"] ** 2}),
    printed(lambda p: {"g_0t": p["g_0t"] ** 2}),
    printed(lambda p: {"free_s": p["free_t"]}),  # the wrong index
    printed(lambda p: {"free_t": p["free_s"] if p["free_s"] else 1.0}),
    printed(lambda p: {"free_st": p["free_t"]}),  # β̄ for β
    printed(lambda p: {"half": -0.5}),
    printed(lambda p: {"half": 0.0}),
    printed(lambda p: {"one": -1.0}),
    printed(lambda p: {"power": 1}),
]


def with_coefficients(change):
    """`ml_sde_step` with other coefficients."""

    def step(sch, s, t, x, score, mmse, noise=None):
        kappa, omega, sigma2 = change(sch, s, t, mmse)
        rate = float(-np.log1p(-sch.beta(s, t)))
        mean = x + rate * ((0.5 + omega) * x + (1 + kappa) * score)
        return mean if noise is None else mean + np.sqrt(sigma2) * noise

    return step


def no_posterior(sch, s, t, mmse):
    kappa, omega, _ = ml_sde_coefficients(sch, s, t, mmse)
    return kappa, omega, lambda2_ddpm(sch, s, t)


def no_kappa(sch, s, t, mmse):
    return 0.0, *ml_sde_coefficients(sch, s, t, mmse)[1:]


def other_solver(**other):
    """`_ddpm_as_sde` with one of its numbers multiplied."""

    def solver(sch, s, t, mmse, rate):
        kappa, omega, sigma2 = popov2022._ddpm_as_sde(sch, s, t, mmse, rate)
        return (
            (1 + kappa) * other.get("score", 1) - 1,
            (0.5 + omega) * other.get("drift", 1) - 0.5,
            sigma2 * other.get("sigma2", 1),
        )

    return solver


def sde(mean=lambda out: out, noise=lambda z: z, order=None, form="taylor"):
    def solver(model, x, nodes, k, **given):
        z = np.asarray(given["noise"])
        return mean(sde_dpm_solver(model, x, nodes, order or k, form=form, noise=noise(z)))

    return solver


def with_ddim_noise(model, x, nodes, k, *, noise):
    """The drift of the probability flow with the noise of the SDE: data weight (1 - e^-h)."""
    levels = np.asarray(nodes, dtype=float)
    for i, ((a_t, sigma_t), (a_s, sigma_s)) in enumerate(pairwise(levels)):
        h = np.log(a_s * sigma_t / (a_t * sigma_s))
        gain = sigma_s * np.sqrt(-np.expm1(-2 * h))
        x = sigma_s / sigma_t * x - a_s * np.expm1(-h) * model(x, a_t, sigma_t) + gain * noise[i]
    return x


BROKEN = {
    "popov.same-as-ddpm": COEFFICIENTS,
    "popov.coefficients": COEFFICIENTS,
    "popov.step": [
        with_coefficients(no_posterior),
        with_coefficients(no_kappa),
        lambda sch, s, t, x, score, mmse, noise=None: ml_sde_step(sch, s, t, x, -score, mmse, noise),
        lambda sch, s, t, x, score, mmse, noise=None: ml_sde_step(sch, s, t, x, score, 2 * mmse, noise),
        lambda sch, s, t, x, score, mmse, noise=None: ml_sde_step(sch, s, t, x, score, mmse),
    ],
    "notes.opening": [
        other_solver(score=1.001),
        other_solver(drift=1.1),
        other_solver(sigma2=1.01),
        lambda sch, s, t, mmse, rate: (0.0, 0.0, rate),
        lambda sch, s, t, mmse, rate: (
            *popov2022._ddpm_as_sde(sch, s, t, mmse, rate)[:2],
            float(lambda2_ddpm(sch, s, t)),
        ),
    ],
    "popov.euler": [popov2022._ddpm_as_sde, popov2022.as_printed],
    "lu2022pp.sde.1": [
        sde(noise=lambda z: 2 * z),
        sde(noise=lambda z: 0 * z),
        sde(mean=lambda out: 1.0001 * out),
        with_ddim_noise,
    ],
    "lu2022pp.sde.2": [
        sde(order=1),
        sde(form="paper"),
        sde(noise=lambda z: z[::-1]),
        sde(noise=lambda z: 0.99 * z),
        with_ddim_noise,
    ],
    "lu2022pp.sde.2.paper": [sde_dpm_solver],
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_verdict(claim):
    found = judge(claim, WORLD)
    assert found.verdict == claim.expected, found.evidence


@pytest.mark.parametrize(("name", "formula"), [(name, f) for name, fs in BROKEN.items() for f in fs])
def test_a_broken_formula_turns_the_verdict(name, formula):
    """For a misprint the "broken" formula is the right one."""
    found = judge(CLAIMS[name], WORLD, formula)
    assert found.verdict == ("refuted" if CLAIMS[name].expected == "holds" else "holds"), found.evidence


def test_every_claim_is_broken():
    assert set(BROKEN) == set(CLAIMS)


def test_the_analytic_variance_is_what_makes_ddpm_the_most_likely():
    """The notes' second half of the sentence: with β̃ or β in place of σ*² the claim fails."""
    sch = WORLD.schedule
    for s, t in ((9, 10), (100, 200)):
        mmse = 0.5 / sch.snr[t]
        best = float(optimal_variance_from_mmse(sch, s, t, mmse, lambda2_ddpm(sch, s, t)))
        assert popov2022.as_printed(sch, s, t, mmse, 0.1)[2] == pytest.approx(best, rel=1e-12)
        assert lambda2_ddpm(sch, s, t) < best < sch.beta(s, t) / sch.alpha(s, t)
