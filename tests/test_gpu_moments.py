"""Γ and V of a mixture on a GPU: the shipped sources and the Python that launches them, on the host."""

from __future__ import annotations

import numpy as np
import pytest

from cuda_host import hosted, needs_compiler
from dpmoracle.pairs import find
from dpmoracle.shared import ESTIMATORS, shared_samples


def drawn(rng, components, d, samples, tau2, T=9):
    """Arguments of shared_samples but for the estimator: close pairs, equal ones and a rare component among them."""
    means = rng.standard_normal((components, d)) + 3.0
    means[-1] = means[0]
    means[-2] = means[1] * (1 + 1e-7)
    weights = rng.random(components) + 0.1
    weights[components // 2] = 0.0
    own = rng.choice(components, samples, p=weights / weights.sum())
    x0 = means[own] + np.sqrt(tau2) * rng.standard_normal((samples, d))
    sigma = np.sin(np.linspace(0.01, np.pi / 2, T))
    return x0, rng.standard_normal(x0.shape), own, weights, means, tau2, np.sqrt(1 - sigma**2) + 1e-3, sigma


def error(kernel, args, estimator):
    """Largest difference, in units of the value and of 1e-3 of its mean."""
    expected, found = shared_samples(*args, estimator), kernel(*args, estimator)
    return float((np.abs(found - expected) / (np.abs(expected) + 1e-3 * np.abs(expected).mean(0))).max())


@needs_compiler
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(
    ("components", "d", "tau2"), [(5, 1, 0.0), (40, 3, 0.0), (300, 2, 0.0), (40, 3, 0.2), (140, 20, 1e-4)]
)
def test_samples_for_all_levels(built, estimator, components, d, tau2):
    args = drawn(np.random.default_rng(components), components, d, 6, tau2)
    with hosted(built) as gpu:
        assert (
            error(gpu.shared_samples, args, estimator) < 1e-8
        )  # 2e-10: the products lose digits at high SNR
        short = (*args[:4], args[4].astype(np.float32), *args[5:])
        found = gpu.shared_samples(*short, estimator)
    assert np.abs(found - shared_samples(*args, estimator)).max() < find("shared_samples").single * max(
        1.0, np.abs(found).max()
    )


@needs_compiler
def test_components_in_blocks_give_the_same_sums(built):
    args = drawn(np.random.default_rng(1), 200, 3, 5, 0.0)
    with hosted(built) as gpu:
        from dpmoracle_kernels.gpu import moments

        whole = [gpu.shared_samples(*args, estimator) for estimator in ("pair", "trace")]
        moments.rows_that_fit = lambda *sizes: 7
        parts = [gpu.shared_samples(*args, estimator) for estimator in ("pair", "trace")]
    np.testing.assert_allclose(parts, whole, rtol=1e-11, atol=1e-14)


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("if (i == own[m])", "if (i == m)"),
        ("- ((double)distance[at] - own_data[m])", "- (double)distance[at]"),
        (
            "const REAL exponent = up[l] * e[i] - down[l] * g[i];",
            "const REAL exponent = up[l] * e[i] - down[0] * g[i];",
        ),
        ("const REAL weight = prior[i] * exp2(exponent);", "const REAL weight = exp2(exponent);"),
        (
            "const int first = blockIdx.x * THREADS * LEVELS + threadIdx.x;",
            "const int first = threadIdx.x * LEVELS;",
        ),
        ("start += CHUNK) {", "start += CHUNK - 1) {"),
        (
            "const int t = first + l * THREADS;\n        for (int which",
            "const int t = first + l;\n        for (int which",
        ),
    ],
)
def test_wrong_sums_are_caught(built, right, wrong):
    cases = [drawn(np.random.default_rng(n), n, 2, 4, tau2, T=140) for n, tau2 in ((150, 0.0), (10, 0.3))]
    with hosted(built) as gpu:
        assert all(error(gpu.shared_samples, args, "pair") < 1e-8 for args in cases)
    with hosted(built, ("shared.cu", right, wrong)) as gpu, np.errstate(all="ignore"):
        assert not all(error(gpu.shared_samples, args, "pair") < 1e-8 for args in cases)


@needs_compiler
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("along += offset[k] * apart;", "along += draw[k] * apart;"),  # close components only
        ("g = 0.5 * square - along;", "g = square - along;"),
        ("push[t] * noise[i] - pull[t] * distance[i]", "push[t] * noise[i] + pull[t] * distance[i]"),
    ],
)
def test_wrong_weights_are_caught(built, right, wrong):
    args = drawn(np.random.default_rng(2), 30, 2, 6, 0.05)
    with hosted(built, ("shared.cu", right, wrong)) as gpu:
        assert not error(gpu.shared_samples, args, "trace") < 1e-8
