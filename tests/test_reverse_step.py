"""λ², the coefficient c and the means of a reverse step, against Bayes' rule and 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError, Schedule
from dpmoracle.variance import (
    forward_posterior_mean,
    lambda2_ddim,
    lambda2_ddpm,
    optimal_mean,
    reverse_coefficient,
)
from exact_steps import cases, worst

CASES = cases()
DDPM = [case for case in CASES if case.kind == "ddpm"]
LIT = cases(terminal=False)
LINEAR = Schedule.linear(1000)


# -- lambda^2 ------------------------------------------------------------------------------------------------


def ddpm(case):
    return lambda2_ddpm(case.sch, case.s, case.t)


def bayes_lam2(case):
    return case.exact.lam2  # from the sum of precisions, see exact_steps.bayes_variance


LAM2_MUTANTS = {
    "one-step beta": lambda c: c.sch.beta_bar[c.s] / c.sch.beta_bar[c.t] * c.sch.betas[c.t - 1],
    "beta without its ratio": lambda c: c.sch.beta(c.s, c.t),
    "ratio upside down": lambda c: c.sch.beta_bar[c.t] / c.sch.beta_bar[c.s] * c.sch.beta(c.s, c.t),
    "beta_bar_t for beta": lambda c: c.sch.beta_bar[c.s],
    "alpha_bar for beta_bar": lambda c: c.sch.alpha_bar[c.t] / c.sch.alpha_bar[c.s] * c.sch.beta(c.s, c.t),
    "lambda for its square (as the notes print)": lambda c: ddpm(c) ** 2,
    "standard deviation": lambda c: np.sqrt(ddpm(c)),
    "index s - 1": lambda c: c.sch.beta_bar[max(c.s - 1, 0)] / c.sch.beta_bar[c.t] * c.sch.beta(c.s, c.t),
    "1 - alpha": lambda c: c.sch.beta_bar[c.s] / c.sch.beta_bar[c.t] * (1 - c.sch.alpha(c.s, c.t)),
}


def test_lambda2_ddpm_is_the_markov_chains():
    assert worst(ddpm, bayes_lam2, DDPM) < 1e-15  # measured 3.3e-16


@pytest.mark.parametrize("name", LAM2_MUTANTS)
def test_lambda2_ddpm_mutants_are_caught(name):
    assert worst(LAM2_MUTANTS[name], bayes_lam2, DDPM) > 1e-15


ETA = 0.3
ETA_MUTANTS = {
    "eta for its square": lambda c: ETA * ddpm(c),
    "1 - eta^2": lambda c: (1 - ETA**2) * ddpm(c),
    "eta^2 beta_bar_s": lambda c: ETA**2 * c.sch.beta_bar[c.s],
    "no eta": ddpm,
}


def test_lambda2_ddim_scales_the_standard_deviation_by_eta():
    def truth(case):
        return (mp.mpf(ETA) * mp.sqrt(case.exact.lam2)) ** 2

    assert worst(lambda c: lambda2_ddim(c.sch, c.s, c.t, ETA), truth, DDPM) < 1e-15
    assert all(worst(mutant, truth, DDPM) > 1e-15 for mutant in ETA_MUTANTS.values())
    assert all(
        lambda2_ddim(c.sch, c.s, c.t) == 0 and lambda2_ddim(c.sch, c.s, c.t, 1) == ddpm(c) for c in DDPM
    )


@settings(max_examples=60, deadline=None)
@given(betas=st.lists(st.floats(1e-12, 0.999), min_size=1, max_size=30), end=st.booleans(), data=st.data())
def test_lambda2_ddpm_is_admissible_to_every_function(betas, end, data):
    sch = Schedule.from_betas(betas + [1.0] * end)
    t = data.draw(st.integers(1, sch.N))
    s = np.arange(t)
    lam2 = lambda2_ddpm(sch, s, t)
    assert np.all((lam2 >= 0) & (lam2 <= sch.beta_bar[s] * (1 + 1e-15)))
    assert np.all(reverse_coefficient(sch, s, t, lam2) >= 0)


# -- c -------------------------------------------------------------------------------------------------------


def coefficient(case):
    return reverse_coefficient(case.sch, case.s, case.t, case.lam2)


def exact_coefficient(case):
    e = case.exact
    return difference(e.A_s, e.B_s, e.A_t, e.B_t, e.lam2)


def difference(A_s, B_s, A_t, B_t, lam2):
    return mp.sqrt(A_s) - mp.sqrt(B_s - lam2) * mp.sqrt(A_t / B_t)


def rounded_difference(case):
    """The definition of c in float64, where two nearly equal roots are subtracted."""
    (a_s, sigma_s), (a_t, sigma_t) = case.sch.levels(case.s), case.sch.levels(case.t)
    return a_s - np.sqrt(sigma_s**2 - case.lam2) * a_t / sigma_t


def variants(form):
    """Broken versions, in 50 digits, of a function of (alpha_bar_s, beta_bar_s, alpha_bar_t, beta_bar_t, lam2)."""

    def with_arguments(choose):
        return lambda case: form(*choose(case.exact))

    return {
        "lam2 forgotten": with_arguments(lambda e: (e.A_s, e.B_s, e.A_t, e.B_t, 0)),
        "lam2 of the wrong sign": with_arguments(lambda e: (e.A_s, e.B_s, e.A_t, e.B_t, -e.lam2)),
        "lambda for lambda^2": with_arguments(lambda e: (e.A_s, e.B_s, e.A_t, e.B_t, mp.sqrt(e.lam2))),
        "alpha_t for alpha_bar_t": with_arguments(lambda e: (e.A_s, e.B_s, 1 - e.beta_t, e.B_t, e.lam2)),
        "beta_t for beta_bar_t": with_arguments(lambda e: (e.A_s, e.B_s, e.A_t, e.beta_t, e.lam2)),
        "beta_s for beta_bar_s": with_arguments(lambda e: (e.A_s, e.beta_s, e.A_t, e.B_t, e.lam2)),
        "alpha_bar_t for alpha_bar_s": with_arguments(lambda e: (e.A_t, e.B_s, e.A_t, e.B_t, e.lam2)),
        "beta_bar_t for beta_bar_s": with_arguments(lambda e: (e.A_s, e.B_t, e.A_t, e.B_t, e.lam2)),
        "s and t exchanged": with_arguments(lambda e: (e.A_t, e.B_t, e.A_s, e.B_s, e.lam2)),
    }


C_MUTANTS = {
    **variants(difference),
    "plus": lambda c: 2 * np.sqrt(c.sch.alpha_bar[c.s]) - coefficient(c),
    "no root over alpha_bar_s": lambda c: coefficient(c) + c.sch.alpha_bar[c.s] - c.sch.alpha_bar[c.s] ** 0.5,
    "square": lambda c: coefficient(c) ** 2,
    "DDPM's c for every lam2": lambda c: (
        np.sqrt(c.sch.alpha_bar[c.s]) * c.sch.beta(c.s, c.t) / c.sch.beta_bar[c.t]
    ),
    "right, but by the subtraction that cancels": rounded_difference,
}


def test_coefficient_to_the_last_digits():
    assert worst(coefficient, exact_coefficient, CASES) < 1e-15  # measured 3.7e-16


@pytest.mark.parametrize("name", C_MUTANTS)
def test_coefficient_mutants_are_caught(name):
    assert worst(C_MUTANTS[name], exact_coefficient, CASES) > 1e-15


def test_coefficient_of_ddpm_at_the_ends():
    def closed_form(case):
        return mp.sqrt(case.exact.A_s) * case.exact.b / case.exact.B_t

    assert worst(coefficient, closed_form, DDPM) < 1e-15
    assert np.all(reverse_coefficient(LINEAR, 0, np.arange(1, 1001), 0.0) == 1.0)
    full = reverse_coefficient(LINEAR, np.arange(1000), 1000, LINEAR.beta_bar[:-1])
    np.testing.assert_allclose(full, np.sqrt(LINEAR.alpha_bar[:-1]), rtol=4e-16)


# -- means ---------------------------------------------------------------------------------------------------

X_T, X_0 = 0.7, -1.3


def forward_mean(case):
    return forward_posterior_mean(case.sch, case.s, case.t, [X_T], [X_0], case.lam2)[0]


def regression(case):
    """E[x_s|x_t, x_0]: x_s regressed on x_t with the noises' correlation rho."""
    e, x_t, x_0 = case.exact, mp.mpf(X_T), mp.mpf(X_0)
    return mp.sqrt(e.A_s) * x_0 + e.rho * mp.sqrt(e.B_s / e.B_t) * (x_t - mp.sqrt(e.A_t) * x_0)


