"""Scores and posterior moments row by row relative to the leading component: see posterior.cu.

Components come in blocks, whether they are streamed from the host or would not fit beside the rows: one pass finds the
leading component of each row, one adds up what all others are relative to it. With a basis for each component all rows
meet all bases in one cuBLAS product.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import cupy
import numpy as np

from .blocks import rows_that_fit
from .cuda import source
from .mixture_parts import Mixture, Part
from .posterior_isotropic import Leaders, by_products, middle, rank_by_products, related
from .products import SHORT

__all__ = ["Found", "careful"]

_LOG_2PI, _LOG_2 = math.log(2 * math.pi), math.log(2.0)
_RETRIES = 3  # changes of the leading component
_THREADS = 128  # as in posterior.cu
_ROWS = 2**15  # of one block: enough to fill the device, and within the second axis of a grid


class Found(NamedTuple):
    log_prob: Any  # (B,)
    score: Any  # (B, d)
    mean: Any  # (B, d)
    trace: Any  # (B,)


def careful(x: Any, a: Any, sigma: Any, mixture: Mixture) -> Found:
    basis, (count, d), size = mixture.basis, x.shape, len(mixture.means)
    out = Found(cupy.empty(count), cupy.empty((count, d)), cupy.empty((count, d)), cupy.empty(count))
    width = 5 * d + 4 if basis is not None else 5  # doubles of a row for each component
    rows = min(_ROWS, rows_that_fit(8 * (12 * d + min(size, 1024) * width), 0.4))
    block = max(1, min(size, rows_that_fit(8 * (min(rows, count) * width + 4 * d + _squares(basis)), 0.4)))
    origin = middle(mixture) if by_products(mixture) else None
    if mixture.real == np.float32:
        block = min(block, SHORT)
    for start in range(0, count, rows):
        some = slice(start, start + rows)
        for whole, part in zip(out, _rows(x[some], a[some], sigma[some], mixture, block, origin)):
            whole[some] = part
    return out


def _squares(basis: Any) -> int:
    return 0 if basis is None else 2 * basis.shape[1] * basis.shape[2]


def _rows(x: Any, a: Any, sigma: Any, mixture: Mixture, size: int, origin: Any) -> Found:
    """All of x at once; `size` components at a time."""
    s2 = sigma * sigma
    which = _leading(x, a, s2, mixture, size, origin)
    found = _relative(x, a, s2, mixture, size, origin, which)
    for _ in range(_RETRIES - 1):
        # Far outside, the distances are too large for their differences, and only the exponents tell who leads.
        wrong = cupy.flatnonzero(~(found.top < _LOG_2) & (found.best != which))
        if not len(wrong):
            break
        which[wrong] = found.best[wrong]
        again = _relative(x[wrong], a[wrong], s2[wrong], mixture, size, origin, which[wrong])
        for whole, part in zip(found, again):
            whole[wrong] = part
    return Found(found.log_prob, found.score, found.mean, found.trace)


def _leading(x: Any, a: Any, s2: Any, mixture: Mixture, size: int, origin: Any) -> Any:
    """(B,) int32 component of the largest density at each row, to rounding."""
    best, which = cupy.full(len(x), -np.inf), cupy.zeros(len(x), dtype=np.int32)
    for part in mixture.parts(size):
        if origin is not None:
            rank_by_products(x, a, s2, part, origin, mixture.real, best, which)
            continue
        table, centred = x, part.basis is not None
        if centred:
            table = cupy.matmul(x[None] - a[:, None] * part.means[:, None], part.basis)
        logits = cupy.empty((len(x), len(part.means)))
        by_row, by_part = _strides(table)
        args = (
            table,
            by_row,
            by_part,
            a,
            s2,
            part.log_weights,
            _columns(part.means),
            _columns(part.spectrum),
        )
        sized = (*logits.shape, x.shape[1], part.spectrum.shape[1], mixture.shared, centred)
        _launch("rank", logits.size, (*args, logits, *map(np.int32, sized)))
        first = logits.argmax(1)
        value = cupy.take_along_axis(logits, first[:, None], 1)[:, 0]
        better = value > best
        best = cupy.where(better, value, best)
        which = cupy.where(better, first + part.cut.start, which).astype(np.int32)
    return which


class _Relative(NamedTuple):
    log_prob: Any
    score: Any
    mean: Any
    trace: Any
    top: Any  # (B,) largest exponent
    best: Any  # (B,) int32 its component


def _relative(x: Any, a: Any, s2: Any, mixture: Mixture, size: int, origin: Any, which: Any) -> _Relative:
    """Everything relative to the components `which` (B,)."""
    count, d = x.shape
    chosen, slot = cupy.unique(which, return_inverse=True)
    leads, slot = mixture.take(chosen), slot.astype(np.int32)
    columns, turned = leads.spectrum.shape[1], leads.basis is not None
    y, pull, spread, own = (cupy.empty_like(x) for _ in range(4))
    frames = leads.basis if turned else leads.means
    args = (x, a, s2, slot, leads.means, leads.spectrum, frames, y, pull, spread, own)
    _launch("lead", x.size, (*args, *map(np.int32, (count, d, columns, mixture.shared, turned))))
    if turned:
        pull, spread, own = (_turned_back(value, slot, frames) for value in (pull, spread, own))
    top, best = cupy.full(count, -np.inf), cupy.zeros(count, dtype=np.int32)
    total, others, second, rescale = (cupy.zeros(count) for _ in range(4))
    sums = cupy.zeros((count, d))
    state = (which, top, best, total, others, second, rescale)
    for part in mixture.parts(size):
        if origin is not None:
            lead = Leaders(which, leads.log_weights[slot], leads.means[slot], y)
            weights, squares, means = related(a, s2, part, origin, mixture.real, lead)
            _merge(weights, squares, state, part.cut.start)
            sums *= rescale[:, None]
            sums += weights.astype(mixture.real, copy=False) @ means
            continue
        weights, squares, gaps = _compare(x, a, s2, part, leads, slot, (y, pull, spread), mixture.shared)
        _merge(weights, squares, state, part.cut.start)
        if turned:
            gaps *= weights[:, :, None]
            sums *= rescale[:, None]
            sums += gaps.reshape(count, -1) @ part.basis.swapaxes(1, 2).reshape(-1, d)
        else:
            args = (weights, rescale, pull, spread, a, s2, slot, part.means, part.spectrum, leads.means, sums)
            sized = (count, len(part.means), d, columns, mixture.shared)
            _launch("add_gaps", x.size, (*args, *map(np.int32, sized)))
    if origin is not None:
        sums -= others[:, None] * (leads.means[slot] - origin)
        sums /= (a * a * leads.spectrum[0, 0] + s2)[:, None]
    gap = sums / total[:, None]
    e = leads.spectrum[0] if mixture.shared else leads.spectrum[slot]
    log_det = cupy.log((a * a)[:, None] * e + s2[:, None]).sum(1) * (d // columns)
    distance = (y * pull).sum(1)
    log_lead = leads.log_weights[slot] - 0.5 * (d * _LOG_2PI + log_det + distance)
    return _Relative(
        log_prob=log_lead + top + cupy.log(total),
        score=a[:, None] * gap - pull,
        mean=own + s2[:, None] * gap,
        trace=second / total - s2 * s2 * (gap * gap).sum(1),
        top=top,
        best=best,
    )


def _compare(
    x: Any, a: Any, s2: Any, part: Part, leads: Part, slot: Any, vectors: Any, shared: bool
) -> tuple[Any, Any, Any]:
    """(B, C) exponents and squares; (B, C, d) G_i in the components' bases where there are bases."""
    (count, d), size, turned = x.shape, len(part.means), part.basis is not None
    away, apart, gaps = x, x, None
    if turned:
        sides = part.basis.swapaxes(0, 1).reshape(d, -1)
        vectors = [(value @ sides).reshape(count, size, d) for value in vectors]
        away = cupy.matmul(x[None] - a[:, None] * part.means[:, None], part.basis)
        apart = cupy.matmul(part.means[:, None] - leads.means[None], part.basis)
        gaps = vectors[1]
    by_row, by_part = (d, 0) if not turned else (size * d, d)
    exponents, squares = cupy.empty((count, size)), cupy.empty((count, size))
    tables = (part.log_weights, _columns(part.means), _columns(part.spectrum))
    lead_tables = (leads.log_weights, leads.means, leads.spectrum)
    shape = (count, size, len(leads.means), d, part.spectrum.shape[1], shared, turned)
    args = (*vectors, np.int64(by_row), np.int64(by_part), away, *_strides(away), apart, a, s2, slot)
    _launch(
        "compare", exponents.size, (*args, *tables, *lead_tables, exponents, squares, *map(np.int32, shape))
    )
    return exponents, squares, gaps


