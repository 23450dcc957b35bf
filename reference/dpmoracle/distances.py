"""Distances between two sets of samples."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_count, check_finite, generator
from .errors import InvalidParameterError

__all__ = ["DISTANCES", "energy_distance", "sliced_wasserstein"]

Array = NDArray[np.float64]
DISTANCES = ("energy", "sliced")


def energy_distance(x: ArrayLike, y: ArrayLike) -> float:
    r"""Unbiased estimate of the squared energy distance, in units of x; it may come out below 0.

    .. math:: 2 E\|X - Y\| - E\|X - X'\| - E\|Y - Y'\| \ge 0, \; = 0 \text{ only for equal laws}
       \qquad \text{[szekely2013, eq. (5), each mean over distinct pairs]}

    x, y : (m, d) and (n, d), m, n >= 2
    """
    from scipy.spatial.distance import cdist, pdist

    first, second = _samples("energy_distance", x, y)
    return float(2 * cdist(first, second).mean() - pdist(first).mean() - pdist(second).mean())


def sliced_wasserstein(
    x: ArrayLike, y: ArrayLike, directions: int = 64, rng: np.random.Generator | int | None = None
) -> float:
    r"""Mean Wasserstein-1 distance of the projections on random directions, units of x [bonneel2015].

    x, y : (m, d), equally many samples: the projections are sorted and compared in order. d = 1 has one direction.
    """
    who = "sliced_wasserstein"
    first, second = _samples(who, x, y)
    if len(first) != len(second):
        raise InvalidParameterError(
            f"{who}: x and y must have equally many rows; got {len(first)} and {len(second)}"
        )
    count = check_count(who, "directions", directions)
    axes = (
        generator(who, rng).standard_normal((count, first.shape[1]))
        if first.shape[1] > 1
        else np.ones((1, 1))
    )
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    ordered = (np.sort(side @ axes.T, axis=0) for side in (first, second))
    return float(np.abs(np.subtract(*ordered)).mean())


def _samples(who: str, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    first, second = as_float(who, "x", x), as_float(who, "y", y)
    shapes = first.shape, second.shape
    if (
        first.ndim != 2
        or second.ndim != 2
        or shapes[0][1] != shapes[1][1]
        or min(shapes[0][0], shapes[1][0]) < 2
    ):
        raise InvalidParameterError(f"{who}: x and y must be (m, d) and (n, d) with m, n >= 2; got {shapes}")
    check_finite(who, "x", first)
    check_finite(who, "y", second)
    return first, second
