"""The optimal variance against 50 digits, quadrature over its definition, and Gaussian closed forms."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError, Schedule
from dpmoracle.variance import (
    lambda2_ddim,
    lambda2_ddpm,
    mmse_from_gamma,
    optimal_variance,
    optimal_variance_from_mmse,
    reverse_coefficient,
)
from exact_steps import cases, worst
from integrated_laws import LAWS, integrate

sqrt = mp.sqrt
LINEAR = Schedule.linear(1000)
CASES = cases()
LIT = cases(terminal=False)
NOISY = [case for case in LIT if case.s > 0]  # where the notes' beta_{n-1} exists
SPREAD = 0.3  # variance of the Gaussian data of the closed forms


# -- V from Gamma --------------------------------------------------------------------------------------------


def mmse(case):
    return mmse_from_gamma(case.sch, case.t, gamma(case))


def gamma(case):
    """Γ_t of N(0, SPREAD), rounded to the float64 that every formula is given."""
    return float(1 / (case.exact.A_t * mp.mpf(SPREAD) + case.exact.B_t))


def printed_mmse(case):
    e = case.exact
    return e.B_t / e.A_t * (1 - e.B_t * mp.mpf(gamma(case)))


def mmse_with(form):
    return lambda case: form(case.exact, mp.mpf(gamma(case)))


def rounded_mmse(case):
    beta_bar = case.sch.beta_bar[case.t]
    return beta_bar / case.sch.alpha_bar[case.t] * (1 - beta_bar * gamma(case))


MMSE_MUTANTS = {
    "no leading ratio": mmse_with(lambda e, g: 1 - e.B_t * g),
    "ratio upside down": mmse_with(lambda e, g: e.A_t / e.B_t * (1 - e.B_t * g)),
    "beta_t for beta_bar_t inside": mmse_with(lambda e, g: e.B_t / e.A_t * (1 - e.beta_t * g)),
    "beta_t for beta_bar_t outside": mmse_with(lambda e, g: e.beta_t / e.A_t * (1 - e.B_t * g)),
    "alpha_t for alpha_bar_t": mmse_with(lambda e, g: e.B_t / (1 - e.beta_t) * (1 - e.B_t * g)),
    "plus": mmse_with(lambda e, g: e.B_t / e.A_t * (1 + e.B_t * g)),
    "root of Gamma": mmse_with(lambda e, g: e.B_t / e.A_t * (1 - e.B_t * mp.sqrt(g))),
    "beta_bar squared": mmse_with(lambda e, g: e.B_t / e.A_t * (1 - e.B_t**2 * g)),
    "right, but by the subtraction that cancels": rounded_mmse,
}


def test_mmse_from_gamma_loses_nothing_of_the_gamma_it_is_given():
    assert worst(mmse, printed_mmse, LIT) < 1e-14  # measured 7e-16


@pytest.mark.parametrize("name", MMSE_MUTANTS)
def test_mmse_mutants_are_caught(name):
    assert worst(MMSE_MUTANTS[name], printed_mmse, LIT) > 1e-14


def test_mmse_at_time_zero():
    assert mmse_from_gamma(LINEAR, [0, 0], [np.inf, 3.0]).tolist() == [0.0, 0.0]


# -- the optimal variance, 50 digits -------------------------------------------------------------------------


def from_mmse(case):
    return optimal_variance_from_mmse(case.sch, case.s, case.t, gaussian_mmse(case), case.lam2)


def from_gamma(case):
    return optimal_variance(case.sch, case.s, case.t, gamma(case), case.lam2)


def gaussian_mmse(case):
    """V_t of N(0, SPREAD), rounded: 1/V = 1/SPREAD + SNR."""
    return float(1 / (1 / mp.mpf(SPREAD) + case.exact.A_t / case.exact.B_t))


def regression_variance(case):
    """Var(x_s|x_t) for data N(0, SPREAD): x_s regressed on x_t, whose noises have correlation rho."""
    e, v = case.exact, mp.mpf(SPREAD)
    cross = mp.sqrt(e.A_s * e.A_t) * v + e.rho * mp.sqrt(e.B_s * e.B_t)
    return e.A_s * v + e.B_s - cross**2 / (e.A_t * v + e.B_t)


def printed_variance(case):
    """Eq. (7) of the notes with skips, as it stands, in 50 digits."""
    e = case.exact
    return e.lam2 + right_root(e) ** 2 * (1 - e.B_t * mp.mpf(gamma(case)))


def with_root(form):
    """Eq. (7) in 50 digits with another root before the square; n - 1, n of the notes are s, t."""

    def mutant(case):
        e = case.exact
        return e.lam2 + form(e) ** 2 * (1 - e.B_t * mp.mpf(gamma(case)))

    return mutant


def with_bracket(form):
    """Eq. (7) in 50 digits with another last factor."""
    return lambda case: case.exact.lam2 + right_root(case.exact) ** 2 * form(case.exact, mp.mpf(gamma(case)))


def right_root(e):
    return sqrt(e.B_t / e.a) - sqrt(e.B_s - e.lam2)


GAMMA_MUTANTS = {
    "(5), (8) as printed": with_root(lambda e: sqrt(e.beta_t / (1 - e.beta_t)) - sqrt(e.beta_s) - e.lam2),
    "(5), (8), only the root mended": with_root(
        lambda e: sqrt(e.beta_t / (1 - e.beta_t)) - sqrt(e.beta_s - e.lam2)
    ),
    "(5), (8), only the bars mended": with_root(lambda e: sqrt(e.B_t / e.a) - sqrt(e.B_s) - e.lam2),
    "(9) with one-step alpha": with_root(lambda e: sqrt(e.B_t / (1 - e.beta_t)) - sqrt(e.B_s - e.lam2)),
    "alpha for its inverse": with_root(lambda e: sqrt(e.B_t * e.a) - sqrt(e.B_s - e.lam2)),
    "beta_t for beta_bar_t": with_root(lambda e: sqrt(e.beta_t / e.a) - sqrt(e.B_s - e.lam2)),
    "lambda for lambda^2": with_root(lambda e: sqrt(e.B_t / e.a) - sqrt(e.B_s - sqrt(e.lam2))),
    "plus between the roots": with_root(lambda e: sqrt(e.B_t / e.a) + sqrt(e.B_s - e.lam2)),
    "plus before lam2": with_root(lambda e: sqrt(e.B_t / e.a) - sqrt(e.B_s + e.lam2)),
    "s and t exchanged": with_root(lambda e: sqrt(e.B_s / e.a) - sqrt(e.B_t - e.lam2)),
    "not squared": with_root(lambda e: sqrt(right_root(e))),
    "beta before Gamma": with_bracket(lambda e, g: 1 - e.beta_t * g),
    "beta_bar_s before Gamma": with_bracket(lambda e, g: 1 - e.B_s * g),
    "plus before Gamma": with_bracket(lambda e, g: 1 + e.B_t * g),
    "root of Gamma": with_bracket(lambda e, g: 1 - e.B_t * sqrt(g)),
    "no bracket": with_bracket(lambda e, g: 1.0),
    "lam2 not added": lambda c: from_gamma(c) - c.lam2,
    "lambda added": lambda c: from_gamma(c) - c.lam2 + c.lam2**0.5,
}


def test_optimal_variance_is_the_printed_formula():
    assert worst(from_gamma, printed_variance, LIT) < 1e-14  # measured 9e-16


@pytest.mark.parametrize("name", GAMMA_MUTANTS)
def test_optimal_variance_mutants_are_caught(name):
    assert worst(GAMMA_MUTANTS[name], printed_variance, NOISY) > 1e-14


MMSE_FORM_MUTANTS = {
    "c not squared": lambda c: c.lam2 + coefficient(c) * gaussian_mmse(c),
    "lam2 not added": lambda c: coefficient(c) ** 2 * gaussian_mmse(c),
    "c of DDIM": lambda c: c.lam2 + reverse_coefficient(c.sch, c.s, c.t, 0.0) ** 2 * gaussian_mmse(c),
    "sqrt(alpha_bar_s) for c": lambda c: c.lam2 + c.sch.alpha_bar[c.s] * gaussian_mmse(c),
    "the variance of x_0 for V": lambda c: c.lam2 + coefficient(c) ** 2 * SPREAD,
    "V of s": lambda c: c.lam2 + coefficient(c) ** 2 / (1 / SPREAD + c.sch.snr[c.s]),
    "lambda added": lambda c: c.lam2**0.5 + coefficient(c) ** 2 * gaussian_mmse(c),
}


def coefficient(case):
    return reverse_coefficient(case.sch, case.s, case.t, case.lam2)


def test_optimal_variance_from_mmse_is_the_regressions_residual():
    assert worst(from_mmse, regression_variance, CASES) < 1e-14  # measured 9e-16


@pytest.mark.parametrize("name", MMSE_FORM_MUTANTS)
def test_optimal_variance_from_mmse_mutants_are_caught(name):
    assert worst(MMSE_FORM_MUTANTS[name], regression_variance, CASES) > 1e-14


def test_one_step_to_clean_data_is_the_mmse_itself():
    t = np.arange(1, 1001)
    np.testing.assert_array_equal(optimal_variance_from_mmse(LINEAR, 0, t, 1 / t, 0.0), 1 / t)


def test_zero_terminal_snr_has_a_variance_by_its_mmse():
    sch = Schedule.cosine(60, max_beta=1.0)
    s = np.arange(60)
    lam2 = 0.4 * sch.beta_bar[s]
    truth = lam2 + sch.alpha_bar[s] * SPREAD  # x_t knows nothing of x_0
    np.testing.assert_allclose(optimal_variance_from_mmse(sch, s, 60, SPREAD, lam2), truth, rtol=1e-15)


# -- the optimal variance, by integrating over the law itself ------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("s", "t"), [(0, 300), (1, 1000), (150, 300), (299, 300), (600, 900)])
def test_both_forms_are_the_mean_conditional_variance(law, s, t):
    lost = np.finfo(float).eps / LINEAR.alpha_bar[t]  # what rounding of gamma_t alone costs V_t, about
    for lam2 in (0.0, lambda2_ddpm(LINEAR, s, t), lambda2_ddim(LINEAR, s, t, 0.5), 0.9 * LINEAR.beta_bar[s]):
        gamma_t, mmse_t, truth = integrate(LAWS[law], LINEAR, s, t, float(lam2))
        tolerance = 2e-12 * truth + 2e-15  # the truth subtracts numbers of size 1
        assert abs(optimal_variance_from_mmse(LINEAR, s, t, mmse_t, lam2) - truth) < tolerance
        tolerance += 40 * lost * reverse_coefficient(LINEAR, s, t, lam2) ** 2
        assert abs(optimal_variance(LINEAR, s, t, gamma_t, lam2) - truth) < tolerance
        assert abs(mmse_from_gamma(LINEAR, t, gamma_t) - mmse_t) < 2e-12 * mmse_t + 40 * lost


@pytest.mark.parametrize(("s", "t"), [(100, 300), (400, 900)])
def test_ddpm_variance_on_a_grid_of_the_two_variables(s, t):
    """E(x_s - E[x_s|x_t])² of the chain q(x_s) q(x_t|x_s) on a grid; no formula of a posterior comes in."""
    weights, means, variances = LAWS["three components"]
    a_s, sigma_s = LINEAR.levels(s)
    x_s = np.linspace(-7, 7, 1201)
    spread = [a_s**2 * v + sigma_s**2 for v in variances]
    q_s = sum(
        w * np.exp(-((x_s - a_s * m) ** 2) / (2 * v)) / v**0.5 for w, m, v in zip(weights, means, spread)
    )
    x_t = np.linspace(-7, 7, 1201)[:, None]
    joint = q_s * np.exp(-((x_t - LINEAR.alpha(s, t) ** 0.5 * x_s) ** 2) / (2 * LINEAR.beta(s, t)))
    mean = (joint * x_s).sum(1) / joint.sum(1)
    truth = (joint * (x_s - mean[:, None]) ** 2).sum() / joint.sum()
    lam2 = lambda2_ddpm(LINEAR, s, t)
    _, mmse_t, _ = integrate(LAWS["three components"], LINEAR, s, t, 0.0)
    assert optimal_variance_from_mmse(LINEAR, s, t, mmse_t, lam2) == pytest.approx(truth, rel=1e-10)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    d=st.integers(2, 6),
    steps=st.lists(st.integers(0, 1000), min_size=2, max_size=2, unique=True),
    # Near its end lam2 acts by the root of beta_bar_s - lam2, and its rounding by the root of 1e-16.
    share=st.one_of(st.floats(0, 0.99), st.just(1.0)),
)
def test_gaussian_data_of_any_covariance(seed, d, steps, share):
    """σ*² = Tr Cov(x_s|x_t)/d by the Schur complement of the joint covariance matrix."""
    s, t = sorted(steps)
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d)) * np.exp(rng.normal(size=d))
    cov, eye = root @ root.T, np.eye(d)
    (a_s, sigma_s), (a_t, sigma_t) = LINEAR.levels(s), LINEAR.levels(t)
    noisy = a_t**2 * cov + sigma_t**2 * eye
    cross = a_s * a_t * cov + np.sqrt(1 - share) * sigma_s * sigma_t * eye
    truth = np.trace(a_s**2 * cov + sigma_s**2 * eye - cross @ np.linalg.solve(noisy, cross)) / d
    gamma_t = np.trace(np.linalg.inv(noisy)) / d
    mmse_t = np.trace(cov @ np.linalg.inv(noisy)) / d * sigma_t**2
    lam2 = share * LINEAR.beta_bar[s]
    size = np.trace(cov) / d + 1  # the Schur complement subtracts numbers of this size
    tolerance = 1e-13 * size
    assert abs(optimal_variance_from_mmse(LINEAR, s, t, mmse_t, lam2) - truth) < tolerance
    tolerance += 1e-15 * d / LINEAR.alpha_bar[t]  # the rounding of gamma_t
    assert abs(optimal_variance(LINEAR, s, t, gamma_t, lam2) - truth) < tolerance


# -- shapes and refusals -------------------------------------------------------------------------------------


def test_arguments_broadcast():
    s, t = np.array([0, 3, 8])[:, None], np.array([9, 500])
    lam2 = np.array([0.0, 0.5, 1.0])[:, None] * LINEAR.beta_bar[s]
    value = np.full((4, 1, 1), 0.2)
    for form in (optimal_variance, optimal_variance_from_mmse):
        whole = form(LINEAR, s, t, value, lam2)
        assert whole.shape == (4, 3, 2)
        assert all(
            whole[i, j, k] == form(LINEAR, s[j, 0], t[k], 0.2, lam2[j, 0]) for i, j, k in np.ndindex(4, 3, 2)
        )


ENDED = Schedule.from_betas([0.1, 0.2, 1.0])
REFUSED = {
    "s above t": (lambda: optimal_variance(LINEAR, 4, 2, 1.0, 0.0), "optimal_variance: .* s = 4, t = 2"),
    "lam2 too large": (lambda: optimal_variance(LINEAR, 1, 2, 1.0, 0.5), "lam2 must lie in"),
    "gamma nan": (
        lambda: optimal_variance(LINEAR, 1, 2, [1, np.nan], 0.0),
        r"gamma_t must not be nan.* at \[1\]",
    ),
    "gamma inf": (lambda: optimal_variance(LINEAR, 1, 2, np.inf, 0.0), "gamma_t must be finite"),
    "gamma -inf": (lambda: mmse_from_gamma(LINEAR, 0, -np.inf), "gamma_t must be finite"),
    "gamma inf late": (lambda: mmse_from_gamma(LINEAR, [0, 1], np.inf), r"only gamma_0 .* at \[1\]"),
    "gamma at pure noise": (
        lambda: optimal_variance(ENDED, 1, 3, 1.0, 0.0),
        "optimal_variance_from_mmse with V_t",
    ),
    "V from gamma at pure noise": (lambda: mmse_from_gamma(ENDED, [1, 3], 1.0), r"at \[1\].*Tr Cov\(x_0\)/d"),
    "float t": (lambda: mmse_from_gamma(LINEAR, 0.5, 1.0), "t must be an integer timestep"),
    "no schedule": (lambda: mmse_from_gamma("linear", 1, 1.0), "sch must be a Schedule; got str"),
    "mmse nan": (lambda: optimal_variance_from_mmse(LINEAR, 1, 2, np.nan, 0.0), "mmse_t must be finite"),
    "mmse text": (
        lambda: optimal_variance_from_mmse(LINEAR, 1, 2, "0.1", 0.0),
        "mmse_t must be real numbers",
    ),
    "shapes": (lambda: optimal_variance(LINEAR, [1, 1], 2, np.ones(3), 0.0), r"gamma_t \(3,\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_refused_with_the_reason(name):
    call, message = REFUSED[name]
    with pytest.raises(InvalidParameterError, match=message):
        call()
