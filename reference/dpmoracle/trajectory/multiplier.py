"""One K by a Lagrange multiplier: a few sweeps instead of K layers, closed by splicing, proved by duality."""

from __future__ import annotations

from collections.abc import Callable
from math import exp

import numpy as np
from numpy.typing import NDArray

from .hull import lagrange_pass
from .step_cost import sum_cost

__all__ = ["fitted_multiplier", "multiplier_path", "splice"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: a gap to the dual bound below this, relative to max(1, cost), is rounding: the programs promise 1e-12
GAP = 2e-13
#: Every eighth node tells the multiplier within a few per cent, while there are at least eight for each edge.
STRIDE, PER_EDGE = 8, 8


def multiplier_path(
    u: Array, v: Array, num_edges: int, sweep: Callable[[Array, Array, float], Steps] = lagrange_pass
) -> tuple[Steps | None, int]:
    r"""The best trajectory with n = num_edges edges, or None where the gap stays open; the number of sweeps.

    With C(k) the least cost of k edges, a sweep at multiplier l minimises C(k) + l k over k, so

    .. math:: C(n) \ge C(k_l) + l (k_l - n)

    whatever V is, and k_l = n proves a path optimal. C is convex where J is Monge, so the l of a chord
    between two corners k < n < k' either finds a corner below the chord or shows that C is linear there;
    then the two paths are spliced and the result is held against the bound. The first multiplier comes from the same
    search among every eighth node, for which every 64th serves, and so on.

    u, v  : (N+1,) plain arrays
    sweep : finds the best path at a multiplier, of which exp is passed
    Sweeps are counted that go over all nodes; the others together cost a seventh of one.
    """
    last = u.size - 1
    if num_edges == 1:
        return np.array([1, last], dtype=np.int64), 0
    if num_edges == last - 1:
        return np.arange(1, last + 1, dtype=np.int64), 0
    stride, guess = 1, -1.0
    while STRIDE * stride * PER_EDGE * num_edges <= last:
        stride *= STRIDE
    while stride > 1:
        some = np.r_[0, 1:last:stride, last]
        guess = _search(u[some], v[some], num_edges, sweep, guess)[2]
        stride //= STRIDE
    return _search(u, v, num_edges, sweep, guess)[:2]


def _search(
    u: Array, v: Array, num_edges: int, sweep: Callable[[Array, Array, float], Steps], guess: float
) -> tuple[Steps | None, int, float]:
    """The path among these nodes, the number of sweeps, and the last multiplier.

    guess : the first multiplier; below 0 where nothing is known of it
    """
    last = u.size - 1
    few: Steps = np.array([1, last], dtype=np.int64)
    many: Steps = np.arange(1, last + 1, dtype=np.int64)
    cost_few, cost_many = sum_cost(u, v, few), sum_cost(u, v, many)
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
            guess = fitted_multiplier(guess, k, num_edges, cost_one - cost)
        elif guess < 0 or sweeps > 0:
            # C(k) falls about as 1/k, so its slope at n is about the chord's times k k' / n^2
            guess = slope * (k_few * k_many) / num_edges**2
        found = sweep(u, v, exp(guess))
        sweeps += 1
        cost, k = sum_cost(u, v, found), found.size - 1
        if k == num_edges:
            return found, sweeps, guess
        inside = k_few < k < k_many
        if on_chord:
            below = cost_few + slope * (k_few - k) - cost
            if not inside or below <= GAP * max(1.0, cost):
                bound = cost + slope * (k - num_edges)
                return _closed(u, v, splice(few, many, num_edges), bound), sweeps, guess
        if inside and k < num_edges:
            few, cost_few = found, cost
        elif inside:
            many, cost_many = found, cost
        # a guess may overshoot; a chord always moves one end. A fit that came near is repeated
        fitting = inside and (sweeps == 1 or (sweeps == 2 and abs(k - num_edges) <= min(2, num_edges // 16)))
        on_chord = not (fitting or (inside and on_chord))


def fitted_multiplier(guess: float, k: int, num_edges: int, fall: float) -> float:
    """The multiplier of n edges if C(k) is c/(k + a) and a constant.

    guess : the multiplier that gave k edges
    fall  : C(1) - C(k)
    """
    ahead = guess * (k - 1)
    a = max((ahead * k - fall) / (fall - ahead), 0.0) if 0 < ahead < fall else 0.0
    return max(min(guess * ((k + a) / (num_edges + a)) ** 2, fall), 0.0)


def _closed(u: Array, v: Array, path: Steps, bound: float) -> Steps | None:
    cost = sum_cost(u, v, path)
    return path if cost - bound <= GAP * max(1.0, cost) else None


def splice(few: Steps, many: Steps, num_edges: int) -> Steps:
    """A path with `num_edges` edges from one with fewer and one with more, both from 1 to N.

    Follows `many` up to c, then `few` from b, where few has the edge (a, b), many the edge (c, d) of an
    index larger by x = num_edges - (edges of few), and a <= c < d <= b: such a pair exists, and where the
    cost is Monge the two paths got by exchanging tails cost no more together than the two they came from
    [aggarwal1994].
    """
    shift = num_edges - (few.size - 1)
    tails = many[1 + shift :][: few.size - 1]
    i = int(np.argmax(few[1:] >= tails))
    return np.concatenate([many[: i + shift + 1], few[i + 1 :]])
