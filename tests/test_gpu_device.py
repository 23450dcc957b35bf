"""Every kernel on a real device, on small shapes: also what benchmarks/gpu_sanitize.sh runs under compute-sanitizer."""

from __future__ import annotations

import numpy as np
import pytest

import test_features
import test_gpu_moments
import test_gpu_posterior
import test_gpu_sources
from dpmoracle.shared import ESTIMATORS
from dpmoracle.trajectory.dense import dense_layers

cupy = pytest.importorskip("cupy")
pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def gpu():
    try:
        found = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        found = 0
    if not found:
        pytest.skip("no CUDA device")
    import dpmoracle_kernels.gpu

    return dpmoracle_kernels.gpu


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("way", test_gpu_posterior.WAYS)
def test_scores_and_moments(gpu, way, dtype):
    assert test_gpu_posterior.passes(gpu, way, dtype)


@pytest.mark.parametrize("kind", test_features.KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_features(gpu, kind, dtype):
    rng = np.random.default_rng(1)
    case = list(test_features.case(rng, test_features.mixture(rng, kind, 5, 3), 40, 9, 30.0))
    case[3] = case[3].astype(dtype)
    assert test_features.agrees(gpu.pair_samples, tuple(case))


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("tau2", [0.0, 0.2])
def test_shared_products(gpu, estimator, tau2):
    args = test_gpu_moments.drawn(np.random.default_rng(3), 300, 5, 7, tau2, T=140)
    assert test_gpu_moments.error(gpu.shared_samples, args, estimator) < 1e-8


@pytest.mark.parametrize("rows", [7, 50])
def test_streams_from_the_host(gpu, rows, monkeypatch):
    from dpmoracle_kernels.gpu import moments

    args = test_gpu_moments.drawn(np.random.default_rng(4), 200, 3, 5, 0.1)
    whole = gpu.shared_samples(*args, "pair")
    monkeypatch.setattr(moments, "rows_that_fit", lambda *sizes: rows)
    np.testing.assert_allclose(gpu.shared_samples(*args, "pair"), whole, rtol=1e-9)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("n", [2, 33, 140])
def test_dense_program(gpu, n, ties):
    F = test_gpu_sources.costs(n, np.random.default_rng(n), ties)
    for expected, found in zip(dense_layers(F, n), gpu.dense_layers(F, n)):
        np.testing.assert_array_equal(expected, found)


@pytest.mark.parametrize("seed", range(3))
def test_costs_and_certificate(gpu, seed):
    test_gpu_sources.same_curves(gpu, seed)


def test_products_in_tf32(gpu):
    """Off by no more than 2^-10 Σ|x y|, and by more than float32 is: the context does something, and ends."""
    rng = np.random.default_rng(5)
    x, y = (rng.standard_normal((64, 64)).astype(np.float32) for _ in range(2))
    truth, bound = x.astype(float) @ y, np.abs(x).astype(float) @ np.abs(y)
    with gpu.tf32():
        rough = cupy.asnumpy(cupy.asarray(x) @ cupy.asarray(y))
    fine = cupy.asnumpy(cupy.asarray(x) @ cupy.asarray(y))
    assert (np.abs(rough - truth) <= 2.0**-10 * bound).all()
    assert np.abs(fine - truth).max() < 1e-5 < np.abs(rough - truth).max()
