"""What float32 and tf32 products cost in digits, their rounding emulated on the host."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

from cuda_host import Products, hosted, needs_compiler, to_tf32
from dpmoracle import GaussianMixture
from dpmoracle.posterior import mixture_score
from dpmoracle.shared import shared_samples

SNR = 10.0 ** np.arange(-3, 2)
A, SIGMA = np.sqrt(SNR / (1 + SNR)), np.sqrt(1 / (1 + SNR))


def test_rounding_to_ten_bits():
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    rounded = to_tf32(values)
    off = np.abs(rounded.astype(float) / values - 1)
    assert 2.0**-12 < off.max() <= 2.0**-11
    assert not (rounded.view(np.uint32) & 0x1FFF).any()
    np.testing.assert_array_equal(to_tf32(rounded), rounded)


@pytest.fixture(scope="module")
def digits():
    return load_digits().data[:250] / 8 - 1


def in_each(gpu, compute):
    """{precision: compute(dtype)}."""
    found = {"float64": compute(np.float64), "float32": compute(np.float32)}
    with gpu.tf32():
        found["tf32"] = compute(np.float32)
    return found


@needs_compiler
@pytest.mark.parametrize(("estimator", "bound"), [("pair", 2e-3), ("trace", 1e-3)])
def test_v_of_data(built, digits, estimator, bound):
    """Measured with 600 digits and 40 samples: 8e-4 and 2.7e-4 in tf32, 2e-5 in float32."""
    rng = np.random.default_rng(0)
    own = rng.integers(0, len(digits), 12)
    drawn = digits[own], rng.standard_normal((12, 64)), own, np.ones(len(digits))
    rest = (0.0, A, SIGMA, estimator)
    truth = shared_samples(*drawn, digits, *rest).mean(0)
    with hosted(built) as gpu:
        found = in_each(gpu, lambda real: gpu.shared_samples(*drawn, digits.astype(real), *rest).mean(0))
    off = {name: float(np.abs(value / truth - 1).max()) for name, value in found.items()}
    assert off["float64"] < 1e-11
    assert off["float32"] < 1e-4
    assert off["float32"] < off["tf32"] < bound


@needs_compiler
@pytest.mark.parametrize(("kind", "bound"), [("points", 1e-3), ("full", 5e-3)])
def test_scores(built, digits, kind, bound):
    """Measured: points 1.4e-4 in tf32 and 1e-7 in float32; full covariances 2.3e-3 and 1e-6."""
    rng = np.random.default_rng(1)
    q, rows = GaussianMixture.from_points(digits), 6
    if kind == "full":
        rows = 33  # by level from 32 on
        root = rng.standard_normal((8, 64, 80)) / 8
        q = GaussianMixture(np.full(8, 1 / 8), digits[:8], 0.3 * root @ root.swapaxes(1, 2), "full")
    worst = dict.fromkeys(("float64", "float32", "tf32"), 0.0)
    with hosted(built) as gpu:
        for a, sigma in zip(A[::2], SIGMA[::2]):
            x = (a * q.sample(rows, rng) + sigma * rng.standard_normal((rows, 64))).astype(np.float32)
            level = np.full(rows, a), np.full(rows, sigma)
            truth = mixture_score(x.astype(float), *level, *q.parts())[1]
            asked = (x, *level, *q.parts())
            found = in_each(
                gpu, lambda real, asked=asked: gpu.mixture_score(asked[0].astype(real), *asked[1:])[1]
            )
            for name, value in found.items():
                worst[name] = max(worst[name], float(np.linalg.norm(value - truth) / np.linalg.norm(truth)))
    assert worst["float64"] < 1e-12
    assert worst["float32"] < 1e-5
    assert worst["float32"] < worst["tf32"] < bound


@needs_compiler
def test_the_context_ends(built):
    def fails(gpu):
        with gpu.tf32():
            assert Products.kind == Products.COMPUTE_TYPE_TF32
            raise ZeroDivisionError

    with hosted(built) as gpu:
        with pytest.raises(ZeroDivisionError):
            fails(gpu)
        assert Products.kind == Products.COMPUTE_TYPE_DEFAULT


def test_old_devices_are_refused(built, monkeypatch):
    with hosted(built) as gpu:
        import cupy

        from dpmoracle_kernels.gpu.cuda import DeviceError

        monkeypatch.setattr(cupy.cuda.Device, "compute_capability", "75")
        with (
            pytest.raises(
                DeviceError, match=r"compute capability 8.0.*device 0 has 7.5.*precision='float32'"
            ),
            gpu.tf32(),
        ):
            pass
