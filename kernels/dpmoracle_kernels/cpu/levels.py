r"""Which components of a mixture still count at which levels.

With s = a/σ, the logarithm of a posterior weight relative to the sample's own is, but for the prior weights,

    f(s) = (E s - G s²)/(1 + τ² s²),

and f(s) >= -cut holds up to one s only wherever G > cut τ²: the larger root of (cut τ² - G) s² + E s + cut. So when
levels are sorted by s and taken in blocks, a component leaves once; with the components sorted by when they leave,
each block is a plain loop over the first n of them. What is left out has less than exp(-cut) of the own weight.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .exponential import LOG2E, SMALLEST

__all__ = ["BLOCK", "Levels", "leaving", "sorted_by_leaving", "sorted_levels"]

Array = NDArray[Any]

#: Levels in one block. Components that leave within it are still summed.
BLOCK = 16


class Levels(NamedTuple):
    """T levels in increasing s = a/σ."""

    order: Array  # (T,) where each stood
    s: Array  # (T,) float64 a/σ, inf where σ = 0
    a: Array  # (T,) float64
    sigma: Array  # (T,) float64
    distance: Array  # (T,) a²/v · log2 e, what multiplies -G in the exponent of 2
    noise: Array  # (T,) aσ/v · log2 e, what multiplies E
    cut: float  # nats below the own weight from which a weight counts as 0
    table: Array  # (n,) how many blocks a component sees, by the leading bits of the float32 of its last s
    base: int  # the leading bits that belong to table[0]


def sorted_levels(a: Array, sigma: Array, tau2: float, dtype: Any, size: int, largest: float) -> Levels:
    """Levels a, sigma (T,); distance and noise in `dtype`, that of the sums.

    size    : number of components
    largest : logarithm of the largest prior weight over the own
    `cut` is where a weight is no normal number any more in float64, which is what the plain function leaves out; in
    float32 where all such weights together are below a fiftieth of the rounding of the own.
    """
    cut = -SMALLEST[np.dtype(np.float64)] / LOG2E
    if dtype == np.float32:
        cut = math.log(size * 50 * 2.0**24)
    with np.errstate(divide="ignore"):
        s = a / sigma
    order = np.argsort(s, kind="stable")
    a, sigma, s = a[order], sigma[order], s[order]
    v = a * a * tau2 + sigma * sigma
    first = np.clip(s[::BLOCK], 1e-38, 1e38).astype(np.float32)
    base, last = (int(end) >> 16 for end in first[[0, -1]].view(np.int32))
    edges = (np.arange(base + 1, last + 3, dtype=np.int32) << 16).view(np.float32)
    return Levels(
        order,
        s,
        a,
        sigma,
        (LOG2E * a * a / v).astype(dtype),
        (LOG2E * a * sigma / v).astype(dtype),
        largest + cut,
        np.searchsorted(first, edges, side="right"),
        base,
    )


@compiled(fastmath={"contract"})
def leaving(g: Array, e: Array, cut: float, tau2: float, last: Array) -> None:
    """Into last, float32 (C,): the s up to which f >= -cut; inf where that is everywhere, or squares cannot tell."""
    limit = g.dtype.type(cut)
    spread = g.dtype.type(cut * tau2)
    zero, tiny, huge = g.dtype.type(0.0), g.dtype.type(1e-15), g.dtype.type(1e15)
    for i in range(len(g)):
        inner = g[i] - spread
        q = abs(e[i]) + np.sqrt(e[i] * e[i] + 4 * max(inner, zero) * limit)
        root = np.float32(q / (2 * inner) if e[i] > 0 else 2 * limit / q)
        last[i] = root * np.float32(1.00001) if inner > 0 and tiny < q < huge else np.float32(np.inf)


@compiled
def sorted_by_leaving(
    last: Array,
    table: Array,
    base: int,
    blocks: int,
    columns: Array,
    ordered: Array,
    order: Array,
    extent: Array,
) -> Array:
    """(blocks,) number of components that each block of levels sees.

    last    : (C,) from `leaving`
    columns : (3, C), of which `ordered` (3, C) gets the same in the order, and `order` (C,) the order: those that
              are seen by most blocks first, equal ones as they came
    extent  : (3, blocks + 1), whose column k + 1 gets the least E, the largest E and the largest G, with 0 among them,
              of those that block k sees
    """
    bits = last.view(np.int32)
    seen = np.empty(len(last), np.int32)
    start = np.zeros(blocks + 2, np.int64)
    low, high, far = extent[0], extent[1], extent[2]
    extent[:] = 0.0  # of the own component
    for i in range(len(last)):
        k = seen[i] = table[min(max((bits[i] >> 16) - base, 0), len(table) - 1)]
        start[k] += 1
        low[k], high[k], far[k] = (
            min(low[k], columns[1, i]),
            max(high[k], columns[1, i]),
            max(far[k], columns[0, i]),
        )
    for k in range(blocks, -1, -1):
        start[k] += start[k + 1]
    for k in range(blocks - 1, -1, -1):
        low[k], high[k], far[k] = min(low[k], low[k + 1]), max(high[k], high[k + 1]), max(far[k], far[k + 1])
    # Of those seen by k blocks the first stands behind all that are seen by more.
    alive = start[1 : blocks + 1].copy()
    for i in range(len(last)):
        at = start[seen[i] + 1]
        start[seen[i] + 1] += 1
        order[at] = i
        ordered[0, at], ordered[1, at], ordered[2, at] = columns[0, i], columns[1, i], columns[2, i]
    return alive
