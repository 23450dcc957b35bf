"""The SNR integral against entropies, against log C, and against plain quadrature over half log SNR."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Schedule
from dpmoracle.likelihood.draws import trace_samples
from dpmoracle.likelihood.entropy import entropy
from dpmoracle.likelihood.information import gather, snr_integral
from dpmoracle.snr_rules import clenshaw_curtis, snr_rule
from trajectory_cases import mixture_mmse, two_point_mmse

LINE = ([0.2, 0.5, 0.3], [-1.5, 0.2, 1.0], [0.05, 0.3, 0.01])
CLOSE = 1e-9  # of the truth's own quadrature; measured 4e-12


def line(law=LINE):
    return GaussianMixture(law[0], np.array(law[1])[:, None], law[2], covariance_type="spherical")


def by_half_log_snr(mmse, low, high):
    """∫ V du = ∫ 2 u V dλ, adaptively, V by an independent road."""

    def integrand(lam):
        u = np.exp(2 * lam)
        return 2 * u * mmse(np.array([np.inf, u]))[1]

    return quad(integrand, 0.5 * np.log(low), 0.5 * np.log(high), epsabs=1e-11, epsrel=1e-11, limit=200)[0]


def line_truth(low, high):
    return by_half_log_snr(lambda u: mixture_mmse(u, *LINE), low, high)


# -- deterministic ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("low", "high"), [(0.5, 9.0), (1e-3, 300.0)])
def test_against_plain_quadrature(low, high):
    found = snr_integral(line(), low, high)
    truth = line_truth(low, high)
    assert found.method == "quadrature"
    assert abs(found.value - truth) < CLOSE
    assert found.error < 1e-8
    points = GaussianMixture.from_points([[-1.0], [1.0]])
    assert abs(snr_integral(points, low, high).value - by_half_log_snr(two_point_mmse, low, high)) < CLOSE


MUTANTS = {
    "d lambda without 2u": lambda low, high: quad(
        lambda lam: mixture_mmse(np.array([np.inf, np.exp(2 * lam)]), *LINE)[1], *0.5 * np.log([low, high])
    )[0],
    "u dlambda": lambda low, high: 0.5 * line_truth(low, high),
    "ends as half log SNR for log SNR": lambda low, high: line_truth(np.sqrt(low), np.sqrt(high)),
    "sigma for SNR": lambda low, high: line_truth(1 / high, 1 / low),
    "reversed": lambda low, high: -line_truth(low, high),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    assert abs(float(snr_integral(line(), 0.5, 9.0).value) - MUTANTS[name](0.5, 9.0)) > 1e3 * CLOSE


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_it_is_the_difference_of_two_entropies(C, seed):
    """I-MMSE: (d/2) ∫ V du = h(x at high) - h(x at low), of x = sqrt(u) x_0 + ε."""
    rng = np.random.default_rng(seed)
    q0 = GaussianMixture(
        rng.dirichlet(np.ones(C)), rng.uniform(-2, 2, (C, 1)), np.exp(rng.uniform(-5, 0, C)), "spherical"
    )
    low, high = np.sort(np.exp(rng.uniform(-6, 6, 2)))
    ends = [float(entropy(q0.diffuse(np.sqrt(u), 1.0)).value) for u in (low, high)]
    found = snr_integral(q0, low, high)
    assert abs(0.5 * found.value - (ends[1] - ends[0])) < 1e-9  # measured 3e-12
    assert 0 <= found.value <= np.log1p(q0.trace_cov() * (high - low) / (1 + q0.trace_cov() * low)) + 1e-12


def test_a_plane_in_five_dimensions_is_the_difference_of_two_entropies():
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 5)))[0][:2]
    means = np.array([[1.0, 0.0], [-0.4, 0.6], [-0.4, -0.6]]) @ frame
    q0 = GaussianMixture([0.3, 0.3, 0.4], means, [0.2] * 3, "spherical")
    ends = [float(entropy(q0.diffuse(np.sqrt(u), 1.0)).value) for u in (0.3, 8.0)]
    found = snr_integral(q0, 0.3, 8.0)
    assert found.method == "quadrature"
    assert abs(2.5 * found.value - (ends[1] - ends[0])) < 1e-7  # measured 1e-10


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_gaussian_data_closed_form(d, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    cov = root @ root.T
    low, high = np.sort(np.exp(rng.uniform(-8, 8, 2)))
    log_det = [np.linalg.slogdet(np.eye(d) + u * cov)[1] for u in (low, high)]
    found = snr_integral(GaussianMixture([1.0], np.zeros((1, d)), cov[None]), low, high)
    assert found.method == "exact"
    assert abs(d * found.value - (log_det[1] - log_det[0])) < 1e-11 * max(1, log_det[1])
    if d == 1:
        forced = snr_integral(GaussianMixture([1.0], [[0.0]], cov[None]), low, high, method="quadrature")
        assert abs(forced.value - found.value) <= forced.error + 1e-13


# -- points: what is left to learn is log C --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "count"),
    [([[-1.0], [1.0]], 2), ([[-1.0], [0.3], [1.0]], 3), ([[0.0, 0.0], [1.0, 0.0], [0.0, 0.5]], 3)],
)
def test_all_snr_on_points_is_log_of_their_number(points, count):
    d = len(points[0])
    found = snr_integral(GaussianMixture.from_points(points), 0, np.inf)
    assert abs(0.5 * d * found.value - np.log(count)) < (1e-7 if d == 2 else 1e-11)  # measured 1e-9, 3e-16
    assert found.error < 1e-6


def test_all_snr_on_weighted_and_repeated_points_is_their_entropy():
    w = np.array([0.1, 0.6, 0.3])
    found = snr_integral(GaussianMixture(w, [[-1.0], [0.0], [2.0]], np.zeros(3), "spherical"), 0, np.inf)
    assert abs(0.5 * found.value + w @ np.log(w)) < 1e-10
    twice = GaussianMixture.from_points([[-1.0], [1.0], [1.0], [-1.0]])
    assert abs(0.5 * snr_integral(twice, 0, np.inf).value - np.log(2)) < 1e-10
    assert snr_integral(GaussianMixture.from_points([[1.0], [1.0]]), 0, np.inf).value == 0.0


def test_all_snr_reaches_as_far_as_the_nearest_points_need():
    points = GaussianMixture.from_points([[0.0], [0.003], [1.0]])
    assert abs(0.5 * snr_integral(points, 0, np.inf).value - np.log(3)) < 1e-10


def test_all_snr_on_a_density_is_infinite():
    assert snr_integral(line(), 1.0, np.inf).value == np.inf


def test_all_snr_on_the_digits_by_samples():
    from dpmoracle.datasets import digits

    found = snr_integral(GaussianMixture.from_points(digits()), 0, np.inf, 400, 1)
    assert found.method == "monte carlo"
    assert abs(32 * found.value - np.log(1797)) < 4 * 32 * found.error  # false alarm 6e-5; log 1797 = 7.49
    assert 32 * found.error < 0.15
    assert found.effective_count > 300


# -- sampled ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "covariances"),
    [
        ("spherical", [0.1, 0.4]),
        ("diag", [[0.1, 0.3], [0.05, 0.2]]),
        ("tied", [[0.3, 0.1], [0.1, 0.2]]),
        ("full", [[[0.3, 0.1], [0.1, 0.2]], [[0.1, 0.0], [0.0, 0.4]]]),
    ],
)
def test_sampled_agrees_with_entropies(kind, covariances):
    q0 = GaussianMixture([0.4, 0.6], [[-1.0, 0.2], [0.5, 0.0]], covariances, covariance_type=kind)
    ends = [float(entropy(q0.diffuse(np.sqrt(u), 1.0)).value) for u in (0.1, 20.0)]
    found = snr_integral(q0, 0.1, 20.0, 1000, 3, method="monte carlo")
    assert abs(found.value - (ends[1] - ends[0])) < 4 * found.error  # false alarm 6e-5
    assert found.error < 0.1


def test_the_fixed_rule_is_exact_beside_the_sampling_error():
    for points, truth in (([[-1.0], [1.0]], np.log(4)), ([[-1.0], [0.3], [1.0]], np.log(9))):
        q0 = GaussianMixture.from_points(points)
        levels, weights = snr_rule(q0.trace_cov(), 0.0, 1e4)
        v = Oracle(q0, Levels(levels)).mmse(np.arange(len(levels)), method="quadrature").value
        assert abs(v @ weights - truth) < 1e-6  # measured 5e-8
    assert snr_rule(0.0, 1.0, 2.0)[0].size == snr_rule(1.0, 2.0, 2.0)[0].size == 0


class Levels:
    """Any SNRs as a process."""

    def __init__(self, u):
        self.u = u

    def check_times(self, t, who):
        return np.asarray(t)

    def levels(self, t):
        return np.sqrt(self.u[t] / (1 + self.u[t])), 1 / np.sqrt(1 + self.u[t])


def test_blocks_of_samples_are_one_set_for_all_levels():
    for q0 in (line(), line(([0.2, 0.8], [-1.0, 1.0], [0.1, 0.1]))):
        u = np.array([0.0, 0.5, 20.0])
        blocks = list(trace_samples(q0, u, 600, np.random.default_rng(0)))
        assert sum(map(len, blocks)) == 600
        np.testing.assert_allclose(np.concatenate(blocks)[:, 0], q0.trace_cov(), rtol=1e-12)


def test_error_of_a_sum_sees_what_its_parts_share():
    """V at two SNRs a hair apart: their difference has hardly any error, their sum twice that of one."""
    found = gather(
        "test", line(), np.array([1.0, 1.0001]), 0.0, 0.0, 500, np.random.default_rng(0), "monte carlo"
    )
    one = found.error_of(np.array([1.0, 0.0]), 0.0)
    assert found.error_of(np.array([1.0, -1.0]), 0.0) < 1e-3 * one
    assert abs(found.error_of(np.array([1.0, 1.0]), 0.0) / one - 2) < 1e-3
    np.testing.assert_allclose(found.mmse_error, one, rtol=1e-3)
    bounded = gather("test", line(), np.array([1.0]), 0.5, 2.0, 500, np.random.default_rng(0), None)
    assert bounded.error_of(np.array([2.0]), -3.0) == 2 * bounded.mmse_bound[0] + 3 * bounded.integral_bound
    assert bounded.effective_count(np.array([1.0])) == np.inf


def test_effective_count_is_that_of_the_rare_event():
    """At high SNR two points are hardly ever confused; the integral is carried by all samples, V is not."""
    q0 = GaussianMixture.from_points([[-1.0], [1.0]])
    found = gather("test", q0, np.array([30.0]), 0.0, 30.0, 1000, np.random.default_rng(0), "monte carlo")
    assert found.effective_count(np.array([1.0])) < 10
    assert found.effective_count(np.array([0.0])) > 300


# -- the adaptive rule -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "low", "high", "truth"),
    [
        (np.exp, -1.0, 2.0, np.exp(2) - np.exp(-1)),
        (lambda y: 1 / (1 + 25 * y * y), -1.0, 1.0, 2 / 5 * np.arctan(5)),
        (lambda y: 1.0, 3.0, 7.0, 4.0),
        (lambda y: y**3, 0.0, 2.0, 4.0),
        (lambda y: np.cos(16 * np.arccos(np.clip(y, -1, 1))), -1.0, 1.0, 2 / (1 - 16**2)),
    ],
)
def test_clenshaw_curtis_and_its_bound(f, low, high, truth):
    total, error = clenshaw_curtis(lambda y: np.array([f(y), 1.0]), low, high, 1e-10)
    assert abs(total[0] - truth) <= error + 1e-14
    assert error < 1e-10
    assert abs(total[1] - (high - low)) < 1e-13


def test_clenshaw_curtis_is_exact_up_to_its_degree():
    """Tolerance 1 ends at 17 nodes, where the highest Chebyshev polynomial is known by its alternation."""
    total, _ = clenshaw_curtis(
        lambda y: np.array([np.cos(16 * np.arccos(np.clip(y, -1, 1))), 0.0]), -1.0, 1.0, 10.0
    )
    assert abs(total[0] - 2 / (1 - 16**2)) < 1e-15


def test_clenshaw_curtis_uses_every_value_again():
    seen = []

    def f(y):
        seen.append(y)
        return np.array([1 / (1 + 100 * y * y), 0.0])

    clenshaw_curtis(f, -1.0, 1.0, 1e-10)
    assert len(seen) == len(set(seen))
    assert np.log2(len(seen) - 1) % 1 == 0
    assert clenshaw_curtis(f, 1.0, 1.0, 1e-10)[1] == 0.0


# -- wrong use -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: snr_integral(line(), 2.0, 1.0), "0 <= low <= high"),
        (lambda: snr_integral(line(), -1.0, 1.0), "0 <= low <= high"),
        (lambda: snr_integral(line(), np.nan, 1.0), "0 <= low <= high"),
        (lambda: snr_integral(line(), np.inf, np.inf), "low finite"),
        (
            lambda: snr_integral(Oracle(line(), Schedule.linear()), 0.0, 1.0),
            r"GaussianMixture; got Oracle.*orc\.q0",
        ),
        (lambda: snr_integral(line(), 0.0, 1.0, 1), "num_samples"),
        (
            lambda: snr_integral(line(), 0.0, 1.0, method="trace"),
            "method must be None or one of exact, quadrature",
        ),
        (lambda: snr_integral(line(), 0.0, 1.0, method="exact"), "single Gaussian"),
        (
            lambda: snr_integral(GaussianMixture.from_points(np.eye(4)), 0.0, 1.0, method="quadrature"),
            "does not reach.*monte carlo",
        ),
    ],
)
def test_wrong_arguments_are_refused(call, words):
    with pytest.raises(InvalidParameterError, match=words):
        call()
