"""How cuBLAS multiplies float32."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import cupy
import numpy as np

from ..errors import DeviceError

__all__ = ["SHORT", "precision", "tf32"]

#: Components of one product of weights in float32, whose sum over blocks is float64.
SHORT = 4096


@contextlib.contextmanager
def tf32() -> Iterator[None]:
    """float32 products of cuBLAS on tensor cores in tf32, within this context, in this process.

    tf32 keeps 10 bits after the point of each factor (2^-11 of it) and adds in float32, so a product is off by at most
    2^-10 Σ_k |x_k y_k|. float64 products stay as they are. With the rounding emulated on the digits, in units of the
    result: V by "pair" 7e-6 for SNR <= 0.3, 8e-4 at worst (SNR 3), by "trace" 3e-4; scores of the data 1.4e-4, of full
    covariances 2e-4 to 2e-3, growing with the SNR; posterior means 6e-4. float32 is within 1e-6 of its own in all of
    these but V at SNR above 3, 7e-5.
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


def precision(real: Any) -> str:
    """ "float64", "float32" or "tf32": what a product of that dtype is computed in now."""
    from cupy._core import _routines_linalg as linalg

    name = np.dtype(real).name
    rough = name == "float32" and linalg.get_compute_type(np.float32) == linalg.COMPUTE_TYPE_TF32
    return "tf32" if rough else name
