"""Road without a random number in one dimension: the law of a chain in quantiles, and its distance to a mixture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from ..comparison import schedule_of
from ..mixture import GaussianMixture
from ..oracle import Oracle
from .roads import mean_given_both

__all__ = ["distance_to", "quantiles_of_chain"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

_QUANTILES = 240


def quantiles_of_chain(orc: Oracle, nodes: Steps, lam2: Array, sigma2: Array) -> Array:
    """(n,) quantiles of x_0 of a chain in one dimension, without a random number.

    Each law is its n mid-quantiles: a mean is a monotone map of them, added noise a mixture of n Gaussians, whose
    distribution function is inverted on a grid. Error about 1/n² of the range.
    """
    sch = schedule_of("quantiles_of_chain", orc)
    level = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
    x = ndtri(level)
    for k in range(len(nodes) - 2, -1, -1):
        s, t = int(nodes[k]), int(nodes[k + 1])
        centre = mean_given_both(sch, s, t, x, np.asarray(orc.x0(x[:, None], t))[:, 0], float(lam2[k]))
        deviation = float(np.sqrt(sigma2[k]))
        if deviation == 0:
            x = centre
            continue
        y = np.linspace(centre.min() - 5 * deviation, centre.max() + 5 * deviation, 2 * _QUANTILES)
        x = np.interp(level, ndtr((y[:, None] - centre) / deviation).mean(1), y)
    return np.asarray(orc.x0(x[:, None], int(nodes[0])))[:, 0]


def distance_to(q0: GaussianMixture, quantiles: Array) -> float:
    """Energy distance 2 ∫ (F - G)² dx of a law in mid-quantiles to a mixture, in one dimension."""
    scale = np.sqrt(q0.eigenvalues()[:, 0])
    low, high = (q0.means[:, 0] - 7 * scale).min(), (q0.means[:, 0] + 7 * scale).max()
    y = np.linspace(low, high, 4001)
    true = ndtr((y[:, None] - q0.means[:, 0]) / scale) @ q0.weights
    level = (np.arange(len(quantiles)) + 0.5) / len(quantiles)
    return float(2 * np.square(np.interp(y, quantiles, level, left=0, right=1) - true).sum() * (y[1] - y[0]))
