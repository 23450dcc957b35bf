"""Sums and products that keep the digits which plain float64 loses; a leaf, plain arrays in and out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["prefix_sums", "survival", "two_product_error", "two_sum_error"]

Array = NDArray[np.float64]

_SPLIT = 134217729.0  # 2**27 + 1: cuts a float64 into two halves whose products are exact


def two_sum_error(x: Array, y: Array, total: Array) -> Array:
    """x + y - total exactly, for total = x + y rounded [knuth1997, section 4.2.2, theorem B]."""
    y_seen = total - x
    return (x - (total - y_seen)) + (y - y_seen)


def two_product_error(x: Array, y: Array, product: Array) -> Array:
    """x y - product exactly, for product = x y rounded, nothing under- or overflowing [dekker1971]."""
    x_high = _SPLIT * x - (_SPLIT * x - x)
    y_high = _SPLIT * y - (_SPLIT * y - y)
    x_low, y_low = x - x_high, y - y_high
    return x_low * y_low - (((product - x_high * y_high) - x_low * y_high) - x_high * y_low)


def prefix_sums(terms: Array) -> tuple[Array, Array]:
    """Sums of the first 0, 1, ..., n terms as unevaluated pairs high + low, |low| <= ulp(high)/2.

    terms : (n,) finite. Returns two arrays (n+1,). The error is about n u^2 sum |terms|, u = 2^-53, so that
    differences of far smaller size than the sums keep their digits [ogita2005, Sum2].
    """
    rounded = np.concatenate([[0.0], np.cumsum(terms)])
    lost = np.concatenate([[0.0], np.cumsum(two_sum_error(rounded[:-1], terms, rounded[1:]))])
    high = rounded + lost
    return high, two_sum_error(rounded, lost, high)


def survival(losses: Array) -> Array:
    """Products of (1 - losses) over the first 0, 1, ..., n entries, to about one rounding.

    losses : (n,) in (0, 1). Returns (n+1,). Right while the products stay above 1e-290, where the errors of
    the products, which are carried along to first order, are still normal numbers; below, digits fade.
    """
    factors = 1.0 - losses
    cut = (1.0 - factors) - losses
    rounded = np.concatenate([[1.0], np.cumprod(factors)])
    lost = two_product_error(rounded[:-1], factors, rounded[1:])
    # A product that underflows has no relative error to carry.
    relative = np.divide(lost, rounded[1:], out=np.zeros_like(lost), where=rounded[1:] > 0)
    carried = np.concatenate([[0.0], np.cumsum(relative + cut / factors)])
    products: Array = rounded + rounded * carried
    return products
