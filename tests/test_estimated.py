"""What an estimate of V may be: bounds, clipping, and the published way with a poor one."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError
from dpmoracle.trajectory import estimated, optimal_trajectory
from dpmoracle.trajectory.estimated import clip_mmse, mmse_bounds, published_dp_trajectory
from dpmoracle.trajectory.step_cost import path_cost, trajectory_cost
from trajectory_cases import exact_curves, linear_snr, mixture_mmse, product_mmse, rebuilt, two_point_mmse


@given(exact_curves())
def test_exact_mmse_lies_within_the_bounds(curve):
    u, v = curve
    low, high = mmse_bounds(u)
    assert (low <= v).all()
    assert (v <= high * (1 + 1e-12)).all()
    np.testing.assert_allclose(clip_mmse(v, (low, high)), v, rtol=1e-12)


def test_data_in_a_range():
    u = np.array([np.inf, 5.0, 0.5, 0.0])
    low, high = mmse_bounds(u, (-1, 1))
    assert low.tolist() == [0, 0, 0, 0]
    assert high.tolist() == [0, 0.2, 1.0, 1.0]
    assert mmse_bounds(u, (0, 1))[1].tolist() == [0, 0.2, 0.25, 0.25]
    assert mmse_bounds(u)[1].tolist() == [0, 0.2, 2.0, np.inf]
    assert mmse_bounds(u, (-1.7e308, 1.7e308))[1].tolist() == [0, 0.2, 2.0, np.inf]
    # two points at the ends of the range come closest to it
    v = two_point_mmse(u)
    assert v[3] == 1.0
    assert (v <= high).all()
    assert (mixture_mmse(u, [0.5, 0.5], [-1, 1], [1e-4, 1e-4]) <= high * (1 + 1e-3)).all()


def test_clipping_is_on_request_and_then_the_program_runs():
    u = linear_snr(100, 1e-4, 0.2)
    rng = np.random.default_rng(0)
    gamma_noise = rng.standard_normal(101) * 0.05
    v = product_mmse(u, [0.1, 10.0])
    with np.errstate(invalid="ignore", divide="ignore"):
        v[1:] += gamma_noise[1:] / u[1:]
    with pytest.raises(InvalidParameterError, match="negative at timesteps"):
        optimal_trajectory(u, v, 10)
    clipped = clip_mmse(v, mmse_bounds(u))
    assert optimal_trajectory(u, clipped, 10).timesteps.size == 10
    inside = (v >= 0) & (v <= mmse_bounds(u)[1])
    np.testing.assert_array_equal(clipped[inside], v[inside])
    assert v.min() < 0  # the caller's array is not changed


def test_a_zero_made_by_clipping_is_a_free_step():
    """The reason to raise the lower bound: the trajectory is drawn to the worst estimates."""
    u = linear_snr(100)
    v = product_mmse(u, [0.1, 10.0])
    poor = v.copy()
    poor[60] = -0.01
    low, high = mmse_bounds(u)
    drawn = optimal_trajectory(u, clip_mmse(poor, (low, high)), 3).timesteps
    assert drawn.tolist() == [1, 60, 100]
    raised = optimal_trajectory(u, clip_mmse(poor, (0.5 * v, high)), 3).timesteps
    assert path_cost(u, v, raised) <= path_cost(u, v, drawn)


def test_scalar_bounds_and_the_ignored_entry():
    assert clip_mmse([np.nan, -1.0, 0.5, 2.0], (0.0, 1.0)).tolist() == [0.0, 0.0, 0.5, 1.0]


def test_wrong_bounds():
    u = linear_snr(5)
    with pytest.raises(InvalidParameterError, match=r"data_range must be \(a, b\) with a < b; got \(1, -1\)"):
        mmse_bounds(u, (1, -1))
    with pytest.raises(InvalidParameterError, match="data_range"):
        mmse_bounds(u, (0, np.inf))
    with pytest.raises(InvalidParameterError, match="mmse_bounds: snr must decrease"):
        mmse_bounds(u[::-1][[0, 0, 1, 2, 3, 4]])
    with pytest.raises(InvalidParameterError, match="nan at timesteps 1, 3; a nan has no place"):
        clip_mmse([0, np.nan, 1, np.nan], (0.0, 1.0))
    with pytest.raises(InvalidParameterError, match="lower bound must not exceed"):
        clip_mmse([0, 1, 1], (1.0, 0.5))
    with pytest.raises(InvalidParameterError, match="lower bound must not exceed"):
        clip_mmse([0, 1, 1], (0.0, np.nan))
    with pytest.raises(InvalidParameterError, match=r"bounds of that length; got shapes \(3,\), \(2,\)"):
        clip_mmse([0, 1, 1], (np.zeros(2), 1.0))


def best_of_every_path(u, v, last, K):
    """Least cost of K nodes from 1 to `last`."""
    J = trajectory_cost(u, np.where(v < 0, 0.0, v))
    paths = [(1, *inner, last) for inner in combinations(range(2, last), K - 2)]
    return min(sum(J[s, t] for s, t in pairwise(p)) for p in paths)


@given(st.integers(6, 14), st.integers(0, 100), st.integers(0, 100), st.integers(0, 2**32 - 1))
@settings(max_examples=150)
def test_published_heuristic_by_its_definition(N, i, first, seed):
    u = linear_snr(N, 1e-3, 0.2)
    v = product_mmse(u, [0.1, 10.0]) * np.exp(0.1 * np.random.default_rng(seed).standard_normal(N + 1))
    n = N - first % 4  # the first poor timestep; N + 1 would be none
    v[n] = -0.1
    K = 2 + i % (N - 1)
    dropped = 2 * (N - n + 1)
    kept = N - dropped
    nodes = ceil((1 - Fraction(8, 10) * Fraction(dropped, N)) * K)
    nodes = min(nodes, kept)
    nodes = max(nodes, K - dropped)
    nodes = min(nodes, K - 1)
    try:
        path = published_dp_trajectory(u, v, K)
    except InvalidParameterError as error:
        assert "published code has no trajectory" in str(error)  # noqa: PT017
        assert kept < 2 or nodes < 2 or nodes > kept
        return
    assert path.shape == (K,)
    assert path.dtype == np.int64
    assert (np.diff(path) > 0).all()
    assert path[0] == 1
    assert path[-1] == N
    # ceil of a rounded product may take one node more than the exact one
    inside = int((path <= kept).sum())
    assert inside in (nodes, nodes + 1)
    tail = path[path > kept]
    assert np.abs(np.diff(np.r_[kept, tail]) - dropped / tail.size).max() <= 1
    if inside >= 2:
        head = path_cost(u, np.where(v < 0, 0, v), path[path <= kept], partial=True)
        assert head == pytest.approx(best_of_every_path(u, v, kept, inside), abs=1e-12)


def splits_as_published(trajectory):
    """Node counts worked out by hand from the definition: N = 100, first poor V at 91, so B = 20 and N_1 = 80."""
    u = linear_snr(100)
    v = product_mmse(u, [0.1, 10.0])
    v[[91, 95]] = -1e-9
    for K, inside in ((10, 9), (25, 21), (50, 42)):  # ceil((1 - 0.16) K)
        path = trajectory(u, v, K)
        if int((path <= 80).sum()) != inside or not {80, 100} <= set(path.tolist()):
            return False
    return True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dropped = 2 * (last", "dropped = 1 * (last"),
        ("poor[0]) + 1)", "poor[0]))"),
        ("poor[0]) + 1)", "poor[-1]) + 1)"),
        ("1.0 - 0.8 *", "1.0 - 1.0 *"),
        ("ceil(", "int("),
    ],
)
def test_mutants_of_the_published_heuristic_are_caught(old, new):
    assert splits_as_published(published_dp_trajectory)
    assert not splits_as_published(rebuilt(estimated, "published_dp_trajectory", old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.0 / u, largest", "u, largest"),
        ("half * half", "4 * half * half"),
        ("half * half", "half"),
        ("np.minimum(", "np.maximum("),
    ],
)
def test_mutants_of_the_bounds_are_caught(old, new):
    """Two points at the ends of the range have V between half the bound and the bound where u < 1/2."""
    u = linear_snr(40, 1e-4, 0.3)
    v = 1.5**2 * two_point_mmse(np.r_[np.inf, 1.5**2 * u[1:]])  # points at -1.5 and 1.5

    def right(bounds):
        high = bounds(u, (-1.5, 1.5))[1]
        noisy = u[1:] < 0.2
        return bool((v <= high * (1 + 1e-12)).all() and (v[1:][noisy] > 0.5 * high[1:][noisy]).all())

    assert right(mmse_bounds)
    assert not right(rebuilt(estimated, "mmse_bounds", old, new))


def test_without_poor_estimates_it_is_the_dense_program():
    u = linear_snr(200)
    v = product_mmse(u, [0.1, 10.0])
    for K in (2, 3, 10, 199, 200):
        best = optimal_trajectory(u, v, K, method="dense").timesteps
        assert published_dp_trajectory(u, v, K).tolist() == best.tolist()


def test_what_it_loses_to_one_poor_estimate():
    """One V < 0 half way discards everything: the published code stops; a quarter from the end it costs dearly."""
    u = linear_snr(100)
    v = product_mmse(u, [0.1, 10.0])
    poor = v.copy()
    poor[75] = -1e-9
    path = published_dp_trajectory(u, poor, 10)
    assert (np.diff(path[path > 48]) >= 6).all()
    assert path_cost(u, v, path) > optimal_trajectory(u, v, 10).cost + 1e-3
    poor[50] = -1e-9
    with pytest.raises(
        InvalidParameterError, match="mmse < 0 first at timestep 50, which discards 102 of N = 100"
    ):
        published_dp_trajectory(u, poor, 10)


def test_wrong_use_of_the_published_heuristic():
    u = linear_snr(20)
    v = product_mmse(u, [1.0])
    with pytest.raises(InvalidParameterError, match=r"published_dp_trajectory: K .*at most N = 20"):
        published_dp_trajectory(u, v, 21)
    with pytest.raises(InvalidParameterError, match=r"published_dp_trajectory: mmse\[4\] is nan"):
        published_dp_trajectory(u, np.where(np.arange(21) == 4, np.nan, v), 5)
