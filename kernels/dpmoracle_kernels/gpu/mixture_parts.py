"""A mixture on the device, or on the host to be streamed in blocks of components."""

from __future__ import annotations

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
        streams = [stream(self.means, size)]
        streams += [] if self.shared else [stream(self.spectrum, size)]
        streams += [] if self.basis is None else [stream(self.basis, size)]
        fixed = cupy.asarray(self.spectrum) if self.shared else None
        for found in zip(*streams):
            cut, blocks = found[0][0], [block for _, block in found]
            spectrum = fixed if self.shared else blocks[1]
            basis = None if self.basis is None else blocks[-1]
            yield self._part(cut, self.log_weights[cut], blocks[0], spectrum, basis)

    def take(self, which: Any) -> Part:
        """The components `which`, (L,) integers on the device; their `cut` says nothing."""

        def some(array: Any) -> Any:
            on_device = isinstance(array, cupy.ndarray)
            return array[which] if on_device else cupy.asarray(array[cupy.asnumpy(which)])

        spectrum = cupy.asarray(self.spectrum) if self.shared else some(self.spectrum)
        basis = None if self.basis is None else some(self.basis)
        return self._part(slice(0), self.log_weights[which], some(self.means), spectrum, basis)

    def _part(self, cut: slice, log_weights: Any, means: Any, spectrum: Any, basis: Any) -> Part:
        means = means.astype(self.real, copy=False)
        rest = (means, spectrum, basis)
        return Part(cut, log_weights, *(None if f is None else f.astype(np.float64, copy=False) for f in rest))


def placed(array: Any) -> Any:
    """On the device if it is there or takes less than a quarter of what is free, then C-contiguous float64."""
    if array is None or isinstance(array, cupy.ndarray):
        return array if array is None else cupy.ascontiguousarray(array.astype(np.float64, copy=False))
    if len(array) <= rows_that_fit(8 * math.prod(array.shape[1:]), 0.25):
        return cupy.asarray(np.ascontiguousarray(array, dtype=np.float64))
    return array