def chain_mean(case):
    """E[x_s|x_t, x_0] of the Markov chain, by the product of q(x_s|x_0) and q(x_t|x_s)."""
    e = case.exact
    if e.B_s == 0:
        return mp.mpf(X_0)
    return e.lam2 * (mp.sqrt(e.A_s) * mp.mpf(X_0) / e.B_s + mp.sqrt(e.a) * mp.mpf(X_T) / e.b)


def printed_mean(A_s, B_s, A_t, B_t, lam2):
    """Eq. (1) of the notes, with skips."""
    x_0, x_t = mp.mpf(X_0), mp.mpf(X_T)
    return mp.sqrt(A_s) * x_0 + mp.sqrt(B_s - lam2) * (x_t - mp.sqrt(A_t) * x_0) / mp.sqrt(B_t)


MEAN_MUTANTS = {
    **variants(printed_mean),
    "second term twice": lambda c: 2 * forward_mean(c) - c.sch.alpha_bar[c.s] ** 0.5 * X_0,
    "x_t not centred": lambda c: printed_mean(c.exact.A_s, c.exact.B_s, 0, c.exact.B_t, c.exact.lam2),
    "no root of beta_bar_t": lambda c: printed_mean(
        c.exact.A_s, c.exact.B_s, c.exact.A_t, c.exact.B_t**2, c.exact.lam2
    ),
    "x_0 and x_t exchanged": lambda c: forward_posterior_mean(c.sch, c.s, c.t, [X_0], [X_T], c.lam2)[0],
}
MEAN_TOL = 1e-15


