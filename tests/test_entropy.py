"""Entropies and the KL to pure noise against plain quadrature, closed forms and each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from dpmoracle import GaussianMixture, InvalidParameterError
from dpmoracle.estimate import Estimate
from dpmoracle.likelihood.entropy import add_estimates, entropy, kl_to_normal
from dpmoracle.plane_integral import integrate

CLOSE = 1e-9
LINE = ([0.2, 0.5, 0.3], [-1.5, 0.2, 1.0], [0.05, 0.3, 0.01])
KINDS = [
    ("spherical", [0.1, 0.4, 0.2]),
    ("diag", [[0.1, 0.3, 0.2], [0.05, 0.2, 0.4], [0.3, 0.1, 0.1]]),
    ("tied", [[0.3, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.4]]),
    (
        "full",
        [np.diag([0.1, 0.3, 0.2]), np.eye(3) * 0.4, [[0.3, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.4]]],
    ),
]


def line(law=LINE):
    return GaussianMixture(law[0], np.array(law[1])[:, None], law[2], covariance_type="spherical")


def density(law, x):
    w, m, v = (np.array(part) for part in law)
    return (w * np.exp(-0.5 * (x - m) ** 2 / v) / np.sqrt(2 * np.pi * v)).sum()


def over_the_line(law, f):
    _, m, v = (np.array(part) for part in law)
    ends = np.concatenate([m - 12 * np.sqrt(v), m, m + 12 * np.sqrt(v)])
    low, high = ends.min(), ends.max()

    def integrand(x):
        q = density(law, x)
        return q * f(x, np.log(q)) if q > 0 else 0.0

    return quad(integrand, low, high, points=np.sort(ends), limit=400, epsabs=1e-12, epsrel=1e-12)[0]


def entropy_truth(law):
    return over_the_line(law, lambda x, log_q: -log_q)


def kl_truth(law):
    return over_the_line(law, lambda x, log_q: log_q + 0.5 * x * x + 0.5 * np.log(2 * np.pi))


def laws(seed):
    rng = np.random.default_rng(seed)
    C = int(rng.integers(2, 5))
    return rng.dirichlet(np.ones(C)), rng.uniform(-2, 2, C), np.exp(rng.uniform(-4, 0.5, C))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_on_a_line(seed):
    law = laws(seed)
    q = line(law)
    h, kl = entropy(q), kl_to_normal(q)
    assert h.method == kl.method == "quadrature"
    assert abs(h.value - entropy_truth(law)) < h.error + CLOSE  # measured 2e-12
    assert abs(kl.value - kl_truth(law)) < kl.error + CLOSE
    assert max(h.error, kl.error) < 1e-6


MUTANTS = {
    "entropy in bits": (entropy, lambda: entropy_truth(LINE) / np.log(2)),
    "minus the entropy": (entropy, lambda: -entropy_truth(LINE)),
    "KL without the constant": (kl_to_normal, lambda: kl_truth(LINE) - 0.5 * np.log(2 * np.pi)),
    "KL without the half": (
        kl_to_normal,
        lambda: kl_truth(LINE) + 0.5 * over_the_line(LINE, lambda x, _: x * x),
    ),
    "KL reversed": (
        kl_to_normal,
        lambda: quad(
            lambda x: (
                np.exp(-x * x / 2)
                / np.sqrt(2 * np.pi)
                * (-x * x / 2 - np.log(2 * np.pi) / 2 - np.log(density(LINE, x) + 1e-300))
            ),
            -8,
            8,
            limit=400,
        )[0],
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    function, mutant = MUTANTS[name]
    found = function(line())
    assert abs(found.value - mutant()) > 1e3 * (found.error + CLOSE)


def test_gaussians_are_exact():
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    cov, mean = root @ root.T + 0.1 * np.eye(4), rng.normal(size=4)
    q = GaussianMixture([1.0], mean[None], cov[None])
    log_det = np.linalg.slogdet(cov)[1]
    assert abs(entropy(q).value - 0.5 * (4 * np.log(2 * np.pi * np.e) + log_det)) < 1e-12
    assert abs(kl_to_normal(q).value - 0.5 * (np.trace(cov) - 4 - log_det + mean @ mean)) < 1e-12
    assert entropy(q).method == kl_to_normal(q).method == "exact"
    near = GaussianMixture([1.0], [[0.0]], [1 + 1e-6], "spherical")
    assert abs(kl_to_normal(near).value / 2.5e-13 - 1) < 1e-5  # (v - 1)²/4 and no cancellation


@pytest.mark.parametrize("offset", [0.0, 0.7])
def test_means_on_a_line_in_three_dimensions(offset):
    """A product of a line and two Gaussians, turned and moved: entropies add, and so do the KLs before the move."""
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    w, m, v = [0.3, 0.7], np.array([-1.0, 0.6]), 0.2
    means = np.array([[x, offset, -offset] for x in m]) @ frame
    q = GaussianMixture(w, means, [v, v], "spherical")
    law = (w, m, [v, v])
    alone = 0.5 * np.log(2 * np.pi * np.e * v)
    assert abs(entropy(q).value - entropy_truth(law) - 2 * alone) < CLOSE
    rest = v - 1 - np.log(v) + offset**2
    assert abs(kl_to_normal(q).value - kl_truth(law) - rest) < CLOSE
    assert entropy(q).method == kl_to_normal(q).method == "quadrature"


def test_components_that_coincide():
    q = GaussianMixture([0.5, 0.5], [[0.3, 0.1]] * 2, [0.4, 0.4], "spherical")
    one = GaussianMixture([1.0], [[0.3, 0.1]], [0.4], "spherical")
    assert abs(entropy(q).value - entropy(one).value) < 1e-12
    assert abs(kl_to_normal(q).value - kl_to_normal(one).value) < 1e-12


@pytest.mark.parametrize(("kind", "covariances"), KINDS)
def test_in_three_dimensions_by_samples(kind, covariances):
    """Each against a plain mean of -log q and of log q - log N, on other samples."""
    means = np.array([[-1.0, 0.2, 0.0], [0.5, 0.0, 0.3], [0.4, 1.0, -1.0]])
    q = GaussianMixture([0.2, 0.5, 0.3], means, covariances, covariance_type=kind)
    x = q.sample(40_000, 7)
    log_q = q.log_prob(x)
    log_n = -0.5 * np.square(x).sum(1) - 1.5 * np.log(2 * np.pi)
    for function, statistic in ((entropy, -log_q), (kl_to_normal, log_q - log_n)):
        found = function(q, 4000, 3)
        plain, spread = statistic.mean(), statistic.std() / 200
        assert found.method == "monte carlo"
        assert abs(found.value - plain) < 4.5 * np.hypot(found.error, spread)  # false alarm 1e-5
        assert found.error < statistic.std() / np.sqrt(4000)  # the split helps


@pytest.mark.parametrize("spread", [1e-3, 3.0])
def test_both_splits_of_the_sampled_entropy(spread):
    """Narrow components: by the label; wide ones: by the matched Gaussian. Both must meet the quadrature."""
    law = ([0.3, 0.7], [-1.0, 1.0], [spread, spread])
    truth = entropy(line(law))
    found = [entropy(line(law), 400, seed, method="monte carlo") for seed in range(40)]
    z = np.array([(e.value - truth.value) / e.error for e in found])
    assert abs(z.mean()) < 0.8  # 5 standard errors
    assert found[0].error < 0.05


def test_kl_of_nearly_pure_noise_by_samples():
    """At low SNR the matched Gaussian carries nearly all of it; the plain mean of 1000 would err by 12 times the KL."""
    q = line().diffuse(0.05, np.sqrt(1 - 0.05**2))
    found = kl_to_normal(q, 1000, 0, method="monte carlo")
    truth = float(kl_to_normal(q).value)
    assert abs(found.value - truth) < 4 * found.error
    assert found.error < 0.1 * truth


def test_narrow_beside_wide_is_out_of_reach_and_sampled():
    q = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [1e-13, 1.0], "spherical")
    assert entropy(q).method == "monte carlo"
    with pytest.raises(InvalidParameterError, match=r"differ too much in width.*monte carlo"):
        entropy(q, method="quadrature")
    assert integrate(q, lambda p: p.log_prob)[1] == np.inf


def test_sums_of_estimates():
    def part(value, error, method, count):
        return Estimate(np.asarray(value), np.asarray(error), method, np.asarray(count))

    exact = part(1.0, 0.1, "quadrature", np.inf)
    sampled = [part(2.0, 3.0, "monte carlo", 50.0), part(3.0, 4.0, "monte carlo", 7.0)]
    total = add_estimates(exact, *sampled)
    assert (total.value, total.error, total.method, total.effective_count) == (6.0, 5.1, "monte carlo", 7.0)
    assert add_estimates(exact, part(0.5, 0.1, "exact", np.inf)).method == "quadrature"


@pytest.mark.parametrize("function", [entropy, kl_to_normal])
@pytest.mark.parametrize(
    ("q", "options", "words"),
    [
        (GaussianMixture.from_points([[0.0], [1.0]]), {}, r"not defined for data points.*diffuse"),
        ([[0.0]], {}, "must be a GaussianMixture; got list"),
        (line(), {"method": "grid"}, "method must be None or one of"),
        (line(), {"method": "exact"}, '"exact" needs one Gaussian'),
        (
            GaussianMixture([0.5, 0.5], np.eye(3)[:2], np.eye(3)[:2] + 1, "diag"),
            {"method": "quadrature"},
            "d <= 2",
        ),
        (line(), {"num_samples": 0}, "num_samples"),
    ],
)
def test_wrong_arguments_are_refused(function, q, options, words):
    with pytest.raises(InvalidParameterError, match=words):
        function(q, **options)
