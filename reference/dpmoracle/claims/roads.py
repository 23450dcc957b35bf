"""Independent roads: Bayes' rule by brute force in one dimension, with no score, no Tweedie and no closed form.

The prior becomes a list of nodes (data points as they are, Gaussians on a fine uniform grid, whose trapezoidal rule
is exact to rounding), and every posterior moment a sum over them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..processes.schedule import Schedule

__all__ = ["Bayes", "mean_given_both", "relative", "worst", "z_score"]

Array = NDArray[np.float64]
_REACH = 12.0


@dataclass(frozen=True)
class Bayes:
    """q(x_0 | x_t) on a grid of x_t, by direct summation over the prior.

    nodes : (n,) values of x_0             x    : (m,) values of x_t
    given : (m, n) q(x_0 = node | x_t)     mass : (m,) q(x_t) dx, summing to one
    """

    nodes: Array
    x: Array
    given: Array
    mass: Array

    @classmethod
    def of(cls, q0: GaussianMixture, a: float, sigma: float) -> Bayes:
        nodes, prior = _prior(q0, sigma / a)
        smallest = np.sqrt(a * a * q0.eigenvalues().min() + sigma * sigma)
        low = a * nodes.min() - _REACH * sigma
        high = a * nodes.max() + _REACH * sigma
        x = np.arange(low, high, smallest / 16)
        exponent = -0.5 * np.square((x[:, None] - a * nodes) / sigma)
        top = exponent.max(1, keepdims=True)
        joint = prior * np.exp(exponent - top)
        evidence = joint.sum(1)
        mass = evidence * np.exp(top[:, 0])
        return cls(nodes, x, joint / evidence[:, None], mass / mass.sum())

    def mean(self, values: Array) -> Array:
        """(m,) E[f(x_0, x_t) | x_t] of values (n,) or (m, n)."""
        return np.asarray((self.given * values).sum(1))

    def variance(self, values: Array) -> Array:
        """(m,) Var[f(x_0, x_t) | x_t] of values (n,) or (m, n)."""
        centred = values - self.mean(values)[:, None]
        return np.asarray((self.given * centred * centred).sum(1))

    def expect(self, values: Array) -> float:
        """E f(x_t) of values (m,)."""
        return float(self.mass @ values)


def _prior(q0: GaussianMixture, noise: float) -> tuple[Array, Array]:
    """Nodes and weights of a one-dimensional prior, fine enough for a likelihood of width `noise`."""
    means, variance = q0.means[:, 0], q0.eigenvalues()[:, 0]
    if not variance.any():
        return means, q0.weights
    scale = np.sqrt(variance)
    low, high = (means - _REACH * scale).min(), (means + _REACH * scale).max()
    nodes = np.arange(low, high, min(scale.min() / 4, noise / 3))
    density = np.exp(-0.5 * np.square((nodes[:, None] - means) / scale)) / scale @ q0.weights
    kept = density > 1e-40 * density.max()  # else a node without mass may be the only one near some x
    return nodes[kept], density[kept] / density[kept].sum()


def relative(got: float, true: float) -> float:
    """|got - true| / |true|; inf where got is no number."""
    error = abs(got - true) / abs(true)
    return float(error) if np.isfinite(error) else np.inf


def worst(errors: dict[str, float]) -> tuple[float, str]:
    """The largest error and the case it belongs to."""
    where = max(errors, key=lambda case: errors[case])
    return errors[where], where


def mean_given_both(sch: Schedule, s: int, t: int, x_t: Array, x0: Array, lam2: float) -> Array:
    """E[x_s | x_t, x_0] term by term as notes eq. (1) prints it; it shares no line with forward_posterior_mean."""
    noise = (x_t - np.sqrt(sch.alpha_bar[t]) * x0) / np.sqrt(sch.beta_bar[t])
    return np.asarray(np.sqrt(sch.alpha_bar[s]) * x0 + np.sqrt(sch.beta_bar[s] - lam2) * noise)


def z_score(samples: Array) -> float:
    """|mean| in standard errors; 0 where every sample is 0, inf where one is no number."""
    if not np.isfinite(samples).all():
        return np.inf
    spread = float(samples.std(ddof=1)) / np.sqrt(len(samples))
    mean = abs(float(samples.mean()))
    return mean / spread if spread > 0 else (0.0 if mean == 0 else np.inf)
