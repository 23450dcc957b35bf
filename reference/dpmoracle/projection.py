"""The low-dimensional problem behind a mixture whose means span few dimensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .mixture import GaussianMixture

__all__ = ["project"]

Array = NDArray[np.float64]
_PLANE = 2


def project(q0: GaussianMixture) -> GaussianMixture | None:
    """q0 in at most two dimensions that decide the responsibilities, or None if there are none.

    With a shared covariance τ² I the responsibilities depend on x through its projection on the affine span of the
    means alone, and so does everything that differs between components; with other covariances the d dimensions
    themselves must be at most two. Where all means coincide one dimension stands for them.
    """
    q = q0.support
    tau2 = q.shared_variance
    if tau2 is None:
        return q if q.d <= _PLANE else None
    centred = q.means - q.means[0]
    _, singular, rows = np.linalg.svd(centred, full_matrices=False)
    # Directions that rounding of the means alone would give.
    rank = int((singular > singular.max(initial=0.0) * max(centred.shape) * 2.0**-52).sum())
    if rank > _PLANE:
        return None
    inner = centred @ rows[: max(rank, 1)].T
    return GaussianMixture(q.weights, inner, np.full(len(inner), tau2), covariance_type="spherical")
