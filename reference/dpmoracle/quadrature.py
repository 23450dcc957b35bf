r"""Expectations of the spread between components, by quadrature in one or two dimensions, with an error bound.

For x = a x_0 + σ ε let w_i q_i(x) be the components' joint densities, q their sum, s_i = ∇log q_i and
E_i = E[x_0|x, i]. Since E r_i(x) f(x) = w_i E_i f(x), the within-component parts have closed forms, and

    d V = Σ_i w_i Tr(σ² S_i P_i) + B_x0,      B_x0    = Σ_{i<j} ∫ (w_i q_i w_j q_j / q) ‖E_i - E_j‖² dx,
    d Γ = Σ_i w_i Tr(P_i) - B_score,          B_score = Σ_{i<j} ∫ (w_i q_i w_j q_j / q) ‖s_i - s_j‖² dx.

One pair's integrand lies below e^φ times a quadratic, with e^φ = w_i q_i w_j q_j / (w_i q_i + w_j q_j) log-concave:
it is centred where φ is largest, scaled by the two covariances and by the sharpness of the boundary between the
components, and summed on a lattice (the trapezoidal rule, which converges geometrically for analytic integrands).
So a boundary that x hardly ever reaches is still seen with full relative accuracy.

What the bound adds up: beyond the lattice, concavity gives a geometric tail; the pairs left out are at most
½ sqrt(w_i w_j) ∫ sqrt(q_i q_j) ‖·‖²; rounding; and the step, from what halving it has changed so far.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .mixture import GaussianMixture

__all__ = ["between"]

Array = NDArray[np.float64]
_ENOUGH = 1e-11  # relative accuracy at which refinement stops
_DROP = 45.0  # the lattice ends where e^φ has fallen by e^-45 = 3e-20
_FINEST = {1: 2.0**-13, 2: 2.0**-6}
_MOST, _ROWS = 2**22, 2**15  # lattice points, at most and at once
_EPS = 2.0**-52


class _Level(NamedTuple):
    """The law of x, component by component (C of them)."""

    a: float
    s2: float
    log_mass: Array  # (C,) log w - ½ log det 2πV
    means: Array  # (C, d) of x_0
    spectrum: Array  # (C, d) eigenvalues e of S
    v: Array  # (C, d) a² e + σ²
    turn: Array  # (C, d, d) eigenvectors in rows

    def matrix(self, eigenvalues: Array) -> Array:
        """(C, d, d) matrices with the components' eigenvectors."""
        return np.asarray(self.turn.swapaxes(1, 2) @ (eigenvalues[..., None] * self.turn))


class _Pair(NamedTuple):
    """Components i and j; y = x - a m_i, where i is the narrower one."""

    i: int
    j: int
    bound: float  # of the pair's integral
    centre: Array  # (d,) y at the centre of sqrt(q_i q_j)
    precision: Array  # (d, d) of sqrt(q_i q_j)
    gap: Array  # (d,) E_j - E_i (or s_j - s_i) at y = 0
    slope: Array  # (d, d) its derivative by y


class _Frame(NamedTuple):
    """Lattice coordinates z for y = x - a m_home: y = centre + scale @ z, |z| <= radius."""

    home: int
    centre: Array
    scale: Array
    radius: float


def between(q0: GaussianMixture, a: float, sigma: float, quantity: str, rest: float) -> tuple[float, float]:
    """B_x0 (quantity "mmse") or B_score ("gamma") and its error bound, inf where it is out of reach; d <= 2.

    rest : the closed part, with the sign that makes B + rest the answer up to sign; accuracy is judged by that.
    """
    level = _level(q0, a, sigma)
    pairs = _pairs(level, quantity)
    value = error = 0.0
    while (left := sum(pair.bound for pair in pairs)) > 1e-2 * _ENOUGH * abs(rest + value):
        frame = _frame(level, pairs[0])
        tails = [_tail(level, pair, frame) for pair in pairs]
        # At low SNR one lattice serves nearly all pairs.
        fit = [
            k == 0 or tail <= 1e-4 * _ENOUGH * pair.bound for k, (pair, tail) in enumerate(zip(pairs, tails))
        ]
        part, slack = _integrate(level, [p for p, ok in zip(pairs, fit) if ok], frame, rest + value)
        value, error = value + part, error + slack + sum(tail for tail, ok in zip(tails, fit) if ok)
        pairs = [pair for pair, ok in zip(pairs, fit) if not ok]
    return value, error + left


def _level(q0: GaussianMixture, a: float, sigma: float) -> _Level:
    q = q0.support
    spectrum = q.eigenvalues()
    v = a * a * spectrum + sigma * sigma
    turn = np.stack([q.to_axes(i, np.eye(q.d)) for i in range(q.n_components)])
    log_mass = np.log(q.weights) - 0.5 * np.log(2 * np.pi * v).sum(1)
    return _Level(a, sigma * sigma, log_mass, q.means, spectrum, v, turn)


