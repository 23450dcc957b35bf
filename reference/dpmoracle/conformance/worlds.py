"""The laws of data that subjects are judged on, and seeded particles to start from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from .law import Level

__all__ = ["ISLAND_STD", "gaussian", "islands", "particles", "point", "smooth", "spread"]

Array = NDArray[np.float64]

ISLAND_STD = 0.2


def smooth() -> GaussianMixture:
    """Three overlapping components in the plane: the flow is curved, and its derivatives are moderate."""
    means = [[0.6, 0.1], [-0.5, 0.5], [-0.2, -0.6]]
    return GaussianMixture([0.3, 0.3, 0.4], means, [[0.09, 0.05], [0.05, 0.08], [0.07, 0.06]], "diag")


def point() -> GaussianMixture:
    """One data point, inside [-1, 1]: x̂_0 and ε̂ are constant along every path."""
    return GaussianMixture.from_points([[0.3, -0.5]])


def gaussian(variance: float) -> GaussianMixture:
    """One isotropic Gaussian in the plane: every step is affine."""
    return GaussianMixture([1.0], [[0.3, -0.5]], [variance], "spherical")


def islands() -> GaussianMixture:
    """Two far components in eight dimensions: every sample shows which it belongs to, and gives eight deviations."""
    mean = 0.8 * np.array([1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, -1.0])
    return GaussianMixture([0.4, 0.6], [mean, -mean], [ISLAND_STD**2, ISLAND_STD**2], "spherical")


def particles(q0: GaussianMixture, level: Level, count: int, seed: int = 0) -> Array:
    """(count, d) draws of a x_0 + σ ε; the same for the same seed."""
    rng = np.random.default_rng([6, seed])
    return level[0] * q0.sample(count, rng) + level[1] * rng.standard_normal((count, q0.d))


def spread(q0: GaussianMixture) -> float:
    """Standard deviation of the data, per dimension."""
    return float(np.sqrt(q0.trace_cov() / q0.d))