def _merge(exponents: Any, squares: Any, state: tuple[Any, ...], first: int) -> None:
    """Exponents (B, C) become weights relative to the largest so far, and the state is brought up to date."""
    count, size = exponents.shape
    lanes = 1 << min(7, max(0, (size - 1).bit_length() - 2))
    rows = _THREADS // lanes
    sized = map(np.int32, (count, size, first))
    merge = source("posterior").get_function("merge")
    merge((-(-count // rows),), (lanes, rows), (exponents, squares, *state, *sized))


def _turned_back(values: Any, slot: Any, frames: Any) -> Any:
    out = cupy.empty_like(values)
    _launch("turn_back", values.size, (values, slot, frames, out, *map(np.int32, values.shape)))
    return out


def _strides(table: Any) -> tuple[Any, Any]:
    """Doubles from one row to the next and from one component to the next: of (B, d), or of (C, B, d)."""
    d = table.shape[-1]
    return np.int64(d), np.int64(0 if table.ndim == 2 else table.shape[1] * d)


def _columns(array: Any) -> Any:
    return cupy.ascontiguousarray(array.T)


def _launch(name: str, threads: int, args: tuple[Any, ...]) -> None:
    if threads:
        source("posterior").get_function(name)((-(-threads // _THREADS),), (_THREADS,), args)
