"""A lint over the jitted functions: strict floating point, a cache, nothing compiled at import; and their table."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import dpmoracle_kernels
from dpmoracle import InvalidParameterError
from dpmoracle.pairs import PAIRS, Pair, find

pytest.importorskip("numba")
from numba.core.dispatcher import Dispatcher

import dpmoracle_kernels.cpu as cpu

#: Functions that may reorder sums, and why nothing in them is infinite, nan or a tie. Never "nnan", "ninf" or True.
REORDERED: dict[str, str] = {
    "exponential.exp2_single": "fused only; -inf is clamped, nan does not come in",
    "exponential.exp2_double": "fused only; -inf is clamped, nan does not come in",
    "levels.leaving": "fused only; compares finite numbers, and what overflows is kept",
    "moments._sums": "sums of finite terms: a weight of 0 is an exponent of -inf, which exp2 clamps",
    "moments._tilted": "as moments._sums",
    "moments._weights": "fused only; as moments._sums",
    "features._averages": "fused only; finite exponents, and a tie of the largest is the same value",
    "posterior_lanes._weights": "fused only; -inf starts a maximum, nan makes the row go the float64 way",
    "posterior_lanes.score_lanes": "as posterior_lanes._weights",
    "posterior_lanes.moment_lanes": "as posterior_lanes._weights",
    "posterior_lanes._drawn": "as posterior_lanes._weights",
    "posterior_lanes._apart": "a sum of squares of finite means",
    "posterior_lanes._distance": "a sum of products; inf and nan make the row go the float64 way",
    "posterior_lanes._row_weights": "as posterior_lanes._weights",
    "posterior_lanes.score_rows": "as posterior_lanes._weights",
    "posterior_lanes.moment_rows": "as posterior_lanes._weights",
    "products._half_norms": "sums of squares of finite data",
    "products._differences": "fused only; the logarithm of a weight of 0 is subtracted once, and is no operand after",
    "products._again": "sums of products of finite data",
}

MODULES = [
    importlib.import_module(f"{cpu.__name__}.{found.name}") for found in pkgutil.iter_modules(cpu.__path__)
]
JITTED = {
    f"{module.__name__.rpartition('.')[2]}.{name}": function
    for module in MODULES
    for name, function in vars(module).items()
    if isinstance(function, Dispatcher) and function.py_func.__module__ == module.__name__
}


def flag_errors(name, function):
    """What is wrong with the flags of one function."""
    options = function.targetoptions
    fast = options.get("fastmath", False)
    wrong = []
    if fast and not (name in REORDERED and fast is not True and set(fast) <= {"reassoc", "contract", "nsz"}):
        wrong.append(f"fastmath={fast}")
    if not options.get("nopython"):
        wrong.append("falls back to objects")
    if type(function._cache).__name__ != "FunctionCache":
        wrong.append("is not cached")
    return wrong


def test_there_are_kernels():
    assert len(JITTED) >= len(PAIRS)


@pytest.mark.parametrize("name", JITTED)
def test_flags(name):
    assert flag_errors(name, JITTED[name]) == []


def test_the_lint_sees_what_it_looks_for():
    import numba

    def double(x):
        return 2 * x

    for fast in (True, {"nnan"}, {"reassoc"}):
        assert f"fastmath={fast}" in flag_errors("double", numba.njit(fastmath=fast)(double))
    assert "is not cached" in flag_errors("double", numba.njit(double))


def test_nothing_is_compiled_at_import_and_the_reference_is_not_imported():
    code = f"""
import importlib, sys
from numba.core.dispatcher import Dispatcher
for name in {[m.__name__ for m in MODULES]}:
    for value in vars(importlib.import_module(name)).values():
        assert not (isinstance(value, Dispatcher) and value.overloads), (name, value)
assert not any(name.split(".")[0] == "dpmoracle" for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("pair", [p for p in PAIRS if p.name in cpu.__all__], ids=lambda pair: pair.name)
def test_each_pair_has_its_kernel_with_the_same_arguments(pair):
    kernel = pair.kernel("numba")
    assert kernel is getattr(cpu, pair.name)
    assert kernel is not pair.plain
    ours = list(inspect.signature(getattr(kernel, "py_func", kernel)).parameters)
    theirs = inspect.signature(pair.plain).parameters
    assert ours == list(theirs)[: len(ours)]
    assert all(p.default is not p.empty for p in list(theirs.values())[len(ours) :])
    assert pair.plain.__name__ == pair.name
    assert pair.kind in ("exact", "statistical")
    assert 0 <= pair.tolerance < 1e-2


def test_each_kernel_is_in_the_table():
    assert set(cpu.__all__) <= {pair.name for pair in PAIRS}
    assert dir(cpu) == sorted(cpu.__all__)
    assert find("hull_layers").plain.__name__ == "hull_layers"
    with pytest.raises(InvalidParameterError, match="no pair 'hull'; there are certify, "):
        find("hull")
    with pytest.raises(AttributeError, match=r"'dpmoracle_kernels\.cpu' has no attribute 'hulls'"):
        cpu.hulls  # noqa: B018
    with pytest.raises(InvalidParameterError, match="no numba kernel of this name"):
        Pair("plain", flag_errors, 0.0, "exact").kernel()
    assert dpmoracle_kernels.__doc__
