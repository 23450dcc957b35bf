"""The certificate that licenses the fast programs; its plain twin is dpmoracle.trajectory.monge.certify."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import contiguous
from .compiled import compiled

__all__ = ["certify"]


def certify(u: ArrayLike, v: ArrayLike) -> NDArray[np.float64]:
    """(g_t - g_{t+1}) / max(|g_t|, |g_{t+1}|, u_t) for t = 2..N-1, shape (N-2,), g = 1/V - u."""
    u, v = contiguous(u), contiguous(v)
    margins = np.empty(max(u.size - 3, 0))
    _margins(u, v, margins)
    return margins


@compiled
def _margins(u, v, margins):
    there = 1.0 / v[2] - u[2]
    for i in range(margins.size):
        here, there = there, 1.0 / v[i + 3] - u[i + 3]
        if np.isinf(here) or np.isinf(there):
            # the limits: 1 for a fall from +inf, -1 for a rise to it
            margins[i] = int(np.isinf(here)) - int(np.isinf(there))
        else:
            scale = max(max(abs(here), abs(there)), u[i + 2])
            margins[i] = (here - there) / scale if scale > 0 else 0.0
