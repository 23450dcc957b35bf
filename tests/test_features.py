"""The pair estimator by features against the posterior of each x_t, level by level; its kernel against both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle.features
from dpmoracle import GaussianMixture, Oracle, Schedule
from dpmoracle.pairs import find
from dpmoracle_kernels import statistics
from kernel_cases import DTYPES, LAYOUTS, alike_on_threads, broken, laid_out
from mutation import mutant

KINDS = ("spherical", "diag", "tied", "full")
kernels = pytest.importorskip("dpmoracle_kernels.cpu.features")


def mixture(rng, kind, size, d, scale=1.0, singular=False):
    means = scale * rng.standard_normal((size, d))
    if size > 2:
        means[1] = means[0]
    factor = rng.standard_normal((size, d, d)) * np.exp(rng.uniform(-2, 2, (size, 1, 1)))
    covariances = {
        "spherical": rng.exponential(size=size),
        "diag": rng.exponential(size=(size, d)),
        "tied": factor[0] @ factor[0].T,
        "full": factor @ factor.swapaxes(1, 2),
    }[kind]
    if singular and kind in ("spherical", "diag"):
        covariances.flat[0] = 0.0
    weights = rng.exponential(size=size)
    return GaussianMixture(weights / weights.sum(), means, covariances, kind)


def case(rng, q, samples, levels, width):
    x0 = q.sample(samples, rng)
    s = width ** rng.uniform(-1, 1, levels)
    return (x0, rng.standard_normal(x0.shape), *q.parts(), s / np.hypot(1, s), 1 / np.hypot(1, s))


def by_posterior(q, x0, noise, a, sigma):
    """½ Σ_i r_i (Tr S_i + ‖x_0 - m_i‖²)/d from `posterior`, which is tested in 50 digits."""
    out = np.empty((len(x0), len(a)))
    ones = np.ones(len(x0))
    for t in range(len(a)):
        p = q.posterior(a[t] * x0 + sigma[t] * noise, a[t] * ones, sigma[t] * ones)
        squares = np.square(x0[:, None] - p.mean[:, None] - p.offsets).sum(-1)
        within = p.spectrum.sum(-1) * (q.d // p.spectrum.shape[-1])
        out[:, t] = 0.5 * (p.weights * (within + squares)).sum(-1) / q.d
    return out


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(KINDS),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([1.0, 10.0, 1e4]),
    st.booleans(),
)
def test_features_are_the_posterior(seed, kind, size, d, width, singular):
    rng = np.random.default_rng(seed)
    q = mixture(rng, kind, size, d, rng.choice([0.1, 3.0, 30.0]), singular)
    x0, noise, *law, a, sigma = case(rng, q, 5, 7, width)
    found = dpmoracle.features.pair_samples(x0, noise, *law, a, sigma)
    expected = by_posterior(q, x0, noise, a, sigma)
    # At high SNR x_0 - m_i is a small difference of large numbers on the other road, and only there it is.
    floor = 1e-14 * (np.square(x0).mean(1)[:, None] + np.square(q.means).max()) * np.minimum(1, sigma / a)
    np.testing.assert_array_less(np.abs(found - expected), 1e-9 * expected + floor)


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, d = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    q = mixture(rng, draw(st.sampled_from(KINDS)), size, d, rng.choice([0.1, 3.0]), draw(st.booleans()))
    x0, noise, log_weights, means, spectrum, basis, a, sigma = case(
        rng, q, draw(st.integers(1, 19)), draw(st.integers(1, 9)), draw(st.sampled_from([1.0, 1e2, 1e6]))
    )
    dtype = draw(st.sampled_from(DTYPES))
    x0, noise, log_weights, means, spectrum = (
        laid_out(x, draw(st.sampled_from(LAYOUTS)))
        for x in (x0, noise, log_weights, means.astype(dtype), spectrum)
    )
    return x0, noise, log_weights, means, spectrum, basis, a, sigma


def agrees(function, arguments):
    wide = list(arguments)
    wide[3] = arguments[3].astype(np.float64)
    expected = dpmoracle.features.pair_samples(*wide)
    found = function(*arguments)
    single, pair = arguments[3].dtype == np.float32, find("pair_samples")
    tolerance = pair.single if single else pair.tolerance
    scale = expected if not single else expected + np.square(wide[3]).max() * 1e-2
    return found.dtype == np.float64 and bool((np.abs(found - expected) <= tolerance * scale).all())


@settings(max_examples=100, deadline=None)
@given(cases())
def test_kernel_is_the_plain_function(arguments):
    assert agrees(kernels.pair_samples, arguments)
    assert alike_on_threads(kernels.pair_samples, *arguments)


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    arguments = case(rng, mixture(rng, "full", 3, 4), 50, 11, 10.0)
    whole = kernels.pair_samples(*arguments)
    monkeypatch.setattr(kernels, "_HELD", 1000)
    np.testing.assert_allclose(kernels.pair_samples(*arguments), whole, rtol=1e-13)


def test_oracle_by_kernel_and_without():
    rng = np.random.default_rng(1)
    q, schedule = mixture(rng, "full", 20, 5), Schedule.linear(60, 1e-3, 0.2)
    t, seen = np.arange(1, 61), []
    found = [
        Oracle(q, schedule, backend, precision).mmse(
            t, 300, 0, method="pair", progress=lambda *at: seen.append(at)
        )
        for backend, precision in (("numpy", "float64"), ("numba", "float64"), ("numba", "float32"))
    ]
    for other, tolerance in zip(found[1:], (1e-12, 1e-4)):
        np.testing.assert_allclose(other.value, found[0].value, rtol=tolerance)
        np.testing.assert_allclose(other.error, found[0].error, rtol=10 * tolerance)
    assert seen[-1] == (300, 300)
    trace = Oracle(q, schedule).mmse(t, 300, 5)
    assert (np.abs(trace.value - found[0].value) < 6 * np.hypot(trace.error, found[0].error)).all()


PLAIN = {
    "not halved": ("0.5 * (weights * squares)", "(weights * squares)"),
    "without within": ("F @ R + within", "F @ R"),
    "without the determinant": ("(F @ Q + log_det)", "(F @ Q)"),
    "cross term once": ("2 * cross / v, s2", "cross / v, s2"),
    "sign of the push": ("-2 * shrink * push", "2 * shrink * push"),
    "not per dimension": ("weights.sum(0) / x0.shape[1]", "weights.sum(0)"),
    "one eigenvalue counted once": ("repeats = d // len(e)", "repeats = 1"),
    "rows for columns": ("p @ frame, noise @ frame", "p @ frame.T, noise @ frame.T"),
}


def four_laws():
    rng = np.random.default_rng(2)
    for kind in KINDS:
        q = mixture(rng, kind, 4, 3, 0.7)
        yield q, case(rng, q, 6, 8, 3.0)


def plain_errors(module):
    for q, (x0, noise, *law, a, sigma) in four_laws():
        found = module.pair_samples(x0, noise, *law, a, sigma)
        yield float(np.abs(found / by_posterior(q, x0, noise, a, sigma) - 1).max())


def test_the_right_one_passes_as_a_copy():
    assert max(plain_errors(mutant(dpmoracle.features))) < 1e-10


@pytest.mark.parametrize("name", PLAIN)
def test_mutants_are_caught(name):
    with np.errstate(all="ignore"):
        assert any(not e < 1e-10 for e in plain_errors(mutant(dpmoracle.features, PLAIN[name])))


KERNEL = {
    "maximum of the first two": ("for i in range(1, size):", "for i in range(1, min(size, 2)):"),
    "total over the first": ("total[t] += w", "total[t] = max(total[t], w)"),
    "exponent as residual": ("weighted[t] += w * residual[t]", "weighted[t] += w * exponent[t]"),
    "first sample again": ("noise[start:stop], frame", "noise[: stop - start], frame"),
    "rows for columns": ("p @ frame, noise @ frame", "p @ frame.T, noise @ frame.T"),
}  # fmt: skip
COEFFICIENTS = {
    "sign of the push": ("-2 * shrink * push", "2 * shrink * push"),
    "natural exponent": ("[LOG2E * exponent, residual]", "[exponent, residual]"),
    "weights left out": ("share = log_weights[:, None] -", "share = 0 * log_weights[:, None] -"),
    "one eigenvalue counted once": ("repeats = d // e.shape[1]", "repeats = 1"),
}


def passes(module):
    with np.errstate(all="ignore"):
        rows = [
            np.concatenate([np.asarray(x)] * 3) if i < 2 else x for i, x in enumerate(next(four_laws())[1])
        ]
        far = (np.array([[0.0], [500.0]]), np.zeros((2, 1)), np.zeros(3), np.array([[-1e3], [0.0], [500.0]]))
        far = (*far, np.ones((1, 1)), None, np.array([0.99]), np.array([0.02]))
        module._HELD = 100
        return all(agrees(module.pair_samples, c) for c in (rows, far, *(case for _, case in four_laws())))


def test_the_interpreted_kernel_passes():
    assert passes(broken(kernels))


@pytest.mark.parametrize("name", KERNEL)
def test_wrong_kernels_are_caught(name):
    assert not passes(broken(kernels, KERNEL[name]))


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_wrong_coefficients_are_caught(name):
    module = broken(kernels)
    module.feature_coefficients = mutant(statistics, COEFFICIENTS[name]).feature_coefficients
    assert not passes(module)
