r"""Posterior means of many rows at one level, by matrix products: fast, and right to a bound that comes with them.

With v_i = a² e_i + σ² in every direction, and everything moved so that the mixture has mean 0,

    log r_i = log w_i - ½ log v_i - ½ x·x/v_i + a x·m_i/v_i - ½ a² m_i·m_i/v_i + const,
    E[x_0|x] = Σ_i r_i (σ² m_i + a e_i x)/v_i.

The terms of log r_i may be far larger than their sum, which costs digits at high SNR; `posterior` forms the
differences first and loses none, but needs (rows, C, d) numbers where this needs (rows, C).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["means_at_level"]

Array = NDArray[np.float64]

_HELD = 2**17  # float64 entries of one (rows, C) temporary: 1 MiB, which stays in cache
_LEAST = -700.0  # exp of less is below every float64 sum with a 1 in it, and slow where it underflows
_EPS = float(np.finfo(np.float64).eps)


def means_at_level(
    x: Array, a: float, sigma: float, log_weights: Array, means: Array, spectrum: Array
) -> tuple[Array, float]:
    """(B, d) E[x_0|x] of rows x (B, d), and the most that rounding can have changed a log r_i.

    log_weights, means, spectrum : as for `posterior`, all covariances diagonal in the axes of x
    An error δ of every log r_i moves the mean by at most 2δ times the spread of the means that compete for x.
    Requires a² e + σ² > 0 throughout.
    """
    d = means.shape[1]
    centre = np.exp(log_weights) @ means
    moved, m = x - a * centre, means - centre
    v = np.broadcast_to(a * a * spectrum + sigma * sigma, (len(spectrum), d))
    pull = m / v
    fixed = log_weights - 0.5 * np.log(v).sum(1) - 0.5 * a * a * (m * pull).sum(1)
    shared = len(v) == 1
    out = np.empty_like(moved)
    rows = max(1, _HELD // len(m))
    for start in range(0, len(x), rows):
        some = moved[start : start + rows]
        logits = some @ (a * pull.T)
        logits += fixed
        if not shared:  # else the same for all components
            logits -= np.square(some) @ (0.5 / v.T)
        logits -= logits.max(1, keepdims=True)
        weights = np.exp(np.maximum(logits, _LEAST, out=logits), out=logits)
        total = weights.sum(1, keepdims=True)
        mean = sigma * sigma * (weights @ pull) / total
        if spectrum.any():
            slope = a * spectrum / v
            mean += some * (slope if shared else weights @ slope / total)
        out[start : start + rows] = centre + mean
    return out, _rounding(moved, a, m, v, fixed)


def _rounding(x: Array, a: float, m: Array, v: Array, fixed: Array) -> float:
    """Bound by [higham2002, eq. (3.5)]: n eps times the sum of the magnitudes, of every product and sum."""
    far, lengths = np.linalg.norm(x, axis=1).max(), np.linalg.norm(m / v, axis=1).max()
    within = 0.0 if len(v) == 1 else 0.5 * far * far / v.min()
    size = np.abs(fixed).max() + a * a * (m * m / v).sum(1).max() + a * far * lengths + within
    return float(2 * (x.shape[1] + 8) * _EPS * size)
