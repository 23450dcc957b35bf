"""Grids: exact rational arithmetic as the truth, and what the published ones do beyond it."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError
from dpmoracle.trajectory.grids import (
    ddim_quadratic_grid,
    ddim_uniform_grid,
    diffusers_grid,
    even_grid,
    power_grid,
    published_even_grid,
    published_power_grid,
    quadratic_grid,
)

sizes = st.integers(2, 1200).flatmap(lambda N: st.tuples(st.just(N), st.integers(2, N)))


def exact_even(N, K):
    return [round(1 + Fraction((N - 1) * k, K - 1)) for k in range(K)]


def is_trajectory(grid, N, K):
    return (
        grid.dtype == np.int64
        and grid.shape == (K,)
        and grid[0] == 1
        and grid[-1] == N
        and bool((np.diff(grid) > 0).all())
    )


@given(sizes)
def test_even_grid_is_exact(size):
    N, K = size
    assert even_grid(N, K).tolist() == exact_even(N, K)
    assert is_trajectory(even_grid(N, K), N, K)


def test_even_grid_mutants():
    def agrees(grid):
        return all(grid(N, K) == exact_even(N, K) for N in (20, 100) for K in (3, 7, 15, 20))

    assert agrees(lambda N, K: even_grid(N, K).tolist())
    assert not agrees(lambda N, K: [1 + round(Fraction((N - 1) * k, K - 1)) for k in range(K)])
    assert not agrees(lambda N, K: [round(1 + Fraction(N * k, K - 1)) for k in range(K)])
    assert not agrees(lambda N, K: [round(1 + Fraction((N - 1) * k, K)) for k in range(K)])
    assert not agrees(lambda N, K: [int(1 + Fraction((N - 1) * k, K - 1)) for k in range(K)])


@given(sizes, st.floats(0.2, 8))
def test_power_grids_are_trajectories_near_their_formula(size, power):
    N, K = size
    for grid in (quadratic_grid(N, K), power_grid(N, K, power), published_power_grid(N, K, power)):
        assert is_trajectory(grid, N, K)
    assert quadratic_grid(N, K).tolist() == power_grid(N, K, 2).tolist()
    assert (power_grid(N, K, 1) - even_grid(N, K) <= 1).all()


def test_quadratic_grid_by_fractions():
    for N, K in ((1000, 10), (1000, 25), (4000, 50)):
        exact = [round(1 + (N - 1) * Fraction(k, K - 1) ** 2) for k in range(K)]
        assert quadratic_grid(N, K).tolist() == exact


def test_collisions_move_up_by_the_least():
    # 1 + 9 (k/9)^2 rounds to 1, 1, 1, 2, 3, 4, 5, 6, 8, 10
    assert quadratic_grid(10, 10).tolist() == list(range(1, 11))
    assert power_grid(100, 6, 6).tolist() == [1, 2, 3, 6, 27, 100]
    assert power_grid(100, 6, 1 / 6).tolist()[-5:] == sorted(power_grid(100, 6, 1 / 6).tolist()[-5:])


@given(sizes)
@settings(max_examples=200)
def test_published_even_grid_is_even_but_for_drift_across_halves(size):
    N, K = size
    published = published_even_grid(N, K)
    assert is_trajectory(published, N, K)
    off = np.flatnonzero(published != even_grid(N, K))
    assert all((2 * (N - 1) * int(k)) % (K - 1) == 0 for k in off)  # only where the exact value is a half


def test_published_even_grid_does_drift():
    assert (published_even_grid(100, 21) != even_grid(100, 21)).any()


def test_published_power_grid_ends_with_its_largest_step():
    grid = published_power_grid(1000, 10, 2)
    assert np.diff(grid).argmax() == 8
    assert grid[-1] - grid[-2] == round(999 / np.sqrt(9))


@given(sizes)
def test_ddim_quadratic_grid(size):
    N, K = size
    exact = [1 + int(Fraction(8 * N, 10) * Fraction(k, K - 1) ** 2) for k in range(K)]
    try:
        grid = ddim_quadratic_grid(N, K)
    except InvalidParameterError:
        assert np.diff(exact).min() <= 1  # an integer's rounded square root may fall on its neighbour
        return
    gap = np.array(exact) - grid  # 1 where an exact integer has a rounded square root below it
    assert ((gap == 0) | (gap == 1)).all()
    assert grid[-1] <= 0.8 * N + 1


def test_ddim_quadratic_grid_repeats_timesteps_from_30_of_1000():
    assert ddim_quadratic_grid(1000, 29).size == 29
    for K in (30, 50, 100):
        with pytest.raises(InvalidParameterError, match=r"repeats \d+ timesteps"):
            ddim_quadratic_grid(1000, K)


def test_uniform_grids_of_published_code():
    assert ddim_uniform_grid(1000, 100).tolist() == list(range(1, 1001, 10))
    assert ddim_uniform_grid(1000, 300).size == 334  # more nodes than asked for
    assert diffusers_grid(1000, 10, "leading").tolist() == list(range(1, 1000, 100))
    assert diffusers_grid(1000, 10, "leading", steps_offset=1).tolist() == list(range(2, 1000, 100))
    assert diffusers_grid(1000, 10, "trailing").tolist() == list(range(100, 1001, 100))
    assert diffusers_grid(1000, 3, "linspace").tolist() == [1, 501, 1000]  # their 0, 499.5 -> 500, 999


@given(sizes)
def test_diffusers_grids_have_K_increasing_nodes(size):
    N, K = size
    for spacing in ("linspace", "leading", "trailing"):
        grid = diffusers_grid(N, K, spacing)
        assert grid.shape == (K,)
        assert 1 <= grid[0] <= grid[-1] <= N
        assert (np.diff(grid) > 0).all()


@pytest.mark.parametrize("grid", [even_grid, quadratic_grid, published_even_grid, ddim_uniform_grid])
@pytest.mark.parametrize(
    ("N", "K", "words"), [(10, 1, "K must be"), (10, 11, "at most N = 10"), (1, 1, "N must be")]
)
def test_wrong_sizes(grid, N, K, words):
    with pytest.raises(InvalidParameterError, match=words):
        grid(N, K)
    with pytest.raises(InvalidParameterError, match="whole number"):
        grid(N, 2.0)


@pytest.mark.parametrize("power", [0, -1, np.inf, np.nan, "2", True])
def test_wrong_power(power):
    for grid in (power_grid, published_power_grid):
        with pytest.raises(InvalidParameterError, match="power must be a positive number"):
            grid(10, 3, power)


def test_wrong_spacing():
    with pytest.raises(InvalidParameterError, match="'linspace', 'leading' or 'trailing'; got 'even'"):
        diffusers_grid(10, 3, "even")
    with pytest.raises(InvalidParameterError, match="steps_offset = 8 moves the last timestep to 15"):
        diffusers_grid(10, 3, "leading", steps_offset=8)
