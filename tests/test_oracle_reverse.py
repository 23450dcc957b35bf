"""The exact reverse kernel against Bayes' rule, against the marginal it must restore, and to 50 digits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import dpmoracle as dpm
import dpmoracle.oracle
from dpmoracle import GaussianMixture, Oracle, Process, Schedule
from mutation import mutant
from oracle_cases import LINEAR, PROCESSES, TERMINAL, build, name_of

# -- the reverse kernel --------------------------------------------------------------------------------------


def bayes_error(oracle: Any, process: Any, s: Any, t: Any, q: GaussianMixture) -> float:
    """log q(x_s|x_t) against log q_s(x_s) + log q(x_t|x_s) - log q_t(x_t), pointwise."""
    (a_s, sigma_s), (a_t, sigma_t) = process.levels(s), process.levels(t)
    rng = np.random.default_rng(2)
    ratio = a_t / a_s
    fresh = np.sqrt(sigma_t**2 - (ratio * sigma_s) ** 2)
    x_s = a_s * q.sample(6, rng) + sigma_s * rng.standard_normal((6, q.d))
    x_t = ratio * x_s[0] + fresh * rng.standard_normal(q.d)
    noise = -0.5 * np.square((x_t - ratio * x_s) / fresh).sum(1) - q.d * np.log(fresh * np.sqrt(2 * np.pi))
    orc = oracle(q, process)
    wanted = orc.log_prob(x_s, s) + noise - orc.log_prob(x_t, t)
    found = orc.reverse(x_t, s, t).log_prob(x_s)
    error = np.abs(found - wanted).max() / max(1, np.abs(wanted).max())
    return float(error) if np.isfinite(error) else np.inf


STEPS = [
    *[(LINEAR, s, t) for s, t in ((0, 1), (0, 1000), (1, 2), (300, 310), (1, 1000), (500, 900))],
    *[(TERMINAL, s, t) for s, t in ((0, 60), (1, 60), (59, 60))],
    *[(process, 0.2 * process.t_max, 0.7 * process.t_max) for process in PROCESSES],
    *[(process, 0.5 * process.t_max, process.t_max) for process in PROCESSES],
    *[(process, 0.0, 0.5 * process.t_max) for process in PROCESSES],
    (Process.rectified_flow(), 0.0, 1.0),
]


@pytest.mark.parametrize(("process", "s", "t"), STEPS, ids=name_of)
@pytest.mark.parametrize("kind", ["spherical", "diag", "tied", "full"])
def test_reverse_is_bayes(process: Any, s: Any, t: Any, kind: str) -> None:
    # fresh loses digits here, in the comparison, where s is near t
    assert bayes_error(Oracle, process, s, t, build(kind)) < 1e-10  # measured 2e-12


def restoring_error(oracle: Any, s: int, t: int, share: float) -> float:
    """∫ q(x_s|x_t) q(x_t) dx_t against q(x_s), in one dimension; lam2 = share of σ_s²."""
    q = GaussianMixture([0.3, 0.7], [[-1.0], [0.8]], [0.05, 0.2], "spherical")
    orc = oracle(q, LINEAR)
    lam2 = share * float(LINEAR.beta_bar[s])
    x_t, step = np.linspace(-8, 8, 801, retstep=True)
    x_s = np.linspace(-2.0, 2.0, 9)[:, None]
    mass = np.exp(orc.log_prob(x_t[:, None], t)) * step
    found = sum(p * np.exp(orc.reverse(x[None], s, t, lam2).log_prob(x_s)) for p, x in zip(mass, x_t))
    return float(np.abs(found / np.exp(orc.log_prob(x_s, s)) - 1).max())


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_any_lam2_restores_the_marginal(share: float) -> None:
    assert restoring_error(Oracle, 300, 700, share) < 1e-11  # measured 2e-14


def coefficient_error(oracle: Any, N: int, s: int, t: int, share: float) -> float:
    """Mean of the kernel of a point mass at 1, x_t = 0: it is c = a_s - a_t sqrt((σ_s² - λ²)/σ_t²), to 50 digits."""
    sch = Schedule.linear(N, 1e-7, 1e-6)
    lam2 = share * float(sch.beta_bar[s])
    found = oracle(GaussianMixture.from_points([[1.0]]), sch).reverse(np.zeros(1), s, t, lam2).means[0, 0]
    with mp.workdps(50):
        alpha_bar = [mp.mpf(1)]
        for beta in sch.betas:
            alpha_bar.append(alpha_bar[-1] * (1 - mp.mpf(float(beta))))
        (a_s, b_s), (a_t, b_t) = ((alpha_bar[k], 1 - alpha_bar[k]) for k in (s, t))
        exact = mp.mpf(lam2) if share < 1 else b_s
        c = mp.sqrt(a_s) - mp.sqrt(a_t) * mp.sqrt((b_s - exact) / b_t)
        return abs(float(found / c - 1))


@pytest.mark.parametrize("share", [0.0, 1e-6, 0.5, 1.0])
@pytest.mark.parametrize(("s", "t"), [(500, 501), (999, 1000), (1, 2), (0, 1), (1, 1000)])
def test_neighbouring_times_lose_no_digits(s: int, t: int, share: float) -> None:
    assert coefficient_error(Oracle, 1000, s, t, share) < 1e-14  # measured 4e-16


def test_default_lam2_is_that_of_ddpm() -> None:
    q = build()
    lam2 = float(dpm.lambda2_ddpm(LINEAR, 100, 400))
    one, two = (Oracle(q, LINEAR).reverse([0.3, 0.1], 100, 400, value) for value in (None, lam2))
    assert np.allclose(one.means, two.means, rtol=1e-14)
    assert np.allclose(one.covariances, two.covariances, rtol=1e-13)


def test_reverse_where_nothing_is_left_of_the_signal() -> None:
    """Both times beyond float64's smallest alpha_bar: the kernel is that of pure noise."""
    sch = Schedule.from_betas(np.full(2000, 0.5))
    kernel = Oracle(build("spherical"), sch).reverse([0.5, 1.0], 1998, 1999)
    assert np.allclose(kernel.means, np.sqrt(0.5) * np.array([0.5, 1.0]), rtol=1e-12)
    assert np.allclose(kernel.covariances, 0.5, rtol=1e-12)


