r"""The inner loops of `posterior_single`: many rows side by side, or the rest of the work after a matrix product.

All arrays are float32, and those of a level are as in its table: centre a m_i, share, within, fixed, inverse, slope,
shift. With the logarithms of base 2 of the terms r_i, `top` is the largest, and `total` the sum of the terms over it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .exponential import LOG2E, exp2

__all__ = ["moment_lanes", "moment_rows", "score_lanes", "score_rows"]

Array = NDArray[Any]

_LANES = 256
_NOTHING = np.float32(2.0**-60)  # a share that no sum of float32 notices


@compiled
def _columns(x: Array, first: int, count: int, columns: Array) -> None:
    """Rows of x into columns (d, R), and in two dimensions by vector instructions."""
    if x.shape[1] == 2:
        one, two = columns[0], columns[1]
        for r in range(count):
            one[r], two[r] = x[first + r, 0], x[first + r, 1]
        return
    for j in range(x.shape[1]):
        column = columns[j]
        for r in range(count):
            column[r] = x[first + r, j]


@compiled
def _rows(columns: Array, total: Array, first: int, count: int, out: Array) -> None:
    """Columns over total into the rows of out, as `_columns` the other way."""
    if out.shape[1] == 2:
        one, two = columns[0], columns[1]
        for r in range(count):
            out[first + r, 0], out[first + r, 1] = one[r] / total[r], two[r] / total[r]
        return
    for j in range(out.shape[1]):
        column = columns[j]
        for r in range(count):
            out[first + r, j] = column[r] / total[r]


@compiled(fastmath={"contract"})
def _weights(
    columns: Array, centre: Array, inverse: Array, share: Array, weights: Array, top: Array, total: Array
) -> None:
    """Weights (C, R) relative to the largest term, its log2, and their sum, each (R,), from columns (d, R) of x."""
    top[:] = -np.inf
    for i in range(len(centre)):
        w = weights[i]
        w[:] = share[i]
        for j in range(len(columns)):
            column, m = columns[j], centre[i, j]
            for k in range(1 if inverse.shape[2] == 1 else j + 1):
                other = j if inverse.shape[2] == 1 else k
                beside, n = columns[other], centre[i, other]
                p = np.float32(0.5 * LOG2E if other == j else LOG2E) * inverse[i, j, k]
                for r in range(len(top)):
                    w[r] -= p * (column[r] - m) * (beside[r] - n)
        for r in range(len(top)):
            top[r] = max(top[r], w[r])
    total[:] = 0
    for i in range(len(centre)):
        w = weights[i]
        for r in range(len(top)):
            w[r] = exp2(w[r] - top[r])
            total[r] += w[r]


@compiled(fastmath={"contract"})
def score_lanes(
    x: Array, centre: Array, inverse: Array, share: Array, score: Array, top: Array, total: Array
) -> None:
    """Score, log2 of the largest term and the sum of the terms over it, of rows side by side."""
    size, d = centre.shape
    columns, weights = np.empty((d, _LANES), np.float32), np.empty((size, _LANES), np.float32)
    sums = np.empty((d, _LANES), np.float32)
    most, every = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    for first in range(0, len(x), _LANES):
        count = min(_LANES, len(x) - first)
        _columns(x, first, count, columns)
        _weights(columns, centre, inverse, share, weights, most, every)
        for r in range(count):
            top[first + r], total[first + r] = most[r], every[r]
        for j in range(d):
            out = sums[j]
            out[:] = 0
            for i in range(size):
                w = weights[i]
                for k in range(inverse.shape[2]):
                    other = j if inverse.shape[2] == 1 else k
                    column, m, p = columns[other], centre[i, other], inverse[i, j, k]
                    for r in range(_LANES):
                        out[r] -= w[r] * (p * (column[r] - m))
        _rows(sums, every, first, count, score)


@compiled(fastmath={"contract"})
def moment_lanes(
    x: Array,
    centre: Array,
    share: Array,
    within: Array,
    fixed: Array,
    inverse: Array,
    slope: Array,
    mean: Array,
    trace: Array,
    top: Array,
) -> None:
    """Mean, trace and log2 of the largest term, of rows side by side."""
    size, d = centre.shape
    columns, weights = np.empty((d, _LANES), np.float32), np.empty((size, _LANES), np.float32)
    middle, spread = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    most, total, drawn = (
        np.empty(_LANES, np.float32),
        np.empty(_LANES, np.float32),
        np.empty(_LANES, np.float32),
    )
    for first in range(0, len(x), _LANES):
        count = min(_LANES, len(x) - first)
        _columns(x, first, count, columns)
        _weights(columns, centre, inverse, share, weights, most, total)
        spread[:] = 0
        for i in range(size):
            w, inside = weights[i], within[i]
            for r in range(_LANES):
                w[r] /= total[r]
                spread[r] += w[r] * inside
        for j in range(d):
            middle[:] = 0
            for i in range(size):
                w = weights[i]
                _drawn(columns, fixed[i, j], slope[i, j], j, drawn)
                for r in range(_LANES):
                    middle[r] += w[r] * drawn[r]
            for i in range(size):
                w = weights[i]
                _drawn(columns, fixed[i, j], slope[i, j], j, drawn)
                for r in range(_LANES):
                    off = drawn[r] - middle[r]
                    spread[r] += w[r] * off * off
            for r in range(count):
                mean[first + r, j] = middle[r]
        for r in range(count):
            trace[first + r], top[first + r] = spread[r], most[r]


@compiled(fastmath={"contract"})
def _drawn(columns: Array, fixed: float, slope: Array, j: int, out: Array) -> None:
    """Coordinate j of E_i[x_0|x] of rows side by side."""
    out[:] = fixed
    for k in range(len(slope)):
        column, s = columns[j if len(slope) == 1 else k], slope[k]
        for r in range(len(out)):
            out[r] += s * column[r]


@compiled(fastmath={"reassoc", "contract"})
def _distance(x: Array, centre: Array, pull: Array, shift: Array) -> float:
    """(x - a m_i)·P_i(x - a m_i) of one component, from pull = P_i x."""
    total = np.float32(0)
    for j in range(len(x)):
        total += (x[j] - centre[j]) * (pull[j] - shift[j])
    return total


@compiled(fastmath={"reassoc", "contract"})
def _apart(one: Array, two: Array) -> float:
    """‖one - two‖²."""
    total = np.float32(0)
    for j in range(len(one)):
        total += (one[j] - two[j]) * (one[j] - two[j])
    return total


@compiled(fastmath={"contract"})
def _row_weights(
    x: Array, centre: Array, shift: Array, share: Array, pulls: Array, w: Array
) -> tuple[float, float]:
    """Weights of one row relative to the largest term into w (C,); its log2 and their sum."""
    top, total, d = np.float32(-np.inf), np.float32(0), len(x)
    for i in range(len(w)):
        distance = _distance(x, centre[i], pulls[i * d : (i + 1) * d], shift[i])
        w[i] = share[i] - np.float32(0.5 * LOG2E) * distance
        top = max(top, w[i])
    for i in range(len(w)):
        w[i] = exp2(w[i] - top)
        total += w[i]
    return top, total


@compiled(fastmath={"contract"})
def score_rows(
    x: Array,
    pulls: Array,
    centre: Array,
    shift: Array,
    share: Array,
    score: Array,
    top: Array,
    total: Array,
) -> None:
    """As score_lanes, from pulls = P_i x (B, C d)."""
    size, d = centre.shape
    w = np.empty(size, np.float32)
    for r in range(len(x)):
        top[r], total[r] = _row_weights(x[r], centre, shift, share, pulls[r], w)
        out = score[r]
        out[:] = 0
        for i in range(size):
            part, pull, off = w[i] / total[r], pulls[r, i * d : (i + 1) * d], shift[i]
            if part > _NOTHING:
                for j in range(d):
                    out[j] -= part * (pull[j] - off[j])


@compiled(fastmath={"contract"})
def moment_rows(
    x: Array,
    centre: Array,
    share: Array,
    within: Array,
    fixed: Array,
    shift: Array,
    pulls: Array,
    draws: Array,
    mean: Array,
    trace: Array,
    top: Array,
) -> None:
    """As moment_lanes, from pulls = P_i x and draws = a S_i P_i x (B, C d); draws become E_i[x_0|x]."""
    size, d = centre.shape
    w = np.empty(size, np.float32)
    for r in range(len(x)):
        top[r], total = _row_weights(x[r], centre, shift, share, pulls[r], w)
        out, spread = mean[r], np.float32(0)
        out[:] = 0
        for i in range(size):
            w[i] /= total
            draw, start = draws[r, i * d : (i + 1) * d], fixed[i]
            for j in range(d):
                draw[j] += start[j]
                out[j] += w[i] * draw[j]
        for i in range(size):
            spread += w[i] * (within[i] + _apart(draws[r, i * d : (i + 1) * d], out))
        trace[r] = spread
