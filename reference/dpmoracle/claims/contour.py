"""Independent road to the score and its slope: differentiate log q_t, and nothing else, by a contour integral.

log q_t is analytic near the real line, so its derivatives are means over a small circle around x (Cauchy), with no
difference of nearby values: f'' is found to about 1e-13 where ordinary differences stop at 1e-6.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from .conditioning import component_covariances

__all__ = ["gradient", "hessian", "slopes"]

Array = NDArray[np.float64]
_NODES = 32


def slopes(q0: GaussianMixture, a: float, sigma: float, x: Array, direction: Array) -> tuple[Array, Array]:
    """(B,) first and (B,) second derivative of log q(a x_0 + σε) at x (B, d) along a unit vector (d,).

    On the circle z = r exp(iθ) only log q(x + z e) - log q(x) is needed, the log of a mean of exponentials that
    are 1 at z = 0: nothing large is subtracted.
    """
    r = _radius(q0, a, sigma)
    turn = np.exp(2j * np.pi * np.arange(_NODES) / _NODES)
    z = r * turn
    logs, ratios = np.empty((len(x), q0.n_components)), []
    for i, (mean, cov) in enumerate(zip(q0.means, component_covariances(q0))):
        spread = a * a * cov + sigma * sigma * np.eye(q0.d)
        off, pull = x - a * mean, np.linalg.solve(spread, direction)
        distance = np.einsum("bj,bj->b", off, np.linalg.solve(spread, off.T).T)
        logs[:, i] = np.log(q0.weights[i]) - 0.5 * (distance + np.linalg.slogdet(spread)[1])
        ratios.append(np.exp(-np.multiply.outer(off @ pull, z) - 0.5 * (direction @ pull) * z * z))
    given = np.exp(logs - logs.max(1, keepdims=True))
    given /= given.sum(1, keepdims=True)
    log = np.log(sum(given[:, i, None] * ratio for i, ratio in enumerate(ratios)))
    first = (log * turn.conj()).mean(1).real / r
    second = 2 * (log * turn.conj() ** 2).mean(1).real / r**2
    return np.asarray(first), np.asarray(second)


def gradient(q0: GaussianMixture, a: float, sigma: float, x: Array) -> Array:
    """(B, d) the score at x (B, d)."""
    return np.stack([slopes(q0, a, sigma, x, e)[0] for e in np.eye(q0.d)], axis=1)


def hessian(q0: GaussianMixture, a: float, sigma: float, x: Array) -> Array:
    """(B, d, d) ∇² log q_t at x (B, d), its off-diagonal by polarisation."""
    eye, out = np.eye(q0.d), np.empty((len(x), q0.d, q0.d))
    for i in range(q0.d):
        out[:, i, i] = slopes(q0, a, sigma, x, eye[i])[1]
    for i in range(q0.d):
        for j in range(i):
            both = slopes(q0, a, sigma, x, (eye[i] + eye[j]) / np.sqrt(2))[1]
            out[:, i, j] = out[:, j, i] = both - 0.5 * (out[:, i, i] + out[:, j, j])
    return out


def _radius(q0: GaussianMixture, a: float, sigma: float) -> float:
    """A third of the distance at which q_t may vanish for two components of the smallest spread."""
    smallest = float(np.sqrt(a * a * q0.eigenvalues().min() + sigma * sigma))
    widest = a * float(np.linalg.norm(q0.means - q0.means[:, None], axis=-1).max())
    return min(smallest, np.pi * smallest**2 / max(widest, 1e-300)) / 3
