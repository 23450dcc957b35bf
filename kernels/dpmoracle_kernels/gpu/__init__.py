"""CuPy kernels, each the twin of a plain function of the reference; arrays go back as the kind they came.

The CUDA sources stand beside the Python that launches them and are compiled at the first call.
"""

from __future__ import annotations

from .dense import dense_layers

__all__ = ["dense_layers"]
