r"""V_t of any mixture, for all levels from matrix products: the pair estimator through its quadratic features.

In the eigenbasis of component i, with P = U_iᵀ(x_0 - m_i), N = U_iᵀε and v = a² e + σ², the exponents
-½ Σ_k (aP_k + σN_k)²/v_k and the residuals Σ_k (σ² P_k - aσ e_k N_k)²/v_k² are products of the features (P², PN, N²)
with one table of coefficients; the softmax over the components is one pass over their results.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics import feature_coefficients
from .compiled import compiled
from .exponential import exp2
from .threads import in_pieces

__all__ = ["pair_samples"]

Array = NDArray[Any]

# Exponents and residuals held at once by a thread, and how often in one piece of work.
_HELD, _BLOCKS = 2**20, 4


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
    """(M, T) float64 values ½ Σ_i r_i (Tr S_i + ‖x_0 - m_i‖²)/d; the dtype of the means is that of the products.

    x0, noise   : (M, d) a draw from the mixture, and standard normal ε        log_weights : (C,)        means : (C, d)
    spectrum    : (C or 1, d or 1) eigenvalues >= 0        basis : None or (C or 1, d, d)        a, sigma : (T,)
    """
    dtype = np.dtype(np.float32 if np.asarray(means).dtype == np.float32 else np.float64)
    centres, shapes = np.asarray(means, np.float64), np.asarray(spectrum, np.float64)
    tables = feature_coefficients(np, shapes, log_weights, x0.shape[1], a, sigma).astype(dtype, copy=False)
    out = np.empty((len(x0), len(a)))

    rows = max(1, _HELD // (2 * len(centres) * len(a)))

    def piece(start: int, stop: int) -> None:
        drawn = []
        for i in range(len(centres)):
            frame = None if basis is None else basis[i % len(basis)]
            features = _features(x0[start:stop] - centres[i], noise[start:stop], frame, shapes.shape[1])
            drawn.append(features.astype(dtype, copy=False))
        values = np.empty((len(centres), min(rows, stop - start), 2 * len(a)), dtype)
        for first in range(0, stop - start, rows):
            part = out[start + first : min(start + first + rows, stop)]
            for features, table, product in zip(drawn, tables, values):
                np.matmul(features[first : first + rows], table, out=product[: len(part)])
            _averages(values, part)

    in_pieces(piece, len(x0), _BLOCKS * rows, products=True)
    out *= 0.5 / x0.shape[1]
    return out


def _features(p: Array, noise: Array, frame: Array | None, columns: int) -> Array:
    """(M, 3 columns + 1) P², PN, N², summed over the directions where one eigenvalue stands for all, and 1."""
    if frame is not None:
        p, noise = p @ frame, noise @ frame
    if columns == 1:
        pairs = ((p, p), (p, noise), (noise, noise))
        parts = [np.einsum("md,md->m", *pair)[:, None] for pair in pairs]
    else:
        parts = [p * p, p * noise, noise * noise]
    return np.concatenate([*parts, np.ones((len(p), 1))], axis=1)


@compiled(fastmath={"contract"})
def _averages(values: Array, out: Array) -> None:
    """Σ_i w_i residual_i / Σ_i w_i, from values (C, M or more, 2T), into out (M, T)."""
    size, T = len(values), values.shape[2] // 2
    top, total, weighted = np.empty(T, values.dtype), np.empty(T, values.dtype), np.empty(T, values.dtype)
    for m in range(len(out)):
        top[:] = values[0, m, :T]
        for i in range(1, size):
            exponent = values[i, m, :T]
            for t in range(T):
                top[t] = max(top[t], exponent[t])
        total[:] = 0
        weighted[:] = 0
        for i in range(size):
            exponent, residual = values[i, m, :T], values[i, m, T:]
            for t in range(T):
                w = exp2(exponent[t] - top[t])
                total[t] += w
                weighted[t] += w * residual[t]
        for t in range(T):
            out[m, t] = weighted[t] / total[t]
