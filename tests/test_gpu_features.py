"""V by features on a GPU: the shipped source and the Python that launches it, on the host."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import dpmoracle.features
from cuda_host import hosted, needs_compiler
from mutation import mutant
from test_features import agrees, by_posterior, cases, four_laws, mixture

pytestmark = needs_compiler


@settings(max_examples=40, deadline=None)
@given(cases())
def test_kernel_is_the_plain_function(built, arguments):
    """float64 and float32, every layout, singular and coincident components, SNR over twelve decades."""
    with hosted(built) as gpu:
        assert agrees(gpu.pair_samples, arguments)


def by_blocks(gpu, size, host):
    """The kernel on four small laws, `size` samples and components at a time; largest error against the posterior."""
    from dpmoracle_kernels.gpu import features, mixture_parts

    features.rows_that_fit = lambda *sizes: size
    if host:
        mixture_parts.rows_that_fit = lambda *sizes: 0
    for q, (x0, noise, *law, a, sigma) in four_laws():
        found = gpu.pair_samples(x0, noise, *law, a, sigma)
        yield float(np.abs(found / by_posterior(q, x0, noise, a, sigma) - 1).max())


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("host", [False, True])
def test_blocks_change_nothing(built, size, host):
    with hosted(built) as gpu:
        assert max(by_blocks(gpu, size, host)) < 1e-10


def test_a_weight_of_zero_adds_nothing(built):
    rng = np.random.default_rng(4)
    q = mixture(rng, "diag", 3, 2)
    x0, noise, levels = q.sample(5, rng), rng.standard_normal((5, 2)), np.array([0.3, 0.8])
    log_weights, means, spectrum, _ = q.parts()
    with hosted(built) as gpu:
        for gone in range(3):
            live = np.arange(3) != gone
            law = np.where(live, log_weights, -np.inf), means, spectrum, None
            found = gpu.pair_samples(x0, noise, *law, levels, levels)
            law = log_weights[live], means[live], spectrum[live], None
            expected = dpmoracle.features.pair_samples(x0, noise, *law, levels, levels)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("            sum *= factor;\n", ""),  # a larger exponent must rescale what was there
        ("product *= factor;", ""),
        ("at / levels * (2LL * levels)", "at / levels * (1LL * levels)"),
        ("residual = here[levels]", "residual = here[0]"),
        ("product += weight * residual;", "product += residual;"),
        ("values + i * 2 * size + first", "values + i * size + first"),
    ],
)
def test_wrong_sums_are_caught(built, right, wrong):
    with hosted(built, ("features.cu", right, wrong)) as gpu, np.errstate(all="ignore"):
        assert any(not error < 1e-10 for error in by_blocks(gpu, 100, False))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("p * p, p * n, ", "p * p, 2 * p * n, "),
        ("cupy.matmul(p, basis), cupy.matmul(n, basis)", "cupy.matmul(p, basis), n"),
        ("0.5 * weighted / total / d", "0.5 * weighted / d"),
        ("(x0[some], noise[some], ", "(x0[some], noise[:some.stop - some.start], "),
    ],
)
def test_wrong_features_are_caught(built, right, wrong):
    with hosted(built) as gpu, np.errstate(all="ignore"):
        from dpmoracle_kernels.gpu import features

        broken = mutant(features, (right, wrong))
        features.rows_that_fit = broken.rows_that_fit = lambda *sizes: 4
        gpu.pair_samples = broken.pair_samples
        assert any(not error < 1e-10 for error in by_blocks(gpu, 4, False))
