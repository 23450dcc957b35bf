r"""Scores and posterior moments of many rows at one level: tables of the level, one product, one pass for each result.

Weights come from the distances themselves, q_i = (x - a m_i)·P_i(x - a m_i) with P_i = (a² S_i + σ² I)⁻¹,

    r_i ∝ w_i det(P_i)^½ exp(-q_i/2),   ∇log = -Σ_i r_i P_i(x - a m_i),   E_i[x_0|x] = m_i + a S_i P_i(x - a m_i),

so full covariances take one cuBLAS product with all P_i side by side (two for moments at low SNR), and nothing is
divided in a pass. That keeps the digits while the least q is moderate and no full V_i = P_i⁻¹ is much narrower one way
than another. Rows further out, levels with such a V_i, and levels of few rows are left to `posterior_careful`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cupy
import numpy as np

from .blocks import rows_that_fit
from .cuda import source

__all__ = ["moments_by_level", "score_by_level"]

_LOG_2PI = math.log(2 * math.pi)
_FEW = 32  # rows of one level from which its tables pay
_FAR = 1e3  # least distance q - d from which the digits of q do not tell the components apart
#: Ratio of the eigenvalues of one V_i, by the precision of the products.
_UNEVEN = {"float64": 1e4, "float32": 1e3}
# As in level.cu.
_THREADS, _TILE, _ROWS, _LANES = 128, 4, 32, 8
_GRID = 2**15  # blocks along the second axis at most; a kernel strides over the rest


class _Table(NamedTuple):
    """What one level contributes; in the dtype of x but for what is added to logits."""

    level: tuple[float, float]
    origin: Any  # (d,) a times what the means are counted from
    shift: Any  # (d,) what the means are counted from
    home: Any  # (C, d) m_i
    centre: Any  # (C, d) a m_i
    inverse: Any  # (C or 1, d or 1), P_i in the axes; or (C d, d), all P_i one below the other
    spectrum: Any  # (C or 1, d or 1)
    slope: Any  # (C d, d) a S_i P_i where P_i is full, and σ² is not small beside a² S_i
    share: Any  # (C,) float64, log of w_i times the density of component i at its mean
    within: Any  # (C,) float64, Tr S_i of the posterior
    pulled: Any  # (C, d) P_i a m_i where P_i is full
    drawn: Any  # (C, d) a² S_i P_i m_i where there is a slope


def score_by_level(x: Any, a: Any, sigma: Any, law: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """(B,) log density, (B, d) score, and the rows that are left to the careful way."""
    log_prob, score = cupy.empty(len(x), dtype=x.dtype), cupy.empty_like(x)
    left = []
    for rows, here, table in _levels(x, a, sigma, law, left):
        weights = _weigh(here, table)
        out = cupy.empty_like(weights.x)
        shape = (weights.x.shape[1], len(table.share), len(out))
        if weights.products is None:
            args = (weights.x, table.centre, table.inverse, weights.values, out, *shape, *table.inverse.shape)
            _tiled("score_axes", x.dtype, out.shape, args)
        else:
            args = (weights.products, table.pulled, weights.values, out, *shape)
            _tiled("score_bases", x.dtype, out.shape, args)
        log_prob[rows], score[rows] = weights.log_total, out.T
        left.append(_refused(rows, weights))
    return log_prob, score, _all(left)


def moments_by_level(x: Any, a: Any, sigma: Any, law: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """(B, d) E[x_0|x], (B,) Tr Cov(x_0|x), and the rows that are left to the careful way."""
    mean, trace = cupy.empty_like(x), cupy.empty(len(x), dtype=x.dtype)
    left = []
    for rows, here, table in _levels(x, a, sigma, law, left):
        weights = _weigh(here, table)
        out, between = cupy.empty_like(weights.x), cupy.empty(weights.x.shape)
        rest = (weights.values, weights.which, out, between, weights.x.shape[1], len(table.share), len(out))
        a_, s2 = table.level[0], table.level[1] ** 2
        if weights.products is None:
            law_of = (table.inverse, table.home, table.spectrum)
            args = (weights.x, table.centre, *law_of, a_, s2, *rest, *table.inverse.shape)
            _tiled("mean_axes", x.dtype, out.shape, args)
        elif table.drawn is None:
            args = (weights.x, weights.products, table.pulled, table.home, -s2 / a_, 1 / a_, *rest)
            _tiled("mean_bases", x.dtype, out.shape, args)
        else:
            args = (weights.x, table.slope @ weights.x, table.drawn, table.home, 1.0, 0.0, *rest)
            _tiled("mean_bases", x.dtype, out.shape, args)
        mean[rows], trace[rows] = out.T + table.shift, weights.spread + between.sum(0)
        left.append(_refused(rows, weights))
    return mean, trace, _all(left)


class _Weights(NamedTuple):
    x: Any  # (d, B) rows counted from the origin
    products: Any  # (C d, B) P_i x where P_i is full
    values: Any  # (C, B) float64 posterior weights
    which: Any  # (B,) component of the largest
    far: Any  # (B,) half its distance
    log_total: Any  # (B,) log density
    spread: Any  # (B,) Σ_i r_i Tr S_i


def _weigh(x: Any, table: _Table) -> _Weights:
    x = cupy.ascontiguousarray((x - table.origin).T)
    (d, count), size = x.shape, len(table.share)
    values, which = cupy.empty((size, count)), cupy.empty(count, dtype=np.int32)
    log_total, far, spread = (cupy.empty(count) for _ in range(3))
    products = None
    if table.pulled is None:
        args = (x, table.centre, table.inverse, table.share, values, count, size, d, *table.inverse.shape)
        _tiled("logits_axes", x.dtype, (size, count), args)
    else:
        products = table.inverse @ x
        args = (x, table.centre, products, table.pulled, table.share, values, count, size, d)
        _tiled("logits_bases", x.dtype, (size, count), args)
    args = (values, table.share, table.within, log_total, which, far, spread, np.int32(count), np.int32(size))
    _kernel("soften", x.dtype)((-(-count // _ROWS),), (_ROWS, _LANES), args)
    return _Weights(x, products, values, which, far, log_total, spread)


def _refused(rows: Any, weights: _Weights) -> Any:
    bad = cupy.flatnonzero(~(weights.far < 0.5 * (len(weights.x) + _FAR)))
    return bad + rows.start if isinstance(rows, slice) else rows[bad]


def _all(left: list[Any]) -> Any:
    return cupy.concatenate(left) if left else cupy.empty(0, dtype=np.int64)


def _levels(
    x: Any, a: Any, sigma: Any, law: tuple[Any, ...], left: list[Any]
) -> Iterator[tuple[Any, Any, _Table]]:
    """(rows, x[rows], table) in blocks that fit on the device; the rows of other levels go to `left`."""
    size, d = law[1].shape
    width = size * (8 + (0 if law[3] is None else 2 * d * x.dtype.itemsize))
    most = rows_that_fit(width + 8 * d * x.dtype.itemsize, 0.4)
    for rows in _runs(a, sigma):
        some = rows if isinstance(rows, slice) else rows[:1]
        level_a, level_sigma = float(a[some][0]), float(sigma[some][0])
        count = len(x) if isinstance(rows, slice) else len(rows)
        table = _table(level_a, level_sigma, law, x.dtype) if count >= _FEW else None
        if table is None:
            left.append(cupy.arange(count) if isinstance(rows, slice) else rows)
            continue
        for start in range(0, count, most):
            stop = min(start + most, count)
            part = slice(start, stop) if isinstance(rows, slice) else rows[start:stop]
            yield part, x[part], table


def _runs(a: Any, sigma: Any) -> list[Any]:
    """The rows of each level; one slice if there is but one."""
    if not len(a):
        return []
    if bool(((a == a[0]) & (sigma == sigma[0])).all()):
        return [slice(None)]
    order = cupy.lexsort(cupy.stack([sigma, a]))
    a, sigma = a[order], sigma[order]
    ends = cupy.asnumpy(cupy.flatnonzero((a[1:] != a[:-1]) | (sigma[1:] != sigma[:-1]))) + 1
    return [order[start:stop] for start, stop in zip([0, *ends], [*ends, len(a)])]


def _table(a: float, sigma: float, law: tuple[Any, ...], real: Any) -> _Table | None:
    """None where some V_i is too uneven for its inverse."""
    log_weights, means, spectrum, basis = law
    size, d = means.shape
    v = a * a * spectrum + sigma * sigma
    least, largest = float(v.min()), float(v.max())
    if not (least > 1e-30 and largest < 1e30):
        return None
    if basis is not None and bool((v.max(1) > _UNEVEN[np.dtype(real).name] * v.min(1)).any()):
        return None
    share = log_weights - 0.5 * (d // spectrum.shape[1]) * _log_det(v, a * a * (spectrum - spectrum[:1]))
    share = share - 0.5 * d * _LOG_2PI
    within = cupy.zeros(size) + (d // spectrum.shape[1]) * (sigma * sigma * spectrum / v).sum(1)
    inverse, shift = 1.0 / v, cupy.zeros(d) if basis is None else means.mean(0)
    home, pulled, slope, drawn = means - shift, None, None, None
    if basis is not None:
        inverse, pulled = _stacked(inverse, basis, a * home)
        if float(spectrum.min()) * a * a < sigma * sigma:
            slope, drawn = _stacked(a * spectrum / v, basis, a * home)

    def single(value: Any) -> Any:
        return None if value is None else cupy.ascontiguousarray(value.astype(real, copy=False))

    tables = [single(f) for f in (a * shift, shift, home, a * home, inverse, spectrum, slope)]
    return _Table((a, sigma), *tables, share, within, single(pulled), single(drawn))


def _log_det(v: Any, apart: Any) -> Any:
    """(C or 1,) Σ log v, from the ratios to the first component, whose common part drops out of all weights."""
    close = cupy.abs(apart) < 0.5 * v[:1]
    ratio = cupy.where(close, cupy.log1p(cupy.where(close, apart / v[:1], 0.0)), cupy.log(v / v[:1]))
    return cupy.log(v[:1]).sum(1) + ratio.sum(1)


def _stacked(diagonal: Any, basis: Any, points: Any) -> tuple[Any, Any]:
    """(C d, d) matrices U diag(f) Uᵀ one below the other, and (C, d) their products with the points."""
    matrices = cupy.matmul(basis * diagonal[:, None, :], basis.swapaxes(1, 2))
    return matrices.reshape(-1, basis.shape[2]), cupy.matmul(matrices, points[:, :, None])[:, :, 0]


def _kernel(name: str, real: Any) -> Any:
    return source("level", "float" if real == np.float32 else "double").get_function(name)


def _tiled(name: str, real: Any, shape: tuple[int, int], args: tuple[Any, ...]) -> None:
    """Launch over (what is tiled, rows); Python's numbers become the kernel's."""
    tiled, count = shape
    grid = (-(-count // _THREADS), min(_GRID, -(-tiled // _TILE)))
    kinds = {int: np.int32, float: np.dtype(real).type}
    _kernel(name, real)(
        grid, (_THREADS,), tuple(kinds.get(type(value), lambda v: v)(value) for value in args)
    )
