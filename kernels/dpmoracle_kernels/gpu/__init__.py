"""CuPy kernels, each the twin of a plain function of the reference; arrays go back as the kind they came.

The CUDA sources stand beside the Python that launches them and are compiled at the first call; importing this compiles
nothing.
"""

from __future__ import annotations

import cupy  # noqa: F401  what is missing for one kernel is missing here

from ..lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "curves": ["certify", "cost_matrix", "sum_cost"],
        "dense": ["dense_layers"],
        "features": ["pair_samples"],
        "moments": ["shared_samples"],
        "products": ["tf32"],
        "posterior": ["mixture_moments", "mixture_score"],
    },
)
