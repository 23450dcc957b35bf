"""The peers of the benchmarks of V and of scores compute what ours does, or their times would say nothing."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba")

from dpmoracle import GaussianMixture, Schedule
from dpmoracle.bench import moments, scores, softmax
from dpmoracle.bench.harness import Contender
from dpmoracle.bench.peak import at_peak, share_of_peak
from dpmoracle.bench.peers import Missing
from dpmoracle.bench.suite import Setting, run
from dpmoracle.shared import shared_samples

LEVELS = Schedule.linear(30, 1e-3, 0.3).levels(np.arange(1, 31, 4))


def small_work(dtype):
    rng = np.random.default_rng(0)
    points = rng.standard_normal((40, 5)).astype(dtype)
    own = rng.integers(40, size=9)
    return softmax.Work(points[own], rng.standard_normal((9, 5)).astype(dtype), own, points, *LEVELS)


def answer(contender):
    if isinstance(contender, Missing):
        pytest.skip(contender.reason)
    assert isinstance(contender, Contender)
    return np.asarray(contender.call(), dtype=np.float64)


@pytest.mark.peers
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("which", ["numpy", "torch", "torch cdist", "jax", "scikit-learn"])
def test_peers_of_v_compute_v(which, dtype):
    work = small_work(dtype)
    law = (np.ones(40), work.points.astype(float), 0.0, work.a, work.sigma)
    truth = shared_samples(work.x0.astype(float), work.noise.astype(float), work.own, *law, "trace").mean(0)
    (contender,) = softmax.per_timestep(work, 1.0, "", (which,))
    np.testing.assert_allclose(answer(contender), truth, atol=1e-9 if dtype is np.float64 else 2e-4)
    pair = shared_samples(work.x0.astype(float), work.noise.astype(float), work.own, *law, "pair")
    np.testing.assert_allclose(work.ours(), pair, atol=1e-9 if dtype is np.float64 else 1e-4)


@pytest.mark.peers
@pytest.mark.parametrize("maker", [moments._torch_reduction, moments._jax_reduction])
def test_peers_of_the_reduction(maker):
    rng = np.random.default_rng(1)
    g, e = rng.random((3, 20)).astype(np.float32), rng.standard_normal((3, 20)).astype(np.float32)
    s = np.array([0.1, 1.0, 3.0], np.float32)
    w = np.exp(s[:, None, None] * e - s[:, None, None] ** 2 * g)
    found = answer(maker(g, e, s, 1.0, ""))
    np.testing.assert_allclose(found, (w * g).sum(2) / w.sum(2), rtol=1e-5)


@pytest.mark.peers
def test_peers_of_scores():
    rng = np.random.default_rng(2)
    factor = rng.standard_normal((3, 4, 8))
    q = GaussianMixture(np.full(3, 1 / 3), rng.standard_normal((3, 4)), factor @ factor.swapaxes(1, 2))
    x = rng.standard_normal((50, 4)).astype(np.float32)
    truth = q.diffuse(scores.A, scores.SIGMA).score(x.astype(float))
    for contender in (*scores.torch_scores(q, x), scores.jax_scores(q, x)):
        np.testing.assert_allclose(answer(contender), truth, atol=1e-4)


@pytest.mark.peers
def test_score_route_is_v():
    rng = np.random.default_rng(3)
    factor = rng.standard_normal((3, 4, 8))
    q = GaussianMixture(np.full(3, 1 / 3), rng.standard_normal((3, 4)), factor @ factor.swapaxes(1, 2))
    x0, noise, (a, sigma) = q.sample(200, rng), rng.standard_normal((200, 4)), LEVELS
    found = answer(moments._torch_scores(q, x0, noise, a, sigma, 1.0, ""))
    gamma = np.array(moments._plain_scores(q, x0, noise, a, sigma))
    np.testing.assert_allclose(found, (sigma / a) ** 2 * (1 - sigma**2 * gamma), rtol=1e-9)


def test_share_of_peak():
    peak = at_peak(2.0 * 1536**3 * 8, np.float32)
    result = share_of_peak("the peak itself", peak, peak, 2, 0.9)
    assert peak.scale == 1.0
    assert 0.3 < result.limit[1] < 3


@pytest.mark.parametrize("name", ["moments.exponentials", "moments.images_gemm"])
def test_quick_runs(name):
    pytest.importorskip("sklearn")
    (results,) = run(name, Setting(quick=True)).results.values()
    assert all(result.limit[1] > 0 and result.ours.median > 0 for result in results)
