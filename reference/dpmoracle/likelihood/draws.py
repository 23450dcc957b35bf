r"""Samples of Tr Cov(x_0|x)/d for all SNRs from one set of (x_0, ε), honest also where rare components matter."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..shared import shared_samples

__all__ = ["distinct", "levels_at", "tilt", "trace_samples"]

Array = NDArray[np.float64]

_UNEVEN = 4.0  # ratio of the largest to the smallest tilt from which the tilted weights are drawn from
_SAMPLES = 256  # samples carried through all levels at once
_CACHED, _HELD = 2**17, 2**20  # doubles in the weights of one block of samples, and in its sums


def trace_samples(
    q0: GaussianMixture, u: Array, num_samples: int, rng: np.random.Generator
) -> Iterator[Array]:
    r"""Blocks (m, T) of values whose mean is V at SNRs u (T,); M rows in all, one (x_0, ε) per row.

    .. math:: \frac{\operatorname{Tr} \mathrm{Cov}(x_0|x)}{d}\,\varrho(x), \quad x \sim \sum_i p_i q_i, \quad
       \varrho = \frac{\sum_i w_i q_i}{\sum_i p_i q_i} = \Bigl[\sum_i r_i(x) \frac{p_i}{w_i}\Bigr]^{-1}

    with the posterior weights r_i. p = w and ϱ = 1, unless the weights w are very uneven: see `tilt`.
    """
    q0 = distinct(q0)
    slant = tilt(q0.weights)
    even = slant.max() < _UNEVEN * slant.min()
    x0, own = (q0 if even else _reweighted(q0, slant * q0.weights)).sample_labelled(num_samples, rng)
    noise = rng.standard_normal(x0.shape)
    a, sigma = levels_at(u)
    tau2 = q0.shared_variance
    width = q0.d + 2
    rows = max(1, min(_SAMPLES, _HELD // (u.size * width + 1), _CACHED // (q0.n_components * width)))
    blocks = [slice(start, start + rows) for start in range(0, num_samples, rows)]
    if even and tau2 is not None:
        for some in blocks:
            drawn = (x0[some], noise[some], own[some])
            yield shared_samples(*drawn, q0.weights, q0.means, tau2, a, sigma, "trace")
        return
    sums = np.zeros((2, u.size))
    for some in blocks:
        one = np.ones(len(x0[some]))
        value, rho = np.empty((2, len(one), u.size))
        for k, (a_, sigma_) in enumerate(zip(a, sigma)):
            seen = q0.posterior(a_ * x0[some] + sigma_ * noise[some], a_ * one, sigma_ * one)
            value[:, k], rho[:, k] = seen.trace() / q0.d, 1.0 if even else 1.0 / (seen.weights @ slant)
        # ϱ has mean 1: taking out ϱ - 1 times what V is, by the blocks before, leaves the mean and less noise
        here = np.stack([(rho * value).sum(0), rho.sum(0)])
        guess = np.divide(*(sums if sums.any() else here))
        yield value if even else guess + rho * (value - guess)
        sums += here


def distinct(q0: GaussianMixture) -> GaussianMixture:
    """The same law without components of weight 0; those of one shared variance that coincide are made one."""
    q, tau2 = q0.support, q0.shared_variance
    if tau2 is None:
        return q
    means, which = np.unique(q.means, axis=0, return_inverse=True)
    if len(means) == len(q.means):
        return q
    weights = np.bincount(which.ravel(), q.weights)
    return GaussianMixture(weights, means, np.full(len(means), tau2), covariance_type="spherical")


def tilt(weights: Array) -> Array:
    r"""p_i/w_i (C,) of the weights p that samples are drawn by: half w, half by the share in the entropy.

    .. math:: p_i = \tfrac12 w_i - \tfrac12 w_i \log w_i/H, \quad H = -\sum_j w_j \log w_j

    -w_i log w_i is what component i adds to the mutual information of well separated components, so a rare one is
    drawn as often as it matters; p >= w/2 keeps every value within twice the plain one. 1 for equal weights.
    """
    surprise = -np.log(weights)
    entropy = float(weights @ surprise)
    return 0.5 * (1.0 + surprise / entropy) if entropy > 0.0 else np.ones_like(weights)


def _reweighted(q: GaussianMixture, weights: Array) -> GaussianMixture:
    return GaussianMixture(weights, q.means, q.covariances, covariance_type=q.covariance_type)


def levels_at(u: Array) -> tuple[Array, Array]:
    """The variance-preserving (a, σ) of an SNR."""
    return np.sqrt(u / (1 + u)), 1 / np.sqrt(1 + u)
