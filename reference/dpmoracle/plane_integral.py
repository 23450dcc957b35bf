r"""Expectations over a mixture of one or two dimensions, by quadrature, with an error bound.

Each component is integrated in its own standard coordinates, x = m_i + S_i^{1/2} z, by the trapezoidal rule on
|z| <= 8.5, which converges geometrically for analytic integrands. What limits it is the distance of the nearest
pole of the responsibilities, so the step starts below the ratio of the narrowest to the widest component, and is
halved until the value stands still. Halving squares the relative error of such a rule; the bound claims only the
power 3/2 of the last relative change, plus the mass outside the box and rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .mixture import GaussianMixture
from .posterior import Posterior
from .projection import project

__all__ = ["integrate", "seen_in_the_plane"]

Array = NDArray[np.float64]

_RADIUS = 8.5
_TAIL = 2.1e-16  # P(|z| > 8.5) in two dimensions, more than in one
_FINEST = {1: 2.0**-12, 2: 2.0**-5}
_ENOUGH = 1e-13
_MANY = 256  # components; the work grows with their square


def seen_in_the_plane(q: GaussianMixture, limited: bool) -> tuple[GaussianMixture, int, float] | None:
    """(mixture of at most two dimensions, dimensions left out, their variance), or None if there is none.

    limited : give up on more than 256 components
    """
    if limited and q.n_components > _MANY:
        return None
    inner = project(q)
    if inner is None:
        return None
    return inner, q.d - inner.d, float(q.eigenvalues()[int(q.weights.argmax())].flat[0])


def integrate(q: GaussianMixture, statistic: Callable[[Posterior], Array]) -> tuple[float, float]:
    """(value, error bound) of E statistic over x ~ q, d <= 2; the bound is inf if out of reach.

    statistic : of the posterior without noise, whose `mean` is x itself and `log_prob` log q(x)
    """
    v = q.eigenvalues()
    step = float(2.0 ** np.floor(np.log2(0.5 * np.sqrt(v.min() / v.max()))))
    finest = _FINEST[q.d]
    if step < finest:
        return np.nan, np.inf
    value, slack = _trapezoid(q, statistic, step)
    while True:
        step /= 2
        previous = value
        value, slack = _trapezoid(q, statistic, step)
        change = abs(value - previous)
        converged = change * np.sqrt(change / abs(value)) if 0 < change < abs(value) else change
        if converged <= max(slack, _ENOUGH * abs(value)) or step <= finest:
            return value, float(converged + slack)


def _trapezoid(
    q: GaussianMixture, statistic: Callable[[Posterior], Array], step: float
) -> tuple[float, float]:
    """The sum with one step, and what the box and rounding leave out."""
    half = int(_RADIUS / step)
    axis = step * np.arange(-half, half + 1)
    z = np.stack(np.meshgrid(*[axis] * q.d, indexing="ij"), -1).reshape(-1, q.d)
    radius2 = np.square(z).sum(1)
    inside = radius2 <= _RADIUS**2
    z, radius2 = z[inside], radius2[inside]
    weight = np.exp(-0.5 * radius2)
    weight /= weight.sum()
    edge = radius2 >= (_RADIUS - step) ** 2
    total = slack = 0.0
    v = q.eigenvalues()
    for i in np.flatnonzero(q.weights > 0).tolist():
        x = q.means[i] + q.to_axes(i, z * np.sqrt(v[i]))
        values = np.empty(len(x))
        for block in q.blocks(len(x)):
            level = np.ones(len(x[block]))
            values[block] = statistic(q.posterior(x[block], level, 0 * level))
        total += q.weights[i] * float(weight @ values)
        rounding = 2.2e-16 * (8 + np.abs(x).max() / np.sqrt(v[i].min()))
        slack += q.weights[i] * (
            _TAIL * float(np.abs(values[edge]).max()) + rounding * float(weight @ np.abs(values))
        )
    return total, slack
