r"""The float64 way of `posterior`: every row relative to its leading component c.

Differences of distances, means and scores are formed before anything large is squared. With y = x - a m_c,
Δ_i = m_i - m_c, h_i = (S_i - S_c) P_c y and P_i = (a² S_i + σ² I)⁻¹,

    log r_i - log r_c = log(w_i/w_c) - ½ log(det V_i/det V_c) + a Δ_i·P_i(y - ½ a Δ_i) + ½ a² (P_i y)·h_i,
    G_i = P_i(Δ_i + a h_i),      E_i[x_0|x] - E_c[x_0|x] = σ² G_i,      ∇log N_i - ∇log N_c = a G_i.

Beside a component much narrower than the leading one the last two terms of the first line cancel; direction by
direction ½(y·P_c y - (x - a m_i)·P_i(x - a m_i)) replaces them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

__all__ = ["careful_rows"]

Array = NDArray[Any]

_LOG_2PI, _LOG_2 = math.log(2 * math.pi), math.log(2.0)
_RETRIES = 3  # changes of the leading component
_TABLE = 2**20  # entries of the table of determinants between all pairs of components


@compiled
def careful_rows(
    x: Array,
    a: Array,
    sigma: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
    rows: Array,
    log_prob: Array,
    score: Array,
    mean: Array,
    trace: Array,
) -> None:
    """The rows that `rows` names."""
    size, d = means.shape
    same, single = len(spectrum) == 1, spectrum.shape[1] == 1
    repeats = d if single else 1
    e, v = np.empty((len(spectrum), d)), np.empty((len(spectrum), d))
    for i in range(len(spectrum)):
        for k in range(d):
            e[i, k] = spectrum[i, 0 if single else k]
    slots = size if size * size <= _TABLE else 1
    ratios, filled = np.empty((slots, size)), np.full(slots, -1)
    log_det = np.empty(len(spectrum))
    logits = np.empty(size)
    # y, P_c y, S_c P_c y, Δ_i and x - a m_i; in the axes, and in the coordinates of component i
    vectors, turned = np.empty((5, d)), np.empty((5, d))
    gap, total_gap, own = np.empty(d), np.empty(d), np.empty(d)
    gaps = np.empty((size, d))
    last_a, last_sigma = np.nan, np.nan
    for row in rows:
        a_, s2 = a[row], sigma[row] * sigma[row]
        if a_ != last_a or sigma[row] != last_sigma:
            last_a, last_sigma = a_, sigma[row]
            filled[:] = -1
            for i in range(len(spectrum)):
                log_det[i] = 0.0
                for k in range(d):
                    v[i, k] = a_ * a_ * e[i, k] + s2
                for k in range(spectrum.shape[1]):
                    log_det[i] += repeats * math.log(v[i, k])
        c = _nearest(x[row], a_, log_weights, means, v, log_det, basis, vectors[:1], turned[:1])
        for _ in range(_RETRIES):
            at = 0 if same else c
            _lead(x[row], a_, s2, means[c], e[at], v[at], None if basis is None else basis[c], vectors, own)
            slot = c if slots > 1 else 0
            if filled[slot] != c:
                filled[slot] = c
                for i in range(size):
                    ratios[slot, i] = 0.0
                    if not same:
                        for k in range(spectrum.shape[1]):
                            apart = a_ * a_ * (e[i, k] - e[c, k])
                            ratios[slot, i] += repeats * _log_ratio(v[i, k], v[c, k], apart)
            top, best = 0.0, c
            for i in range(size):
                at = 0 if same else i
                for k in range(d):
                    vectors[3, k] = means[i, k] - means[c, k]
                    vectors[4, k] = x[row, k] - a_ * means[i, k]
                if basis is not None:
                    _into(basis[i], vectors, turned)
                frame = vectors if basis is None else turned
                logits[i] = _exponent(frame, a_, e[at], v[at], same, gaps[i])
                logits[i] += log_weights[i] - log_weights[c] - 0.5 * ratios[slot, i]
                if logits[i] > top:
                    top, best = logits[i], i
            # Far outside, the distances are too large for their differences, and only the logits tell who leads.
            if top < _LOG_2:
                break
            c = best
        total = 0.0
        for i in range(size):
            logits[i] = math.exp(logits[i] - top)
            total += logits[i]
        total_gap[:] = 0.0
        for i in range(size):
            r = logits[i] = logits[i] / total
            if r == 0.0:
                continue
            if basis is not None:
                _back(basis[i], gaps[i], gap)
                gaps[i] = gap
            for k in range(d):
                total_gap[k] += r * gaps[i, k]
        spread = 0.0
        for i in range(size):
            if logits[i] == 0.0:
                continue
            within, between, at = 0.0, 0.0, 0 if same else i
            for k in range(d):
                within += e[at, k] / v[at, k]
                off = gaps[i, k] - total_gap[k]
                between += off * off
            spread += logits[i] * (s2 * within + s2 * s2 * between)
        trace[row] = spread
        distance = 0.0
        for k in range(d):
            distance += vectors[0, k] * vectors[1, k]
            score[row, k] = a_ * total_gap[k] - vectors[1, k]
            mean[row, k] = own[k] + s2 * total_gap[k]
        lead = log_weights[c] - 0.5 * (d * _LOG_2PI + log_det[0 if same else c] + distance)
        log_prob[row] = lead + top + math.log(total)


@compiled
def _nearest(
    x: Array,
    a: float,
    log_weights: Array,
    means: Array,
    v: Array,
    log_det: Array,
    basis: Array | None,
    away: Array,
    turned: Array,
) -> int:
    """The component of the largest density at x, to rounding; away and turned are (1, d) to work in."""
    best, lead = -np.inf, 0
    for i in range(len(means)):
        at = 0 if len(v) == 1 else i
        for k in range(len(x)):
            away[0, k] = x[k] - a * means[i, k]
        if basis is not None:
            _into(basis[i], away, turned)
        frame = away if basis is None else turned
        distance = 0.0
        for k in range(len(x)):
            distance += frame[0, k] * frame[0, k] / v[at, k]
        value = log_weights[i] - 0.5 * (distance + log_det[at])
        if value > best:
            best, lead = value, i
    return lead


@compiled
def _lead(
    x: Array,
    a: float,
    s2: float,
    centre: Array,
    e: Array,
    v: Array,
    basis: Array | None,
    vectors: Array,
    mean: Array,
) -> None:
    """y, P_c y and S_c P_c y into vectors, and P_c(σ² m_c + a S_c x) into mean; all of component c."""
    d = len(x)
    into, turned = np.empty((3, d)), np.empty((3, d))
    for k in range(d):
        into[0, k], into[1, k], into[2, k] = x[k] - a * centre[k], centre[k], x[k]
    vectors[0] = into[0]
    if basis is not None:
        _into(basis, into, turned)
    frame = into if basis is None else turned
    for k in range(d):
        vectors[1, k] = frame[0, k] / v[k]
        vectors[2, k] = e[k] * vectors[1, k]
        mean[k] = (s2 * frame[1, k] + a * e[k] * frame[2, k]) / v[k]
    if basis is not None:
        for values in (vectors[1], vectors[2], mean):
            _back(basis, values, into[0])
            values[:] = into[0]


@compiled
def _exponent(frame: Array, a: float, e: Array, v: Array, same: bool, gap: Array) -> float:
    """log r_i - log r_c but for weights and determinants, and G_i into gap, in the coordinates of component i."""
    y, pull, spread, delta, away = frame[0], frame[1], frame[2], frame[3], frame[4]
    total = 0.0
    for k in range(len(v)):
        step = a * delta[k]
        term = step * (y[k] - 0.5 * step) / v[k]
        if same:
            gap[k] = delta[k] / v[k]
        else:
            h = a * (e[k] * pull[k] - spread[k])
            bend = 0.5 * a * y[k] * h / v[k]
            one, two = 0.5 * y[k] * pull[k], 0.5 * away[k] * away[k] / v[k]
            term = term + bend if abs(term) + abs(bend) <= abs(one) + two else one - two
            gap[k] = (delta[k] + h) / v[k]
        total += term
    return total


@compiled
def _log_ratio(v: float, reference: float, difference: float) -> float:
    """log(v/reference), through log1p of their known difference where the two are close."""
    if abs(difference) < 0.5 * reference:
        return math.log1p(difference / reference)
    return math.log(v / reference)


@compiled
def _into(basis: Array, values: Array, out: Array) -> None:
    """Rows of values (n, d) in the coordinates of a basis (d, d), eigenvectors in columns."""
    out[:] = 0.0
    for j in range(len(basis)):
        for n in range(len(values)):
            factor = values[n, j]
            for k in range(len(basis)):
                out[n, k] += factor * basis[j, k]


@compiled
def _back(basis: Array, values: Array, out: Array) -> None:
    """values (d,) from the coordinates of a basis to the axes."""
    for j in range(len(basis)):
        total = 0.0
        for k in range(len(basis)):
            total += basis[j, k] * values[k]
        out[j] = total