# -- broken versions -----------------------------------------------------------------------------------------

MUTANTS = {
    "kernel without c": ("c = a_s * (fresh", "c = (fresh"),
    "c not halved": ("/ (1 + root)", "/ 1"),
    "c by subtraction": ("c = a_s * (fresh + share * (1 - fresh)) / (1 + root)", "c = a_s - a_s * root"),
    "share forgotten": ("c = a_s * (fresh + share * (1 - fresh))", "c = a_s * fresh"),
    "c1 without its root": ("c1 = np.sqrt(1 - share)", "c1 = (1 - share)"),
    "c1 with all noise": ("c1 = np.sqrt(1 - share)", "c1 = 1.0"),
    "standard deviation for variance": ("variance = share * sigma_s * sigma_s", "variance = share * sigma_s"),
    "no fresh variance": ("variance = share * sigma_s * sigma_s", "variance = 0 * share"),
    "DDIM for DDPM": ("share = fresh if lam2 is None", "share = 0.0 if lam2 is None"),
    "beta_t for its share": ("process.beta(s, t) / process.beta_bar[t]", "process.beta(s, t)"),
    "root of the SNR ratio": ("(1 - root) * (1 + root)", "1 - root"),
}


def errors(oracle: Any) -> Iterator[float]:
    """Errors over what the tests above allow."""
    for process, s, t in STEPS[2:-1]:
        yield bayes_error(oracle, process, s, t, build()) / 1e-10
    for share in (0.5, 0.0, 1.0):
        yield coefficient_error(oracle, 1000, 500, 501, share) / 1e-14
    yield restoring_error(oracle, 300, 700, 0.3) / 1e-11


def test_the_right_one_passes_as_a_copy() -> None:
    assert max(errors(mutant(dpmoracle.oracle).Oracle)) < 1


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str) -> None:
    broken = mutant(dpmoracle.oracle, MUTANTS[name]).Oracle
    with np.errstate(all="ignore"):
        assert any(not error < 1 for error in errors(broken))
