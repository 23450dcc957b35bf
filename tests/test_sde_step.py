"""The maximum-likelihood SDE step against Theorem 1 in 50 digits, and SDE-DPM-Solver++ against closed forms."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle.sampler import ancestral_step
from dpmoracle.sde_step import ml_sde_coefficients, ml_sde_step
from dpmoracle.solvers.network import ExactModel
from dpmoracle.solvers.stochastic import sde_dpm_solver, sde_step_parts

SCHEDULES = {
    "linear": dpm.Schedule.linear(1000),
    "cosine": dpm.Schedule.cosine(100),
    "short": dpm.Schedule.from_betas([0.1, 0.2, 0.35, 0.6]),
}


def theorem_1(sch, s, t, mmse, rate):
    """κ*, ω*, σ*² as printed, from the stored betas in 50 digits."""
    with mp.workdps(50):
        products = [mp.mpf(1)]
        for beta in sch.betas:
            products.append(products[-1] * (1 - mp.mpf(float(beta))))
        g_0s, g_0t = mp.sqrt(products[s]), mp.sqrt(products[t])
        g_st = g_0t / g_0s
        mu, nu = g_st * (1 - g_0s**2) / (1 - g_0t**2), g_0s * (1 - g_st**2) / (1 - g_0t**2)
        h = mp.mpf(rate) if rate is not None else -2 * mp.log(g_st)
        kappa = nu * (1 - g_0t**2) / (g_0t * h) - 1
        omega = (mu - 1) / h + (1 + kappa) / (1 - g_0t**2) - mp.mpf(1) / 2
        sigma2 = (1 - g_0s**2) * (1 - g_st**2) / (1 - g_0t**2) + nu**2 * mp.mpf(mmse)
        return tuple(float(x) for x in (kappa, omega, sigma2)), float(g_st), float(h)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("rate", [None, 0.01, 2.0])
def test_coefficients_against_theorem_1(name, rate):
    sch = SCHEDULES[name]
    last = sch.N
    for s, t in {(0, 1), (1, 2), (last - 1, last), (1, last), (0, last), (last // 2, last // 2 + 1)}:
        for mmse in (0.0, 0.37):
            got = ml_sde_coefficients(sch, s, t, mmse, rate)
            (kappa, omega, sigma2), _, _ = theorem_1(sch, s, t, mmse, rate)
            # κ and ω are a ratio minus 1 and 1/2: what is kept is their distance from there
            assert abs(got.kappa - kappa) <= 4e-15 * (1 + abs(kappa))
            assert abs(got.omega - omega) <= 4e-15 * (1 + abs(omega))
            assert got.sigma2 == pytest.approx(sigma2, rel=4e-15, abs=0)


def test_euler_is_the_limit_of_small_steps():
    """κ* is of second order in the step, ω* of first, σ*² goes to βh."""
    for N in (1_000, 10_000):
        sch = dpm.Schedule.from_betas(np.full(N, 5 / N))
        s, t = N // 2, N // 2 + 1
        kappa, omega, sigma2 = ml_sde_coefficients(sch, s, t, 0.2)
        h = 5 / N
        assert kappa == pytest.approx(h**2 / 24, rel=0.02)
        assert omega == pytest.approx(h / 8, rel=0.02)
        assert sigma2 == pytest.approx(h, rel=20 * h)


@settings(max_examples=40)
@given(st.data())
def test_step_is_the_optimal_ddpm_step(data):
    sch = SCHEDULES[data.draw(st.sampled_from(sorted(SCHEDULES)))]
    t = data.draw(st.integers(1, sch.N))
    s = data.draw(st.integers(0, t - 1))
    mmse = data.draw(st.floats(0, 2))
    rate = data.draw(st.one_of(st.none(), st.floats(1e-6, 1e3)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, score, z = rng.normal(size=(3, 4, 2))
    lam2 = dpm.lambda2_ddpm(sch, s, t)
    mean = dpm.optimal_mean(sch, s, t, x, score, lam2)
    sigma2 = dpm.optimal_variance_from_mmse(sch, s, t, mmse, lam2)
    size = (np.abs(x).max() + np.abs(score).max()) / float(np.sqrt(sch.alpha(s, t)))
    got = ml_sde_step(sch, s, t, x, score, mmse, z, rate)
    np.testing.assert_allclose(got, mean + np.sqrt(sigma2) * z, atol=2e-14 * size + 1e-14, rtol=1e-13)


def test_noise_is_injected_as_given():
    sch = SCHEDULES["linear"]
    x = np.zeros((3, 2))
    quiet = ml_sde_step(sch, 10, 20, x, x, 0.1)
    assert not quiet.any()
    z = np.array([[1.0, 0.0], [0.0, -2.0], [0.5, 0.5]])
    sigma = np.sqrt(theorem_1(sch, 10, 20, 0.1, None)[0][2])
    np.testing.assert_allclose(ml_sde_step(sch, 10, 20, x, x, 0.1, z), sigma * z, rtol=1e-14)


def mutants():
    """The coefficients of other steps, each off by one of the usual slips."""
    plain = ml_sde_coefficients

    def swap(change):
        return lambda sch, s, t, v, rate: change(sch, s, t, rate, *plain(sch, s, t, v, rate))

    return {
        "sign of kappa": swap(lambda sch, s, t, h, k, o, v: (-k, o, v)),
        "half forgotten": swap(lambda sch, s, t, h, k, o, v: (k, o + 0.5, v)),
        "missing root": swap(lambda sch, s, t, h, k, o, v: ((1 + k) / np.sqrt(sch.alpha(s, t)) - 1, o, v)),
        "beta for beta_bar": swap(lambda sch, s, t, h, k, o, v: (k, o, v + sch.beta(s, t) - sch.beta_bar[t])),
        "no posterior variance": swap(lambda sch, s, t, h, k, o, v: (k, o, dpm.lambda2_ddpm(sch, s, t))),
        "nu not squared": lambda sch, s, t, v, rate: plain(sch, s, t, np.sqrt(v), rate),
    }


@pytest.mark.parametrize("name", mutants())
def test_mutants_are_caught_by_the_same_comparison(name):
    sch, broken = SCHEDULES["linear"], mutants()[name]
    for s, t in ((10, 300), (300, 700)):
        true = theorem_1(sch, s, t, 0.37, 0.5)[0]
        got = broken(sch, s, t, 0.37, 0.5)
        assert max(abs(a - b) / (1 + abs(b)) for a, b in zip(got, true)) > 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"s": 20, "t": 20}, "s < t"),
        ({"mmse_t": -0.1}, "mmse_t must be >= 0"),
        ({"mmse_t": np.nan}, "mmse_t must be finite"),
        ({"rate": 0.0}, "rate must be positive"),
        ({"rate": np.ones(3)}, "broadcast"),
        ({"sch": dpm.Process.vp_linear()}, "must be a Schedule"),
        ({"sch": dpm.Schedule.cosine(20, max_beta=1.0)}, "pure noise"),
    ],
)
def test_wrong_use(arguments, message):
    asked = {"sch": SCHEDULES["linear"], "s": 10, "t": 20, "mmse_t": np.full(2, 0.1)} | arguments
    with pytest.raises(dpm.InvalidParameterError, match=message):
        ml_sde_coefficients(**asked)


# -- SDE-DPM-Solver++ ----------------------------------------------------------------------------------------

LEVELS = np.stack(SCHEDULES["linear"].levels(np.arange(1000, 0, -37)), -1)


def test_order_1_is_ancestral_ddpm_step_by_step():
    sch, steps = SCHEDULES["linear"], np.arange(1000, 0, -37)
    q0 = dpm.GaussianMixture([0.4, 0.6], [[-1.0, 0.0], [0.7, 0.4]], [0.1, 0.3], "spherical")
    rng = np.random.default_rng(0)
    x, z = rng.normal(size=(5, 2)), rng.normal(size=(len(steps) - 1, 5, 2))
    got = sde_dpm_solver(ExactModel(q0, "data"), x, LEVELS, 1, noise=z)
    orc = dpm.Oracle(q0, sch)
    for i, (t, s) in enumerate(pairwise(steps)):
        x = ancestral_step(sch, s, t, x, orc.x0(x, t), dpm.lambda2_ddpm(sch, s, t), noise=z[i])
    np.testing.assert_allclose(got, x, atol=1e-12)


def exact_law(variance, levels):
    """Slope and variance of x at the last level given x at the first, for N(0, variance): the reverse SDE is linear."""
    (a_t, sigma_t), (a_s, sigma_s) = levels[0], levels[-1]
    alpha, at_s = a_t / a_s, a_s**2 * variance + sigma_s**2
    at_t = a_t**2 * variance + sigma_t**2
    return alpha * at_s / at_t, at_s - (alpha * at_s) ** 2 / at_t


def moments(order, form, K, variance):
    """Slope of the mean and variance of the solver's output, by injecting unit noises one at a time."""
    lam = np.linspace(-1.0, 1.5, K + 1)
    levels = np.stack([1 / np.sqrt(1 + np.exp(-2 * lam)), 1 / np.sqrt(1 + np.exp(2 * lam))], -1)
    model = ExactModel(dpm.GaussianMixture([1.0], [[0.0]], [variance], "spherical"), "data")
    # rows: the start alone, then each noise alone; the map is linear
    noise = np.zeros((K, K + 1, 1))
    noise[np.arange(K), np.arange(1, K + 1), 0] = 1.0
    start = np.zeros((K + 1, 1))
    start[0] = 1.0
    out = sde_dpm_solver(model, start, levels, order, form=form, noise=noise)[:, 0]
    return (out[0], np.square(out[1:]).sum()), exact_law(variance, levels)


