"""How cuBLAS multiplies float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import cupy
import numpy as np

from .cuda import DeviceError

__all__ = ["tf32"]


@contextlib.contextmanager
def tf32() -> Iterator[None]:
    """float32 products of cuBLAS on tensor cores in tf32, within this context, in this process.

    tf32 keeps 10 bits after the point of each factor and adds in float32, so a product is off by at most
    2^-10 Σ_k |x_k y_k|, and typically by 2^-11 sqrt(Σ_k x_k² y_k²). float64 products stay as they are. What that does
    to scores and V is measured in tests/test_gpu_precision.py and by the benchmark.
    Raises DeviceError on devices without it (compute capability below 8.0).
    """
    from cupy._core import _routines_linalg as linalg

    device = cupy.cuda.Device()
    if int(device.compute_capability) < 80:
        raise DeviceError(
            f"tf32: needs compute capability 8.0 or later; device {device.id} has "
            f"{int(device.compute_capability) / 10}. Use precision='float32'"
        )
    before = linalg.get_compute_type(np.float32)
    linalg.set_compute_type(np.float32, linalg.COMPUTE_TYPE_TF32)
    try:
        yield
    finally:
        linalg.set_compute_type(np.float32, before)
