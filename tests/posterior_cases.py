"""Questions to a posterior: a Hypothesis strategy for hard ones, and named extreme ones."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mp_mixture import Problem

SNR = 1e12


def levels(snr: float) -> tuple[float, float]:
    return float(np.sqrt(snr / (1 + snr))), float(np.sqrt(1 / (1 + snr)))


def random_covariances(rng: np.random.Generator, kind: str, count: int, d: int, span: float) -> np.ndarray:
    """Standard deviations over 2 * span decades, some 0; rotated, or with uneven scales and a good correlation."""
    deviations = 10.0 ** rng.uniform(-span, span, (count, d)) * (rng.random((count, d)) > 0.15)
    if kind == "spherical":
        return deviations[:, 0] ** 2
    if kind == "diag":
        return deviations**2
    blocks = np.zeros((count, d, d))
    for block, scales in zip(blocks, deviations):
        if rng.random() < 0.5:
            root = scales[:, None] * (np.eye(d) + 0.4 * rng.standard_normal((d, d)))
        else:
            root = np.linalg.qr(rng.standard_normal((d, d)))[0] * np.maximum(scales, 1e-2 * scales.max())
        block[...] = root @ root.T
    blocks = 0.5 * (blocks + blocks.swapaxes(1, 2))
    return blocks[0] if kind == "tied" else blocks


@st.composite
def problems(draw: st.DrawFn, kind: str) -> Problem:
    """Up to 4 components in up to 3 dimensions: SNR from 1e-12 to 1e12 or 0, x at 0 to 1e100 standard deviations,
    weights of 1e-300 and 0, covariances over many decades and 0, equal and nearly equal components.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count, d = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    snr = draw(st.just(0.0) | st.floats(-12, 12).map(lambda power: 10.0**power))
    a, sigma = levels(snr)
    weights = rng.random(count) ** 4 + 1e-3
    if count > 1:
        weights[0] *= draw(st.sampled_from([1.0, 1.0, 1e-9, 1e-300, 0.0]))
    means = rng.standard_normal((count, d)) * 10.0 ** draw(st.integers(-3, 3))
    # A rotated covariance that one ulp makes indefinite next to sigma² asks nothing.
    span = 3 if kind in ("spherical", "diag") else min(3.0, 1 - np.log10(sigma) / 6)
    covariances = random_covariances(rng, kind, count, d, span)
    near = draw(st.sampled_from([None, None, 0.0, 1e-15, 1e-12, 1e-6]))
    if near is not None and count > 1:
        means[1] = means[0] * (1 + near * rng.standard_normal(d))
        if kind != "tied":
            covariances[1] = covariances[0] * (1 + near)
    home = a * means[rng.integers(count)]
    if draw(st.booleans()):
        home = 0.5 * (home + a * means[rng.integers(count)])
    far = draw(st.sampled_from([0.0, 1.0, 1.0, 10.0, 1e4, 1e8, 1e16, 1e100]))
    unit = sigma if draw(st.booleans()) else 1.0
    return Problem(
        kind,
        weights / weights.sum(),
        means,
        covariances,
        home + far * unit * rng.standard_normal(d),
        a,
        sigma,
    )


def _shoulder(seed: int, kind: str) -> Problem:
    """On the shoulder of a component a thousand to a million times narrower, just where the broad one leads."""
    rng = np.random.default_rng(seed)
    a, sigma = levels(10.0 ** rng.uniform(6, 12))
    d = 2
    means = rng.standard_normal((3, d))
    blocks = np.array([np.eye(d), np.zeros((d, d)), 1e-3 * np.eye(d)])
    if kind == "full":
        tilt = rng.standard_normal((d, d))
        blocks[0] += 0.1 * tilt @ tilt.T
    covariances = (
        blocks if kind == "full" else blocks[:, 0, 0] if kind == "spherical" else blocks.diagonal(0, 1, 2)
    )
    away = rng.standard_normal(d)
    drop = np.log(0.05 / 0.9) - d * np.log(sigma) + 0.5 * np.square(means[0] - means[1]).sum() + 1
    away *= sigma * np.sqrt(2 * drop) / np.linalg.norm(away)
    return Problem(kind, np.array([0.9, 0.05, 0.05]), means, covariances, a * means[1] + away, a, sigma)


