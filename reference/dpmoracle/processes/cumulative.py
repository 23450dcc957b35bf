"""What follows from the stored numbers of a discrete schedule: products, complements, logarithms.

log alpha_bar is kept as an unevaluated pair high + low, because the alpha and beta of a short step are
differences of two long sums.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .precise import prefix_sums, survival, two_sum_error

__all__ = ["FADED", "cosine_betas", "from_alpha_bar", "from_betas", "log_ratio"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

# Below this alpha_bar the rounding errors of a product are no longer normal numbers, and exp is better.
FADED = 1e-290


def cosine_betas(N: int, s: float) -> Array:
    r"""1 - f(t)/f(t-1) for t = 1..N, :math:`f(t) = \cos^2 y_t`, unclipped [nichol2021, eq. (17)].

    Computed as :math:`\sin(y_t - y_{t-1}) \sin(y_t + y_{t-1}) / \cos^2 y_{t-1}`, with :math:`z = \pi/2 - y`:
    the difference of two cosines near 1 would cost four digits at N = 1000. The last is 1.
    """
    quarter = 0.5 * np.pi / (1.0 + s)
    times = np.arange(N + 1) / N
    z = quarter * times[::-1]
    # y + y' and its supplement z + z' have one sine; the smaller keeps the digits.
    total = np.minimum(z[:-1] + z[1:], quarter * (times[:-1] + times[1:] + 2.0 * s))
    betas: Array = (np.sin(z[N - 1]) / np.sin(z[:-1])) * (np.sin(total) / np.sin(z[:-1]))
    return betas


def from_betas(betas: Array) -> dict[str, Array]:
    """The derived arrays, betas exact: alpha_bar by a product, beta_bar by logarithms."""
    inner = betas[:-1] if betas[-1] == 1.0 else betas
    high, low = prefix_sums(np.log1p(-inner))
    products = survival(inner)
    alpha_bar = np.where(products > FADED, products, np.exp(high))
    return _ended(betas, alpha_bar, -np.expm1(high), high, low)


def from_alpha_bar(alpha_bar: Array) -> dict[str, Array]:
    """The derived arrays, alpha_bar exact."""
    inner = alpha_bar[:-1] if alpha_bar[-1] == 0.0 else alpha_bar
    ratios = inner[1:] / inner[:-1]
    betas = (inner[:-1] - inner[1:]) / inner[:-1]
    # log1p(-beta) loses the digits of a ratio near 0, log(ratio) those of a beta near 0.
    with np.errstate(divide="ignore"):
        high, low = prefix_sums(np.where(betas < 0.5, np.log1p(-betas), np.log(ratios)))
    betas = betas if inner is alpha_bar else np.append(betas, 1.0)
    return _ended(betas, inner.copy(), 1.0 - inner, high, low)


def _ended(betas: Array, alpha_bar: Array, beta_bar: Array, high: Array, low: Array) -> dict[str, Array]:
    """Put the last entries of a zero terminal SNR where the arrays stop one short of them."""
    if alpha_bar.size == betas.size:
        alpha_bar, beta_bar = np.append(alpha_bar, 0.0), np.append(beta_bar, 1.0)
        high, low = np.append(high, -np.inf), np.append(low, 0.0)
    beta_bar[0] = 0.0  # expm1(0) with its sign turned is -0.0
    return {
        "betas": betas,
        "alpha_bar": alpha_bar,
        "beta_bar": beta_bar,
        "log_alpha_bar": high,
        "_log_low": low,
    }


def log_ratio(high: Array, low: Array, s: Steps, t: Steps) -> Array:
    """log alpha_bar_t - log alpha_bar_s for s < t, from the pairs; -inf at zero terminal SNR."""
    high_t, high_s = high[t], high[s]
    ended = np.isneginf(high_t)
    high_t = np.where(ended, 0.0, high_t)
    difference = high_t - high_s
    lost = two_sum_error(high_t, -high_s, difference) + (low[t] - low[s])
    return np.where(ended, -np.inf, difference + lost)
