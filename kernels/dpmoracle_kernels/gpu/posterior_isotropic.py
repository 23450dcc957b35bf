r"""Posterior weights of a mixture with one isotropic covariance, a data set above all, from cuBLAS products.

With y = x - a m_c of the leading component c and v = a²τ² + σ²,

    log r_i - log r_c = log(w_i/w_c) + (a/v)⟨y, m_i - m_c⟩ - (a²/v) ½‖m_i - m_c‖²,

so X Mᵀ finds the leading components, M_c Mᵀ and Y Mᵀ the exponents, and W M the means. Components so close that the
products have cancelled are related by their differences (shared.cu).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cupy
import numpy as np

from .cuda import source
from .mixture_parts import Mixture, Part

__all__ = ["Leaders", "by_products", "middle", "rank_by_products", "related"]

_THREADS = 128  # as in isotropic.cu and shared.cu
#: Share of the norms below which the products have lost the digits of ½‖m_i - m_c‖².
_NEAR = {"float64": 1e-3, "float32": 1e-1}
#: Dimensions and components from which products beat a kernel that reads every mean for every row.
_WIDE, _MANY = 16, 64
_SAMPLE = 1024  # components whose mean is near enough to that of all


def by_products(mixture: Mixture) -> bool:
    """Whether this is the way for it."""
    size, d = mixture.means.shape
    return mixture.basis is None and mixture.spectrum.size == 1 and d >= _WIDE and size >= _MANY


def middle(mixture: Mixture) -> Any:
    """(d,) about the middle of the means: products of what is counted from there round off least."""
    some = cupy.arange(0, len(mixture.means), max(1, len(mixture.means) // _SAMPLE))
    return mixture.take(some).means.mean(0)


class Leaders(NamedTuple):
    """The leading components of some rows, each (B, d) or (B,), float64."""

    which: Any
    log_weights: Any
    means: Any
    y: Any  # x - a m_c


def rank_by_products(
    x: Any, a: Any, s2: Any, part: Part, origin: Any, real: Any, best: Any, which: Any
) -> None:
    """The largest density so far at each row into best (B,), its component into which (B,) int32."""
    means = part.means - origin
    products = (x - a[:, None] * origin).astype(real, copy=False) @ means.astype(real, copy=False).T
    v = a * a * part.spectrum[0, 0] + s2
    args = (products, 0.5 * (means * means).sum(1), part.log_weights, a / v, a * a / v, best, which)
    _get("isotropic", "nearest", real)(
        (len(x),), (_THREADS,), (*args, *map(np.int32, (len(means), part.cut.start)))
    )


def related(a: Any, s2: Any, part: Part, origin: Any, real: Any, lead: Leaders) -> tuple[Any, Any, Any]:
    """Exponents and squares (B, C) as `compare` of posterior.cu gives them, and the means from the origin."""
    means, centre = part.means - origin, lead.means - origin
    (count, d), size = lead.y.shape, len(means)
    half, own = 0.5 * (means * means).sum(1), (centre * centre).sum(1)
    means = means.astype(real, copy=False)
    distance, along = (value.astype(real, copy=False) @ means.T for value in (centre, lead.y))
    here = cupy.where(
        (lead.which >= part.cut.start) & (lead.which < part.cut.stop), lead.which - part.cut.start, -1
    )
    products = (distance, along, half.astype(real, copy=False), here.astype(np.int32), 0.5 * own, own)
    exact = (part.means.astype(real, copy=False), lead.means, cupy.zeros_like(lead.y), lead.y)
    sized = (np.int32(size), np.int32(d), np.float64(_NEAR[np.dtype(real).name]))
    relate = _get("shared", "relate", real)
    relate((-(-size // _THREADS), count), (_THREADS,), (*products, (lead.y * centre).sum(1), *exact, *sized))
    tau2 = part.spectrum[0, 0]
    v = a * a * tau2 + s2
    exponents, squares = cupy.empty((count, size)), cupy.empty((count, size))
    scales = (a / v, a * a / v, (s2 / v) ** 2, d * tau2 * s2 / v)
    args = (distance, along, part.log_weights, lead.log_weights, *scales, exponents, squares)
    grid = -(-exponents.size // _THREADS)
    _get("isotropic", "relative", real)((grid,), (_THREADS,), (*args, np.int32(count), np.int32(size)))
    return exponents, squares, means


def _get(name: str, kernel: str, real: Any) -> Any:
    return source(name, "float" if real == np.float32 else "double").get_function(kernel)
