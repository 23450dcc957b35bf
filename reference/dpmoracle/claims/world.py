"""World: what the claims of one run are checked on: a schedule, exact mixtures, a data set, and seeds."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..processes.schedule import Schedule

__all__ = ["STEPS", "World"]

Array = NDArray[np.float64]

_NEAR = ((1, 2), (2, 3), (9, 10), (99, 100), (299, 300), (499, 500), (999, 1000))
_FAR = ((1, 10), (10, 100), (100, 200), (200, 500), (500, 1000), (1, 1000))

#: (s, t): neighbours at both ends and in the middle, and long skips
STEPS = (*_NEAR, *_FAR)


@dataclass(frozen=True)
class World:
    """A linear schedule with N = 1000, one-dimensional mixtures, and data points (C, d).

    seed : every claim draws from its own generator, seeded by this and its id, so that a subset of the claims
           gives the same numbers as all of them
    """

    data: Array
    data_name: str
    seed: int

    @cached_property
    def schedule(self) -> Schedule:
        return Schedule.linear(1000)

    @cached_property
    def lines(self) -> dict[str, GaussianMixture]:
        """One-dimensional mixtures, small enough to integrate by brute force."""
        return {
            "gaussian": GaussianMixture([1.0], [[0.4]], [0.49], "spherical"),
            "two points": GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.0, 0.0], "spherical"),
            "three gaussians": GaussianMixture(
                [0.2, 0.5, 0.3], [[-1.6], [0.1], [1.3]], [0.09, 0.25, 0.04], "spherical"
            ),
        }

    @cached_property
    def planes(self) -> dict[str, GaussianMixture]:
        """Mixtures in several dimensions whose V is known by quadrature."""
        corners = np.zeros((3, 10))
        corners[:, :2] = [[1.2, 0.0], [-0.7, 0.9], [-0.4, -1.1]]
        full = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.1, -0.05], [-0.05, 0.4]]])
        return {
            "plane in d=10": GaussianMixture([0.3, 0.3, 0.4], corners, np.full(3, 0.05), "spherical"),
            "full d=2": GaussianMixture([0.4, 0.6], [[1.0, 0.2], [-0.8, -0.3]], full, "full"),
        }

    @cached_property
    def points(self) -> GaussianMixture:
        """The data as a mixture of points, taken as they are."""
        return GaussianMixture.from_points(self.data)

    def oracle(self, q0: GaussianMixture) -> Oracle:
        return Oracle(q0, self.schedule)

    def rng(self, name: str) -> np.random.Generator:
        """A generator that depends on the seed and the name alone."""
        return np.random.default_rng([self.seed, zlib.crc32(name.encode())])
