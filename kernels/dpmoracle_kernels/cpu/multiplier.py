"""One K by a Lagrange multiplier; what it computes and why stands in dpmoracle.trajectory.multiplier."""

from __future__ import annotations

from math import exp, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import contiguous
from .compiled import compiled
from .hull import empty_hull, lagrange_nodes

__all__ = ["multiplier_path"]

_GAP = 2e-13
_STRIDE, _PER_EDGE = 8, 8


def multiplier_path(u: ArrayLike, v: ArrayLike, num_edges: int) -> tuple[NDArray[np.int64] | None, int]:
    """The best trajectory with num_edges edges, or None where its bound does not prove it; the number of sweeps."""
    nodes, sweeps = _path(contiguous(u), contiguous(v), num_edges)
    return (nodes if nodes.size else None), sweeps


@compiled
def _path(u, v, num_edges):
    """No nodes stand for None."""
    last = u.size - 1
    if num_edges == 1:
        return np.array([1, last]), 0
    if num_edges == last - 1:
        return np.arange(1, last + 1), 0
    room = np.empty(last + 1), np.empty(last + 1, np.int64), empty_hull(last + 1)
    stride, guess = 1, -1.0
    while _STRIDE * stride * _PER_EDGE * num_edges <= last:
        stride *= _STRIDE
    while stride > 1:
        guess = _search(_thinned(u, stride), _thinned(v, stride), num_edges, guess, room)[2]
        stride //= _STRIDE
    found, sweeps, _ = _search(u, v, num_edges, guess, room)
    return found, sweeps


@compiled
def _thinned(curve, stride):
    """Entries 0, 1, 1 + stride, ..., and the last."""
    last = curve.size - 1
    out = np.empty((last - 2) // stride + 3)
    out[0] = curve[0]
    for i in range(1, out.size - 1):
        out[i] = curve[1 + (i - 1) * stride]
    out[-1] = curve[last]
    return out


@compiled
def _search(u, v, num_edges, guess, room):
    last = u.size - 1
    few, many = np.array([1, last]), np.arange(1, last + 1)
    cost_few, cost_many = _sum_cost(u, v, few), _sum_cost(u, v, many)
    cost_one = cost_few
    k, cost = 1, cost_one
    fitting = on_chord = False
    sweeps = 0
    while True:
        k_few, k_many = few.size - 1, many.size - 1
        slope = max((cost_few - cost_many) / (k_many - k_few), 0.0)
        if on_chord:
            guess = slope
        elif fitting:
            guess = _fitted(guess, k, num_edges, cost_one - cost)
        elif guess < 0 or sweeps > 0:
            # C(k) falls about as 1/k, so its slope at n is about the chord's times k k' / n^2
            guess = slope * (k_few * k_many) / num_edges**2
        found = lagrange_nodes(u, v, exp(guess), room)
        sweeps += 1
        cost, k = _sum_cost(u, v, found), found.size - 1
        if k == num_edges:
            return found, sweeps, guess
        inside = k_few < k < k_many
        if on_chord:
            below = cost_few + slope * (k_few - k) - cost
            if not inside or below <= _GAP * max(1.0, cost):
                path = _splice(few, many, num_edges)
                bound = cost + slope * (k - num_edges)
                gap = _sum_cost(u, v, path) - bound
                return (path if gap <= _GAP * max(1.0, bound + gap) else path[:0]), sweeps, guess
        if inside and k < num_edges:
            few, cost_few = found, cost
        elif inside:
            many, cost_many = found, cost
        # a guess may overshoot; a chord always moves one end. A fit that came near is repeated
        fitting = inside and (sweeps == 1 or (sweeps == 2 and abs(k - num_edges) <= min(2, num_edges // 16)))
        on_chord = not (fitting or (inside and on_chord))


@compiled
def _fitted(guess, k, num_edges, fall):
    """The multiplier of n edges if C(k) is c/(k + a) and a constant.

    guess : the multiplier that gave k edges
    fall  : C(1) - C(k)
    """
    ahead = guess * (k - 1)
    a = max((ahead * k - fall) / (fall - ahead), 0.0) if 0 < ahead < fall else 0.0
    return max(min(guess * ((k + a) / (num_edges + a)) ** 2, fall), 0.0)


@compiled
def _splice(few, many, num_edges):
    """A path with num_edges edges: `many` up to the first place where the rest of `few` can follow."""
    shift = num_edges - (few.size - 1)
    i = 0
    while few[i + 1] < many[i + 1 + shift]:
        i += 1
    return np.concatenate((many[: i + shift + 1], few[i + 1 :]))


@compiled
def _sum_cost(u, v, nodes):
    """Sum of log(1 + V_t (u_s - u_t)) over the edges, as the logarithm of products: one is ten times as fast."""
    total, product = 0.0, 1.0
    for i in range(1, nodes.size):
        s, t = nodes[i - 1], nodes[i]
        product *= 1.0 + v[t] * (u[s] - u[t])
        if product > 1e100:
            total += log(product)
            product = 1.0
    return total + log(product)
