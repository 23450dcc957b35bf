"""CuPy kernels, each the twin of a plain function of the reference; arrays go back as the kind they came.

The CUDA sources stand beside the Python that launches them and are compiled at the first call.
"""

from __future__ import annotations

from .curves import certify, cost_matrix, sum_cost
from .dense import dense_layers
from .moments import shared_samples

__all__ = ["certify", "cost_matrix", "dense_layers", "shared_samples", "sum_cost"]
