"""V_t of any mixture, for all levels from matrix products: the pair estimator through its quadratic features."""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from ..statistics import feature_coefficients
from .blocks import rows_that_fit
from .cuda import on_device, source
from .mixture_parts import Mixture, placed

__all__ = ["pair_samples"]

_THREADS = 128


@on_device(stays=("means", "spectrum", "basis"))
def pair_samples(
    x0: Any, noise: Any, log_weights: Any, means: Any, spectrum: Any, basis: Any, a: Any, sigma: Any
) -> Any:
    """Twin of dpmoracle.features.pair_samples: (M, T) float64; the dtype of the means is that of the products.

    Arguments as there. Components and samples come in blocks that fit on the device; a mixture on the host is streamed
    where it would not. Three products for each block of components serve all levels.
    """
    real = np.dtype(np.float32 if means.dtype == np.float32 else np.float64)
    x0, noise, log_weights, a, sigma = (
        value.astype(np.float64, copy=False) for value in (x0, noise, log_weights, a, sigma)
    )
    law = Mixture(log_weights, *(placed(f) for f in (means, spectrum, basis)), np.dtype(np.float64))
    (count, d), T, columns = x0.shape, len(a), spectrum.shape[1]
    out = cupy.empty((count, T))
    width = real.itemsize * (3 * columns + 1 + 2 * T) + 16 * d  # bytes of a sample for each component
    rows = min(count, rows_that_fit(24 * T + 16 * d + min(len(means), 16) * width, 0.3)) if count else 1
    size = rows_that_fit(rows * width + 2 * real.itemsize * T * (3 * columns + 1), 0.3)
    for start in range(0, count, rows):
        some = slice(start, min(start + rows, count))
        shape = (some.stop - start, T)
        top, total, weighted = cupy.full(shape, -np.inf), cupy.zeros(shape), cupy.zeros(shape)
        for part in law.parts(size):
            table = feature_coefficients(cupy, part.spectrum, part.log_weights, d, a, sigma)
            features = _features(x0[some], noise[some], part.means, part.basis, columns)
            values = cupy.matmul(features.astype(real, copy=False), table.astype(real, copy=False))
            fold = source("features", "float" if real == np.float32 else "double").get_function("fold")
            sized = (np.int32(len(values)), np.int32(shape[0]), np.int32(T))
            fold((-(-top.size // _THREADS),), (_THREADS,), (values, top, total, weighted, *sized))
        out[some] = 0.5 * weighted / total / d
    return out


def _features(x0: Any, noise: Any, means: Any, basis: Any, columns: int) -> Any:
    """(C, M, 3 columns + 1): P², PN, N², summed over the directions where one eigenvalue stands for all, and 1."""
    p, n = x0[None] - means[:, None], noise[None]
    if basis is not None:
        p, n = cupy.matmul(p, basis), cupy.matmul(n, basis)
    parts = [p * p, p * n, cupy.broadcast_to(n * n, p.shape)]
    if columns == 1:
        parts = [part.sum(2, keepdims=True) for part in parts]
    return cupy.concatenate([*parts, cupy.ones((*p.shape[:2], 1))], axis=2)
