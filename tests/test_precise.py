"""Compensated sums and products, against exact rational arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dpmoracle.processes import precise
from dpmoracle.processes.precise import prefix_sums, survival, two_product_error, two_sum_error

NUMBERS = st.floats(-1e10, 1e10, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-100)


@settings(max_examples=100, deadline=None)
@given(hnp.arrays(np.float64, 8, elements=NUMBERS), hnp.arrays(np.float64, 8, elements=NUMBERS))
def test_errors_of_sums_and_products_are_exact(x: np.ndarray, y: np.ndarray) -> None:
    sums, products = two_sum_error(x, y, x + y), two_product_error(x, y, x * y)
    for i in range(8):
        p, q = Fraction(x[i]), Fraction(y[i])
        assert Fraction(x[i] + y[i]) + Fraction(sums[i]) == p + q
        assert Fraction(x[i] * y[i]) + Fraction(products[i]) == p * q


def sum_error(sums: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], terms: np.ndarray) -> float:
    """Largest error of high + low in any difference of two sums, relative to that difference."""
    high, low = sums(terms)
    exact = [Fraction(0), *accumulate(Fraction(x) for x in terms)]
    pairs = [Fraction(h) + Fraction(v) for h, v in zip(high, low)]
    gaps = [(pairs[j] - pairs[i], exact[j] - exact[i]) for i in range(len(exact)) for j in range(i)]
    return max(abs(float((got - want) / want)) for got, want in gaps)


def product_error(products: Callable[[np.ndarray], np.ndarray], losses: np.ndarray) -> float:
    exact = [Fraction(1), *accumulate((1 - Fraction(x) for x in losses), lambda p, q: p * q)]
    return max(abs(float(Fraction(got) / want - 1)) for got, want in zip(products(losses), exact))


LOSSES = np.random.default_rng(3).uniform(0.0, 0.6, 120) ** 6 + 1e-9


def test_prefix_sums_keep_the_digits_of_differences() -> None:
    assert sum_error(prefix_sums, np.log1p(-LOSSES)) < 1e-20


def test_survival_is_right_to_one_rounding() -> None:
    assert product_error(survival, LOSSES) < 1.2e-16  # 2^-53 = 1.11e-16, and the terms of second order


def test_survival_below_its_range_stays_finite() -> None:
    products = survival(np.full(2000, 0.9))
    assert products[-1] == 0.0
    assert np.all(np.isfinite(products))


@pytest.mark.parametrize(
    "broken",
    [
        lambda x: (np.append(0.0, np.cumsum(x)), np.zeros(len(x) + 1)),
        lambda x: (prefix_sums(x)[0], -prefix_sums(x)[1]),
        lambda x: (np.append(0.0, np.cumsum(x)), prefix_sums(x)[1]),
    ],
    ids=["low part missing", "low part negated", "low part not renormalised"],
)
def test_broken_sums_are_caught(broken: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> None:
    assert sum_error(broken, np.log1p(-LOSSES)) > 1e-20


def test_broken_products_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    assert product_error(lambda x: np.append(1.0, np.cumprod(1.0 - x)), LOSSES) > 1.2e-16
    monkeypatch.setattr(precise, "two_product_error", lambda x, y, p: -two_product_error(x, y, p))
    assert product_error(survival, LOSSES) > 1.2e-16
