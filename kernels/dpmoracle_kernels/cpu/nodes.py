r"""Few nodes in place of many levels: sums of weights of points at one sample, by interpolation with a bound.

The sums F(s) = Σ_i W_i exp(f_i(s)), W_i >= 0, have f_i(s) = s E_i - s² G_i. About the middle c of a stretch of levels,
with s = c + δ, |δ| <= h, and but for a factor exp(δ e - δ² g) that all terms share,

    f_i(s) - f_i(c) = δ A_i - δ² B_i,   |A_i| <= A = (max E - min E)/2 + c max G,   |B_i| <= B = max G/2.

On the ellipse of Bernstein of parameter r about the stretch no term is larger than exp(h p A + h² p² B) times itself
at c, p = (r + 1/r)/2, and on the stretch none is smaller than exp(-h A - h² B). The polynomial through F at n Chebyshev
nodes is therefore off by at most

    4 r^(1-n)/(r - 1) exp(h (p+1) A + h² (p²+1) B)   of F   [Trefethen, Approximation Theory and Practice, theorem 8.2],

for any r, whatever the weights. Rounding of the values at the nodes grows by as much as F varies, exp(2 (h A + h² B)).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .exponential import LOG2E
from .levels import BLOCK

__all__ = ["chebyshev", "spread", "stretch"]

Array = NDArray[Any]

_R = np.array([1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0, 20.0, 40.0])
_P, _LOG_R, _LOG_FRONT = (_R + 1 / _R) / 2, np.log(_R), np.log(4 / (_R - 1))
#: Levels per node from which a stretch pays.
_WORTH = 1.25


@compiled
def stretch(s: Array, low: float, high: float, far: float, accuracy: float, tame: float) -> tuple[int, int]:
    """(levels, nodes): how many of the first levels s (T,), increasing, nodes replace best; (0, 0) if it never pays.

    low, high, far : least and largest E, and largest G >= 0, of the points that count at the first level
    accuracy       : largest relative error of the sums, in (0, 1)        tame : largest h A + h² B
    """
    best, chosen, needed = _WORTH, 0, 0
    blocks = 2
    while True:
        stop = min(blocks * BLOCK, len(s))
        c, h = 0.5 * (s[stop - 1] + s[0]), 0.5 * (s[stop - 1] - s[0])
        A, B = h * (0.5 * (high - low) + c * far), h * h * 0.5 * far
        if not (A + B <= tame):  # noqa: SIM300  nan and inf among them
            break
        nodes = np.inf
        for j in range(len(_R)):
            bits = _LOG_FRONT[j] + (_P[j] + 1) * A + (_P[j] * _P[j] + 1) * B - math.log(accuracy)
            nodes = min(nodes, 1 + math.ceil(bits / _LOG_R[j]))
        if stop > best * nodes:
            best, chosen, needed = stop / nodes, stop, int(nodes)
        if stop == len(s):
            break
        blocks += (blocks + 1) // 2
    return chosen, needed


@compiled
def chebyshev(s: Array, nodes: Array, distance: Array, noise: Array) -> None:
    """Chebyshev nodes of a stretch of levels s, and what multiplies -G and E there in the exponent of 2."""
    for j in range(len(nodes)):
        x = math.cos(math.pi * (2 * j + 1) / (2 * len(nodes)))
        at = 0.5 * (s[-1] + s[0]) + 0.5 * (s[-1] - s[0]) * x
        nodes[j], distance[j], noise[j] = at, LOG2E * at * at, LOG2E * at


@compiled
def spread(
    s: Array, nodes: Array, total: Array, weighted: Array, low: float, high: float, far: float, out: Array
) -> None:
    """weighted/total at the levels s, into out, from both at the nodes; low, high, far as in `stretch`."""
    n, c = len(nodes), 0.5 * (s[-1] + s[0])
    for j in range(n):
        apart = nodes[j] - c
        common = apart * (0.5 * (low + high) - c * far) - apart * apart * 0.5 * far
        weight = math.sin(math.pi * (2 * j + 1) / (2 * n)) * math.exp(-common)
        total[j] *= weight if j % 2 == 0 else -weight
        weighted[j] *= weight if j % 2 == 0 else -weight
    for t in range(len(s)):
        one, two = 0.0, 0.0
        for j in range(n):
            apart = s[t] - nodes[j]
            if apart == 0.0:
                one, two = total[j], weighted[j]
                break
            one += total[j] / apart
            two += weighted[j] / apart
        out[t] = two / one
