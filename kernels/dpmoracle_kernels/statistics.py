"""From posterior averages to the estimators of V_t and Γ_t, for any array module.

For samples (..., d) of p = x_0 - y_own and ε, and averages (..., T, d+1) of D_i and ‖D_i‖² under the posterior weights
of T levels: shrink = σ²/v, push = aτ²σ/v with v = a²τ² + σ².
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["LOG2E", "STATISTICS", "Scales", "feature_coefficients", "pair", "scales"]

LOG2E = 1.4426950408889634


class Scales(NamedTuple):
    """What the levels contribute, each (T,)."""

    a: Any
    sigma: Any
    total: Any  # v, variance of x_t within a component
    shrink: Any  # what is left of x_0 - y_i in x_0 - m_i
    push: Any  # x_0 - m_i = shrink (x_0 - y_i) - push ε
    within: Any  # τ²σ²/v, variance of x_0 given x_t and its component


def scales(a: Any, sigma: Any, tau2: float) -> Scales:
    """Of levels a, sigma (T,)."""
    v = a * a * tau2 + sigma * sigma
    return Scales(a, sigma, v, sigma * sigma / v, a * sigma * tau2 / v, tau2 * sigma * sigma / v)


def pair(distance: Any, noise: Any, p: Any, draw: Any, at: Scales) -> Any:
    """½ Σ_i w_i (Tr S_i + ‖x_0 - m_i‖²)/d, about the own component, from the averages (..., T) of G and E."""
    d = p.shape[-1]
    own = _square(p)[..., None] * at.shrink**2 + _square(draw)[..., None] * at.push**2
    own = own - 2.0 * (p * draw).sum(-1)[..., None] * (at.shrink * at.push)
    return 0.5 * at.within + (0.5 * own + at.shrink**2 * distance + at.shrink * at.push * noise) / d


def _square(x: Any) -> Any:
    return (x * x).sum(-1)


def _trace(averages: Any, p: Any, draw: Any, at: Scales) -> Any:
    """Tr Cov(x_0|x_t)/d = τ²σ²/v + (σ²/v)² (Σ_i w_i ‖D_i‖² - ‖Σ_i w_i D_i‖²)/d."""
    spread = averages[..., -1] - _square(averages[..., :-1])
    return at.within + at.shrink**2 * spread / p.shape[-1]


def _residual(averages: Any, p: Any, draw: Any, at: Scales) -> Any:
    """‖x_0 - E[x_0|x_t]‖²/d."""
    off = at.shrink[:, None] * (p[..., None, :] - averages[..., :-1]) - at.push[:, None] * draw[..., None, :]
    return _square(off) / p.shape[-1]


def _gamma(averages: Any, p: Any, draw: Any, at: Scales) -> Any:
    """‖s‖²/d, s = -(x_t - a Σ_i w_i y_i)/v."""
    off = at.a[:, None] * (p[..., None, :] - averages[..., :-1]) + at.sigma[:, None] * draw[..., None, :]
    return _square(off / at.total[:, None]) / p.shape[-1]


def _score(averages: Any, p: Any, draw: Any, at: Scales) -> Any:
    """(σ²/a²)(1 - σ² ‖s‖²/d)."""
    return (at.sigma / at.a) ** 2 * (1.0 - at.sigma**2 * _gamma(averages, p, draw, at))


STATISTICS = {"trace": _trace, "residual": _residual, "gamma": _gamma, "score": _score}


def feature_coefficients(xp: Any, e: Any, log_weights: Any, d: int, a: Any, sigma: Any) -> Any:
    """(C, 3K + 1, 2T) coefficients of the features (P², PN, N², 1): exponents of 2 first, then residuals.

    e : (C or 1, K) eigenvalues, K = d or 1        log_weights : (C,)        a, sigma : (T,)
    In the eigenbasis, with v = a²e + σ², the exponent is log w - ½ Σ ((aP + σN)²/v + log v) and the residual
    Tr S_i + ‖x_0 - E_i[x_0|x_t]‖² = Σ e σ²/v + (σ² P - aσ e N)²/v².
    """
    e = e[:, :, None]
    v = a * a * e + sigma * sigma
    repeats = d // e.shape[1]
    root = xp.sqrt(v)
    along, across, shrink, push = a / root, sigma / root, sigma * sigma / v, a * sigma * e / v
    share = log_weights[:, None] - 0.5 * repeats * xp.log(v).sum(1)
    within = xp.zeros_like(share) + repeats * (e * shrink).sum(1)
    exponent = -0.5 * xp.concatenate([along * along, 2 * along * across, across * across], axis=1)
    residual = xp.concatenate([shrink * shrink, -2 * shrink * push, push * push], axis=1)
    table = xp.concatenate([LOG2E * exponent, residual], axis=2)
    table = xp.broadcast_to(table, (len(share), *table.shape[1:]))
    last = xp.concatenate([LOG2E * share, within], axis=1)[:, None]
    return xp.concatenate([table, last], axis=1)