def _pairs(c: _Level, quantity: str) -> list[_Pair]:
    """All pairs, the one with the largest bound first."""
    precisions, gains = c.matrix(1 / c.v), c.matrix(c.a * c.spectrum / c.v)
    narrow_first = np.argsort(c.v.prod(1), kind="stable")
    found = []
    for k, i in enumerate(narrow_first.tolist()):
        for j in narrow_first[k + 1 :].tolist():
            delta = c.means[j] - c.means[i]
            precision = 0.5 * (precisions[i] + precisions[j])
            covariance = np.linalg.inv(precision)
            centre = 0.5 * c.a * covariance @ precisions[j] @ delta
            if quantity == "mmse":
                gap, slope = c.s2 * precisions[j] @ delta, gains[j] - gains[i]
            else:
                gap, slope = c.a * precisions[j] @ delta, precisions[i] - precisions[j]
            # sqrt(q_i q_j) at its centre, times its volume.
            log_root = 0.5 * (_log_density(c, i, i, centre) + _log_density(c, i, j, centre))
            volume = np.sqrt(np.linalg.det(2 * np.pi * covariance))
            square = np.square(gap + slope @ centre).sum() + np.trace(slope @ covariance @ slope.T)
            bound = 0.5 * float(np.exp(log_root) * volume * square)
            found.append(_Pair(i, j, bound, centre, precision, gap, slope))
    return sorted(found, key=lambda pair: -pair.bound)


def _log_density(c: _Level, home: int, k: int, y: Array) -> Array:
    """(...,) log w_k q_k at x = a m_home + y, y (..., d)."""
    u = (y + c.a * (c.means[home] - c.means[k])) @ c.turn[k].T
    return np.asarray(c.log_mass[k] - 0.5 * (u * u / c.v[k]).sum(-1))


def _phi(c: _Level, pair: _Pair, home: int, y: Array) -> Array:
    """(...,) log of w_i q_i w_j q_j / (w_i q_i + w_j q_j)."""
    one, two = (_log_density(c, home, k, y) for k in (pair.i, pair.j))
    return np.asarray(one + two - np.logaddexp(one, two))


def _frame(c: _Level, pair: _Pair) -> _Frame:
    """Centred where φ is largest, by Newton's method; e^φ then spreads over a few units of z."""
    root = np.linalg.inv(np.linalg.cholesky(pair.precision)).T
    shapes = [root.T @ (c.turn[k].T / c.v[k]) @ c.turn[k] @ root for k in (pair.i, pair.j)]
    homes = [np.zeros_like(pair.centre), c.a * (c.means[pair.j] - c.means[pair.i])]
    y = pair.centre
    for _ in range(100):
        pulls = [shape @ np.linalg.solve(root, home - y) for shape, home in zip(shapes, homes)]
        log_i, log_j = (float(_log_density(c, pair.i, k, y)) for k in (pair.i, pair.j))
        r = 1 / (1 + np.exp(np.clip(log_j - log_i, -700, 700)))
        edge = r * (1 - r) * np.outer(pulls[0] - pulls[1], pulls[0] - pulls[1])
        gradient = (1 - r) * pulls[0] + r * pulls[1]
        step = np.linalg.solve((1 - r) * shapes[0] + r * shapes[1] + edge, gradient)
        rise, phi, t = float(gradient @ step), _phi(c, pair, pair.i, y), 1.0
        if rise < 1e-2:
            break
        while _phi(c, pair, pair.i, y + t * (root @ step)) < phi + 0.1 * t * rise and t > 1e-9:
            t /= 2
        y = y + t * (root @ step)
    # Across the boundary e^φ decays like an exponential: a scale 4 times its width there keeps z within the lattice.
    sharp = np.linalg.cholesky(np.eye(len(y)) + edge / 16)
    scale = root @ np.linalg.inv(sharp).T
    radii = np.concatenate([np.arange(5.0, 20.0), np.arange(20.0, 80.0, 5.0)])
    rays = radii[:, None, None] * (_directions(len(y)) @ scale.T)
    drops = _phi(c, pair, pair.i, y) - _phi(c, pair, pair.i, y + rays).max(1)
    return _Frame(pair.i, y, scale, float(radii[min(int((drops < _DROP).sum()), len(radii) - 1)]))


def _directions(d: int) -> Array:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles)], 1) if d == 2 else np.array([[1.0], [-1.0]])


def _gap(c: _Level, pair: _Pair, frame: _Frame) -> tuple[Array, Array]:
    """(value, derivative by z) of the pair's gap at the centre of the frame."""
    y = frame.centre + c.a * (c.means[frame.home] - c.means[pair.i])
    return pair.gap + pair.slope @ y, pair.slope @ frame.scale