@pytest.mark.parametrize(("order", "form", "slope"), [(1, "taylor", 1), (2, "taylor", 2), (2, "paper", 2)])
def test_weak_order_on_gaussian_data(order, form, slope):
    errors = []
    for K in (40, 80, 160):
        got, true = moments(order, form, K, 0.5)
        errors.append(max(abs(a - b) for a, b in zip(got, true)))
    measured = -np.polyfit(np.log([40, 80, 160]), np.log(errors), 1)[0]
    # the multistep start of order 1 costs O(h^2) once, so 2 is what order 2 has
    assert measured == pytest.approx(slope, abs=0.25)


def test_parts_of_a_step_sum_to_what_constants_need():
    """For x = a c and x̂_0 = c the mean of x_s is a_s c, for every history."""
    for form in ("taylor", "paper"):
        for history in (LEVELS[3:4], LEVELS[3:1:-1]):
            keep, weights, gain = sde_step_parts([tuple(x) for x in history], tuple(LEVELS[4]), form)
            assert keep * history[0][0] + sum(weights) == pytest.approx(LEVELS[4][0], rel=1e-13)
            u = np.square(LEVELS[:, 0] / LEVELS[:, 1])
            assert gain**2 == pytest.approx(LEVELS[4][1] ** 2 * (1 - u[3] / u[4]), rel=1e-11)


