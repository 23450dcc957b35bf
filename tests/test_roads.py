"""The roads by which claims are judged: conditioning, contour integrals and sums over points, against 50 digits."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from dpmoracle import GaussianMixture
from dpmoracle.claims.cloud import Cloud
from dpmoracle.claims.conditioning import Plane, component_covariances, earlier_state
from dpmoracle.claims.contour import gradient, hessian
from dpmoracle.claims.roads import Bayes, mean_given_both, z_score
from small_world import CORNERS, WORLD

FULL = WORLD.planes["full d=2"]
LEVELS = {t: tuple(float(level) for level in WORLD.schedule.levels(t)) for t in (10, 300, 1000)}


def density(q0, a, sigma, x):
    """q(a x_0 + σ ε) at x (2,) in mpmath."""
    total = mp.mpf(0)
    for w, m, cov in zip(q0.weights, q0.means, component_covariances(q0)):
        spread = mp.matrix((a * a * cov + sigma * sigma * np.eye(2)).tolist())
        off = mp.matrix([x[k] - mp.mpf(a) * m[k] for k in range(2)])
        power = (off.T * mp.inverse(spread) * off)[0]
        total += w * mp.exp(-power / 2) / (2 * mp.pi * mp.sqrt(mp.det(spread)))
    return total


@pytest.mark.parametrize("t", LEVELS)
def test_contour_integrals_differentiate_the_log_density(t):
    a, sigma = LEVELS[t]
    x = a * FULL.means.mean(0) + sigma * np.array([[0.3, -0.4], [1.5, 2.0]])
    slopes, curves = gradient(FULL, a, sigma, x), hessian(FULL, a, sigma, x)
    with mp.workdps(50):
        for point, slope, curve in zip(x, slopes, curves):

            def log(u, v):
                return mp.log(density(FULL, a, sigma, (u, v)))

            at = tuple(mp.mpf(v) for v in point)
            first = [mp.diff(log, at, order) for order in ((1, 0), (0, 1))]
            second = [[mp.diff(log, at, (2 - i - j, i + j)) for j in range(2)] for i in range(2)]
            scale = float(abs(mp.matrix(second)[0, 0]) + abs(second[1][1]))
            assert np.abs(slope - np.array(first, float)).max() < 1e-13 * (1 + np.sqrt(scale))
            assert np.abs(curve - np.array(second, float)).max() < 1e-12 * scale


@pytest.mark.parametrize("t", LEVELS)
def test_the_grid_over_a_plane_integrates_and_conditions(t):
    """A mixture whose second coordinate is an independent Gaussian: the first is known by Bayes' rule."""
    a, sigma = LEVELS[t]
    weights, centres, spread = [0.3, 0.7], [[-0.8, 0.5], [0.9, 0.5]], [[0.09, 0.4], [0.09, 0.4]]
    q0 = GaussianMixture(weights, centres, spread, "diag")
    plane, line = Plane.over(q0, a, sigma), Bayes.of(_first(weights, centres, spread), a, sigma)
    exact = line.expect(line.variance(line.nodes)) + 0.4 * sigma**2 / (a**2 * 0.4 + sigma**2)
    assert plane.expect(plane.clean().trace()) == pytest.approx(exact, rel=1e-11)
    assert plane.expect(plane.x[:, 1]) == pytest.approx(a * 0.5, abs=1e-11)


def _first(weights, centres, spread):
    return GaussianMixture(weights, [c[:1] for c in centres], [s[:1] for s in spread], "diag")


