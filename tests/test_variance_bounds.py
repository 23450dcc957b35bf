"""Bounds on the optimal variance, and clipping to them."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError, Schedule
from dpmoracle.variance import (
    clip_variance,
    last_step_bound,
    optimal_variance,
    optimal_variance_from_mmse,
    reverse_coefficient,
    variance_bounds,
)
from exact_steps import cases, worst
from integrated_laws import LAWS, integrate

LINEAR = Schedule.linear(1000)
CASES = cases()

# -- bounds --------------------------------------------------------------------------------------------------

BOX = (-0.5, 2.0)


def exact_upper(case):
    """Theorem 2 as printed, and the same with the variance that data in BOX can have at most."""
    e = case.exact
    root = mp.sqrt(e.B_t / e.a) - mp.sqrt(e.B_s - e.lam2) if e.a else mp.inf
    c = mp.sqrt(e.A_s) - e.rho * mp.sqrt(e.B_s * e.A_t / e.B_t)
    half = (mp.mpf(BOX[1]) - mp.mpf(BOX[0])) / 2
    return e.lam2 + min(root**2, (c * half) ** 2)


def coefficient(case):
    return reverse_coefficient(case.sch, case.s, case.t, case.lam2)


def upper(case):
    return variance_bounds(case.sch, case.s, case.t, case.lam2, BOX)[1]


HALF = (BOX[1] - BOX[0]) / 2
UPPER_MUTANTS = {
    "no box": lambda c: variance_bounds(c.sch, c.s, c.t, c.lam2)[1],
    "box alone": lambda c: c.lam2 + coefficient(c) ** 2 * HALF**2,
    "whole side of the box": lambda c: c.lam2 + coefficient(c) ** 2 * min(1 / c.sch.snr[c.t], 4 * HALF**2),
    "box not squared": lambda c: c.lam2 + coefficient(c) ** 2 * min(1 / c.sch.snr[c.t], HALF),
    "largest coordinate": lambda c: c.lam2 + coefficient(c) ** 2 * min(1 / c.sch.snr[c.t], 4.0),
    "c not squared": lambda c: c.lam2 + coefficient(c) * min(1 / c.sch.snr[c.t], HALF**2),
    "lam2 not added": lambda c: upper(c) - c.lam2,
    "SNR of s": lambda c: c.lam2 + coefficient(c) ** 2 * min(1 / c.sch.snr[c.s], HALF**2),
    "SNR for its inverse": lambda c: c.lam2 + coefficient(c) ** 2 * min(c.sch.snr[c.t], HALF**2),
}


def test_bounds_are_those_of_theorem_2():
    assert worst(upper, exact_upper, CASES) < 1e-14  # measured 8e-16
    assert all(variance_bounds(c.sch, c.s, c.t, c.lam2)[0] == min(c.lam2, c.sch.beta_bar[c.s]) for c in CASES)


@pytest.mark.parametrize("name", UPPER_MUTANTS)
def test_upper_bound_mutants_are_caught(name):
    assert worst(UPPER_MUTANTS[name], exact_upper, CASES) > 1e-14


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.floats(-1, 1), min_size=1, max_size=3),
    steps=st.lists(st.integers(0, 1000), min_size=2, max_size=2, unique=True),
    share=st.floats(0, 0.999),
)
def test_data_in_a_box_keeps_to_the_bounds(points, steps, share):
    s, t = sorted(steps)
    t = max(t, 20)  # below, the grid of the quadrature is too coarse for the peaks
    lam2 = share * LINEAR.beta_bar[s]
    law = (np.full(len(points), 1 / len(points)), points, np.zeros(len(points)))
    _, _, truth = integrate(law, LINEAR, s, t, lam2)
    for box in (None, (-1, 1), (min(points), max(points))):
        lower, upper = variance_bounds(LINEAR, s, t, lam2, box)
        assert lower - 1e-12 <= truth <= upper + 1e-12


def test_the_bounds_are_sharp():
    s, t = np.array([1, 1, 499]), np.array([2, 1000, 500])
    lam2 = 0.5 * LINEAR.beta_bar[s]
    lower, upper = variance_bounds(LINEAR, s, t, lam2)
    # A point mass has V = 0, and Γ = 1/beta_bar_t up to rounding.
    np.testing.assert_array_equal(optimal_variance_from_mmse(LINEAR, s, t, 0.0, lam2), lower)
    of_point = optimal_variance(LINEAR, s, t, 1 / LINEAR.beta_bar[t], lam2)
    np.testing.assert_allclose(of_point, lower, atol=1e-15 / LINEAR.alpha_bar[1000])
    # Gaussian data comes near the upper bound as its variance grows; two points at low SNR near that of the box.
    wide = optimal_variance(LINEAR, s, t, 1 / (LINEAR.alpha_bar[t] * 1e12 + LINEAR.beta_bar[t]), lam2)
    np.testing.assert_allclose(wide, upper, rtol=1e-7)
    assert np.all(wide < upper)
    np.testing.assert_allclose(optimal_variance(LINEAR, s, t, 0.0, lam2), upper, rtol=1e-15)
    _, _, two = integrate(LAWS["two points"], LINEAR, 1, 1000, 0.0)
    assert two == pytest.approx(variance_bounds(LINEAR, 1, 1000, 0.0, (-1, 1))[1], rel=1e-4)


def test_upper_bound_at_zero_terminal_snr():
    sch = Schedule.from_betas([0.1, 0.2, 1.0])
    assert variance_bounds(sch, 1, 3, 0.05)[1] == np.inf
    assert variance_bounds(sch, 1, 3, 0.05, (0, 2))[1] == pytest.approx(0.05 + 0.9, rel=1e-15)


@pytest.mark.parametrize("largest", [1e154, 1e200, np.finfo(float).max])
def test_a_vast_box_bounds_by_the_noise_alone(largest):
    vast = (-largest, largest)
    for c in CASES:
        if c.sch.alpha_bar[c.t] > 0:
            assert variance_bounds(c.sch, c.s, c.t, c.lam2, vast) == variance_bounds(c.sch, c.s, c.t, c.lam2)
    # at zero terminal SNR only the box bounds; c = sqrt(0.9), and its square may be beyond the floats
    sch = Schedule.from_betas([0.1, 0.2, 1.0])
    exact = mp.mpf("0.05") + mp.mpf("0.9") * mp.mpf(largest) ** 2
    found = variance_bounds(sch, 1, 3, 0.05, vast)[1]
    assert found == (pytest.approx(float(exact), rel=1e-14) if exact < np.finfo(float).max else np.inf)
    assert last_step_bound(1.0, vast) == np.inf or largest == 1e154


# -- clipping ------------------------------------------------------------------------------------------------


@given(
    sigma2=st.lists(st.floats(-5, 5), min_size=1, max_size=5),
    low=st.floats(-1, 1),
    width=st.one_of(st.floats(0, 2), st.just(np.inf)),
)
def test_clipping_moves_to_the_nearest_allowed_value(sigma2, low, width):
    clipped = clip_variance(sigma2, (low, low + width))
    for value, result in zip(sigma2, clipped):
        assert result == (value if low <= value <= low + width else low if value < low else low + width)
    assert np.array_equal(clip_variance(clipped, (low, low + width)), clipped)


def test_last_step_noise_is_y_grey_levels_on_average():
    """E|σε| of the bound, by the trapezoidal rule, is the tolerated distance."""
    z = np.linspace(0, 40, 400_001)
    mean_size = 2 * np.trapezoid(z * np.exp(-(z**2) / 2), z) / np.sqrt(2 * np.pi)

    def tolerated(variance):
        return np.sqrt(variance) * mean_size

    assert tolerated(last_step_bound(2)) == pytest.approx(4 / 255, rel=1e-8)
    sixteen_bit = last_step_bound(1.5, data_range=(0, 1), levels=2**16)
    assert tolerated(sixteen_bit) == pytest.approx(1.5 / 65535, rel=1e-7)
    unit = 4 / 255
    for mutant in (unit**2, unit * np.sqrt(np.pi / 2), unit**2 * 2 / np.pi, (4 / 256) ** 2 * np.pi / 2):
        assert tolerated(mutant) != pytest.approx(unit, rel=1e-8)


# -- shapes and refusals -------------------------------------------------------------------------------------


def test_arguments_broadcast():
    s, t = np.array([0, 3, 8])[:, None], np.array([9, 500])
    lower, upper = variance_bounds(LINEAR, s, t, 0.5 * LINEAR.beta_bar[s])
    assert lower.shape == upper.shape == (3, 2)
    assert clip_variance(np.full((4, 1, 1), 0.2), (lower, upper)).shape == (4, 3, 2)


REFUSED = {
    "s above t": (lambda: variance_bounds(LINEAR, 4, 2, 0.0), "variance_bounds: .* s = 4, t = 2"),
    "lam2 too large": (lambda: variance_bounds(LINEAR, 1, 2, 0.5), "lam2 must lie in"),
    "box turned round": (lambda: variance_bounds(LINEAR, 1, 2, 0.0, (1, -1)), r"data_range must be \(a, b\)"),
    "box of one number": (lambda: variance_bounds(LINEAR, 1, 2, 0.0, 2.0), r"data_range must be \(a, b\)"),
    "clip nan": (lambda: clip_variance(np.nan, (0, 1)), "sigma2 must not be nan"),
    "clip crossed": (
        lambda: clip_variance(1.0, ([0, 2], 1)),
        r"lower must not exceed upper; got 2.0 at \[1\]",
    ),
    "clip one bound": (lambda: clip_variance(1.0, 1.0), r"bounds must be a pair \(lower, upper\)"),
    "no grey levels": (lambda: last_step_bound(0), "y must be one positive number"),
    "y nan": (lambda: last_step_bound(np.nan), "y must be one positive number"),
    "one level": (lambda: last_step_bound(1, levels=1), "levels must be a whole number >= 2"),
    "shapes": (lambda: clip_variance([1.0, 2.0], ([0, 0, 0], 1)), r"sigma2 \(2,\), lower \(3,\)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_wrong_input_is_refused_with_the_reason(name):
    call, message = REFUSED[name]
    with pytest.raises(InvalidParameterError, match=message):
        call()
