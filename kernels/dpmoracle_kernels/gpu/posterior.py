r"""Scores and posterior moments of a Gaussian mixture: many points, each at a level of its own.

Every row is computed relative to its leading component, as in the reference: see posterior.cu. One basis for all
components is turned away first; with one for each, all rows meet all bases in one cuBLAS product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cupy
import numpy as np

from .blocks import rows_that_fit, stream
from .cuda import on_device, source
from .posterior_level import moments_by_level, score_by_level

__all__ = ["mixture_moments", "mixture_score"]

_LOG_2PI, _LOG_2 = math.log(2 * math.pi), math.log(2.0)
_RETRIES = 3  # changes of the leading component
_THREADS = 128  # as in posterior.cu
_ROWS = 2**16  # of one block: enough to fill the device
_FLAT = ("log_prob", "trace")  # one number for each row


@on_device(stays=("means", "spectrum", "basis"))
def mixture_score(x: Any, a: Any, sigma: Any, log_weights: Any, means: Any, spectrum: Any, basis: Any) -> Any:
    """Twin of dpmoracle.posterior.mixture_score: (B,) log density of x and (B, d) its gradient, in the dtype of x.

    Arguments as there. A mixture on the host that does not fit beside the rows is streamed in blocks of components.
    """
    return _fastest(score_by_level, x, a, sigma, (log_weights, means, spectrum, basis), ("log_prob", "score"))


@on_device(stays=("means", "spectrum", "basis"))
def mixture_moments(x: Any, a: Any, sigma: Any, log_weights: Any, means: Any, spectrum: Any, basis: Any) -> Any:
    """Twin of dpmoracle.posterior.mixture_moments: (B, d) E[x_0|x] and (B,) Tr Cov(x_0|x), in the dtype of x.

    Arguments as there; a mixture on the host as for `mixture_score`.
    """
    return _fastest(moments_by_level, x, a, sigma, (log_weights, means, spectrum, basis), ("mean", "trace"))


class _Found(NamedTuple):
    log_prob: Any  # (B,)
    score: Any  # (B, d)
    mean: Any  # (B, d)
    trace: Any  # (B,)


class _Part(NamedTuple):
    """Some components of a mixture, on the device."""

    cut: slice
    log_weights: Any  # (C,)
    means: Any  # (C, d)
    spectrum: Any  # (C or 1, d or 1)
    basis: Any  # None, or (C, d, d)


class _Mixture(NamedTuple):
    """A mixture in the axes or with one basis for each component; on the device, or on the host to be streamed."""

    log_weights: Any
    means: Any
    spectrum: Any
    basis: Any

    @property
    def shared(self) -> bool:
        return len(self.spectrum) == 1

    def parts(self, size: int) -> Iterator[_Part]:
        """All components in blocks of `size`."""
        streams = [stream(self.means, size)]
        streams += [] if self.shared else [stream(self.spectrum, size)]
        streams += [] if self.basis is None else [stream(self.basis, size)]
        fixed = cupy.asarray(self.spectrum) if self.shared else None
        for found in zip(*streams):
            cut, blocks = found[0][0], [block.astype(np.float64, copy=False) for _, block in found]
            spectrum = fixed if self.shared else blocks[1]
            yield _Part(cut, self.log_weights[cut], blocks[0], spectrum, None if self.basis is None else blocks[-1])

    def take(self, which: Any) -> _Part:
        """The components `which`, (L,) integers on the device; their `cut` says nothing."""

        def some(array: Any) -> Any:
            picked = array[which] if isinstance(array, cupy.ndarray) else cupy.asarray(array[cupy.asnumpy(which)])
            return picked.astype(np.float64, copy=False)

        spectrum = cupy.asarray(self.spectrum) if self.shared else some(self.spectrum)
        basis = None if self.basis is None else some(self.basis)
        return _Part(slice(0), self.log_weights[which], some(self.means), spectrum, basis)


def _fastest(by_level: Any, x: Any, a: Any, sigma: Any, law: tuple[Any, ...], names: tuple[str, str]) -> Any:
    """Two results for the rows x: by level where that is as good, the rest with care."""
    real = np.float32 if x.dtype == np.float32 else np.float64
    x, a, sigma = x.astype(real, copy=False), a.astype(np.float64, copy=False), sigma.astype(np.float64, copy=False)
    log_weights = law[0].astype(np.float64, copy=False)
    means, spectrum, basis = (_placed(value) for value in law[1:])
    frame = None
    if basis is not None and len(basis) == 1:  # one basis: everything in its coordinates
        frame, basis = cupy.asarray(basis[0]), None
        x, means = x @ frame.astype(real, copy=False), cupy.asarray(means) @ frame
    mixture = _Mixture(log_weights, means, spectrum, basis)
    if all(value is None or isinstance(value, cupy.ndarray) for value in mixture):
        *out, left = by_level(x, a, sigma, mixture)
    else:
        out, left = [cupy.empty(len(x) if name in _FLAT else x.shape, dtype=real) for name in names], slice(None)
    if isinstance(left, slice) or len(left):
        found = _careful(x[left].astype(np.float64, copy=False), a[left], sigma[left], mixture)
        for whole, name in zip(out, names):
            whole[left] = getattr(found, name)
    if frame is not None:
        out = [value @ frame.T.astype(real, copy=False) if value.ndim == 2 else value for value in out]
    return tuple(out)


def _careful(x: Any, a: Any, sigma: Any, mixture: _Mixture) -> _Found:
    basis, (count, d), size = mixture.basis, x.shape, len(mixture.means)
    out = _Found(cupy.empty(count), cupy.empty((count, d)), cupy.empty((count, d)), cupy.empty(count))
    width = 5 * d + 4 if basis is not None else 2  # doubles of a row for each component
    rows = min(_ROWS, rows_that_fit(8 * (12 * d + min(size, 1024) * width), 0.4))
    block = max(1, min(size, rows_that_fit(8 * (min(rows, count) * width + 4 * d + _squares(basis)), 0.4)))
    for start in range(0, count, rows):
        some = slice(start, start + rows)
        for whole, part in zip(out, _rows(x[some], a[some], sigma[some], mixture, block)):
            whole[some] = part
    return out


def _placed(array: Any) -> Any:
    """On the device if it is there or takes less than a quarter of what is free; float64 and C-contiguous."""
    if array is None or isinstance(array, cupy.ndarray):
        return array if array is None else cupy.ascontiguousarray(array.astype(np.float64, copy=False))
    if len(array) <= rows_that_fit(8 * math.prod(array.shape[1:]), 0.25):
        return cupy.asarray(np.ascontiguousarray(array, dtype=np.float64))
    return array


def _squares(basis: Any) -> int:
    return 0 if basis is None else 2 * basis.shape[1] * basis.shape[2]


def _rows(x: Any, a: Any, sigma: Any, mixture: _Mixture, size: int) -> _Found:
    """All of x at once; `size` components at a time."""
    s2 = sigma * sigma
    which = _leading(x, a, s2, mixture, size)
    found = _relative(x, a, s2, mixture, size, which)
    for _ in range(_RETRIES - 1):
        # Far outside, the distances are too large for their differences, and only the exponents tell who leads.
        wrong = cupy.flatnonzero(~(found.top < _LOG_2) & (found.best != which))
        if not len(wrong):
            break
        which[wrong] = found.best[wrong]
        again = _relative(x[wrong], a[wrong], s2[wrong], mixture, size, which[wrong])
        for whole, part in zip(found, again):
            whole[wrong] = part
    return _Found(found.log_prob, found.score, found.mean, found.trace)


def _leading(x: Any, a: Any, s2: Any, mixture: _Mixture, size: int) -> Any:
    """(B,) int32 component of the largest density at each row, to rounding."""
    best, which = cupy.full(len(x), -np.inf), cupy.zeros(len(x), dtype=np.int32)
    for part in mixture.parts(size):
        table, centred = x, part.basis is not None
        if centred:
            table = cupy.matmul(x[None] - a[:, None] * part.means[:, None], part.basis)
        logits = cupy.empty((len(x), len(part.means)))
        by_row, by_part = _strides(table)
        args = (table, by_row, by_part, a, s2, part.log_weights, _columns(part.means), _columns(part.spectrum))
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


def _relative(x: Any, a: Any, s2: Any, mixture: _Mixture, size: int, which: Any) -> _Relative:
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
    total, second, rescale = (cupy.zeros(count) for _ in range(3))
    sums = cupy.zeros((count, d))
    for part in mixture.parts(size):
        state = (top, best, total, second, rescale)
        weights, gaps = _weights(x, a, s2, part, leads, slot, (y, pull, spread), state, mixture.shared)
        if turned:
            gaps *= weights[:, :, None]
            sums *= rescale[:, None]
            sums += gaps.reshape(count, -1) @ part.basis.swapaxes(1, 2).reshape(-1, d)
        else:
            args = (weights, rescale, pull, spread, a, s2, slot, part.means, part.spectrum, leads.means, sums)
            sized = (count, len(part.means), d, columns, mixture.shared)
            _launch("add_gaps", x.size, (*args, *map(np.int32, sized)))
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


def _weights(
    x: Any, a: Any, s2: Any, part: _Part, leads: _Part, slot: Any, vectors: Any, state: Any, shared: bool
) -> tuple[Any, Any]:
    """(B, C) weights relative to the largest exponent so far; (B, C, d) G_i in their bases where there are bases."""
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
    _launch("compare", exponents.size, (*args, *tables, *lead_tables, exponents, squares, *map(np.int32, shape)))
    lanes = 1 << min(7, max(0, (size - 1).bit_length() - 2))
    grid = -(-count // (_THREADS // lanes))
    merge = source("posterior").get_function("merge")
    sized = map(np.int32, (count, size, part.cut.start))
    merge((grid,), (lanes, _THREADS // lanes), (exponents, squares, *state, *sized))
    return exponents, gaps


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
