"""Γ_t and V_t of a mixture with one shared isotropic covariance, for all levels from one pair of cuBLAS products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cupy
import numpy as np

from ..statistics import LOG2E, STATISTICS, pair, scales
from .blocks import rows_that_fit, stream
from .cuda import on_device, source
from .products import SHORT, precision

__all__ = ["shared_samples"]

# As in shared.cu.
_THREADS, _LEVELS = 128, 4
_GRID = 2**15  # samples along the second axis of a grid, which ends at 65535
#: Share of the norms below which the products have lost the digits of G.
_NEAR = {"float64": 1e-4, "float32": 1e-2, "tf32": 1e-1}


@on_device(stays=("means",))
def shared_samples(
    x0: Any,
    noise: Any,
    own: Any,
    weights: Any,
    means: Any,
    tau2: float,
    a: Any,
    sigma: Any,
    estimator: str,
) -> Any:
    """Twin of dpmoracle.shared.shared_samples: (M, T) float64, arguments as there.

    means : (C, d); in float32 for products and exponentials in float32 and sums in float64. On the host it is streamed
            in blocks that fit beside the rest, so it may be larger than the device's memory.
    """
    x0, noise = (value.astype(np.float64, copy=False) for value in (x0, noise))
    a, sigma = (value.astype(np.float64, copy=False) for value in (a, sigma))
    at = scales(a, sigma, tau2)
    share = weights / weights.max()
    width = 3 if estimator == "pair" else x0.shape[1] + 2
    rows = min(_GRID, rows_that_fit(8 * (len(a) * width + 6 * x0.shape[1]), 0.25))
    out = cupy.empty((len(x0), len(a)))
    for some in _cuts(len(x0), rows):
        centre = cupy.asarray(means[own[some].get()] if isinstance(means, np.ndarray) else means[own[some]])
        centre = centre.astype(np.float64, copy=False)
        p, draw = x0[some] - centre, noise[some]
        sums = _sums(p, draw, own[some], centre, share, means, at, estimator)
        if estimator == "pair":
            out[some] = pair(sums[..., 1] / sums[..., 0], sums[..., 2] / sums[..., 0], p, draw, at)
        else:
            out[some] = STATISTICS[estimator](sums[..., :-1] / sums[..., -1:], p, draw, at)
    return out


def _sums(p: Any, draw: Any, own: Any, centre: Any, share: Any, means: Any, at: Any, estimator: str) -> Any:
    """Σ_i weight (1, G, E) for "pair", (M, T, 3); else Σ_i weight (D_i, ‖D_i‖², 1), (M, T, d+2)."""
    real = means.dtype.type
    kernels = source("shared", "float" if real is np.float32 else "double")
    origin = centre.mean(0)
    centre = centre - origin
    x0 = p + centre
    own_half, own_data, own_noise = 0.5 * _dot(centre, centre), _dot(x0, centre), _dot(draw, centre)
    both = [value.astype(real, copy=False) for value in (x0, draw)]
    levels = [(LOG2E * factor / at.total).astype(real) for factor in (at.a**2, at.a * at.sigma)]
    (count, d), T = p.shape, len(at.a)
    sums = cupy.zeros((count, T, 3 if estimator == "pair" else d + 2))
    size = rows_that_fit(means.dtype.itemsize * (4 * d + 2 * count + T), 0.4)
    if estimator != "pair" and real is np.float32:
        size = min(size, SHORT)
    for part, block in stream(means, size):
        y = (block.astype(np.float64) - origin).astype(real)
        half = (0.5 * _dot(y, y, np.float64)).astype(real)
        g, e = (value @ y.T for value in both)
        here = cupy.where((own >= part.start) & (own < part.stop), own - part.start, -1).astype(np.int32)
        C = np.int32(len(y))
        grid = -(-len(y) // _THREADS)
        relative = (g, e, half, here, own_half, own_data, own_noise, y, centre, p, draw)
        sized = (C, np.int32(d), np.float64(_NEAR[precision(real)]))
        kernels.get_function("relate")((grid, count), (_THREADS,), (*relative, *sized))
        prior = share[part].astype(real)
        if estimator == "pair":
            bands = -(-T // (_THREADS * _LEVELS))
            args = (g, e, prior, *levels, sums, C, np.int32(T))
            kernels.get_function("add_pair_sums")((bands, count), (_THREADS,), args)
            continue
        weights = cupy.empty((T, len(y)), dtype=real)
        terms = cupy.ones((len(y), d + 2), dtype=real)
        for m in range(count):
            args = (g[m], e[m], prior, *levels, weights, C, np.int32(T))
            kernels.get_function("weigh")((grid,), (_THREADS,), args)
            terms[:, :d] = y - centre[m].astype(real)
            terms[:, d] = _dot(terms[:, :d], terms[:, :d])
            sums[m] += weights @ terms
    return sums


def _dot(x: Any, y: Any, dtype: Any = None) -> Any:
    return (x * y).sum(-1, dtype=dtype)


def _cuts(total: int, size: int) -> Iterator[slice]:
    return (slice(start, min(start + size, total)) for start in range(0, total, size))
