r"""2^y by a polynomial, in operations that the compiler turns into vector instructions.

y = n + f with n the nearest integer and f in [-1/2, 1/2]; 2^f is a minimax polynomial with constant term exactly 1
(relative error 9.1e-8 of degree 5, 3.0e-16 of degree 10), and n is added to the exponent of the result as an integer.

Adding 1.5·2^23 (2^52 in float64) rounds y to an integer and leaves n in the low bits of the sum. At the lower clamp,
n = -127 (-1023), f = 0 and the bits of 1 minus n exponents are those of 0: everything smaller is exactly 0.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import types
from numba.extending import overload

from .compiled import compiled

__all__ = ["LARGEST", "LOG2E", "SMALLEST", "exp2", "exp2_double", "exp2_single"]

LOG2E = 1.4426950408889634

#: From here on the result is a normal number, by dtype, and up to there finite.
SMALLEST = {np.dtype(np.float32): -126.0, np.dtype(np.float64): -1022.0}
LARGEST = {np.dtype(np.float32): 127.0, np.dtype(np.float64): 1023.0}

#: Products may be fused with sums, which adds digits; nothing is reordered.
_fused = functools.partial(compiled, fastmath={"contract"})


@_fused
def exp2_single(y: np.float32) -> np.float32:
    """2^y within 1.8e-7 relative for y in [-126, 127]; in [0, 2^-126] below, exactly 0 for y <= -127."""
    y = max(y, np.float32(-127.0))
    rounded = np.float32(y + np.float32(12582912.0))
    f = y - (rounded - np.float32(12582912.0))
    p = np.float32(1.326468075e-03)
    p = p * f + np.float32(9.671475738e-03)
    p = p * f + np.float32(5.550735444e-02)
    p = p * f + np.float32(2.402223945e-01)
    p = p * f + np.float32(6.931469440e-01)
    p = np.float32(p * f + np.float32(1.0))
    exponent = np.int32(rounded.view(np.int32) << 23)
    return np.int32(p.view(np.int32) + exponent).view(np.float32)


@_fused
def exp2_double(y: np.float64) -> np.float64:
    """2^y within 7e-16 relative for y in [-1022, 1023]; in [0, 2^-1022] below, exactly 0 for y <= -1023."""
    y = max(y, -1023.0)
    rounded = np.float64(y + 6755399441055744.0)
    f = y - (rounded - 6755399441055744.0)
    p = 7.1117573156171626598e-9
    p = p * f + 1.0210506427960935444e-7
    p = p * f + 1.3215235642850862298e-6
    p = p * f + 1.5252647747866828488e-5
    p = p * f + 1.5403530800802170866e-4
    p = p * f + 1.3333558246480402011e-3
    p = p * f + 9.6181291073807262611e-3
    p = p * f + 5.5504108664346586337e-2
    p = p * f + 2.4022650695910472133e-1
    p = p * f + 6.9314718055995161618e-1
    p = np.float64(p * f + 1.0)
    return np.int64(p.view(np.int64) + (rounded.view(np.int64) << 52)).view(np.float64)


def exp2(y: float) -> float:
    """2^y in the dtype of y."""
    return exp2_single(y) if isinstance(y, np.float32) else exp2_double(y)


@overload(exp2)
def _exp2(y):  # type: ignore[no-untyped-def]
    if y == types.float32:
        return lambda y: exp2_single(y)
    return lambda y: exp2_double(y)
