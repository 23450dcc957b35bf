"""The sqrt(kappa) grid: the law of the excess, kappa in closed form, the cap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from dpmoracle import InvalidParameterError
from dpmoracle.trajectory import density, even_grid, optimal_trajectory
from dpmoracle.trajectory.density import root_kappa_steps, sqrt_kappa_grid
from dpmoracle.trajectory.step_cost import path_cost
from trajectory_cases import exact_curves, linear_snr, product_integral, product_mmse, rebuilt, with_zero

PRECISIONS, WEIGHTS = np.array([0.05, 2.0, 100.0]), np.array([0.3, 0.5, 0.2])


def fine_grid(N=4000, high=1e4, low=1e-3):
    """N timesteps even in log u."""
    return with_zero(np.geomspace(high, low, N), np.inf)


def kappa(u):
    """-(dV/du + V^2) of V = E 1/(u + p): the variance of 1/(u + p), in closed form."""
    terms = 1 / (np.asarray(u)[..., None] + PRECISIONS)
    mean = np.average(terms, axis=-1, weights=WEIGHTS)
    return np.average((terms - mean[..., None]) ** 2, axis=-1, weights=WEIGHTS)


def integral_of_root_kappa(high, low):
    return quad(lambda x: np.sqrt(kappa(np.exp(x))) * np.exp(x), np.log(low), np.log(high), limit=500)[0]


def excess(u, v, nodes):
    return path_cost(u, v, nodes) - product_integral(u[1], u[-1], PRECISIONS, WEIGHTS)


def test_the_law_of_the_excess():
    """n (sum J - int V du) -> (1/2) (int sqrt(kappa) du)^2, for the grid and for the optimum alike."""
    u = fine_grid()
    v = product_mmse(u, PRECISIONS, WEIGHTS)
    law = 0.5 * integral_of_root_kappa(u[1], u[-1]) ** 2
    optimum = [
        n * excess(u, v, optimal_trajectory(u, v, n + 1, backend="numpy").timesteps) for n in (20, 40, 80)
    ]
    grid = [n * excess(u, v, sqrt_kappa_grid(u, n + 1, v)) for n in (20, 40, 80)]
    assert np.abs(np.array(optimum) / law - 1).tolist() == pytest.approx([0, 0, 0], abs=0.06)
    assert abs(optimum[-1] / law - 1) < 0.015  # measured 0.009
    assert abs(grid[-1] / law - 1) < 0.015
    assert (np.array(grid) >= np.array(optimum) - 1e-9).all()
    assert abs(optimum[0] / law - 1) > abs(optimum[-1] / law - 1)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda k, v: k,  # no root
        lambda k, v: np.sqrt(k + v**2),  # -dV/du alone
        lambda k, v: np.sqrt(v**2),
        lambda k, v: k**0.25,
        lambda k, v: np.ones_like(k),
    ],
)
def test_mutants_of_the_density_lose(mutant):
    """Only sqrt(kappa) comes within 2% of the law at n = 80."""
    u = fine_grid(high=1e3, low=1e-2)
    v = product_mmse(u, PRECISIONS, WEIGHTS)
    law = 0.5 * integral_of_root_kappa(u[1], u[-1]) ** 2
    exact = with_zero(kappa(u[1:]), 0.0)
    assert abs(80 * excess(u, v, sqrt_kappa_grid(u, 81, kappa=exact)) / law - 1) < 0.02
    broken = with_zero(mutant(exact[1:], v[1:]) ** 2, 0.0)
    assert 80 * excess(u, v, sqrt_kappa_grid(u, 81, kappa=broken)) / law - 1 > 0.02


def test_interval_weights_are_second_order():
    errors = []
    for N in (200, 400, 800):
        u = fine_grid(N, 1e3, 1e-2)
        weight = root_kappa_steps(u, product_mmse(u, PRECISIONS, WEIGHTS))
        exact = [integral_of_root_kappa(u[t], u[t + 1]) for t in range(1, N, N // 50)]
        errors.append(np.abs(weight[:: N // 50] / exact - 1).max())
    slope = -np.polyfit(np.log([200, 400, 800]), np.log(errors), 1)[0]
    assert 1.9 < slope < 2.1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("after - before - before * after * step", "after - before + before * after * step"),
        ("after - before - before * after * step", "after - before"),
        ("after - before - before * after * step", "after - before - before * before * step"),
        ("after - before - before * after * step", "after - before - after * after * step"),
        ("np.sqrt(step * fall", "np.sqrt(fall"),
    ],
)
def test_mutants_of_the_interval_weight_are_caught(old, new):
    """All but the right one are off by the interval's width, or by more."""
    u = fine_grid(400, 1e3, 1e-2)
    v = product_mmse(u, PRECISIONS, WEIGHTS)
    exact = [integral_of_root_kappa(u[t], u[t + 1]) for t in range(1, 400, 8)]

    def error(weigh):
        return np.abs(weigh(u, v)[::8] / exact - 1).max()

    assert error(root_kappa_steps) < 2e-3
    assert not error(rebuilt(density, "root_kappa_steps", old, new)) < 5e-3  # nan where it finds kappa < 0