def mean_scale(case):
    """Sizes of the two terms; a rounding error of lam2 moves the second by 1/rho^2 as much."""
    e = case.exact
    spread = mp.sqrt(e.B_s / e.B_t) * (e.rho + (1 / e.rho if e.rho > 0 else 0))
    return mp.sqrt(e.A_s) * abs(X_0) + spread * abs(X_T)


def test_forward_posterior_mean():
    assert worst(forward_mean, regression, CASES, mean_scale) < MEAN_TOL
    assert worst(forward_mean, chain_mean, DDPM, mean_scale) < MEAN_TOL


@pytest.mark.parametrize("name", MEAN_MUTANTS)
def test_forward_posterior_mean_mutants_are_caught(name):
    assert worst(MEAN_MUTANTS[name], regression, CASES, mean_scale) > MEAN_TOL


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize(("s", "t"), [(0, 7), (1, 2), (40, 900), (999, 1000)])
def test_any_lam2_leaves_the_marginal_as_it_is(s, t, share):
    """Moments of x_s under q(x_s|x_t, x_0) q(x_t|x_0); Gauss-Hermite quadrature is exact for them."""
    z, weight = np.polynomial.hermite_e.hermegauss(12)
    weight = weight / weight.sum()
    a_t, sigma_t = LINEAR.levels(t)
    lam2 = share * LINEAR.beta_bar[s]
    mean = forward_posterior_mean(LINEAR, s, t, (a_t * X_0 + sigma_t * z)[:, None], [X_0], lam2)
    x_s, w = mean + np.sqrt(lam2) * z, np.outer(weight, weight)
    a_s, sigma_s = LINEAR.levels(s)
    for power in range(1, 7):
        want = np.sum(weight * (a_s * X_0 + sigma_s * z) ** power)
        assert np.sum(w * x_s**power) == pytest.approx(want, rel=1e-13, abs=0)


POINTS, SHARES = (-1.2, 0.1, 1.0), (0.2, 0.5, 0.3)


def mixture_terms(case, x):
    """q(x_t, x_0 = y) at x, for three points y, without the factor that all share."""
    e = case.exact
    return [
        mp.mpf(w) * mp.exp(-((x - mp.sqrt(e.A_t) * mp.mpf(y)) ** 2) / (2 * e.B_t))
        for w, y in zip(SHARES, POINTS)
    ]


def exact_score(case):
    """The derivative of log q_t as a difference quotient in 50 digits."""
    h = mp.mpf(10) ** -16 * mp.sqrt(case.exact.B_t)
    low, high = (mp.log(mp.fsum(mixture_terms(case, mp.mpf(X_T) + side * h))) for side in (-1, 1))
    return (high - low) / (2 * h)


def posterior_average(case):
    """E[x_s|x_t] as the average of E[x_s|x_t, x_0] over the points, weighted by Bayes' rule."""
    e, terms = case.exact, mixture_terms(case, mp.mpf(X_T))
    x_0 = mp.fsum(term * mp.mpf(y) for term, y in zip(terms, POINTS)) / mp.fsum(terms)
    return mp.sqrt(e.A_s) * x_0 + e.rho * mp.sqrt(e.B_s / e.B_t) * (mp.mpf(X_T) - mp.sqrt(e.A_t) * x_0)


