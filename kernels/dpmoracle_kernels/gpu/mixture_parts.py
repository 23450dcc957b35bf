"""A mixture on the device, or on the host to be streamed in blocks of components."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import cupy
import numpy as np

from .blocks import rows_that_fit, stream

__all__ = ["Mixture", "Part", "placed"]


class Part(NamedTuple):
    """Some components of a mixture, on the device in float64."""

    cut: slice
    log_weights: Any  # (C,)
    means: Any  # (C, d)
    spectrum: Any  # (C or 1, d or 1)
    basis: Any  # None, or (C, d, d)


class Mixture(NamedTuple):
    """A mixture in the axes, or with one basis for each component; arrays as in `Part`."""

    log_weights: Any
    means: Any
    spectrum: Any
    basis: Any
    real: Any  # dtype of cuBLAS products with the means, which are rounded to it

    @property
    def shared(self) -> bool:
        """Whether one covariance serves all components."""
        return len(self.spectrum) == 1

    @property
    def resident(self) -> bool:
        return all(array is None or isinstance(array, cupy.ndarray) for array in self[:4])

    def parts(self, size: int) -> Iterator[Part]:
        """All components in blocks of `size`."""
        others = (_blocks(self.spectrum, size), _blocks(self.basis, size))
        for (cut, means), (_, spectrum), (_, basis) in zip(stream(self.means, size), *others):
            yield self._part(cut, self.log_weights[cut], means, spectrum, basis)

    def take(self, which: Any) -> Part:
        """The components `which`, (L,) integers on the device; their `cut` says nothing."""

        def some(array: Any) -> Any:
            if array is None or (len(array) == 1 and len(self.means) > 1):
                return None if array is None else cupy.asarray(array)
            on_device = isinstance(array, cupy.ndarray)
            return array[which] if on_device else cupy.asarray(array[cupy.asnumpy(which)])

        return self._part(slice(0), self.log_weights[which], *map(some, self[1:4]))

    def _part(self, cut: slice, log_weights: Any, means: Any, spectrum: Any, basis: Any) -> Part:
        means = means.astype(self.real, copy=False)
        rest = (means, spectrum, basis)
        return Part(
            cut, log_weights, *(None if f is None else f.astype(np.float64, copy=False) for f in rest)
        )


def _blocks(array: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """`stream`, or without end the one that serves all components."""
    if array is None or len(array) == 1:
        return itertools.repeat((None, None if array is None else cupy.asarray(array)))
    return stream(array, size)


def placed(array: Any) -> Any:
    """On the device if it is there or takes less than a quarter of what is free, then C-contiguous float64."""
    if array is None or isinstance(array, cupy.ndarray):
        return array if array is None else cupy.ascontiguousarray(array.astype(np.float64, copy=False))
    if len(array) <= rows_that_fit(8 * math.prod(array.shape[1:]), 0.25):
        return cupy.asarray(np.ascontiguousarray(array, dtype=np.float64))
    return array.astype(array.dtype.newbyteorder("="), copy=False)
