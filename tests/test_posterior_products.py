"""Means by matrix products against the posterior by differences, within the bound that comes with them."""

from __future__ import annotations

import numpy as np
import pytest

import dpmoracle as dpm
from dpmoracle import posterior_products
from dpmoracle.posterior import posterior
from dpmoracle.posterior_products import means_at_level
from mutation import mutant

RNG = np.random.default_rng(5)
CLOUD = RNG.standard_normal((30, 4))
UNEVEN = RNG.dirichlet(np.ones(5))
LAWS = {
    "points": dpm.GaussianMixture.from_points(CLOUD),
    "points far away": dpm.GaussianMixture.from_points(CLOUD + 1e5),
    "one point": dpm.GaussianMixture.from_points(CLOUD[:1]),
    "shared": dpm.GaussianMixture(UNEVEN, CLOUD[:5], np.full(5, 0.3), "spherical"),
    "spherical": dpm.GaussianMixture(UNEVEN, CLOUD[:5], [0.0, 0.1, 2.0, 0.02, 0.3], "spherical"),
    "diagonal": dpm.GaussianMixture(UNEVEN, CLOUD[:5], RNG.uniform(0, 1, (5, 4)), "diag"),
    "one diagonal": dpm.GaussianMixture(
        UNEVEN, CLOUD[:5], np.broadcast_to(RNG.uniform(0, 1, 4), (5, 4)), "diag"
    ),
    "a weight of 0": dpm.GaussianMixture([0.5, 0.0, 0.5], CLOUD[:3], np.zeros(3), "spherical"),
}
LEVELS = [(0.0, 1.0), (0.01, 1.0), (0.6, 0.8), (0.99, 0.14), (1.0, 0.01), (3.0, 2.0)]


def both(q0, a, sigma, compute=means_at_level):
    """(means, plain means, bound on the error) at x_t of the law."""
    x0 = q0.sample(300, 1)
    x = a * x0 + sigma * np.random.default_rng(2).standard_normal(x0.shape)
    log_weights, means, spectrum, basis = q0.parts()
    found, error = compute(x, a, sigma, log_weights, means, spectrum)
    level = np.ones(len(x))
    plain = posterior(x, a * level, sigma * level, log_weights, means, spectrum, basis)
    spread = np.linalg.norm(plain.offsets, axis=2).max()
    return found, plain.mean, 2 * error * spread + 1e-14 * np.abs(means).max()


@pytest.mark.parametrize("level", LEVELS, ids=str)
@pytest.mark.parametrize("name", LAWS)
def test_equal_to_the_posterior_within_the_bound(name, level):
    found, plain, bound = both(LAWS[name], *level)
    assert np.abs(found - plain).max() <= bound
    assert bound < 1e-5 * np.abs(plain).max()  # a bound that says nothing proves nothing


def test_digits_at_every_snr():
    sklearn = pytest.importorskip("sklearn.datasets")
    q0 = dpm.GaussianMixture.from_points(sklearn.load_digits().data[::6] / 8 - 1)
    sch = dpm.Schedule.linear(1000)
    for t in (1, 50, 300, 1000):
        found, plain, bound = both(q0, *map(float, sch.levels(t)))
        assert np.abs(found - plain).max() <= bound < 1e-6


def test_more_rows_than_one_block(monkeypatch):
    q0 = LAWS["spherical"]
    whole = both(q0, 0.6, 0.8)[0]
    monkeypatch.setattr(posterior_products, "_HELD", 35)
    np.testing.assert_allclose(both(q0, 0.6, 0.8)[0], whole, rtol=1e-14)


MUTANTS = {
    "half of the shift missing": ("0.5 * a * a * (m * pull)", "a * a * (m * pull)"),
    "a missing": ("some @ (a * pull.T)", "some @ pull.T"),
    "half missing": ("(0.5 / v.T)", "(1 / v.T)"),
    "determinant missing": ("0.5 * np.log(v).sum(1)", "0.0"),
    "weights missing": ("fixed = log_weights", "fixed = 0 * log_weights"),
    "x moved by the mean of x_0": ("x - a * centre", "x - centre"),
    "not moved back": ("centre + mean", "mean"),
    "σ for σ²": ("sigma * sigma * (weights", "sigma * (weights"),
    "the part of x missing": ("if spectrum.any():", "if False:"),
    "not normalised": ("@ slope / total)", "@ slope)"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_wrong_versions_are_caught(name):
    broken = mutant(posterior_products, MUTANTS[name])

    def fails(q0, level):
        found, plain, bound = both(q0, *level, broken.means_at_level)
        return np.abs(found - plain).max() > bound

    assert any(fails(q0, level) for q0 in LAWS.values() for level in LEVELS)
