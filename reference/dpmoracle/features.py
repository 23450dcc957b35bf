r"""V_t of any mixture, for all levels from matrix products: the pair estimator through its quadratic features.

With x_t = a x_0 + σε, P = U_iᵀ(x_0 - m_i) and N = U_iᵀε in the eigenbasis of S_i = U_i diag(e) U_iᵀ, v = a² e + σ²,

    (x_t - a m_i)·V_i⁻¹(x_t - a m_i) = Σ_k (a² P_k² + 2aσ P_k N_k + σ² N_k²)/v_k,
    ‖x_0 - E_i[x_0|x_t]‖² = Σ_k (σ⁴ P_k² - 2aσ³ e_k P_k N_k + a²σ² e_k² N_k²)/v_k²:

both are products of (P², PN, N²), which do not depend on the level, with coefficients that do not depend on the sample.
For samples of the mixture and normal ε no term is much larger than the sums, so the expansion costs no digits.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["pair_samples"]

Array = NDArray[np.float64]


def pair_samples(
    x0: Array,
    noise: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
    a: Array,
    sigma: Array,
) -> Array:
    """(M, T) values ½ Σ_i r_i (Tr S_i + ‖x_0 - m_i‖²)/d, whose mean over samples of the mixture is V_t.

    x0, noise   : (M, d) a draw from the mixture, and standard normal ε, the same for all levels
    log_weights : (C,) finite                        means : (C, d)
    spectrum    : (C or 1, d or 1) eigenvalues e >= 0  basis : None (axes), or (C or 1, d, d), eigenvectors in columns
    a, sigma    : (T,) levels, sigma > 0
    """
    logits = np.empty((len(means), len(x0), len(a)))
    squares = np.empty_like(logits)
    for i in range(len(means)):
        frame = None if basis is None else basis[i % len(basis)]
        F = _features(x0 - means[i], noise, frame, spectrum.shape[1])
        Q, R, log_det, within = _coefficients(spectrum[i % len(spectrum)], x0.shape[1], a, sigma)
        logits[i] = log_weights[i] - 0.5 * (F @ Q + log_det)
        squares[i] = F @ R + within
    weights = np.exp(logits - logits.max(0))
    return np.asarray(0.5 * (weights * squares).sum(0) / weights.sum(0) / x0.shape[1])


def _features(p: Array, noise: Array, frame: Array | None, columns: int) -> Array:
    """(M, 3 columns): P², PN, N², summed over the directions where one eigenvalue stands for all."""
    if frame is not None:
        p, noise = p @ frame, noise @ frame
    parts = [p * p, p * noise, noise * noise]
    if columns == 1:
        parts = [part.sum(1, keepdims=True) for part in parts]
    return np.concatenate(parts, axis=1)


def _coefficients(e: Array, d: int, a: Array, sigma: Array) -> tuple[Array, Array, Array, Array]:
    """Coefficients (3 len(e), T) of the features in the distance and the residual; log det V_i and Tr S_i (T,)."""
    a, s2 = a[None, :], np.square(sigma)[None, :]
    v = np.square(a) * e[:, None] + s2
    cross = a * np.sqrt(s2)
    Q = np.concatenate([np.square(a) / v, 2 * cross / v, s2 / v])
    shrink, push = s2 / v, cross * e[:, None] / v
    R = np.concatenate([shrink * shrink, -2 * shrink * push, push * push])
    repeats = d // len(e)
    return Q, R, repeats * np.log(v).sum(0), repeats * (s2 * e[:, None] / v).sum(0)
