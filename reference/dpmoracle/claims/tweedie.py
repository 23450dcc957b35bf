"""Tweedie's formula, its second order, and V as a function of the SNR."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..variance import mmse_from_gamma
from .conditioning import Conditioned, Plane
from .contour import gradient, hessian
from .registry import Measurement, holds
from .roads import Bayes, worst
from .world import World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]
_TIMES = (2, 10, 100, 300, 500, 1000)
_SNRS = (30.0, 3.0, 0.5, 0.05)
_STRIDE = 0.005  # in log u; the curve of two points falls as exp(-u/2), so its scale there is 2/u


def _points(
    world: World, name: str
) -> Iterator[tuple[str, GaussianMixture, float, float, Array, Conditioned]]:
    """(case, q0, a, σ, x, x_0 given x): 40 draws of x_t per case, and exact conditioning there."""
    rng = world.rng(name)
    for law, q0 in {**world.lines, **world.planes}.items():
        for t in _TIMES:
            a, sigma = (float(level) for level in world.schedule.levels(t))
            x = a * q0.sample(40, rng) + sigma * rng.standard_normal((40, q0.d))
            yield f"{law}, t = {t}", q0, a, sigma, x, Plane.at(q0, a, sigma, x).clean()


def _posterior_mean(x: Array, score: Array, a: float, sigma: float) -> Array:
    """(x + σ² ∇log q)/a."""
    return np.asarray((x + sigma**2 * score) / a)


def _posterior_covariance(curvature: Array, a: float, sigma: float) -> Array:
    """(σ²/a²)(I + σ² ∇²log q), (..., d, d)."""
    return np.asarray((sigma / a) ** 2 * (np.eye(curvature.shape[-1]) + sigma**2 * curvature))


def _first_order(mean: Callable[..., Array], world: World) -> Measurement:
    errors = {}
    for case, q0, a, sigma, x, clean in _points(world, "tweedie.first"):
        off = mean(x, gradient(q0, a, sigma, x), a, sigma) - clean.mean()
        errors[case] = _size(off, min(1.0, sigma / a))
    error, where = worst(errors)
    return Measurement(error, f"largest difference, in units of min(1, σ/a), for {where}")


def _second_order(covariance: Callable[..., Array], world: World) -> Measurement:
    errors = {}
    for case, q0, a, sigma, x, clean in _points(world, "tweedie.second"):
        off = covariance(hessian(q0, a, sigma, x), a, sigma) - clean.covariance()
        errors[case] = _size(off, min(1.0, (sigma / a) ** 2))
    error, where = worst(errors)
    return Measurement(error, f"largest entry of the difference, in units of min(1, σ²/a²), for {where}")


def _size(off: Array | float, unit: float) -> float:
    size = float(np.abs(off).max()) / unit
    return size if np.isfinite(size) else np.inf


def _gamma_and_mmse(mmse: Callable[..., Array], world: World) -> Measurement:
    """Γ from the slope of log q_t, V from Bayes' rule, both summed over the same grid of x_t."""
    sch, errors = world.schedule, {}
    for law, q0 in world.lines.items():
        for t in _TIMES:
            a, sigma = (float(level) for level in sch.levels(t))
            bayes = Bayes.of(q0, a, sigma)
            kept = bayes.mass > 1e-18 * bayes.mass.max()
            slope = gradient(q0, a, sigma, bayes.x[kept, None])[:, 0]
            gamma = float(bayes.mass[kept] @ np.square(slope))
            true = bayes.expect(bayes.variance(bayes.nodes))
            errors[f"{law}, t = {t}"] = _size(mmse(sch, t, gamma) - true, min(1.0, (sigma / a) ** 2))
    plane_law = world.planes["full d=2"]
    for t in (300, 500, 1000):
        a, sigma = (float(level) for level in sch.levels(t))
        plane = Plane.over(plane_law, a, sigma)
        gamma = plane.expect(np.square(gradient(plane_law, a, sigma, plane.x)).mean(1))
        true = plane.expect(plane.clean().trace()) / plane_law.d
        errors[f"full d=2, t = {t}"] = _size(mmse(sch, t, gamma) - true, min(1.0, (sigma / a) ** 2))
    error, where = worst(errors)
    return Measurement(error, f"in units of min(1, σ²/a²), worst for {where}")


def _curve(q0: GaussianMixture, u: float) -> tuple[float, Array, Array]:
    """(V, masses, Cov(x_0|x_t) (B, d, d)) at SNR u, by Bayes' rule or Gaussian conditioning on a grid."""
    a, sigma = float(np.sqrt(u / (1 + u))), float(np.sqrt(1 / (1 + u)))
    if q0.d == 1:
        bayes = Bayes.of(q0, a, sigma)
        variance = bayes.variance(bayes.nodes)
        return bayes.expect(variance), bayes.mass, variance[:, None, None]
    plane = Plane.over(q0, a, sigma)
    clean = plane.clean()
    return plane.expect(clean.trace()) / q0.d, plane.mass, clean.covariance()


