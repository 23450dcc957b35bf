r"""Scores and posterior moments in float32, for speed: rows side by side, or one matrix product for all components.

Weights come from the distances themselves, q_i = (x - a m_i)·P_i(x - a m_i), with P_i = (a² S_i + σ² I)⁻¹:

    r_i ∝ w_i det(P_i)^½ exp(-q_i/2),   ∇log = -Σ_i r_i P_i(x - a m_i),   E[x_0|x] = Σ_i r_i P_i(σ² m_i + a S_i x).

That keeps float32's digits while the least q is moderate and no V_i = P_i⁻¹ is much narrower one way than another. Rows
further out, levels with such a V_i, and levels of few rows go through the float64 way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .exponential import LOG2E
from .posterior_lanes import moment_lanes, moment_rows, score_lanes, score_rows
from .threads import in_pieces

__all__ = ["moments_single", "score_single"]

Array = NDArray[Any]
Way = Callable[..., tuple[Array, Array, Array, Array]]

_LOG_2PI = math.log(2 * math.pi)
_FEW = 32  # rows of one level from which its tables pay
_FAR = 1e3  # least distance q + d beyond which float32 cannot tell the components apart
_UNEVEN = 1e3  # ratio of the eigenvalues of one V_i
_NARROW = 8  # dimensions up to which rows side by side beat a matrix product
# Numbers that a piece of work for a thread goes through, with products and without, and that it holds of a product.
_PIECE, _LANES_PIECE, _HELD = 2**22, 2**17, 2**18


def score_single(
    x: Array,
    a: Array,
    sigma: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
    way: Way,
) -> tuple[Array, Array]:
    """(B,) log density of x and (B, d) its gradient, float32; `way` is the float64 one."""
    law = (log_weights, means, spectrum, basis)
    log_prob, score = np.empty(len(x), np.float32), np.empty(x.shape, np.float32)

    def run(rows: Array, x: Array, table: _Table) -> Array:
        found, total = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
        whole = len(x) == len(score) and table.frame is None  # one level: no second copy
        gradient = score if whole else np.empty_like(x)

        def piece(start: int, stop: int) -> None:
            for at, pulls in _products(x, start, stop, table.pull):
                out = (gradient[at], found[at], total[at])
                if pulls is None:
                    score_lanes(x[at], table.centre, table.inverse, table.share, *out)
                else:
                    score_rows(x[at], pulls, table.centre, table.shift, table.share, *out)

        in_pieces(piece, len(x), table.rows, products=table.pull is not None)
        bad = np.logical_not(found > table.least)  # nan among them
        found *= np.float32(1 / LOG2E)
        found += np.log(total)
        log_prob[rows] = found
        if not whole:
            score[rows] = gradient if table.frame is None else gradient @ table.frame.T
        return bad

    rows = _left_over(x, a, sigma, law, run)
    if len(rows):
        found = way(x[rows], a[rows], sigma[rows], *law)
        log_prob[rows], score[rows] = found[0], found[1]
    return log_prob, score


def moments_single(
    x: Array,
    a: Array,
    sigma: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
    way: Way,
) -> tuple[Array, Array]:
    """(B, d) mean and (B,) trace of the covariance of x_0 given x, float32; `way` is the float64 one."""
    law = (log_weights, means, spectrum, basis)
    mean, trace = np.empty(x.shape, np.float32), np.empty(len(x), np.float32)

    def run(rows: Array, x: Array, table: _Table) -> Array:
        top, spread = np.empty(len(x), np.float32), np.empty(len(x), np.float32)
        whole = len(x) == len(mean) and table.frame is None
        middle = mean if whole else np.empty_like(x)

        def piece(start: int, stop: int) -> None:
            law = (table.centre, table.share, table.within, table.fixed)
            for at, pulls in _products(x, start, stop, table.pull):
                out = (middle[at], spread[at], top[at])
                if pulls is None:
                    moment_lanes(x[at], *law, table.inverse, table.slope, *out)
                else:
                    moment_rows(x[at], *law, table.shift, pulls, x[at] @ table.draw, *out)

        in_pieces(piece, len(x), table.rows, products=table.pull is not None)
        trace[rows] = spread
        if not whole:
            mean[rows] = middle if table.frame is None else middle @ table.frame.T
        return np.logical_not(top > table.least)

    rows = _left_over(x, a, sigma, law, run)
    if len(rows):
        found = way(x[rows], a[rows], sigma[rows], *law)
        mean[rows], trace[rows] = found[2], found[3]
    return mean, trace


def _products(x: Array, start: int, stop: int, matrix: Array | None) -> Iterator[tuple[slice, Array | None]]:
    """x[start:stop] @ matrix by blocks that stay in cache, each in the memory of the last; all at once for None."""
    if matrix is None:
        yield slice(start, stop), None
        return
    rows = max(1, _HELD // matrix.shape[1])
    out = np.empty((rows, matrix.shape[1]), np.float32)
    for first in range(start, stop, rows):
        at = slice(first, min(first + rows, stop))
        yield at, np.matmul(x[at], matrix, out=out[: at.stop - first])


class _Table(NamedTuple):
    """What one level contributes, float32; x in the coordinates of a shared basis if there is one."""

    centre: Array  # (C, d) a m_i
    share: Array  # (C,) log2 of w_i times the density of component i at its mean
    within: Array  # (C,) Tr S_i of the posterior
    fixed: Array  # (C, d) P_i σ² m_i
    inverse: Array  # (C, d, 1 or d) P_i, its diagonal where one basis serves all components
    slope: Array  # (C, d, 1 or d) a S_i P_i
    frame: Array | None  # (d, d) the shared basis
    pull: Array | None  # (d, C d) P_i side by side, where matrix products pay
    draw: Array | None  # (d, C d) a S_i P_i side by side
    shift: Array  # (C, d) P_i a m_i
    least: float  # log2 below which the largest term leaves too few digits
    rows: int  # of one piece of work


def _left_over(
    x: Array, a: Array, sigma: Array, law: tuple[Any, ...], run: Callable[[Any, Array, _Table], Array]
) -> Array:
    """run(rows, x[rows], table) on the rows of each level; the rows that it refuses, and those of short runs."""
    frame = None if law[3] is None or len(law[3]) > 1 else law[3][0]
    left = [np.empty(0, np.int64)]
    for rows in _levels(a, sigma):
        some = np.ascontiguousarray(x[rows])
        first = 0 if isinstance(rows, slice) else rows[0]
        table = _table(float(a[first]), float(sigma[first]), *law, frame) if len(some) >= _FEW else None
        if table is None:
            bad = np.ones(len(some), np.bool_)
        else:
            bad = run(rows, some if frame is None else some @ frame.astype(np.float32), table)
        if bad.any():
            left.append(np.flatnonzero(bad) if isinstance(rows, slice) else rows[bad])
    return np.concatenate(left)


def _levels(a: Array, sigma: Array) -> list[Any]:
    """The rows of each level; a slice if there is but one."""
    if len(a) == 0 or ((a == a[0]).all() and (sigma == sigma[0]).all()):
        return [slice(None)]
    order = np.lexsort((sigma, a))
    ends = np.flatnonzero((np.diff(a[order]) != 0) | (np.diff(sigma[order]) != 0)) + 1
    return np.split(order, ends)


def _table(
    a: float,
    sigma: float,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
    frame: Array | None,
) -> _Table | None:
    """None where some V_i is too uneven for float32."""
    size, d = means.shape
    e = np.broadcast_to(np.asarray(spectrum, np.float64), (len(spectrum), d))
    e = np.broadcast_to(e, (size, d))
    v = a * a * e + sigma * sigma
    turned = basis is not None and len(basis) > 1
    if v.max() > 1e30 or v.min() < 1e-30 or (turned and (v.max(1) > _UNEVEN * v.min(1)).any()):
        return None
    m = np.asarray(means, np.float64) if frame is None else means @ frame
    share = LOG2E * (log_weights - 0.5 * (np.log(v).sum(1) + d * _LOG_2PI))
    inverse, slope = 1 / v, a * e / v
    shift, fixed = a * inverse * m, sigma * sigma * inverse * m
    inverse, slope = inverse[:, :, None], slope[:, :, None]
    pull = draw = None
    if turned:
        inverse, slope = ((basis * f.swapaxes(1, 2)) @ basis.swapaxes(1, 2) for f in (inverse, slope))
        shift, fixed = (np.einsum("cjk,ck->cj", inverse, f * m) for f in (a, sigma * sigma))
    if turned and d > _NARROW:
        sides = (f.transpose(1, 0, 2).reshape(d, -1) for f in (inverse, slope))
        pull, draw = (np.ascontiguousarray(f, np.float32) for f in sides)
    rows = max(1, _LANES_PIECE // inverse.size if pull is None else _PIECE // (size * d))
    single = [
        np.ascontiguousarray(f, np.float32)
        for f in (a * m, share, (sigma * sigma * e / v).sum(1), fixed, inverse, slope)
    ]
    least = float(share.min() - 0.5 * LOG2E * (d + _FAR))
    shared = None if frame is None else frame.astype(np.float32)
    return _Table(*single, shared, pull, draw, shift.astype(np.float32), least, rows)
