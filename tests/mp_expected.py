"""V and Γ of one-dimensional mixtures from their definitions, by mpmath's own quadrature."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath as mp
import numpy as np


def expected(
    weights: Any, means: Any, variances: Any, a: float, sigma: float, digits: int = 20
) -> tuple[Any, Any]:
    """(E Var(x_0|x), E (d/dx log q)²) over x = a x_0 + σ ε; no decomposition, no closed form."""
    with mp.workdps(digits + 10):
        w, m, e = ([mp.mpf(float(value)) for value in values] for values in (weights, means, variances))
        a, sigma = mp.mpf(float(a)), mp.mpf(float(sigma))
        w = [value / mp.fsum(w) for value in w]
        v = [a * a * s + sigma * sigma for s in e]

        def terms(x: Any) -> list:
            return [
                p * mp.exp(-((x - a * c) ** 2) / (2 * s)) / mp.sqrt(2 * mp.pi * s) for p, c, s in zip(w, m, v)
            ]

        def variance(x: Any) -> Any:
            q = terms(x)
            there = [c + a * s / total * (x - a * c) for c, s, total in zip(m, e, v)]
            within = mp.fsum(p * s * sigma**2 / total for p, s, total in zip(q, e, v))
            # Over pairs: around one mean the others' weights would be lost beside 1.
            apart = [q[i] * q[j] * (there[i] - there[j]) ** 2 for i in range(len(q)) for j in range(i)]
            return within + mp.fsum(apart) / mp.fsum(q)

        def slope(x: Any) -> Any:
            q = terms(x)
            return mp.fsum(p * (x - a * c) / s for p, c, s in zip(q, m, v)) ** 2 / mp.fsum(q)

        edges = _edges([a * c for c in m], v, w)
        return _integral(variance, edges), _integral(slope, edges)


def _integral(f: Any, edges: list) -> Any:
    """mp.quad stops at an absolute error, so the integrand is scaled to one."""
    top = max(f(x) for x in edges)
    return top * mp.fsum(mp.quad(lambda x: f(x) / top, pair) for pair in itertools.pairwise(edges))


def _edges(centres: list, v: list, w: list) -> list:
    """Ends of intervals: some widths around each component, and around each balance point of two."""
    found = []
    for c, s in zip(centres, v):
        found += [c + k * mp.sqrt(s) for k in (-22, -14, -9, -6, -4, -2.5, -1, 0, 1, 2.5, 4, 6, 9, 14, 22)]
    for i in range(len(v)):
        for j in range(i):
            gap = centres[i] - centres[j]
            if v[i] == v[j] and gap != 0:
                middle = (centres[i] + centres[j]) / 2 - v[i] * mp.log(w[i] / w[j]) / gap
                width = v[i] / abs(gap)
                found += [middle + k * width for k in (-60, -30, -15, -7, -3, 0, 3, 7, 15, 30, 60)]
    found = [
        value
        for value in found
        if min(centres) - 22 * mp.sqrt(max(v)) <= value <= max(centres) + 22 * mp.sqrt(max(v))
    ]
    found.sort()
    kept = found[:1]
    for value in found[1:]:
        if value - kept[-1] > mp.sqrt(min(v)) * mp.mpf("1e-3"):
            kept.append(value)
    return kept


def levels(snr: float) -> tuple[float, float]:
    return float(np.sqrt(snr / (1 + snr))), float(np.sqrt(1 / (1 + snr)))
