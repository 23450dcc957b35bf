"""The variational bound against joint covariances of DDIM's non-Markov chain, quadrature, and 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from chain_truths import gaussian_kl
from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Schedule
from dpmoracle.likelihood import elbo, trajectory_kl
from dpmoracle.likelihood.entropy import entropy
from dpmoracle.likelihood.variational import discretised_log_prob
from dpmoracle.reverse_step import lambda2_ddim, lambda2_ddpm

LINEAR = Schedule.linear(1000)
COARSE = Schedule.from_alpha_bar([1, 0.95, 0.8, 0.6, 0.3, 0.1, 0.03])
LINE = GaussianMixture(
    [0.2, 0.5, 0.3], [[-1.5], [0.2], [1.0]], [0.05, 0.3, 0.01], covariance_type="spherical"
)
BINS = np.arange(5) / 2 - 1
ON_BINS = GaussianMixture([0.2, 0.5, 0.3], [[-1.0], [0.5], [1.0]], np.zeros(3), covariance_type="spherical")
CLOSE = 1e-10  # of the joint matrices; measured 4e-14


# -- Gaussian data: the joint of x_0 and the nodes under q and under p, any lam2 -------------------------------


def joint_truth(mean, spread, alpha_bar, lam2, variances):
    """KL(q(x_0, x_τ..) ‖ p) + h(x_0) of data N(mean, spread) in one dimension, from two joint covariances.

    q draws x_0, the last node given x_0, then each node given the one after it and x_0 by eq. (1) of the notes; p
    starts at N(0, 1) and regresses each node on the one after it. variances : decoder first
    """
    a, n = np.sqrt(alpha_bar), len(alpha_bar)
    # Every variable as a combination of (1, standard normals): x_0's own, the last node's, one for each step.
    rows = np.zeros((n + 1, n + 2))
    rows[0, :2] = mean, np.sqrt(spread)
    rows[n] = a[-1] * rows[0]
    rows[n, 2] = np.sqrt(1 - alpha_bar[-1])
    for k in range(n - 2, -1, -1):
        noise = (rows[k + 2] - a[k + 1] * rows[0]) / np.sqrt(1 - alpha_bar[k + 1])
        rows[k + 1] = a[k] * rows[0] + np.sqrt(1 - alpha_bar[k] - lam2[k]) * noise
        rows[k + 1, 3 + k] += np.sqrt(lam2[k])
    q_mean, q_cov = rows[:, 0], rows[:, 1:] @ rows[:, 1:].T
    p_mean, p_cov = np.zeros(n + 1), np.zeros((n + 1, n + 1))
    p_cov[n, n] = 1.0
    for k in range(n - 1, -1, -1):
        slope = q_cov[k, k + 1] / q_cov[k + 1, k + 1]
        p_mean[k] = q_mean[k] + slope * (p_mean[k + 1] - q_mean[k + 1])
        p_cov[k, k + 1 :] = p_cov[k + 1 :, k] = slope * p_cov[k + 1, k + 1 :]
        p_cov[k, k] = slope**2 * p_cov[k + 1, k + 1] + variances[k]
    return gaussian_kl(q_mean, q_cov, p_mean, p_cov) + 0.5 * np.log(2 * np.pi * np.e * spread)


def gaussian_case(seed):
    rng = np.random.default_rng(seed)
    K = int(rng.integers(2, 6))
    sch = Schedule.from_betas(rng.uniform(0.05, 0.5, 8))
    nodes = np.sort(rng.choice(np.arange(1, 9), K, replace=False))
    lam2 = rng.uniform(0.1, 0.9, K - 1) * sch.beta_bar[nodes[:-1]]
    mean, spread = rng.normal(), float(np.exp(rng.uniform(-2, 1)))
    return sch, nodes, lam2, rng.uniform(0.1, 2.0, K), mean, spread


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_gaussian_data_any_lam2_any_variances(seed):
    sch, nodes, lam2, variances, mean, spread = gaussian_case(seed)
    orc = Oracle(GaussianMixture([1.0], [[mean]], [spread], "spherical"), sch)
    found = elbo(orc, nodes, variances, lam2=lam2)
    truth = joint_truth(mean, spread, sch.alpha_bar[nodes], lam2, variances)
    assert abs(found.total.value - truth) < CLOSE * max(1, abs(truth))
    assert found.total.method == "exact"
    assert found.bits_per_dim is None
    parts = found.prior.value + found.steps.value.sum() + found.decoder.value
    assert abs(parts - found.total.value) < 1e-12 * max(1, abs(truth))


def step_mutant(form):
    """The bound with other steps; form(ratio of variances, gain) is per step and dimension."""

    def bound(sch, nodes, lam2, variances, mean, spread):
        orc = Oracle(GaussianMixture([1.0], [[mean]], [spread], "spherical"), sch)
        right = elbo(orc, nodes, variances, lam2=lam2)
        a_s, a_t = np.sqrt(sch.alpha_bar[nodes[:-1]]), np.sqrt(sch.alpha_bar[nodes[1:]])
        s_s, s_t = sch.beta_bar[nodes[:-1]], sch.beta_bar[nodes[1:]]
        c = a_s - np.sqrt(s_s - lam2) * a_t / np.sqrt(s_t)
        v = spread * s_t / (a_t**2 * spread + s_t)
        v_s = spread * s_s / (a_s**2 * spread + s_s)
        steps = 0.5 * form(variances[1:], lam2, c, v, v_s, lambda2_ddpm(sch, nodes[:-1], nodes[1:])).sum()
        return float(right.total.value - right.steps.value.sum() + steps)

    return bound


MUTANTS = {
    "right": step_mutant(lambda s, l2, c, v, v_s, b: np.log(s / l2) + (l2 + c * c * v) / s - 1),
    "beta_tilde for lam2": step_mutant(lambda s, l2, c, v, v_s, b: np.log(s / b) + (b + c * c * v) / s - 1),
    "c for c^2": step_mutant(lambda s, l2, c, v, v_s, b: np.log(s / l2) + (l2 + c * v) / s - 1),
    "V of the node arrived at": step_mutant(
        lambda s, l2, c, v, v_s, b: np.log(s / l2) + (l2 + c * c * v_s) / s - 1
    ),
    "no error of the mean": step_mutant(lambda s, l2, c, v, v_s, b: np.log(s / l2) + l2 / s - 1),
    "sign of the logarithm": step_mutant(
        lambda s, l2, c, v, v_s, b: np.log(l2 / s) + (l2 + c * c * v) / s - 1
    ),
    "no -1": step_mutant(lambda s, l2, c, v, v_s, b: np.log(s / l2) + (l2 + c * c * v) / s),
    "the optimum's": step_mutant(lambda s, l2, c, v, v_s, b: np.log1p(c * c * v / l2)),
    "first variance for the decoder's": lambda sch, nodes, lam2, variances, mean, spread: float(
        elbo(
            Oracle(GaussianMixture([1.0], [[mean]], [spread], "spherical"), sch),
            nodes,
            np.roll(variances, 1),
            lam2=lam2,
        ).total.value
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_steps_are_caught(name):
    errors = []
    for seed in range(5):
        sch, nodes, lam2, variances, mean, spread = case = gaussian_case(seed)
        truth = joint_truth(mean, spread, sch.alpha_bar[nodes], lam2, variances)
        errors.append(abs(MUTANTS[name](*case) - truth) / max(1, abs(truth)))
    assert max(errors) < CLOSE if name == "right" else max(errors) > 1e4 * CLOSE


# -- the link to the KL ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variances", [None, [0.02, 0.3, 0.9]])
def test_bound_minus_entropy_is_the_kl_with_x0(variances):
    orc = Oracle(LINE, LINEAR)
    bound = elbo(orc, [50, 300, 1000], variances)
    kl = trajectory_kl(orc, [50, 300, 1000], variances, include_x0=True)
    assert bound.total.method == "quadrature"
    assert abs(bound.total.value - entropy(LINE).value - kl.value) < 1e-9
    sampled = elbo(orc, [50, 300, 1000], variances, num_samples=2000, rng=0, method="monte carlo")
    assert abs(sampled.total.value - bound.total.value) < 4 * sampled.total.error  # false alarm 6e-5
    assert sampled.total.error < 0.1
    for k in range(2):
        assert abs(sampled.steps.value[k] - bound.steps.value[k]) < 4 * sampled.steps.error[k]


def test_its_standard_error_is_calibrated_where_the_decoder_dominates():
    orc, nodes, variances = Oracle(LINE, COARSE), [4, 6], [0.05, 0.9]
    truth = float(elbo(orc, nodes, variances).total.value)
    found = [
        elbo(orc, nodes, variances, num_samples=200, rng=k, method="monte carlo").total for k in range(60)
    ]
    z = np.array([(e.value - truth) / e.error for e in found])
    assert abs(z.mean()) < 0.6  # 4.6 standard errors
    assert 0.65 < z.std() < 1.4  # chi-square with 59 degrees of freedom leaves this with probability 1e-4


def test_optimal_variances_are_optimal():
    orc, nodes = Oracle(LINE, COARSE), [1, 3, 6]
    for lam2 in ("ddpm", lambda2_ddim(COARSE, [1, 3], [3, 6], 0.4)):
        best = elbo(orc, nodes, lam2=lam2)
        v = orc.mmse(nodes).value
        values = lambda2_ddpm(COARSE, [1, 3], [3, 6]) if isinstance(lam2, str) else lam2
        a, s2 = np.sqrt(COARSE.alpha_bar[nodes]), COARSE.beta_bar[nodes]
        c = a[:-1] - np.sqrt(s2[:-1] - values) * a[1:] / np.sqrt(s2[1:])
        star = np.append(v[0], values + c**2 * v[1:])
        assert abs(elbo(orc, nodes, star, lam2=lam2).total.value - best.total.value) < 1e-12
        for k in range(3):
            for factor in (0.9, 1.1):
                off = star * np.where(np.arange(3) == k, factor, 1.0)
                assert elbo(orc, nodes, off, lam2=lam2).total.value > best.total.value + 1e-3


# -- the discretised decoder -----------------------------------------------------------------------------------

EDGES = np.array([-np.inf, -0.75, -0.25, 0.25, 0.75, np.inf])


def exact_log_prob(index, mean, variance):
    scale = mp.sqrt(mp.mpf(variance))

    def cdf(x):
        return (
            mp.mpf(0)
            if x == -np.inf
            else mp.mpf(1)
            if x == np.inf
            else mp.ncdf((mp.mpf(x) - mp.mpf(mean)) / scale)
        )

    with mp.workdps(400):  # tails of e^-800
        low, high = EDGES[index], EDGES[index + 1]
        if low - mean > 0:  # the same by symmetry, so that no digits are lost here either
            return mp.log(
                mp.ncdf((mp.mpf(mean) - mp.mpf(low)) / scale) - (1 - cdf(high) if high < np.inf else 0)
            )
        return mp.log(cdf(high) - cdf(low))


def plain_log_prob(index, mean, variance, edges):
    z = (edges - mean) / np.sqrt(variance)
    with np.errstate(divide="ignore"):
        return np.log(norm.cdf(z[index + 1]) - norm.cdf(z[index]))


def with_edges(change):
    def mutant(index, mean, variance, edges):
        return discretised_log_prob(np.array(index), np.array(mean), variance, change(edges))

    return mutant


PROBABILITIES = {
    "discretised_log_prob": lambda i, m, v, e: discretised_log_prob(np.array(i), np.array(m), v, e),
    "deviation for variance": lambda i, m, v, e: discretised_log_prob(
        np.array(i), np.array(m), np.sqrt(v), e
    ),
    "end bins of ordinary width": with_edges(lambda e: np.concatenate([[-1.25], e[1:-1], [1.25]])),
    "edges shifted by half a bin": with_edges(lambda e: e + 0.25),
    "density for probability": lambda i, m, v, e: norm.logpdf(BINS[i], m, np.sqrt(v)) + np.log(0.5),
    "difference of two cdfs": plain_log_prob,
}


@pytest.mark.parametrize("name", PROBABILITIES)
def test_bin_probabilities_to_12_digits(name):
    worst = 0.0
    for index in range(5):
        for mean in (-1.9, -1.0, -0.3, 0.0, 0.26, 1.0):
            for variance in (3e-3, 0.04, 1.0, 50.0):
                truth = exact_log_prob(index, mean, variance)
                got = float(PROBABILITIES[name](index, mean, variance, EDGES))
                worst = max(worst, abs(got - float(truth)) / max(abs(float(truth)), 1e-12))
    assert (worst < 1e-12) if name == "discretised_log_prob" else (worst > 1e-6)


def test_bins_exhaust_everything():
    logs = discretised_log_prob(np.arange(5), np.full(5, 0.3), 0.2, EDGES)
    assert abs(np.exp(logs).sum() - 1) < 1e-15


def decoder_truth(orc, node, variance):
    """-E log P(bin of x_0 | x_1) by the trapezoidal rule over x_1, for each point."""
    a, sigma = (float(x) for x in orc.process.levels(node))
    z = np.arange(-9, 9, 1e-3)
    mass = np.exp(-0.5 * z * z) / np.exp(-0.5 * z * z).sum()
    total = 0.0
    for w, y in zip(orc.q0.weights, orc.q0.means[:, 0]):
        mean = orc.x0((a * y + sigma * z)[:, None], node)[:, 0]
        k = int(np.argmin(np.abs(BINS - y)))
        low, high = ((edge - mean) / np.sqrt(variance) for edge in EDGES[k : k + 2])
        total -= w * mass @ np.log(norm.cdf(high) - norm.cdf(low))
    return total


@pytest.mark.parametrize("given_variance", [None, 0.3])
def test_decoder_on_bins_by_quadrature(given_variance):
    orc, nodes = Oracle(ON_BINS, COARSE), [2, 4, 6]
    variances = None if given_variance is None else [given_variance, 0.5, 0.7]
    variance = float(orc.mmse(2).value) if variances is None else given_variance
    truth = decoder_truth(orc, 2, variance)
    found = elbo(orc, nodes, variances, bins=BINS, num_samples=20_000, rng=0)
    assert abs(found.decoder.value - truth) < 4 * found.decoder.error  # false alarm 6e-5
    assert found.decoder.error < 0.02
    assert abs(found.bits_per_dim.value - found.total.value / np.log(2)) < 1e-12
    assert found.steps.error.max() < 1e-9
    parts = found.prior.value + found.steps.value.sum() + found.decoder.value
    assert abs(parts - found.total.value) < 1e-12


def test_a_bound_on_probabilities_is_at_least_the_entropy():
    """-ELBO >= -E log P(x_0) >= H for the bins, whatever the chain; with many steps and little noise nearly H."""
    w = ON_BINS.weights
    h = -float(w @ np.log(w))
    orc = Oracle(ON_BINS, LINEAR)
    loose = elbo(orc, [30, 400, 1000], bins=BINS, num_samples=4000, rng=0).total
    many = np.append(np.arange(4, 60, 2), np.arange(60, 1001, 10))
    tight = elbo(orc, many, bins=BINS, num_samples=4000, rng=0).total
    assert h - 4 * tight.error < tight.value < h + 0.1
    assert tight.value < loose.value


def test_points_that_noise_does_not_reach_decode_with_certainty():
    orc = Oracle(ON_BINS, Schedule.from_alpha_bar([1, 1 - 1e-7, 0.5, 1e-4]))
    found = elbo(orc, [1, 2, 3], bins=BINS, num_samples=50, rng=0)
    assert found.decoder.value == 0.0
    sampled = elbo(orc, [1, 2, 3], bins=BINS, num_samples=50, rng=0, method="monte carlo")
    assert sampled.decoder.value == 0.0


def test_digits_in_bits_per_dimension():
    from dpmoracle.datasets import digits

    orc = Oracle(GaussianMixture.from_points(digits()), LINEAR)
    found = elbo(orc, [40, 200, 400, 600, 1000], bins=np.arange(17) / 8 - 1, num_samples=150, rng=0)
    assert found.bits_per_dim.method == "monte carlo"
    lower = np.log(1797) / (64 * np.log(2))  # 0.169 bits: the data set itself
    assert lower < found.bits_per_dim.value < 2.0
    assert 0 < found.bits_per_dim.error < 0.2


# -- wrong use -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lam2": "ddim"}, r"not defined for lam2 = 0 \(DDIM\).*eta"),
        ({"lam2": 0.0}, "not defined for lam2 = 0"),
        ({"lam2": 0.9}, "lam2 must lie in"),
        ({"sigma2": [0.1, 0.2, 0.0]}, "sigma2 must be positive; entry 2"),
        ({"sigma2": [0.1, 0.2]}, "one for each of the 3 steps"),
        ({"bins": [-1.0, 0.0, 2.0]}, "bins must increase evenly"),
        ({"bins": [1.0, 0.0, -1.0]}, "bins must increase evenly"),
        ({"bins": [0.0]}, "at least two values"),
        ({"bins": [0.0, np.nan]}, "bins must be finite"),
        ({"bins": np.arange(4) / 2 - 1}, r"data must lie on bins; 1 of 3 coordinates do not, such as 1"),
        ({"bins": BINS + 0.1}, "data must lie on bins; 3 of 3"),
        ({"method": "grid"}, "method must be"),
    ],
)
def test_wrong_arguments_are_refused(options, words):
    with pytest.raises(InvalidParameterError, match=words):
        elbo(Oracle(ON_BINS, COARSE), [1, 3, 6], **options)


def test_what_is_not_defined_says_so():
    with pytest.raises(InvalidParameterError, match=r"not defined for data with a density.*nats"):
        elbo(Oracle(LINE, COARSE), [1, 3, 6], bins=BINS)
    clean = Schedule.from_alpha_bar([1, 1 - 1e-7, 0.5, 1e-4])
    with pytest.raises(
        InvalidParameterError, match=r"not defined with the optimal variance of the decoder.*bins"
    ):
        elbo(Oracle(ON_BINS, clean), [1, 2, 3])
    with pytest.raises(InvalidParameterError, match="Oracle on a Schedule"):
        elbo(ON_BINS, [1, 3, 6])
    with pytest.raises(InvalidParameterError, match="must increase strictly"):
        elbo(Oracle(LINE, COARSE), [6, 3, 1])