def _wide(seed: int, kind: str, snr: float) -> Problem:
    """d = 10,000: two nearly coincident components and one apart, x drawn from the first."""
    rng, d = np.random.default_rng(seed), 10_000
    a, sigma = levels(snr)
    means = rng.standard_normal((3, d))
    means[1] = means[0] + 1e-3 * rng.standard_normal(d) / np.sqrt(snr + 1)
    if kind == "spherical":
        covariances = np.array([1e-2, 1e-2 * (1 + 1e-9), 0.3])
        spread = np.full(d, 1e-2)
    else:
        covariances = 10.0 ** rng.uniform(-4, 0, (3, d))
        covariances[1] = covariances[0] * (1 + 1e-7 * rng.standard_normal(d))
        spread = covariances[0]
    x = a * (means[0] + np.sqrt(spread) * rng.standard_normal(d)) + sigma * rng.standard_normal(d)
    weights = np.array([0.2, 0.5, 0.3])
    return Problem(kind, weights, means, covariances, x, a, sigma, tuple(range(0, d, d // 40)))


def _graded() -> Problem:
    """Variances from 1e-16 to 1e16 in one covariance with correlations of 0.5: no eigensolver by norms keeps them."""
    a, sigma = levels(SNR)
    scales = np.array([1e8, 1.0, 1e-8])
    block = np.outer(scales, scales) * (0.5 + 0.5 * np.eye(3))
    return Problem(
        "tied", np.array([0.4, 0.6]), np.array([[1e8, 1.0, 1e-8], [-1e8, 2.0, 3e-8]]), block,
        np.array([3e7, -0.5, 2e-8]), a, sigma,
    )  # fmt: skip


def _points(x: list[float], snr: float, weights: tuple[float, ...] = (0.5, 0.5)) -> Problem:
    means = np.array([[-1.0, 0.5], [1.0, 0.25]])
    return Problem("spherical", np.array(weights), means, np.zeros(2), np.array(x), *levels(snr))


NAMED = {
    "between points": _points([1e-13, 0.375], SNR),
    "far outside points": _points([1e8, -3e8], SNR),
    "much further outside": _points([1e100, 1e99], SNR),
    "a weight of 1e-300 that leads": _points([1.0, 0.25], SNR, (1.0, 1e-300)),
    "a weight of 1e-300 at low SNR": _points([1.0, 0.25], 1e-12, (1.0, 1e-300)),
    "a weight of 0": _points([1.0, 0.25], SNR, (1.0, 0.0)),
    "no signal": _points([1.0, 0.25], 0.0),
    "wide data, x near 0": Problem(
        "spherical", np.ones(1), np.array([[1e8]]), np.array([1e16]), np.array([1.0]), *levels(SNR)
    ),
    "far from two that nearly coincide": Problem(
        "spherical", np.array([0.5, 0.5]), np.array([[1.0], [1.0 + 1e-15]]), np.array([1.0, 1.0 + 1e-15]),
        np.array([1e8]), *levels(1.0),
    ),
    "far at low SNR": Problem(
        "spherical", np.array([0.5, 0.5]), np.array([[1.0], [1.5]]), np.array([0.3, 0.5]), np.array([1e4]),
        *levels(1e-8),
    ),
    "far outside unequal means": Problem(
        "spherical", np.array([0.9, 0.1]), np.array([[1e8], [0.123456789]]), np.zeros(2), np.array([-1e30]),
        *levels(1.0),
    ),
    "two that differ in variance alone": Problem(
        "spherical", np.array([0.3, 0.7]), np.zeros((2, 4000)), np.array([0.3, 0.5]), np.ones(4000), *levels(1e-8),
        (0, 1, 2),
    ),
    "graded": _graded(),
    **{f"shoulder, {kind} {k}": _shoulder(k, kind) for kind in ("spherical", "diag", "full") for k in range(4)},
}  # fmt: skip


def _everyday(seed: int, kind: str) -> Problem:
    rng = np.random.default_rng(seed)
    a, sigma = levels(10.0 ** rng.uniform(-1, 1.5))
    means = rng.standard_normal((3, 3))
    covariances = random_covariances(rng, kind, 3, 3, 0.4)
    x = a * means[0] + sigma * rng.standard_normal(3)
    return Problem(kind, np.array([0.2, 0.5, 0.3]), means, covariances, x, a, sigma)


EVERYDAY = {
    f"{kind} {k}": _everyday(k, kind) for kind in ("spherical", "diag", "tied", "full") for k in range(3)
}

WIDE = {
    f"{kind} {snr:g}": _wide(k, kind, snr)
    for k, (kind, snr) in enumerate([("spherical", SNR), ("diag", 1e-3)])
}