def reverse_mean(case, score=None):
    score = float(exact_score(case)) if score is None else score
    return optimal_mean(case.sch, case.s, case.t, [X_T], [score], case.lam2)[0]


def with_x0(formula):
    """The mean with another formula for E[x_0|x_t]."""

    def mutant(case):
        A_t, B_t, alpha = (
            case.sch.alpha_bar[case.t],
            case.sch.beta_bar[case.t],
            1 - case.sch.betas[case.t - 1],
        )
        x_0 = formula(A_t, B_t, alpha, float(exact_score(case)))
        return forward_posterior_mean(case.sch, case.s, case.t, [X_T], [x_0], case.lam2)[0]

    return mutant


OPTIMAL_MEAN_MUTANTS = {
    "1/sqrt(alpha_t), as the notes print": with_x0(lambda A, B, a, s: (X_T + B * s) / a**0.5),
    "no root": with_x0(lambda A, B, a, s: (X_T + B * s) / A),
    "minus the score": with_x0(lambda A, B, a, s: (X_T - B * s) / A**0.5),
    "sqrt(beta_bar_t)": with_x0(lambda A, B, a, s: (X_T + B**0.5 * s) / A**0.5),
    "beta_t for beta_bar_t": with_x0(lambda A, B, a, s: (X_T + (1 - a) * s) / A**0.5),
    "the score for the noise": with_x0(lambda A, B, a, s: (X_T - B**0.5 * s) / A**0.5),
    "wrong lam2": lambda c: optimal_mean(c.sch, c.s, c.t, [X_T], [float(exact_score(c))], 0.0)[0],
}
# Tweedie's sum x + beta_bar s cancels at low signal: its error is about 1e-16 |x|/sqrt(alpha_bar_t), where
# E[x_0|x_t] is of size 1. Steps with alpha_bar_t > 0.01 are compared at 1e-14, all of them at that bound.
BRIGHT = [case for case in LIT if case.exact.A_t > 0.01]


def test_optimal_mean_is_the_average_of_the_forward_means():
    assert worst(reverse_mean, posterior_average, BRIGHT) < 1e-14
    for case in LIT:
        error = abs(mp.mpf(float(reverse_mean(case))) - posterior_average(case))
        assert error < 1e-15 * (1 + 1 / mp.sqrt(case.exact.A_t))


@pytest.mark.parametrize("name", OPTIMAL_MEAN_MUTANTS)
def test_optimal_mean_mutants_are_caught(name):
    assert worst(OPTIMAL_MEAN_MUTANTS[name], posterior_average, BRIGHT) > 1e-14


@pytest.mark.parametrize(("s", "t"), [(1, 2), (100, 300), (499, 500), (200, 1000)])
def test_optimal_mean_of_ddpm_by_integrating_over_x_s(s, t):
    """E[x_s|x_t] under q(x_s) q(x_t|x_s), the chain alone: neither x_0 nor the forward posterior comes in."""
    a_s, sigma_s = LINEAR.levels(s)
    a_t, sigma_t = LINEAR.levels(t)
    x_s = np.linspace(-8, 8, 200_001)
    q_s = sum(w * np.exp(-((x_s - a_s * y) ** 2) / (2 * sigma_s**2)) for w, y in zip(SHARES, POINTS))
    x_t = np.array([-0.8, 0.3, 1.1])[:, None]
    joint = q_s * np.exp(-((x_t - np.sqrt(LINEAR.alpha(s, t)) * x_s) ** 2) / (2 * LINEAR.beta(s, t)))
    truth = (joint * x_s).sum(-1) / joint.sum(-1)
    terms = [w * np.exp(-((x_t - a_t * y) ** 2) / (2 * sigma_t**2)) for w, y in zip(SHARES, POINTS)]
    score = sum(p * (a_t * y - x_t) for p, y in zip(terms, POINTS)) / sum(terms) / sigma_t**2
    mean = optimal_mean(LINEAR, s, t, x_t, score, lambda2_ddpm(LINEAR, s, t))[:, 0]
    np.testing.assert_allclose(mean, truth, rtol=1e-12)