def test_both_ends_of_the_process():
    """a = 0 at the start forgets x, σ = 0 at the end returns the prediction."""
    nodes = np.vstack([[0.0, 1.0], LEVELS[10:12], [1.0, 0.0]])
    model = ExactModel(dpm.GaussianMixture.from_points([[0.3], [-0.7]]), "data")
    noise = np.random.default_rng(0).normal(size=(3, 4, 1))
    one = sde_dpm_solver(model, np.zeros((4, 1)), nodes, 2, noise=noise)
    other = sde_dpm_solver(model, np.full((4, 1), 9.0), nodes, 2, noise=noise)
    np.testing.assert_array_equal(one, other)
    assert (np.abs(one) <= 0.7).all()


def test_same_seed_same_samples():
    model = ExactModel(dpm.GaussianMixture.from_points([[0.3], [-0.7]]), "data")
    runs = [sde_dpm_solver(model, np.zeros((4, 1)), LEVELS, 2, rng=seed) for seed in (1, 1, 2)]
    assert (runs[0] == runs[1]).all()
    assert (runs[0] != runs[2]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"order": 3}, "order must be one of 1, 2"),
        ({"form": "common"}, "form must be one of taylor, paper"),
        ({"noise": np.zeros((2, 4, 1))}, r"noise must have shape \(K, \*x.shape\)"),
        ({"x": np.full((4, 1), np.nan)}, "x must be finite"),
        ({"nodes": LEVELS[::-1]}, "must fall in noise"),
        ({"model": lambda x, a, sigma: np.full_like(x, np.nan)}, "model must return finite"),
    ],
)
def test_wrong_use_of_the_solver(arguments, message):
    asked = {"model": lambda x, a, sigma: x, "x": np.zeros((4, 1)), "nodes": LEVELS[:4]} | arguments
    with pytest.raises(dpm.InvalidParameterError, match=message):
        sde_dpm_solver(**asked)
