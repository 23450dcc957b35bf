"""Independent road on data: the posterior over the points by brute force, whatever their number, place and scale.

Everything is relative to the point y_c that a sample came from, x_t = a y_c + σε: with D_i = y_i - y_c the weight
of point i is exp(-½‖ε - sqrt(u) D_i‖²) up to a factor. A far origin costs no digits then, and a square that
overflows belongs to a point of weight 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .world import World

__all__ = ["Cloud", "Sample"]

Array = NDArray[np.float64]

# Brute force costs rows · points · (d + a few) per level: the first bounds points · d, the second that product.
_ENTRIES, _PRODUCTS = 1_000_000, 25_000_000
_MOST, _FEWEST_ROWS, _MOST_ROWS = 2000, 40, 4000
_HELD = 200_000  # doubles held at once: more would leave the cache


@dataclass(frozen=True)
class Sample:
    """M draws of x_t from the data, and q(x_0 | x_t) for each, at one SNR u.

    own   : (M,) the point c that x_0 is     noise : (M, d) ε
    mean  : (M, d) E[x_0|x_t] - y_c          trace : (M,) Tr Cov(x_0|x_t)
    """

    u: float
    own: NDArray[np.int64]
    noise: Array
    mean: Array
    trace: Array

    def predicted_noise(self) -> Array:
        """(M, d) E[ε | x_t]."""
        return np.asarray(self.noise - np.sqrt(self.u) * self.mean)


@dataclass(frozen=True)
class Cloud:
    """The data, or a random part of it that brute force can afford.

    points : (C, d)     label : what they are, for the evidence
    """

    points: Array
    label: str

    @classmethod
    def of(cls, world: World, rng: np.random.Generator, most: int = _MOST) -> Cloud:
        count, d = world.data.shape
        some = max(2, min(most, _ENTRIES // d))
        if count <= some:
            return cls(world.data, world.data_name)
        chosen = np.sort(rng.choice(count, some, replace=False))
        return cls(world.data[chosen], f"{some} of {world.data_name}")

    def unit(self) -> Array:
        """The points moved and scaled to lie within 1 of the first; a change of units changes no claim about all u."""
        moved = np.ldexp(self.points, -int(np.frexp(np.abs(self.points).max())[1]) - 1)
        moved = moved - moved[0]
        largest = np.abs(moved).max()
        return np.asarray(moved / largest if largest > 0 else moved)

    def samples(self, snrs: Array, rng: np.random.Generator) -> list[Sample]:
        """One set of (x_0, ε), seen at every SNR; as many draws as are affordable, 40 to 4000."""
        count, d = self.points.shape
        rows = int(np.clip(_PRODUCTS // (count * (d + 8)), _FEWEST_ROWS, _MOST_ROWS))
        own = rng.integers(count, size=rows)
        noise = rng.standard_normal((rows, d))
        step = max(1, _HELD // (count * d))
        parts = [
            _posterior(self.points, own[k : k + step], noise[k : k + step], snrs)
            for k in range(0, rows, step)
        ]
        found = []
        for j, u in enumerate(snrs):
            means, traces = zip(*(part[j] for part in parts))
            found.append(Sample(float(u), own, noise, np.concatenate(means), np.concatenate(traces)))
        return found


def _posterior(points: Array, own: NDArray[np.int64], noise: Array, snrs: Array) -> list[tuple[Array, Array]]:
    """[(E[x_0|x_t] - y_c, Tr Cov(x_0|x_t))] at each SNR, by direct summation over the points."""
    found = []
    with np.errstate(over="ignore", invalid="ignore"):  # both only where the weight is 0
        apart = points - points[own][:, None, :]
        squared = np.einsum("mcd,mcd->mc", apart, apart)
        along = (apart @ noise[:, :, None])[:, :, 0]
        apart[~np.isfinite(apart)] = 0.0
        for u in snrs:
            log = np.where(np.isfinite(squared), np.sqrt(u) * along - 0.5 * u * squared, -np.inf)
            weights = np.exp(log - log.max(1, keepdims=True))
            weights /= weights.sum(1, keepdims=True)
            mean = (weights[:, None, :] @ apart)[:, 0]
            off = apart - mean[:, None, :]
            spread = np.einsum("mcd,mcd->mc", off, off)
            found.append((mean, np.where(weights > 0, weights * spread, 0.0).sum(1)))
    return found
