r"""Expectations over x = a x_0 + σ ε by quadrature, for mixtures of one or two dimensions, with an error bound.

Each component is integrated in its own standard coordinates, x = a m_i + V_i^{1/2} z, by the trapezoidal rule on
|z_k| <= 9, which converges geometrically for analytic integrands. What limits it is the distance of the nearest
pole of the responsibilities, so the step starts below the scale of the sharpest boundary between two components
that the box can see, and is halved until the value stands still. Halving squares the relative error of such a
rule; the bound claims only the power 3/2 of the last relative change, plus the mass outside the box and rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .mixture import GaussianMixture
from .posterior import Posterior

__all__ = ["Projection", "integrate", "project"]

Array = NDArray[np.float64]
_RADIUS = 8.5
_TAIL = 2.1e-16  # P(|z| > 8.5) in two dimensions, more than in one
_FINEST = {1: 2.0**-12, 2: 2.0**-5}
_ENOUGH = 1e-13


@dataclass(frozen=True)
class Projection:
    """A mixture with one isotropic covariance τ² I, seen in the span of its means.

    inner : the mixture in the r dimensions of that span (None if the means coincide, r = 0)
    rank  : r
    rest  : d - r dimensions in which every component is the same Gaussian of variance tau2
    """

    inner: GaussianMixture | None
    rank: int
    rest: int
    tau2: float


def project(q0: GaussianMixture) -> Projection | None:
    """The low-dimensional problem behind q0, or None if there is none of at most two dimensions.

    Weights of a mixture with a shared isotropic covariance depend on x only through its projection on the affine
    span of the means, so V = [r V_r + (d - r) τ²σ²/(a²τ²+σ²)]/d and Γ = [r Γ_r + (d - r)/(a²τ²+σ²)]/d.
    """
    used = q0.weights > 0
    tau2 = q0.shared_variance
    if tau2 is None:
        return Projection(q0, q0.d, 0, 0.0) if q0.d <= 2 else None
    centred = q0.means[used] - q0.means[used][0]
    if len(centred) > 4096 and min(centred.shape) > 2:
        return (
            None  # so many distinct points span more than a plane, or cost more to integrate than to sample
        )
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    rank = int((singular > singular.max(initial=0.0) * max(centred.shape) * 2e-16).sum())
    if rank > 2:
        return None
    if rank == 0:
        return Projection(None, 0, q0.d, tau2)
    weights = q0.weights[used]
    inner = GaussianMixture(
        weights / weights.sum(),
        centred @ rows[:rank].T,
        np.full(len(weights), tau2),
        covariance_type="spherical",
    )
    return Projection(inner, rank, q0.d - rank, tau2)


def integrate(
    q0: GaussianMixture, a: float, sigma: float, statistic: Callable[[Posterior], Array]
) -> tuple[float, float]:
    """(value, error bound) of E statistic(q(x_0|x)) over x = a x_0 + σ ε; the bound is inf if out of reach."""
    step = _first_step(q0, a, sigma)
    finest = _FINEST[q0.d]
    if step < finest:
        return np.nan, np.inf
    value, slack = _trapezoid(q0, a, sigma, statistic, step)
    while True:
        step /= 2
        previous = value
        value, slack = _trapezoid(q0, a, sigma, statistic, step)
        change = abs(value - previous)
        converged = change * np.sqrt(change / abs(value)) if 0 < change < abs(value) else change
        if converged <= max(slack, _ENOUGH * abs(value)) or step <= finest:
            return value, converged + slack


def _first_step(q0: GaussianMixture, a: float, sigma: float) -> float:
    """A power of two below half the sharpest feature of the responsibilities, in standard coordinates."""
    v = a * a * q0.eigenvalues() + sigma * sigma
    ratio = float(np.sqrt(v.min() / v.max()))
    return float(2.0 ** np.floor(np.log2(0.5 * min(1.0, ratio))))


def _trapezoid(
    q0: GaussianMixture, a: float, sigma: float, statistic: Callable[[Posterior], Array], step: float
) -> tuple[float, float]:
    """The sum with one step, and what the box and rounding leave out."""
    half = int(_RADIUS / step)
    axis = step * np.arange(-half, half + 1)
    mass = np.exp(-0.5 * axis * axis) * step / np.sqrt(2 * np.pi)
    z = np.stack(np.meshgrid(*[axis] * q0.d, indexing="ij"), -1).reshape(-1, q0.d)
    weight = mass if q0.d == 1 else np.multiply.outer(mass, mass).reshape(-1)
    inside = np.square(z).sum(1) <= _RADIUS**2
    z, weight = z[inside], weight[inside] / weight[inside].sum()
    edge = np.square(z).sum(1) >= (_RADIUS - step) ** 2
    total = slack = 0.0
    v = a * a * q0.eigenvalues() + sigma * sigma
    for i in np.flatnonzero(q0.weights > 0).tolist():
        x = a * q0.means[i] + q0.to_axes(i, z * np.sqrt(v[i]))
        values = np.empty(len(x))
        for block in q0.blocks(len(x)):
            rows = x[block]
            values[block] = statistic(q0.posterior(rows, np.full(len(rows), a), np.full(len(rows), sigma)))
        total += q0.weights[i] * float(weight @ values)
        rounding = 2.2e-16 * (8 + np.abs(x).max() / np.sqrt(v[i].min()))
        slack += q0.weights[i] * (
            _TAIL * float(values[edge].max()) + rounding * float(weight @ np.abs(values))
        )
    return total, slack
