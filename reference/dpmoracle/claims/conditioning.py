"""Independent road in several dimensions: Gaussian conditioning, one component at a time, and sums over a plane.

Within component i of the prior everything is jointly Gaussian, so the law of any linear y given x_t follows from
the joint covariance by solving one linear system: no score, no λ²-formula, no closed form of the package.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..processes.schedule import Schedule

__all__ = ["Conditioned", "Plane", "component_covariances", "earlier_state"]

Array = NDArray[np.float64]
_REACH = 9.0
_NEGLIGIBLE = 1e-19
_ELSEWHERE = (
    0.3  # the coordinates outside the plane: any value, as nothing asked of the plane depends on them
)


@dataclass(frozen=True)
class Conditioned:
    """The law of y given x_t, a mixture.

    given  : (B, C) q(component | x_t)        means : (B, C, d) E[y | x_t, component]
    within : (C, d, d) Cov(y | component, x_t), the same for every x_t
    """

    given: Array
    means: Array
    within: Array

    def mean(self) -> Array:
        """(B, d) E[y | x_t]."""
        return np.asarray(np.einsum("bc,bcj->bj", self.given, self.means))

    def trace(self) -> Array:
        """(B,) Tr Cov(y | x_t)."""
        off = self.means - self.mean()[:, None, :]
        own = np.trace(self.within, axis1=1, axis2=2) + np.square(off).sum(2)
        return np.asarray((self.given * own).sum(1))

    def covariance(self) -> Array:
        """(B, d, d) Cov(y | x_t)."""
        off = self.means - self.mean()[:, None, :]
        between = np.einsum("bc,bcj,bck->bjk", self.given, off, off, optimize=True)
        return np.asarray(np.einsum("bc,cjk->bjk", self.given, self.within) + between)


@dataclass(frozen=True)
class Plane:
    """x_t = a x_0 + σ ε at points x, and what is known of the component there.

    x : (B, d)     mass : (B,) q(x_t) dx over the first two coordinates, summing to one     given : (B, C)
    """

    q0: GaussianMixture
    a: float
    sigma: float
    x: Array
    mass: Array
    given: Array

    @classmethod
    def over(cls, q0: GaussianMixture, a: float, sigma: float) -> Plane:
        """A grid over the first two coordinates, in which all the means lie (or d = 2)."""
        centres, spreads = _observed(q0, a, sigma)
        deviations = np.sqrt(np.diagonal(spreads[:, :2, :2], axis1=1, axis2=2))
        low = (centres[:, :2] - _REACH * deviations).min(0)
        high = (centres[:, :2] + _REACH * deviations).max(0)
        step = _step(centres, spreads)
        axes = [np.arange(low[k], high[k] + step, step) for k in range(2)]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
        marginal = _log_components(q0.weights, grid, centres[:, :2], spreads[:, :2, :2])
        density = np.exp(marginal).sum(1)
        kept = density > _NEGLIGIBLE * density.max()
        x = np.full((int(kept.sum()), q0.d), _ELSEWHERE)
        x[:, :2] = grid[kept]
        return cls(q0, a, sigma, x, density[kept] / density[kept].sum(), _given(q0, a, sigma, x))

    @classmethod
    def at(cls, q0: GaussianMixture, a: float, sigma: float, x: Array) -> Plane:
        """The points x (B, d) of the caller, with equal mass."""
        return cls(q0, a, sigma, x, np.full(len(x), 1 / len(x)), _given(q0, a, sigma, x))

    def condition(self, centres: Array, own: Array, cross: Array) -> Conditioned:
        """y given x_t; y has mean centres (C, d), Cov(y) = own and Cov(y, x_t) = cross (C, d, d) per component."""
        where, spreads = _observed(self.q0, self.a, self.sigma)
        gain = np.linalg.solve(spreads, cross.swapaxes(1, 2)).swapaxes(1, 2)
        means = np.stack([centres[i] + (self.x - where[i]) @ gain[i].T for i in range(len(centres))], axis=1)
        return Conditioned(self.given, means, own - gain @ cross.swapaxes(1, 2))

    def clean(self) -> Conditioned:
        """x_0 given x_t."""
        s = component_covariances(self.q0)
        return self.condition(self.q0.means, s, self.a * s)

    def expect(self, values: Array) -> float:
        """E f(x_t) of values (B,)."""
        return float(self.mass @ values)


def earlier_state(plane: Plane, sch: Schedule, s: int, lam2: float) -> Conditioned:
    """x_s given x_t, where x_s = sqrt(ᾱ_s) x_0 + sqrt(β̄_s - λ²) ε + λ ξ shares x_0 and ε with x_t."""
    a_s, b_s = float(np.sqrt(sch.alpha_bar[s])), float(sch.beta_bar[s])
    cov, eye = component_covariances(plane.q0), np.eye(plane.q0.d)
    shared = np.sqrt(b_s - lam2) * plane.sigma
    return plane.condition(a_s * plane.q0.means, a_s**2 * cov + b_s * eye, a_s * plane.a * cov + shared * eye)


def component_covariances(q0: GaussianMixture) -> Array:
    """(C, d, d)."""
    s, count, eye = q0.covariances, q0.n_components, np.eye(q0.d)
    if q0.covariance_type == "spherical":
        return np.asarray(s[:, None, None] * eye)
    if q0.covariance_type == "diag":
        return np.asarray(s[:, :, None] * eye)
    return np.array(np.broadcast_to(s, (count, q0.d, q0.d)))


def _observed(q0: GaussianMixture, a: float, sigma: float) -> tuple[Array, Array]:
    """Means (C, d) and covariances (C, d, d) of x_t within the components."""
    return a * q0.means, a * a * component_covariances(q0) + sigma * sigma * np.eye(q0.d)


def _log_components(weights: Array, x: Array, centres: Array, spreads: Array) -> Array:
    """(B, C) log of weight times density of every component at x."""
    logs = np.empty((len(x), len(weights)))
    for i, (weight, centre, spread) in enumerate(zip(weights, centres, spreads)):
        off = x - centre
        distance = np.einsum("bj,bj->b", off, np.linalg.solve(spread, off.T).T)
        logs[:, i] = np.log(weight) - 0.5 * (distance + np.linalg.slogdet(2 * np.pi * spread)[1])
    return logs


def _given(q0: GaussianMixture, a: float, sigma: float, x: Array) -> Array:
    logs = _log_components(q0.weights, x, *_observed(q0, a, sigma))
    shares = np.exp(logs - logs.max(1, keepdims=True))
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _step(centres: Array, spreads: Array) -> float:
    """A grid step at which the trapezoidal rule is exact to about 1e-12.

    Its error is exp(-2π δ/step), δ the distance from the real plane to the nearest pole of the integrand: for
    a Gaussian of deviation ς the rule behaves as if δ were ~5 ς at this step, and the weights of two components
    at distance Δ have poles at π ς²/Δ.
    """
    smallest = float(np.linalg.eigvalsh(spreads).min())
    widest = float(np.linalg.norm(centres - centres[:, None], axis=-1).max())
    pole = np.pi * smallest / max(widest, 1e-300)
    return float(min(0.5 * np.sqrt(smallest), 2 * np.pi * pole / 26))
