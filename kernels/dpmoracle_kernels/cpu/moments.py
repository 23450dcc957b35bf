r"""Γ_t and V_t of a mixture with one shared isotropic covariance: samples for all levels from one set of products.

The weight of component i at a level is w_i exp(-(a²/v) G_i + (aσ/v) E_i), relative to the sample's own, with G and E
of `products`. The pair estimator needs only their weighted sums: one pass over the components for each level, or for
each of few `nodes` in place of many levels of points. The others need the weighted mean of D_i, a product per sample.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..statistics import STATISTICS, pair, scales
from .compiled import compiled
from .exponential import LOG2E, exp2
from .levels import BLOCK, Levels, leaving, sorted_by_leaving, sorted_levels
from .nodes import chebyshev, spread, stretch
from .products import Cloud, cloud, exponents
from .threads import in_pieces

__all__ = ["shared_samples"]

Array = NDArray[Any]

# Numbers of the matrix products held at once, rows of one product, and samples in one piece of work for a thread.
_HELD, _ROWS, _PIECE = 2**25, 256, 2
# Components in one inner loop: their numbers stay in the first cache, and float32 sums stay short.
_CHUNK = 1024
# Largest relative error of sums that come from nodes, how much they may vary over a stretch (see `nodes`), and the
# components from which nodes are looked for. Seen on digits and patches: nothing is lost to rounding up to 6, three
# digits at 10.
_ACCURACY = {np.dtype(np.float64): (1e-13, 6.0), np.dtype(np.float32): (6e-8, 6.0)}
_MANY = 64
# Levels and components of one product of weights with differences.
_LEVELS, _TERMS = 128, 2**18

#: Sums over components in any order; every term is finite.
_any_order = {"reassoc", "contract"}


def shared_samples(
    x0: Array,
    noise: Array,
    own: NDArray[np.int64],
    weights: Array,
    means: Array,
    tau2: float,
    a: Array,
    sigma: Array,
    estimator: str,
) -> Array:
    """(M, T) float64 values whose mean over the samples is V_t ("gamma": Γ_t).

    x0, noise : (M, d) drawn as means[own] + sqrt(tau2) ζ, and standard normal ε
    own       : (M,) component that each sample was drawn from
    weights   : (C,) >= 0        means : (C, d), float32 for products and exponentials in float32
    a, sigma  : (T,) float64 levels, a >= 0 and a² tau2 + sigma² > 0
    estimator : "pair", "trace", "residual", "score", or "gamma"
    """
    mixture = cloud(weights, np.asarray(means), tau2)
    own = np.asarray(own, np.int64)
    log_own = mixture.log_weights[own].min()
    largest = float(mixture.log_weights.max() - log_own) / LOG2E
    level = sorted_levels(a, sigma, tau2, mixture.dtype, len(mixture.half), largest)
    fill = _pairs if estimator == "pair" else _vectors
    found = np.empty((len(own), len(level.order)))
    rows = max(1, min(_ROWS, _HELD // (2 * len(mixture.half))))
    for start in range(0, len(own), rows):
        some = slice(start, start + rows)
        e = np.require(noise[some], np.float64, ["C", "A", "W"])
        p = x0[some] - mixture.means[own[some]].astype(np.float64)
        fill(mixture, level, tau2, p, e, own[some], mixture.products(x0[some], e), estimator, found[some])
    out = np.empty_like(found)
    out[:, level.order] = found
    return out


def _pairs(
    mixture: Cloud,
    level: Levels,
    tau2: float,
    p: Array,
    noise: Array,
    own: Array,
    products: Array,
    estimator: str,
    out: Array,
) -> None:
    """The pair estimator, from the averages of G_i + tilt E_i: tilt = push/shrink, so E_i is in them."""
    m = len(p)
    tilt = None
    if tau2 > 0:  # without noise nothing is left of x_0 - m_i, and any tilt will do
        ratio = np.divide(level.a, level.sigma, out=np.zeros_like(level.a), where=level.sigma > 0)
        tilt = (tau2 * ratio).astype(mixture.dtype)
    arrays = (mixture.means, mixture.half, mixture.log_weights, mixture.near, mixture.reach)
    levels = (level.s, level.distance, level.noise, tilt, level.cut, tau2, level.table, level.base)
    few = tau2 == 0 and len(mixture.half) >= _MANY
    bound = _ACCURACY[mixture.dtype] if few else (0.0, 0.0)
    drawn = (p.astype(mixture.dtype), noise.astype(mixture.dtype), own)

    def piece(start: int, stop: int) -> None:
        at = slice(start, stop)
        mine = (values[at] for values in drawn)
        _pair_rows(products[at], products[m + start : m + stop], *arrays, *mine, *levels, *bound, out[at])

    in_pieces(piece, m, _PIECE)
    out[...] = pair(out, 0.0, p, noise, scales(level.a, level.sigma, tau2))


@compiled
def _pair_rows(
    along: Array,
    across: Array,
    means: Array,
    half: Array,
    log_weights: Array,
    near: float,
    reach: float,
    p: Array,
    noise: Array,
    own: Array,
    s: Array,
    distance: Array,
    noises: Array,
    tilt: Array | None,
    cut: float,
    tau2: float,
    table: Array,
    base: int,
    accuracy: float,
    tame: float,
    out: Array,
) -> None:
    """Σ_i w_i (G_i + tilt E_i)/Σ_i w_i at every level, into out (M, T); from nodes unless accuracy is 0."""
    size, T = len(half), len(distance)
    blocks = -(-T // BLOCK)
    columns, ordered = np.empty((3, size), half.dtype), np.empty((3, size), half.dtype)
    last, order = np.empty(size, np.float32), np.empty(size, np.int32)
    extent = np.empty((3, blocks + 1))
    total, weighted, nodes = np.empty(T), np.empty(T), np.empty(T)
    node_distance, node_noise = np.empty(T, half.dtype), np.empty(T, half.dtype)
    for m in range(len(own)):
        exponents(along[m], across[m], means, half, log_weights, near, reach, p[m], noise[m], own[m], columns)
        leaving(columns[0], columns[1], cut, tau2, last)
        alive = sorted_by_leaving(last, table, base, blocks, columns, ordered, order, extent)
        start = 0
        while start < T:
            k = start // BLOCK
            low, high, far = extent[0, k + 1], extent[1, k + 1], extent[2, k + 1]
            count, needed = 0, 0
            if accuracy > 0:
                count, needed = stretch(s[start:], low, high, far, accuracy, tame)
            if count > 0:
                at, use = slice(start, start + count), slice(0, needed)
                chebyshev(s[at], nodes[use], node_distance[use], node_noise[use])
                some = (node_distance[use], node_noise[use], None, total[use], weighted[use])
                _add(ordered, alive[k], *some)
                spread(s[at], nodes[use], total[use], weighted[use], low, high, far, out[m, at])
            else:
                count = min(BLOCK, T - start)
                at, use = slice(start, start + count), slice(0, count)
                inclined = None if tilt is None else tilt[at]
                _add(ordered, alive[k], distance[at], noises[at], inclined, total[use], weighted[use])
                for t in range(count):
                    out[m, start + t] = weighted[t] / total[t]
            start += count


@compiled
def _add(
    ordered: Array,
    alive: int,
    distance: Array,
    noises: Array,
    tilt: Array | None,
    total: Array,
    weighted: Array,
) -> None:
    """Σ_i w_i and Σ_i w_i (G_i + tilt E_i) over the first components ordered (3, C), into total and weighted (T,)."""
    total[:] = 0.0
    weighted[:] = 0.0
    for first in range(0, alive, _CHUNK):
        some = slice(first, min(first + _CHUNK, alive))
        g, e, share = ordered[0, some], ordered[1, some], ordered[2, some]
        if tilt is None:
            _sums(g, e, share, distance, noises, total, weighted)
        else:
            _tilted(g, e, share, distance, noises, tilt, total, weighted)


@compiled(fastmath=_any_order)
def _sums(
    g: Array, e: Array, share: Array, distance: Array, noise: Array, total: Array, weighted: Array
) -> None:
    """Add Σ_i w_i and Σ_i w_i G_i to total and weighted (T,)."""
    for t in range(len(distance)):
        one, two = g.dtype.type(0), g.dtype.type(0)
        for i in range(len(g)):
            w = exp2(share[i] + noise[t] * e[i] - distance[t] * g[i])
            one += w
            two += w * g[i]
        total[t] += one
        weighted[t] += two


@compiled(fastmath=_any_order)
def _tilted(
    g: Array,
    e: Array,
    share: Array,
    distance: Array,
    noise: Array,
    tilt: Array,
    total: Array,
    weighted: Array,
) -> None:
    """Add Σ_i w_i and Σ_i w_i (G_i + tilt E_i) to total and weighted (T,)."""
    for t in range(len(distance)):
        one, two = g.dtype.type(0), g.dtype.type(0)
        for i in range(len(g)):
            w = exp2(share[i] + noise[t] * e[i] - distance[t] * g[i])
            one += w
            two += w * (g[i] + tilt[t] * e[i])
        total[t] += one
        weighted[t] += two


def _vectors(
    mixture: Cloud,
    level: Levels,
    tau2: float,
    p: Array,
    noise: Array,
    own: Array,
    products: Array,
    estimator: str,
    out: Array,
) -> None:
    """The estimators that need Σ_i w_i D_i, and "trace" Σ_i w_i ‖D_i‖² too."""
    at = scales(level.a, level.sigma, tau2)

    def piece(start: int, stop: int) -> None:
        for m in range(start, stop):
            both = products[m], products[len(own) + m]
            averages = _averages(mixture, level, tau2, p[m], noise[m], int(own[m]), *both)
            out[m] = STATISTICS[estimator](averages, p[m], noise[m], at)

    in_pieces(piece, len(own), 1, products=True)


def _averages(
    mixture: Cloud, level: Levels, tau2: float, p: Array, noise: Array, own: int, along: Array, across: Array
) -> Array:
    """(T, d+1) posterior means of D_i and ‖D_i‖² for one sample."""
    means, size, T = mixture.means, len(mixture.half), len(level.order)
    d = means.shape[1]
    columns, ordered = np.empty((3, size), mixture.dtype), np.empty((3, size), mixture.dtype)
    last, order = np.empty(size, np.float32), np.empty(size, np.int32)
    fixed = (means, mixture.half, mixture.log_weights, mixture.near, mixture.reach)
    drawn = (p.astype(mixture.dtype), noise.astype(mixture.dtype), own)
    exponents(along, across, *fixed, *drawn, columns)
    leaving(columns[0], columns[1], level.cut, tau2, last)
    blocks = -(-T // BLOCK)
    extent = np.empty((3, blocks + 1))
    alive = sorted_by_leaving(last, level.table, level.base, blocks, columns, ordered, order, extent)
    sums = np.zeros((T, d + 2))
    chunk = max(1, min(_CHUNK, _TERMS // (d + 2)))
    weights = np.empty(_LEVELS * chunk, mixture.dtype)
    for first in range(0, size, chunk):
        some = slice(first, first + chunk)
        terms = np.ones((len(order[some]), d + 2), mixture.dtype)
        np.subtract(means[order[some]], means[own], out=terms[:, :d])
        np.einsum("cd,cd->c", terms[:, :d], terms[:, :d], out=terms[:, d])
        for start in range(0, T, _LEVELS):
            count = min(int(alive[start // BLOCK]) - first, len(terms))
            if count <= 0:
                break
            at = slice(start, start + _LEVELS)
            part = weights[: len(level.distance[at]) * count].reshape(-1, count)
            _weights(*ordered[:, first : first + count], level.distance[at], level.noise[at], part)
            sums[at] += part @ terms[:count]
    return np.asarray(sums[:, :-1] / sums[:, -1:])


@compiled(fastmath={"contract"})
def _weights(g: Array, e: Array, share: Array, distance: Array, noise: Array, out: Array) -> None:
    for t in range(len(distance)):
        row = out[t]
        for i in range(len(g)):
            row[i] = exp2(share[i] + noise[t] * e[i] - distance[t] * g[i])
