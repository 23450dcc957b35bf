"""The one decorator of every kernel, so that its flags are the same everywhere."""

from __future__ import annotations

import functools

import numba

__all__ = ["compiled"]

#: Compiled at the first call, kept on disk. Strict floating point: infinities, nan and ties carry meaning.
#: Division by zero gives inf, as NumPy's does.
compiled = functools.partial(numba.njit, cache=True, fastmath=False, error_model="numpy", nogil=True)
