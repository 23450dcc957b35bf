"""2^y of the kernels against mpmath over its whole range, and that the compiler made vector instructions of it."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

from dpmoracle_kernels.cpu import exponential
from dpmoracle_kernels.cpu.exponential import SMALLEST, exp2, exp2_double, exp2_single
from kernel_cases import numba
from mutation import mutant

TOLERANCE = {np.float32: 1.8e-7, np.float64: 7e-16}
KINDS = [(np.float32, exp2_single), (np.float64, exp2_double)]


def arguments(dtype):
    """Integers, halves and their neighbours, tiny numbers, and others, over the range of normal results."""
    low = SMALLEST[np.dtype(dtype)]
    rng = np.random.default_rng(0)
    ends = np.arange(low, -low + 1, 31)
    edges = np.concatenate([ends, ends + 0.5, [0.0, 1e-30, -1e-30, low, -low, 1.0, -1.0]]).astype(dtype)
    near = np.concatenate([edges, np.nextafter(edges, dtype(np.inf)), np.nextafter(edges, dtype(-np.inf))])
    y = np.concatenate(
        [near, rng.uniform(low, -low, 500).astype(dtype), rng.uniform(-2, 2, 500).astype(dtype)]
    )
    return y[(y >= low) & (y <= -low + 1 - 1e-4)]


def worst(function, dtype):
    """Largest relative error."""
    with mp.workdps(40):
        return float(
            max(abs(mp.mpf(float(function(v))) / mp.power(2, float(v)) - 1) for v in arguments(dtype))
        )


@pytest.mark.parametrize(("dtype", "function"), KINDS)
def test_against_mpmath(dtype, function):
    assert worst(function, dtype) < TOLERANCE[dtype]


@pytest.mark.parametrize(("dtype", "function"), KINDS)
def test_underflow_is_clean(dtype, function):
    low = SMALLEST[np.dtype(dtype)]
    gone = [low - 1, low - 1.5, low - 2, 2 * low, -1e6, -np.finfo(dtype).max, -np.inf]
    assert all(function(dtype(y)) == 0 for y in gone)
    going = np.linspace(low - 1, low, 1001).astype(dtype)[:-1]
    results = np.array([function(y) for y in going])
    assert ((results >= 0) & (results <= np.finfo(dtype).tiny)).all()


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_whole_powers_are_exact(dtype):
    low = int(SMALLEST[np.dtype(dtype)])
    for n in range(low, -low + 1):
        assert exp2(dtype(n)) == np.ldexp(dtype(1), n)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_dispatch_keeps_the_dtype(dtype):
    compiled = numba.njit(lambda y: exp2(y))
    for call in (exp2, compiled):
        assert abs(call(dtype(2.5)) - np.sqrt(32.0)) <= 2 * np.spacing(dtype(5.6))
    assert compiled.nopython_signatures[0].return_type == numba.from_dtype(np.dtype(dtype))


@pytest.mark.parametrize(
    ("dtype", "change"),
    [
        (np.float32, ("np.float32(2.402223945e-01)", "np.float32(2.4022653e-01)")),
        (np.float32, ("- (rounded - np.float32(12582912.0))", "- np.float32(np.floor(y))")),
        (np.float32, ("    p = p * f + np.float32(9.671475738e-03)\n", "")),
        (np.float32, ("max(y, np.float32(-127.0))", "max(y, np.float32(-100.0))")),
        (np.float64, ("1.3333558246480402011e-3", "1.3333558e-3")),
        (np.float64, ("    p = p * f + 1.0210506427960935444e-7\n", "")),
        (np.float64, ("(rounded.view(np.int64) << 52)", "(rounded.view(np.int64) << 51)")),
        (np.float64, ("    p = p * f + 9.6181291073807262611e-3\n    p = p * f + 5.5504108664346586337e-2\n",
                      "    p = p * f + 5.5504108664346586337e-2\n    p = p * f + 9.6181291073807262611e-3\n")),
    ],
)  # fmt: skip
def test_wrong_versions_are_caught(dtype, change):
    source = ("    if y == types.float32:", "    if True:")  # the overload of the copy is never used
    strict = ('_fused = functools.partial(compiled, fastmath={"contract"})', "def _fused(f):\n    return f")
    name = "exp2_single" if dtype is np.float32 else "exp2_double"
    with np.errstate(all="ignore"):
        assert worst(getattr(mutant(exponential, source, strict), name), dtype) < 2 * TOLERANCE[dtype]
        assert (
            not worst(getattr(mutant(exponential, source, strict, change), name), dtype)
            < 2 * TOLERANCE[dtype]
        )


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_the_compiler_makes_vectors_of_it(dtype):
    @numba.njit(error_model="numpy")
    def each(y, out):
        for i in range(len(y)):
            out[i] = exp2(y[i])

    y = np.zeros(8, dtype)
    each(y, y.copy())
    vectors = f"<{{}} x {'float' if dtype is np.float32 else 'double'}>"
    code = next(iter(each.inspect_llvm().values()))
    assert any(
        f"fadd {vectors.format(n)}" in code or f"fmul contract {vectors.format(n)}" in code
        for n in (2, 4, 8, 16)
    )