def test_conditioning_is_consistent_over_the_pair():
    """E Cov(x_s|x_t) + Cov E[x_s|x_t] = Cov x_s."""
    sch, s, t = WORLD.schedule, 100, 300
    plane = Plane.over(FULL, *LEVELS[t])
    for lam2 in (0.0, 0.5 * sch.beta_bar[s]):
        state = earlier_state(plane, sch, s, lam2)
        mean, each = state.mean(), state.covariance()
        centre = plane.mass @ mean
        total = np.einsum("b,bjk->jk", plane.mass, each + mean[:, :, None] * mean[:, None, :])
        total -= np.outer(centre, centre)
        off = FULL.means - FULL.weights @ FULL.means
        prior = np.einsum(
            "c,cjk->jk", FULL.weights, component_covariances(FULL) + off[:, :, None] * off[:, None, :]
        )
        wanted = sch.alpha_bar[s] * prior + sch.beta_bar[s] * np.eye(2)
        np.testing.assert_allclose(total, wanted, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(each.trace(axis1=1, axis2=2), state.trace(), rtol=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1e9])
def test_the_posterior_over_points_matches_fifty_digits(shift):
    points = np.random.default_rng(2).integers(-4, 5, (7, 2)) + shift
    cloud, snrs = Cloud(points, "points"), np.array([1e-3, 0.3, 5.0])
    for sample in cloud.samples(snrs, np.random.default_rng(3)):
        for m in range(3):
            mean, trace = _posterior(points, points[sample.own[m]], sample.noise[m], sample.u)
            np.testing.assert_allclose(sample.mean[m], mean, rtol=1e-12, atol=1e-13)
            assert sample.trace[m] == pytest.approx(trace, rel=1e-12)


def _posterior(points, own, noise, u):
    with mp.workdps(50):
        apart = [[mp.mpf(float(v)) - mp.mpf(float(c)) for v, c in zip(y, own)] for y in points]
        roots = mp.sqrt(mp.mpf(u))
        weights = [mp.exp(-sum((e - roots * v) ** 2 for e, v in zip(noise, y)) / 2) for y in apart]
        total = mp.fsum(weights)
        mean = [mp.fsum(w * y[k] for w, y in zip(weights, apart)) / total for k in range(2)]
        trace = mp.fsum(w * sum((v - m) ** 2 for v, m in zip(y, mean)) for w, y in zip(weights, apart))
        return [float(v) for v in mean], float(trace / total)


def test_large_data_are_thinned_and_labelled():
    world = type(WORLD)(np.random.default_rng(0).standard_normal((3000, 4)), "mine", 0)
    cloud = Cloud.of(world, world.rng("x"))
    assert cloud.points.shape == (2000, 4)
    assert cloud.label == "2000 of mine"
    assert set(map(tuple, cloud.points)) <= set(map(tuple, world.data))
    assert Cloud.of(WORLD, WORLD.rng("x")).points is CORNERS


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e300])
def test_units_keep_the_shape_of_the_data(scale):
    points = np.array([[0.0, 0.0], [1.0, 0.5], [-0.25, 0.125]])
    np.testing.assert_allclose(Cloud(points * scale, "scaled").unit(), points, rtol=1e-15)
    assert not Cloud(np.full((3, 2), scale), "one point").unit().any()


def test_mean_given_both_ends_at_x0_and_at_x_t():
    sch, x_t, x0 = WORLD.schedule, np.array([0.4]), np.array([-0.7])
    assert mean_given_both(sch, 0, 10, x_t, x0, 0.0) == pytest.approx(x0, abs=1e-15)
    assert mean_given_both(sch, 10, 10, x_t, x0, 0.0) == pytest.approx(x_t, abs=1e-15)
    alone = mean_given_both(sch, 10, 300, x_t, x0, float(sch.beta_bar[10]))
    assert alone == pytest.approx(np.sqrt(sch.alpha_bar[10]) * x0, abs=1e-15)


def test_z_score():
    draws = np.random.default_rng(1).standard_normal(10_000)
    assert z_score(draws) < 4
    assert z_score(draws + 0.1) == pytest.approx(10, abs=4)
    assert z_score(np.zeros(5)) == 0
    assert z_score(np.ones(5)) == np.inf
    assert z_score(np.array([0.0, np.nan])) == np.inf