def test_kappa_given_and_kappa_from_differences_agree():
    u = fine_grid()
    v = product_mmse(u, PRECISIONS, WEIGHTS)
    given_kappa = sqrt_kappa_grid(u, 41, kappa=with_zero(kappa(u[1:]), np.nan))
    assert np.abs(given_kappa - sqrt_kappa_grid(u, 41, v)).max() <= 1


@given(exact_curves(min_N=4), st.integers(0, 100))
def test_always_a_trajectory(curve, i):
    u, v = curve
    K = 2 + i % (u.size - 2)
    nodes = sqrt_kappa_grid(u, K, v)
    assert nodes.dtype == np.int64
    assert nodes.shape == (K,)
    assert nodes[0] == 1
    assert nodes[-1] == u.size - 1
    assert (np.diff(nodes) > 0).all()


def test_no_kappa_is_the_even_grid():
    u = linear_snr(100)
    assert sqrt_kappa_grid(u, 7, np.zeros(101)).tolist() == even_grid(100, 7).tolist()
    assert sqrt_kappa_grid(u, 7, kappa=np.zeros(101)).tolist() == even_grid(100, 7).tolist()
    gaussian = product_mmse(u, [1.0])  # rounding of V may not make a density
    assert sqrt_kappa_grid(u, 100, gaussian).tolist() == list(range(1, 101))


def test_the_cap_bounds_what_a_step_spans():
    u = fine_grid(2000, 1e3, 1e-3)
    v = product_mmse(u, [1e-2, 1e2])  # kappa is small between the two scales and beyond
    total = np.sum(0.5 * (v[1:-1] + v[2:]) * (u[1:-1] - u[2:]))
    for K, cap in ((41, 0.5), (101, 0.15)):
        nodes = sqrt_kappa_grid(u, K, v, cap=cap)
        share = np.add.reduceat(0.5 * (v[1:-1] + v[2:]) * (u[1:-1] - u[2:]), nodes[:-1] - 1)
        assert share.max() <= cap * 1.1 + 0.02  # nodes are rounded to the grid
        free = sqrt_kappa_grid(u, K, v)
        assert np.add.reduceat(0.5 * (v[1:-1] + v[2:]) * (u[1:-1] - u[2:]), free[:-1] - 1).max() > share.max()
    with pytest.raises(
        InvalidParameterError, match=rf"cap = 0.01 asks for {total / 0.01:.4g} steps.*K = 41 has 40"
    ):
        sqrt_kappa_grid(u, 41, v, cap=0.01)
    for cap in (0.0, -1.0, np.nan):
        with pytest.raises(InvalidParameterError, match="asks for inf steps"):
            sqrt_kappa_grid(u, 41, v, cap=cap)


def test_a_wide_cap_changes_nothing():
    u = fine_grid(1000)
    v = product_mmse(u, PRECISIONS, WEIGHTS)
    assert sqrt_kappa_grid(u, 21, v, cap=1e9).tolist() == sqrt_kappa_grid(u, 21, v).tolist()


def test_the_cap_helps_where_kappa_vanishes_over_a_wide_range():
    u = linear_snr(1000)
    v = with_zero(1 / (u[1:] + 1.0), 0.0)
    v = 0.999999 * v + 1e-6 * product_mmse(u, [1e-3, 1e3])
    nodes = sqrt_kappa_grid(u, 11, v, cap=3.0)
    assert path_cost(u, v, nodes) <= path_cost(u, v, sqrt_kappa_grid(u, 11, v)) * 1.001


def test_wrong_use():
    u = linear_snr(50)
    v = product_mmse(u, [0.1, 10.0])
    noisy = v * np.where(np.arange(51) == 20, 1.2, 1.0)
    with pytest.raises(InvalidParameterError, match=r"kappa is negative at timesteps? 21.*certificate"):
        sqrt_kappa_grid(u, 10, noisy)
    with pytest.raises(InvalidParameterError, match="give mmse, or kappa and no cap"):
        sqrt_kappa_grid(u, 10)
    with pytest.raises(InvalidParameterError, match="give mmse, or kappa and no cap"):
        sqrt_kappa_grid(u, 10, kappa=np.ones(51), cap=1.0)
    with pytest.raises(
        InvalidParameterError, match=r"kappa must have the length of snr, 51; got shape \(50,\)"
    ):
        sqrt_kappa_grid(u, 10, kappa=np.ones(50))
    with pytest.raises(
        InvalidParameterError, match="kappa must be finite and >= 0; it is not at timesteps 3, 4"
    ):
        sqrt_kappa_grid(u, 10, kappa=np.where(np.isin(np.arange(51), (3, 4)), [-1.0], 1.0))
    with pytest.raises(InvalidParameterError, match="at most N = 50"):
        sqrt_kappa_grid(u, 51, v)
