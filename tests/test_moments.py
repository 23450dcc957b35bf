"""Moments against exact rational arithmetic; merging is associative; the comparison catches broken merges."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dpmoracle.errors import InvalidParameterError
from dpmoracle.moments import Moments

Merge = Callable[[Moments, Moments], Moments]


@st.composite
def samples(draw: st.DrawFn, most: int = 12) -> np.ndarray:
    count = draw(st.integers(1, most))
    scale = 10.0 ** draw(st.integers(-200, 100))
    offset = draw(st.sampled_from([0.0, 1.0, 1e6]))
    return scale * (offset + draw(arrays(np.float64, (count, 2), elements=st.floats(-4, 4, width=32))))


def exact(f: np.ndarray) -> tuple[list[Fraction], list[Fraction]]:
    """Mean and m2 of each column in rational arithmetic, from the definition."""
    columns = [[Fraction(float(x)) for x in column] for column in f.T]
    means = [sum(c, Fraction(0)) / len(c) for c in columns]
    return means, [sum(((x - m) ** 2 for x in c), Fraction(0)) for c, m in zip(columns, means)]


def root(x: Fraction) -> float:
    """sqrt of a fraction whose float may underflow."""
    return math.isqrt(int(x * 10**900)) / 10**450 if 0 < x < Fraction(1, 10**200) else math.sqrt(x)


def assert_right(m: Moments, f: np.ndarray) -> None:
    """Mean to 1e-14 of the largest sample; deviation to 1e-13 of itself plus what rounding the mean costs."""
    mean, m2 = exact(f)
    size = np.abs(f).max(axis=0)
    assert m.count == len(f)
    assert np.abs(m.mean - np.array([float(x) for x in mean])) == pytest.approx(0.0, abs=1e-14 * size.max())
    for got, want, largest in zip(m.deviation, m2, size):
        assert got == pytest.approx(root(want), rel=1e-13, abs=1e-14 * largest)


@given(samples())
def test_moments_equal_rational_arithmetic(f: np.ndarray) -> None:
    assert_right(Moments.of(f), f)


@given(samples(), samples())
def test_merging_equals_all_at_once(f: np.ndarray, g: np.ndarray) -> None:
    assert_right(Moments.of(f) + Moments.of(g), np.concatenate([f, g]))


@given(samples(), samples(), samples())
@settings(max_examples=60)
def test_merging_is_associative_and_commutative(f: np.ndarray, g: np.ndarray, h: np.ndarray) -> None:
    a, b, c = Moments.of(f), Moments.of(g), Moments.of(h)
    size = max(np.abs(x).max() for x in (f, g, h))
    for one, other in ((a + b + c, a + (b + c)), (a + b, b + a)):
        assert one.count == other.count
        np.testing.assert_allclose(one.mean, other.mean, rtol=1e-13, atol=1e-14 * size)
        np.testing.assert_allclose(one.deviation, other.deviation, rtol=1e-13, atol=1e-14 * size)
        np.testing.assert_allclose(one.stderr, other.stderr, rtol=1e-13, atol=1e-14 * size)


def _merge(a: Moments, b: Moments, weight: float, between: float) -> Moments:
    shift = b.mean - a.mean
    return Moments(
        a.count + b.count,
        a.mean + shift * weight,
        np.sqrt(a.deviation**2 + b.deviation**2 + shift**2 * between),
    )


MUTANTS: dict[str, Merge] = {
    "counts swapped in the mean": lambda a, b: _merge(
        a, b, a.count / (a.count + b.count), a.count * b.count / (a.count + b.count)
    ),
    "plain average": lambda a, b: _merge(a, b, 0.5, a.count * b.count / (a.count + b.count)),
    "no term between": lambda a, b: _merge(a, b, b.count / (a.count + b.count), 0.0),
    "term between not divided": lambda a, b: _merge(a, b, b.count / (a.count + b.count), a.count * b.count),
    "term between over one count": lambda a, b: _merge(a, b, b.count / (a.count + b.count), a.count),
}


def test_the_comparison_passes_the_formula_written_here() -> None:
    f, g = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]]), np.array([[9.0, -2.0], [7.0, 0.0]])
    assert_right(_merge(Moments.of(f), Moments.of(g), 0.4, 1.2), np.concatenate([f, g]))


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str) -> None:
    f, g = np.array([[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]]), np.array([[9.0, -2.0], [7.0, 0.0]])
    with pytest.raises(AssertionError):
        assert_right(MUTANTS[name](Moments.of(f), Moments.of(g)), np.concatenate([f, g]))


def test_standard_error_is_the_spread_of_means() -> None:
    """Means of 4000 sets of 25: their spread is known to 1/sqrt(8000) = 1.1%; 6% is 5 sigma, alarm 6e-7."""
    f = np.random.default_rng(1).exponential(size=(25, 4000))
    m = Moments.of(f)
    assert np.sqrt(np.mean(m.stderr**2)) == pytest.approx(m.mean.std(), rel=0.06)


def test_equal_samples_have_no_error_and_one_sample_has_none_known() -> None:
    m = Moments.of(np.full((7, 3), 0.1))
    np.testing.assert_array_equal(m.mean, 0.1)
    np.testing.assert_array_equal(m.stderr, 0.0)
    np.testing.assert_array_equal(m.effective_count, 7.0)
    assert np.isnan(Moments.of(np.ones((1, 2))).stderr).all()
    assert (Moments.of(np.ones((1, 2))) + Moments.of(np.ones((1, 2)))).stderr == pytest.approx(0.0)


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e150])
def test_scale_is_carried_without_under_or_overflow(scale: float) -> None:
    """A square of 1e-160 is 0; one event in ten must still show."""
    f = np.zeros((10, 1))
    f[3] = scale
    m = Moments.of(f[:5]) + Moments.of(f[5:])
    assert m.mean[0] == pytest.approx(0.1 * scale, rel=1e-14)
    assert m.stderr[0] == pytest.approx(0.1 * scale, rel=1e-14)  # variance p(1-p)/9 with p = 0.1
    assert m.effective_count[0] == pytest.approx(1.0, rel=1e-13)


@given(samples())
def test_effective_count_is_the_ratio_of_sums(f: np.ndarray) -> None:
    f = np.abs(f)
    got = Moments.of(f).effective_count
    for j, column in enumerate(f.T):
        x = [Fraction(float(v)) for v in column]
        want = float(sum(x) ** 2 / sum(v * v for v in x)) if any(x) else 0.0
        assert got[j] == pytest.approx(want, rel=1e-12)
        assert 0.0 <= got[j] <= len(f) * (1 + 1e-12)


def test_from_stderr_gives_back_the_moments() -> None:
    m = Moments.of(np.random.default_rng(0).normal(size=(9, 4)))
    back = Moments.from_stderr(m.count, m.mean, m.stderr)
    np.testing.assert_allclose(back.m2, m.m2, rtol=1e-14)
    one = Moments.of(np.ones((1, 4)))
    np.testing.assert_array_equal(Moments.from_stderr(1, one.mean, one.stderr).deviation, 0.0)


def test_estimate_carries_everything() -> None:
    m = Moments.of(np.random.default_rng(0).normal(size=(9, 4)))
    e = m.estimate("pair")
    assert e.method == "pair"
    np.testing.assert_array_equal(e.value, m.mean)
    np.testing.assert_array_equal(e.error, m.stderr)
    np.testing.assert_array_equal(e.effective_count, m.effective_count)


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (np.empty((0, 3)), r"M >= 1; got \(0, 3\)"),
        (np.float64(1.0), r"shape \(M, ...\)"),
        ([[1.0, np.nan]], r"finite; 1 of 2 entries .* \[0, 1\]"),
        (np.array([None]), "real numbers"),
    ],
)
def test_wrong_samples_are_refused(f: object, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=words):
        Moments.of(f)


def test_only_moments_of_one_shape_add() -> None:
    with pytest.raises(InvalidParameterError, match=r"equal shapes; got \(2,\) and \(3,\)"):
        Moments.of(np.ones((2, 2))) + Moments.of(np.ones((2, 3)))
    with pytest.raises(TypeError):
        Moments.of(np.ones((2, 2))) + 1