def _slope(q0: GaussianMixture, u: float) -> float:
    """dV/du by a central difference of order six in log u."""
    moved = [_curve(q0, u * float(np.exp(k * _STRIDE)))[0] for k in (-3, -2, -1, 1, 2, 3)]
    return float(np.array([-1, 9, -45, 45, -9, 1]) @ moved / (60 * _STRIDE * u))


def _laws(world: World) -> dict[str, GaussianMixture]:
    return {**world.lines, "full d=2": world.planes["full d=2"]}


def _squared_covariance(covariance: Array) -> Array:
    """Tr Cov²/d, (B,)."""
    return np.asarray(np.square(covariance).sum((-2, -1)) / covariance.shape[-1])


def _derivative(integrand: Callable[[Array], Array], world: World) -> Measurement:
    errors = {}
    for law, q0 in _laws(world).items():
        for u in _SNRS:
            _, mass, covariance = _curve(q0, u)
            slope = _slope(q0, u)
            errors[f"{law}, u = {u:g}"] = _size(mass @ integrand(covariance) + slope, abs(slope))
    error, where = worst(errors)
    return Measurement(error, f"relative difference, worst for {where}")


def _minus_square(mmse: float) -> float:
    return -(mmse**2)


def _falls_faster(limit: Callable[[float], float], world: World) -> Measurement:
    """By how much dV/du is above the limit, relative to V²."""
    errors, nearest = {}, np.inf
    for law, q0 in _laws(world).items():
        for u in _SNRS:
            value, _, _ = _curve(q0, u)
            beyond = (_slope(q0, u) - limit(value)) / value**2
            errors[f"{law}, u = {u:g}"] = max(beyond, 0.0) if np.isfinite(beyond) else np.inf
            nearest = min(nearest, abs(beyond))
    error, where = worst(errors)
    return Measurement(
        error, f"dV/du above the limit by {error:.1e} V² for {where}; nearest {nearest:.1e} V²"
    )


_CONDITIONING = "Gaussian conditioning, d = 1, 2, 10; derivatives of log q_t by contour integrals"
_CURVE = "Bayes' rule and Gaussian conditioning on grids; dV/du by differences of order six"
CLAIMS = (
    holds(
        id="tweedie.first",
        source="efron2011; robbins1956; miyasawa1961",
        statement=r"E[x_0|x_t]=\bigl(x_t+\sigma^2\nabla\log q_t(x_t)\bigr)/a",
        road=_CONDITIONING,
        tolerance=1e-10,
        formula=_posterior_mean,
        check=_first_order,
    ),
    holds(
        id="tweedie.second",
        source="efron2011, in d dimensions",
        statement=r"\mathrm{Cov}(x_0|x_t)=\tfrac{\sigma^2}{a^2}\bigl(I+\sigma^2\nabla^2\log q_t(x_t)\bigr)",
        road=_CONDITIONING,
        tolerance=1e-8,  # measured 6e-11 at t = 1000: σ²/a² = 2e4 multiplies the rounding of I + σ²∇²log q
        formula=_posterior_covariance,
        check=_second_order,
    ),
    holds(
        id="tweedie.mmse",
        source="Tweedie's second order, traced; bao2022, proof of Theorem 1",
        statement=r"V_t=\tfrac{\bar\beta_t}{\bar\alpha_t}(1-\bar\beta_t\Gamma_t)",
        road="V by Bayes' rule or conditioning, Γ from the slope of log q_t by contour integrals, on one grid",
        tolerance=1e-9,
        formula=mmse_from_gamma,
        check=_gamma_and_mmse,
    ),
    holds(
        id="mmse.derivative",
        source="guo2011; derived here in d dimensions",
        statement=r"dV/du=-E\,\mathrm{Tr}\,\mathrm{Cov}(x_0|x_t)^2/d",
        road=_CURVE,
        tolerance=5e-8,  # measured 5e-10 for two points at u = 30: what the difference quotient leaves
        formula=_squared_covariance,
        check=_derivative,
    ),
    holds(
        id="mmse.single-crossing",
        source="guo2011",
        statement=r"dV/du\le-V^2:\ V\text{ decreases, and }1/V-u\text{ does not increase as }u\text{ falls}",
        road=_CURVE,
        tolerance=5e-8,  # measured 5e-10 for two points at u = 30: what the difference quotient leaves
        formula=_minus_square,
        check=_falls_faster,
    ),
)
