r"""Scores and posterior moments of a Gaussian mixture: many points, each at a level of its own.

Three ways, all within 1e-11 of the plain functions in float64. Many rows of one level take tables of the level
(`posterior_level`): fused passes that never divide, and for full covariances one cuBLAS product. One isotropic
covariance in many dimensions, a data set above all, takes cuBLAS products with the means, with close components
related by their differences (`posterior_isotropic`). Everything else goes row by row relative to the leading component
as in the reference (`posterior_careful`), and so do rows so far outside that plain distances have lost their
differences. One basis for all components is turned away first.

float32 rows are computed in float32, with sums over components and exponents in float64, by level and by products;
rows that go with care are computed in float64.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np

from .cuda import on_device
from .mixture_parts import Mixture, placed
from .posterior_careful import careful
from .posterior_isotropic import by_products
from .posterior_level import moments_by_level, score_by_level

__all__ = ["mixture_moments", "mixture_score"]

_FLAT = ("log_prob", "trace")  # one number for each row


@on_device(stays=("means", "spectrum", "basis"))
def mixture_score(x: Any, a: Any, sigma: Any, log_weights: Any, means: Any, spectrum: Any, basis: Any) -> Any:
    """Twin of dpmoracle.posterior.mixture_score: (B,) log density of x and (B, d) its gradient, in the dtype of x.

    Arguments as there. A mixture on the host that does not fit beside the rows is streamed in blocks of components.
    """
    return _fastest(score_by_level, x, a, sigma, (log_weights, means, spectrum, basis), ("log_prob", "score"))


@on_device(stays=("means", "spectrum", "basis"))
def mixture_moments(
    x: Any, a: Any, sigma: Any, log_weights: Any, means: Any, spectrum: Any, basis: Any
) -> Any:
    """Twin of dpmoracle.posterior.mixture_moments: (B, d) E[x_0|x] and (B,) Tr Cov(x_0|x), in the dtype of x.

    Arguments as there; a mixture on the host as for `mixture_score`.
    """
    return _fastest(moments_by_level, x, a, sigma, (log_weights, means, spectrum, basis), ("mean", "trace"))


def _fastest(by_level: Any, x: Any, a: Any, sigma: Any, law: tuple[Any, ...], names: tuple[str, str]) -> Any:
    """Two results for the rows x: by level where that is as good, the rest with care."""
    real = np.dtype(np.float32 if x.dtype == np.float32 else np.float64)
    x, a, sigma = (
        x.astype(real, copy=False),
        a.astype(np.float64, copy=False),
        sigma.astype(np.float64, copy=False),
    )
    means, spectrum, basis = (placed(value) for value in law[1:])
    frame = None
    if basis is not None and len(basis) == 1:  # one basis: everything in its coordinates
        frame, basis = cupy.asarray(basis[0]), None
        x, means = x @ frame.astype(real, copy=False), cupy.asarray(means) @ frame
    mixture = Mixture(law[0].astype(np.float64, copy=False), means, spectrum, basis, np.dtype(np.float64))
    if by_products(mixture):
        mixture = mixture._replace(real=real)
    if mixture.resident and not by_products(mixture):
        *out, left = by_level(x, a, sigma, mixture[:4])
    else:
        out, left = (
            [cupy.empty(len(x) if name in _FLAT else x.shape, dtype=real) for name in names],
            slice(None),
        )
    if isinstance(left, slice) or len(left):
        found = careful(x[left].astype(np.float64, copy=False), a[left], sigma[left], mixture)
        for whole, name in zip(out, names):
            whole[left] = getattr(found, name)
    if frame is not None:
        out = [value @ frame.T.astype(real, copy=False) if value.ndim == 2 else value for value in out]
    return tuple(out)