# -- shapes, dtypes, refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("mean", [forward_posterior_mean, optimal_mean])
def test_means_broadcast_keep_the_dtype_and_their_input(mean):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 4, 1, 3))
    s, t = np.array([0, 5, 9]), np.array([3, 700, 10])
    lam2 = 0.5 * LINEAR.beta_bar[s]
    before = x.copy(), y.copy()
    whole = mean(LINEAR, s, t, x, y, lam2)
    assert whole.shape == (4, 3, 3)
    for i, j in np.ndindex(4, 3):
        one = mean(LINEAR, int(s[j]), int(t[j]), x[i, 0], y[i, 0], lam2[j])
        np.testing.assert_array_equal(whole[i, j], one)
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])
    assert mean(LINEAR, 1, 2, x.astype(np.float32), y.astype(np.float32), 0.0).dtype == np.float32
    assert mean(LINEAR, 1, 2, x.astype(np.float32), y, 0.0).dtype == np.float64
    assert mean(LINEAR, 1, 2, [1, 2], [3, 4], 0).dtype == np.float64


def test_lam2_may_exceed_its_end_by_rounding_only():
    end = LINEAR.beta_bar[5]
    assert reverse_coefficient(LINEAR, 5, 9, end * (1 + 4e-16)) == reverse_coefficient(LINEAR, 5, 9, end)
    with pytest.raises(InvalidParameterError, match=r"lam2 must lie in \[0, beta_bar_s\]"):
        reverse_coefficient(LINEAR, 5, 9, end * (1 + 2e-15))


ENDED = Schedule.from_betas([0.1, 0.2, 1.0])
REFUSED = {
    "s equals t": (lambda: lambda2_ddpm(LINEAR, 3, 3), "s < t; got s = 3, t = 3"),
    "s above t": (lambda: lambda2_ddim(LINEAR, [1, 7], [2, 4]), r"s = 7, t = 4 at \[1\]"),
    "float t": (lambda: lambda2_ddpm(LINEAR, 1, 2.0), "t must be an integer timestep"),
    "t too large": (lambda: lambda2_ddpm(LINEAR, 1, 1001), r"t must lie in 0\.\.1000; got 1001"),
    "negative s": (lambda: reverse_coefficient(LINEAR, -1, 2, 0.0), r"s must lie in 0\.\.1000; got -1"),
    "shapes of s and t": (
        lambda: lambda2_ddpm(LINEAR, [1, 2], [4, 5, 6]),
        r"together; got s \(2,\), t \(3,\)",
    ),
    "no schedule": (lambda: lambda2_ddpm(0.5, 1, 2), "sch must be a Schedule; got float"),
    "eta above 1": (lambda: lambda2_ddim(LINEAR, 1, 2, 1.5), r"eta must lie in \[0, 1\].*got 1.5"),
    "eta nan": (lambda: lambda2_ddim(LINEAR, 1, 2, [0.0, np.nan]), r"got nan at \[1\]"),
    "lam2 = beta_{t|s}": (lambda: reverse_coefficient(LINEAR, 1, 2, LINEAR.beta(1, 2)), "lambda2_ddpm and"),
    "lam2 negative": (lambda: reverse_coefficient(LINEAR, 1, 2, -1e-9), "lam2 must lie in"),
    "lam2 nan": (lambda: reverse_coefficient(LINEAR, 1, 2, np.nan), "lam2 must lie in .* got nan"),
    "lam2 at s = 0": (lambda: reverse_coefficient(LINEAR, [3, 0], 4, 1e-5), r"\[0, 0\]; got .* at \[1\]"),
    "x nan": (
        lambda: forward_posterior_mean(LINEAR, 1, 2, [np.nan, 0], [0, 0], 0),
        r"x_t must be finite.*\[0\]",
    ),
    "x scalar": (
        lambda: forward_posterior_mean(LINEAR, 1, 2, 0.0, [0.0], 0),
        r"x_t and x0 must be \(\.\.\., d\)",
    ),
    "two d": (lambda: optimal_mean(LINEAR, 1, 2, np.ones((4, 1)), np.ones(3), 0), r"\(4, 1\) and \(3,\)"),
    "leading axes": (lambda: optimal_mean(LINEAR, [1, 1], 2, np.ones((3, 4)), np.ones(4), 0), "leading axes"),
    "complex x": (lambda: optimal_mean(LINEAR, 1, 2, [1j], [0.0], 0), "real numbers"),
    "score at pure noise": (lambda: optimal_mean(ENDED, 1, [2, 3], [1.0], [1.0], 0), r"at \[1\].*pure noise"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_refused_with_the_reason(name):
    call, message = REFUSED[name]
    with pytest.raises(InvalidParameterError, match=message):
        call()