def _tail(c: _Level, pair: _Pair, frame: _Frame) -> float:
    """A bound on the pair's integral beyond the lattice: φ is concave and the gap affine, so at most
    ((ρ/R) ‖gap‖)² exp(-(ρ - R) drop/R) of the edge at ρ > R.
    """
    d, radius = len(frame.centre), frame.radius
    z = radius * _directions(d)
    edge = _phi(c, pair, frame.home, frame.centre + z @ frame.scale.T).max()
    drop = float(_phi(c, pair, frame.home, frame.centre) - edge)
    if drop <= 1:
        return np.inf
    gap, slope = _gap(c, pair, frame)
    largest = np.square(gap + z @ slope.T).sum(-1).max()
    beyond = 1 / drop + 3 / drop**2 + 6 / drop**3 + 6 / drop**4
    area = 2 * np.pi * radius**2 if d == 2 else 2 * radius
    return float(np.exp(edge) * largest * area * beyond * abs(np.linalg.det(frame.scale)))


def _integrate(c: _Level, pairs: list[_Pair], frame: _Frame, rest: float) -> tuple[float, float]:
    """(sum of the pairs' integrals, error bound within the lattice), as good as |rest + value| asks for."""
    d, step, sums = len(frame.centre), _first_step(c, frame), list[Array]()
    finest = max(_FINEST[d], 2 * frame.radius / _MOST ** (1 / d))
    while step >= finest:
        totals, rounding = _lattice_sum(c, pairs, frame, step)
        sums.append(totals)
        step /= 2
        if len(sums) >= 3:
            value, error = float(totals.sum()), float(_remaining(np.array(sums)).sum())
            if error <= max(_ENOUGH * abs(rest + value), 0.1 * rounding) or step < finest:
                return value, error + rounding
    return 0.0, np.inf


def _remaining(sums: Array) -> Array:
    """A bound on the error of the last row of at least three sums (steps, pairs), each of half the step before.

    Halving squares ρ in an error A ρ(h): the last two changes are A ρ and A ρ², the error A ρ⁴. But a small feature
    with a small A may still converge slowly behind a large one, so at least a quarter of the last change is claimed;
    and as that can be small by chance, it is taken as no smaller than the two changes before it foretell.
    """
    first, before, last = np.abs(np.diff(sums, axis=0, prepend=0.0))[-3:]
    tiny = np.finfo(float).tiny
    last = np.maximum(last, before * np.minimum(1.0, before / (first + tiny)) ** 2)
    return np.asarray(last * np.clip(4 * last / (before + tiny), 0.25, 2.0))


def _first_step(c: _Level, frame: _Frame) -> float:
    """A power of two, at most 2 and at most twice the narrowest width of a component that the lattice meets."""
    step = 2.0
    for k in range(len(c.means)):
        widths = 1 / np.linalg.svd((c.turn[k] @ frame.scale) / np.sqrt(c.v[k])[:, None], compute_uv=False)
        centre = np.linalg.solve(frame.scale, c.a * (c.means[k] - c.means[frame.home]) - frame.centre)
        if np.sqrt(centre @ centre) <= frame.radius + 9 * widths.max():
            step = min(step, 2 * float(widths.min()))
    return float(2.0 ** np.floor(np.log2(step)))


def _lattice_sum(c: _Level, pairs: list[_Pair], frame: _Frame, step: float) -> tuple[Array, float]:
    """The pairs' sums over the lattice of that step, and what rounding may do to them."""
    d, count = len(frame.centre), int(frame.radius / step)
    axis = step * np.arange(-count, count + 1)
    grid = axis[None, :] if d == 1 else np.stack(np.meshgrid(axis, axis)).reshape(2, -1)
    grid = grid[:, np.square(grid).sum(0) <= frame.radius**2]
    away = frame.centre + c.a * (c.means[frame.home] - c.means)
    root = np.sqrt(c.v)[..., None]
    origin, spread = c.turn @ away[..., None] / root, c.turn @ frame.scale / root
    shift = max(float(_phi(c, pair, frame.home, frame.centre)) for pair in pairs)
    gaps = [_gap(c, pair, frame) for pair in pairs]
    total, mass = np.zeros(len(pairs)), np.zeros(len(pairs))
    for start in range(0, grid.shape[1], _ROWS):
        z = grid[:, start : start + _ROWS]
        logs = np.repeat(c.log_mass[:, None], z.shape[1], 1)
        for k in range(d):
            logs -= 0.5 * np.square(origin[:, k] + spread[:, k] @ z)
        top = logs.max(0)
        evidence = np.exp(logs - top).sum(0)
        for k, (pair, (gap, slope)) in enumerate(zip(pairs, gaps)):
            share = np.exp(logs[pair.i] + logs[pair.j] - top - shift) / evidence
            total[k] += share @ np.square(gap[:, None] + slope @ z).sum(0)
            mass[k] += share.sum()
    cell = float(np.exp(shift) * step**d * abs(np.linalg.det(frame.scale)))
    exponents = np.abs(c.log_mass) + 0.5 * np.square(origin).sum((1, 2))
    rounding = 0.0
    for k, (pair, (gap, slope)) in enumerate(zip(pairs, gaps)):
        size = np.abs(gap).sum() + frame.radius * np.abs(slope).sum()
        rounding += (16 + 8 * (exponents[pair.i] + exponents[pair.j])) * total[k]
        rounding += 8 * size * np.sqrt(total[k] * mass[k])
    return total * cell, _EPS * float(rounding) * cell
