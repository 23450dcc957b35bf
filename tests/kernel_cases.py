"""What the tests of kernels draw and compare: one value in many layouts, threads, and broken kernels."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import types
from collections.abc import Iterator
from typing import Any

# Before Numba is loaded: two threads must be there to compare, on one core too.
os.environ.setdefault("NUMBA_NUM_THREADS", str(max(2, os.cpu_count() or 1)))

import numpy as np
import pytest
from hypothesis import strategies as st

from mutation import mutant

numba = pytest.importorskip("numba")

LAYOUTS = ("c", "fortran", "strided", "reversed", "read-only", "unaligned")
DTYPES = (np.float64, np.float32)
THREADS = (1, 2)

#: Whole numbers are full of ties; the others are where a careless expression overflows or cancels.
TIES = (0.0, 0.0, 1.0, 1.0, 2.0, -1.0, 3.0)
EXTREMES = (0.0, -0.0, 5e-324, 1e-300, 1e-160, 1.0, 1.0 + 2**-52, 1e160, 1e300)


def laid_out(array: Any, layout: str) -> np.ndarray:
    """The same values in memory of another kind."""
    array = np.asarray(array)
    if layout == "fortran":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.empty(tuple(2 * n for n in array.shape), array.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
        view[...] = array
        return view
    if layout == "reversed":
        back = tuple(slice(None, None, -1) for _ in array.shape)
        return array[back].copy()[back]
    if layout == "unaligned":
        raw = np.empty(array.nbytes + 1, np.uint8)[1:]
        view = raw.view(array.dtype).reshape(array.shape)
        view[...] = array
        return view
    copy = np.array(array, order="C")
    copy.setflags(write=layout != "read-only")
    return copy


@st.composite
def in_any_layout(draw: Any, *arrays: Any, dtypes: Any = DTYPES) -> tuple[np.ndarray, ...]:
    """The arrays in one drawn dtype (integers and booleans keep theirs), each in a layout of its own."""
    dtype = draw(st.sampled_from(dtypes))
    out = []
    for array in map(np.asarray, arrays):
        with np.errstate(over="ignore"):  # beyond the largest float32 is inf
            cast = array.astype(dtype) if array.dtype.kind == "f" else array
        out.append(laid_out(cast, draw(st.sampled_from(LAYOUTS))))
    return tuple(out)


@st.composite
def values(draw: Any, shape: tuple[int, ...], special: tuple[float, ...] = TIES) -> np.ndarray:
    """An array of that shape: normal numbers, numbers from `special`, or some of each."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.0, 0.3, 1.0]))
    out = rng.standard_normal(shape)
    return np.where(rng.random(shape) < share, rng.choice(special, size=shape), out)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Numba's parallel loops on so many threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(count)
    try:
        yield
    finally:
        numba.set_num_threads(before)


def parts(result: Any) -> list[np.ndarray]:
    """A result as a flat list of arrays: of a tuple or a dataclass, its members in order; None is left out."""
    if dataclasses.is_dataclass(result):
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    if isinstance(result, (tuple, list)):
        return [array for member in result for array in parts(member)]
    return [] if result is None else [np.asarray(result)]


def same(found: Any, expected: Any, tolerance: float, scale: float | None = None) -> bool:
    """Within the tolerance of a pair: shapes and dtypes equal, nan and inf in the same places, integers equal.

    tolerance : relative to each value; with `scale` relative to that instead, where values cancel
    """
    ours, theirs = parts(found), parts(expected)
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        if a.dtype.kind != "f" or tolerance == 0:
            if not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
                return False
            continue
        finite = np.isfinite(b)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return False
        off = np.abs(a[finite].astype(np.float64) - b[finite])
        if not (off <= tolerance * (np.abs(b[finite]) if scale is None else scale)).all():
            return False
    return True


def alike_on_threads(kernel: Any, *arguments: Any) -> bool:
    """One and two threads give the same, bit for bit."""
    results = []
    for count in THREADS:
        with threads(count):
            results.append(kernel(*arguments))
    return same(results[1], results[0], 0.0)


def interpreted(*arguments: Any, **_: Any) -> Any:
    """In place of `compiled`: leaves a function as Python."""
    return arguments[0] if arguments else interpreted


def broken(module: types.ModuleType, *changes: tuple[str, str]) -> types.ModuleType:
    """A module of kernels run by Python, its source changed as by `mutant`; it must import `compiled` on one line."""
    decorator = ("from .compiled import compiled\n", "from kernel_cases import interpreted as compiled\n")
    return mutant(module, decorator, *changes)


def caught(module: types.ModuleType, changes: list[tuple[str, str]], passes: Any) -> bool:
    """Whether the comparison `passes(module)` fails, or meets an error, with the changes.

    That it passes without any, `passes(broken(module))`, is for one test of its own.
    """
    kernels = broken(module, *changes)  # outside: a change that finds no place must not count as caught
    try:
        return not passes(kernels)
    except (ArithmeticError, LookupError, ValueError, RuntimeWarning):
        return True
