"""J against eq. (10) of the notes in 50 digits, the cost of a path, the integral of V, and wrong use."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings

from dpmoracle import InvalidParameterError
from dpmoracle.trajectory.step_cost import mmse_integral, path_cost, trajectory_cost
from trajectory_cases import exact_curves, linear_snr, product_integral, product_mmse, schedules


def equation_10(u, v, s, t):
    """log(sigma*^2 / lambda^2) with lambda^2 = beta_tilde, by the variances themselves, in 50 digits."""
    with mp.workdps(50):
        a_s, a_t = (mp.mpf(float(x)) / (1 + mp.mpf(float(x))) for x in (u[s], u[t]))
        b_s, b_t = 1 - a_s, 1 - a_t
        step = a_t / a_s
        lam2 = b_s * (1 - step) / b_t
        gamma = (1 - mp.mpf(float(u[t])) * mp.mpf(float(v[t]))) / b_t
        sigma2 = lam2 + (mp.sqrt(b_t / step) - mp.sqrt(b_s - lam2)) ** 2 * (1 - b_t * gamma)
        return mp.log(sigma2 / lam2)


def agrees(cost, u, v, tol=4e-15):
    """The comparison that every mutant below fails."""
    pairs = [(s, t) for t in range(2, u.size) for s in range(1, t) if u[t] > 0]
    exact = np.array([float(equation_10(u, v, s, t)) for s, t in pairs])
    got = np.array([cost(u, v, s, t) for s, t in pairs])
    return bool(np.all(np.abs(got - exact) <= tol * np.maximum(1e-3, np.abs(exact))))


@given(exact_curves(max_N=8))
@settings(max_examples=40)
def test_cost_is_equation_10(curve):
    u, v = curve
    J = trajectory_cost(u, v)
    assert agrees(lambda u, v, s, t: J[s, t], u, v)
    assert J.shape == (u.size, u.size)
    outside = np.tri(u.size, dtype=bool)
    outside[0] = True
    assert np.isposinf(J[outside]).all()
    assert np.isfinite(J[~outside]).all()


@pytest.mark.parametrize(
    "mutant",
    [
        lambda u, v, s, t: np.log1p(v[s] * (u[s] - u[t])),
        lambda u, v, s, t: np.log1p(v[t] * (u[s] + u[t])),
        lambda u, v, s, t: np.log1p(v[t] * u[s]),
        lambda u, v, s, t: np.log1p(v[t] * (u[t - 1] - u[t])),
        lambda u, v, s, t: -np.log1p(-v[s] * (u[s] - u[t])),
        lambda u, v, s, t: np.log1p(v[t] * (u[s] - u[t])) / 2,
        lambda u, v, s, t: np.log1p(v[t] * (u[s] - u[t])) - np.log(u[s] / u[t]),  # the published first term
        lambda u, v, s, t: np.log1p(v[t] * np.log(u[s] / u[t])),
    ],
)
def test_mutants_of_the_cost_are_caught(mutant):
    u = linear_snr(8, 1e-3, 0.3)
    v = product_mmse(u, [0.5, 20.0])
    assert agrees(lambda u, v, s, t: np.log1p(v[t] * (u[s] - u[t])), u, v)
    assert not agrees(mutant, u, v)


def test_zero_terminal_snr_takes_the_data_variance():
    u = np.array([np.inf, 3.0, 1.0, 0.0])
    v = product_mmse(u, [1 / 4.0])
    assert trajectory_cost(u, v)[1, 3] == pytest.approx(np.log(1 + 4 * 3), abs=1e-15)


@given(exact_curves(min_N=4))
def test_path_cost_adds_up_the_matrix(curve):
    u, v = curve
    J, N = trajectory_cost(u, v), u.size - 1
    for nodes in ([1, N], [1, 2, N], list(range(1, N + 1))):
        assert path_cost(u, v, nodes) == pytest.approx(sum(J[s, t] for s, t in pairwise(nodes)), abs=1e-13)
    assert path_cost(u, v, [2, 3], partial=True) == J[2, 3]


@given(schedules(min_N=4))
def test_isotropic_gaussian_costs_the_same_by_every_path(u):
    v = product_mmse(u, [0.7])
    N = u.size - 1
    exact = np.log1p((u[1] - u[N]) / (u[N] + 0.7))
    for nodes in ([1, N], [1, 3, N], list(range(1, N + 1))):
        assert path_cost(u, v, nodes) == pytest.approx(exact, rel=1e-13)


@given(schedules(min_N=4))
def test_integral_brackets_the_closed_form(u):
    precisions, weights = [1e-2, 0.7, 300.0], [0.2, 0.5, 0.3]
    found = mmse_integral(u, product_mmse(u, precisions, weights))
    exact = product_integral(u[1], u[-1], precisions, weights)
    assert abs(found.value - exact) <= found.error * (1 + 1e-12) + 1e-14
    full = path_cost(u, product_mmse(u, precisions, weights), np.arange(1, u.size))
    assert found.value + found.error == pytest.approx(
        full, rel=1e-12
    )  # the upper bound is the full trajectory


def test_integral_is_exact_for_a_gaussian_and_second_order_else():
    u = linear_snr(500)
    gaussian = mmse_integral(u, product_mmse(u, [3.0]))
    assert gaussian.error < 1e-12
    assert gaussian.value == pytest.approx(product_integral(u[1], u[-1], [3.0]), rel=1e-13)
    errors = []
    for N in (250, 500, 1000):
        u = np.concatenate([[np.inf], np.exp(np.linspace(6, -6, N))])
        # two equal weights would not do: the rule is exact for them as well
        curve = [0.1, 10.0], [0.9, 0.1]
        found = mmse_integral(u, product_mmse(u, *curve))
        errors.append(abs(found.value - product_integral(u[1], u[-1], *curve)))
        assert errors[-1] <= found.error
    slope = -np.polyfit(np.log([250, 500, 1000]), np.log(errors), 1)[0]
    assert 1.9 < slope < 2.1


def good():
    u = linear_snr(20)
    return u, product_mmse(u, [1.0])


def broken(index, value, which="mmse"):
    u, v = good()
    (v if which == "mmse" else u)[index] = value
    return u, v


@pytest.mark.parametrize("function", [trajectory_cost, mmse_integral])
@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (
            broken(17, np.nan),
            r"mmse\[17\] is nan; a nan decides the path silently.*shortest_paths with \+inf",
        ),
        (broken(slice(17, 20), np.nan), r"mmse\[17\] is nan \(3 such entries\)"),
        (broken(3, np.inf), r"mmse\[3\] is infinite"),
        (broken([2, 5], -0.1), r"negative at timesteps 2, 5, .*clip_mmse"),
        (broken(slice(1, 20), -0.1), r"timesteps 1, 2, 3, 4, 5 and 14 more"),
        (broken(4, np.nan, "snr"), r"snr\[4\] is nan"),
        (broken(1, np.inf, "snr"), r"snr\[1\] is infinite.*alpha_bar < 1"),
        (broken(4, good()[0][3], "snr"), r"snr\[4\] = .* is not below snr\[3\]"),
        (broken(20, -1.0, "snr"), r"snr must be >= 0; snr\[20\] = -1"),
        ((good()[0][::-1].copy(), good()[1]), r"reverse the arrays"),
        ((good()[0], good()[1][:-1]), r"one length N\+1 >= 3.*\(21,\) and \(20,\)"),
        ((good()[0][:2], good()[1][:2]), r"N\+1 >= 3"),
        ((np.ones((3, 3)), np.ones((3, 3))), r"got shapes \(3, 3\)"),
        ((["a", "b", "c"], [1, 2, 3]), r"snr must be real numbers"),
    ],
)
def test_curves_that_cannot_be(function, curve, words):
    with pytest.raises(InvalidParameterError, match=f"^{function.__name__}: .*{words}"):
        function(*curve)


def test_entries_0_are_ignored():
    u, v = good()
    J = trajectory_cost(u, v)
    for first in (np.nan, np.inf, -5.0, 0.0):
        w, x = u.copy(), v.copy()
        w[0] = x[0] = first
        np.testing.assert_array_equal(trajectory_cost(w, x), J)
    assert np.isnan(w[0]) is not None  # the caller's arrays keep what stood there
    assert u[0] == np.inf


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([1, 5, 5, 20], r"increase strictly; timesteps\[1\] = 5 is followed by 5"),
        ([20, 5, 1], r"increase strictly.*must be reversed"),
        ([0, 5, 20], r"must lie in 1..20; got 0"),
        ([1, 5, 21], r"must lie in 1..20; got 21"),
        ([1, 5, 19], r"runs from timestep 1 to N = 20; got one from 1 to 19.*partial=True"),
        ([2, 20], r"got one from 2 to 20"),
        ([1.0, 20.0], r"integer timestep"),
        ([20], r"at least 2 nodes"),
        ([[1, 20]], r"at least 2 nodes"),
    ],
)
def test_trajectories_that_cannot_be(nodes, words):
    with pytest.raises(InvalidParameterError, match=f"path_cost: .*{words}"):
        path_cost(*good(), nodes)
