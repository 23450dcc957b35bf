"""Moments: count, mean and spread of samples; the only place where variances are accumulated."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_finite
from .errors import InvalidParameterError
from .estimate import Estimate

__all__ = ["Moments", "blocks"]


def blocks(total: int, size: int) -> Iterator[slice]:
    """Slices of `size` that cover range(total)."""
    return (slice(start, min(start + size, total)) for start in range(0, total, size))


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and spread of one set of samples, for T quantities at once.

    count     : number of samples M >= 1, the same for all quantities
    mean      : (T,)
    deviation : (T,) sqrt(m2) = sqrt(Σ (f - mean)²). The root is kept because the statistics of a mixture of
                points reach 1e-200 at high SNR, where a stored square would vanish and the error with it.
    """

    count: int
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @classmethod
    def of(cls, samples: ArrayLike) -> Moments:
        """Moments of samples (M, T), M >= 1, along the first axis; equal samples have deviation exactly 0."""
        f = as_float("Moments.of", "samples", samples)
        if f.ndim == 0 or len(f) == 0:
            raise InvalidParameterError(
                f"Moments.of: samples must have shape (M, ...), M >= 1; got {f.shape}"
            )
        check_finite("Moments.of", "samples", f)
        mean = f[0] + (f - f[0]).mean(axis=0)
        away = np.abs(f - mean)
        scale = away.max(axis=0)
        ratio = np.divide(away, scale, out=np.zeros_like(away), where=scale > 0)
        return cls(len(f), np.asarray(mean), np.asarray(scale * np.sqrt((ratio * ratio).sum(axis=0))))

    @classmethod
    def of_blocks(
        cls,
        samples: Callable[[slice, slice], NDArray[np.float64]],
        shape: tuple[int, int],
        rows: int,
        columns: int,
        progress: Callable[[int, int], object] | None = None,
    ) -> Moments:
        """Moments of samples (M, T) = shape that are made as samples(some rows, some columns), block by block.

        progress : called as progress(done, M) after each block
        """
        done, parts = 0, []
        for at in blocks(shape[1], columns):
            column = []
            for some in blocks(shape[0], rows):
                block = samples(some, at)
                column.append(cls.of(block))
                done += block.size
                if progress is not None:
                    progress(done // shape[1], shape[0])
            parts.append(functools.reduce(operator.add, column))
        mean, deviation = (np.concatenate([getattr(p, n) for p in parts]) for n in ("mean", "deviation"))
        return cls(shape[0], mean, deviation)

    @classmethod
    def from_stderr(cls, count: int, mean: NDArray[np.float64], stderr: NDArray[np.float64]) -> Moments:
        """The moments that a mean (T,) and its standard error (T,) came from; one sample has deviation 0."""
        spread = stderr * math.sqrt(count * (count - 1)) if count > 1 else np.zeros_like(mean)
        return cls(count, mean, spread)

    def __add__(self, other: Moments) -> Moments:
        r"""Moments of both sets of samples together; associative and commutative to rounding.

        .. math:: m_2 = m_2^a + m_2^b + (\mu_b - \mu_a)^2\, n_a n_b / (n_a + n_b)
           \qquad \text{[Chan, Golub and LeVeque 1979, eq. (2.1)]}
        """
        if not isinstance(other, Moments):
            return NotImplemented
        if self.mean.shape != other.mean.shape:
            raise InvalidParameterError(
                f"Moments: can only be added with equal shapes; got {self.mean.shape} and {other.mean.shape}"
            )
        count = self.count + other.count
        shift = other.mean - self.mean
        within = np.hypot(self.deviation, other.deviation)
        between = shift * math.sqrt(self.count * other.count / count)
        return Moments(count, self.mean + shift * (other.count / count), np.hypot(within, between))

    @property
    def m2(self) -> NDArray[np.float64]:
        """(T,) Σ (f - mean)²."""
        return self.deviation**2

    @property
    def stderr(self) -> NDArray[np.float64]:
        """(T,) one standard error of the mean, sqrt(m2 / (M (M - 1))); nan for one sample."""
        if self.count < 2:
            return np.full_like(self.mean, np.nan)
        return self.deviation / math.sqrt(self.count * (self.count - 1))

    @property
    def effective_count(self) -> NDArray[np.float64]:
        """(T,) number of samples that carry the sum, (Σf)²/Σf², in 0..M.

        1 if one sample is everything, M if all are equal, 0 if every sample is zero: none saw the event.
        """
        total = math.sqrt(self.count) * np.abs(self.mean)
        length = np.hypot(total, self.deviation)  # sqrt(Σf²)
        share = np.divide(total, length, out=np.zeros_like(length), where=length > 0)
        return self.count * share**2

    def estimate(self, method: str) -> Estimate:
        """Value, standard error and effective count under the name of a method."""
        return Estimate(self.mean, self.stderr, method, self.effective_count)
