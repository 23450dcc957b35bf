"""The public programs: equal cost, the choice and its report, what an optimum costs, wrong use."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle import trajectory as module
from dpmoracle.trajectory import (
    METHODS,
    Trajectory,
    evaluate_trajectory,
    even_grid,
    monge_certificate,
    optimal_trajectories,
    optimal_trajectory,
    quadratic_grid,
    trajectory_cost,
)
from trajectory_cases import exact_curves, linear_snr, noisy_curves, product_integral, product_mmse, schedules

TOL = 1e-12


def is_trajectory(found, u, v, K):
    nodes = found.timesteps
    J = trajectory_cost(u, v)
    return (
        isinstance(found, Trajectory)
        and nodes.dtype == np.int64
        and nodes.shape == (K,)
        and nodes[0] == 1
        and nodes[-1] == u.size - 1
        and abs(found.cost - J[nodes[:-1], nodes[1:]].sum()) <= TOL * max(1, found.cost)
    )


def same_cost(a, b):
    return abs(a.cost - b.cost) <= TOL * max(1.0, b.cost)


@given(exact_curves(max_N=12), st.integers(0, 100))
@settings(max_examples=150)
def test_all_programs_cost_the_same_as_every_path(curve, i):
    u, v = curve
    K = 2 + i % (u.size - 2)
    best = optimal_trajectory(u, v, K, method="brute_force")
    for method in METHODS:
        found = optimal_trajectory(u, v, K, method=method)
        assert is_trajectory(found, u, v, K)
        assert same_cost(found, best)
    for method in ("auto", "hull", "li_chao", "dense"):
        assert same_cost(optimal_trajectories(u, v, K, method=method)[K], best)


@given(exact_curves(min_N=13, max_N=60), st.integers(0, 100))
@settings(max_examples=60)
def test_all_programs_cost_the_same_as_the_dense_one(curve, i):
    u, v = curve
    K = 2 + i % (u.size - 2)
    best = optimal_trajectory(u, v, K, method="dense")
    for method in ("auto", "multiplier", "hull", "li_chao"):
        found = optimal_trajectory(u, v, K, method=method)
        assert is_trajectory(found, u, v, K)
        assert same_cost(found, best)


@given(noisy_curves(max_N=40), st.integers(0, 100))
@settings(max_examples=100)
def test_noise_is_met_by_programs_that_need_no_certificate(curve, i):
    u, v = curve
    K = 2 + i % (u.size - 2)
    best = optimal_trajectory(u, v, K, method="dense")
    for method in (
        "auto",
        "hull",
        "li_chao",
        "multiplier",
    ):  # a multiplier is proved by its bound or falls back
        assert same_cost(optimal_trajectory(u, v, K, method=method), best)
    assert same_cost(optimal_trajectories(u, v, K)[K], best)


@given(schedules(min_N=4, max_N=14))
def test_isotropic_gaussian_compares_costs_only(u):
    v = product_mmse(u, [2.0])
    exact = np.log1p((u[1] - u[-1]) / (u[-1] + 2.0))
    for K in range(2, u.size):
        for method in METHODS:
            if method == "brute_force" and u.size > 12:
                continue
            assert optimal_trajectory(u, v, K, method=method).cost == pytest.approx(exact, rel=TOL)


def test_ties_go_to_the_smallest_predecessor():
    u, v = linear_snr(11), np.zeros(12)  # a point mass: every trajectory costs nothing
    for method in ("dense", "brute_force"):
        assert optimal_trajectory(u, v, 4, method=method).timesteps.tolist() == [1, 2, 3, 11]
    assert optimal_trajectories(u, v, 5, method="dense")[5].timesteps.tolist() == [1, 2, 3, 4, 11]


def test_the_certificate_chooses_and_the_choice_is_reported():
    u = linear_snr(100)
    v = product_mmse(u, [0.1, 10.0])
    assert optimal_trajectory(u, v, 10).method == "multiplier"
    assert {t.method for t in optimal_trajectories(u, v, 10).values()} == {"hull"}
    noisy = v * np.where(np.arange(101) % 2, 1.0, 0.9)
    assert not monge_certificate(u, noisy)
    assert optimal_trajectory(u, noisy, 10).method == "hull_search"
    assert optimal_trajectory(u, noisy, 10, method="hull").method == "hull_search"
    assert {t.method for t in optimal_trajectories(u, noisy, 10).values()} == {"hull_search"}
    assert optimal_trajectory(u, noisy, 10, method="li_chao").method == "li_chao"
    assert evaluate_trajectory(u, v, even_grid(100, 10)).method == "given"
    assert evaluate_trajectory(u, v, even_grid(100, 10), method="even").method == "even"


def test_an_open_gap_falls_back_to_layers():
    u = linear_snr(100)
    v = product_mmse(u, [0.1, 10.0]) * np.exp(0.3 * np.random.default_rng(0).standard_normal(101))
    v[1:] = np.minimum(v[1:], 1 / u[1:])
    found = {K: optimal_trajectory(u, v, K, method="multiplier").method for K in range(2, 101)}
    assert set(found.values()) == {"multiplier", "hull"}


@given(exact_curves(min_N=6))
def test_all_K_at_once(curve):
    u, v = curve
    N = u.size - 1
    every = optimal_trajectories(u, v, N)
    assert list(every) == list(range(2, N + 1))
    for K in (2, N // 2 + 1, N):
        assert is_trajectory(every[K], u, v, K)
        assert same_cost(every[K], optimal_trajectory(u, v, K))
    assert every[N].timesteps.tolist() == list(range(1, N + 1))
    assert every[2].timesteps.tolist() == [1, N]
    assert len(every) == N - 1
    assert dict(every.items())[2].cost == every[2].cost
    for K in (1, N + 1, 2.5, "2"):
        with pytest.raises(KeyError):
            every[K]
    costs = np.array([every[K].cost for K in every])
    assert (np.diff(costs) <= 1e-12).all()  # another node never costs
    assert (np.diff(costs, 2) >= -1e-11).all()  # convex in K, because J is Monge


@given(schedules(min_N=6))
def test_no_trajectory_costs_less_than_the_integral(u):
    precisions = [0.01, 1.0, 500.0]
    v = product_mmse(u, precisions)
    floor = product_integral(u[1], u[-1], precisions)
    for found in optimal_trajectories(u, v, u.size - 1).values():
        assert found.cost >= floor - 1e-12
    for grid in (even_grid, quadratic_grid):
        K = u.size // 2
        assert evaluate_trajectory(u, v, grid(u.size - 1, K)).cost >= optimal_trajectory(u, v, K).cost - 1e-12


def test_divide_and_conquer_would_be_silently_wrong():
    """Why nothing here searches argmins monotonically without the certificate: on noise it loses, without a sign."""

    def monotone(J, edges):
        n = J.shape[0]
        reached = np.r_[0.0, np.full(n - 1, np.inf)]
        for _ in range(edges):
            out, stack = np.full(n, np.inf), [(1, n - 1, 0, n - 1)]
            while stack:
                low, high, left, right = stack.pop()
                if low > high:
                    continue
                t = (low + high) // 2
                row = reached[left : min(right, t - 1) + 1] + J[left : min(right, t - 1) + 1, t]
                s = left + int(row.argmin()) if row.size else left
                out[t] = row.min() if row.size else np.inf
                stack += [(low, t - 1, left, s), (t + 1, high, s, right)]
            reached = out
        return reached[-1]

    u = linear_snr(200)
    v = product_mmse(u, [0.1, 10.0, 1000.0])
    J = trajectory_cost(u, v)[1:, 1:]
    assert monotone(J, 9) == pytest.approx(optimal_trajectory(u, v, 10).cost, abs=TOL)
    noisy = v * np.exp(0.1 * np.random.default_rng(0).standard_normal(201))
    noisy[1:] = np.minimum(noisy[1:], 1 / u[1:])
    lost = monotone(trajectory_cost(u, noisy)[1:, 1:], 9) - optimal_trajectory(u, noisy, 10).cost
    assert lost > 1e-4


def test_result_cannot_be_changed():
    u = linear_snr(10)
    found = optimal_trajectory(u, product_mmse(u, [1.0]), 3)
    with pytest.raises(ValueError, match="read-only"):
        found.timesteps[0] = 2
    with pytest.raises(AttributeError):
        found.cost = 0.0
    mine = np.array([1, 5, 10])
    evaluate_trajectory(u, product_mmse(u, [1.0]), mine)
    mine[1] = 6  # the caller's own array stays writeable


def test_inputs_are_left_alone():
    u = linear_snr(30)
    v = product_mmse(u, [1.0, 20.0])
    before = u.copy(), v.copy()
    for method in ("auto", "hull", "li_chao", "dense"):
        optimal_trajectory(u, v, 7, method=method)
    np.testing.assert_array_equal(u, before[0])
    np.testing.assert_array_equal(v, before[1])


def test_lists_and_single_precision_are_taken():
    found = optimal_trajectory([0, 3, 2, 1], [9, 0.1, 0.2, 0.3], 3)
    assert found.timesteps.tolist() in ([1, 2, 3], [1, 2, 3])
    u = linear_snr(20).astype(np.float32)
    assert optimal_trajectory(u, (1 / (u + 1)).astype(np.float32) * np.float32(0.9), 5).timesteps.size == 5


@pytest.mark.parametrize("call", [optimal_trajectory, optimal_trajectories])
@pytest.mark.parametrize("K", [1, 0, -3, 11, 3.0, "3", True, None])
def test_wrong_K(call, K):
    u = linear_snr(10)
    name = "K" if call is optimal_trajectory else "K_max"
    words = "at most N = 10; got 11" if K == 11 else "must be a whole number >= 2"
    with pytest.raises(dpm.InvalidParameterError, match=rf"{call.__name__}: {name} .*{words}"):
        call(u, product_mmse(u, [1.0]), K)


@pytest.mark.parametrize("call", [optimal_trajectory, optimal_trajectories])
def test_estimates_that_cannot_be_are_refused_by_name(call):
    u = linear_snr(20)
    v = product_mmse(u, [1.0])

    def refused(change, words):
        w = v.copy()
        change(w)
        with pytest.raises(dpm.InvalidParameterError, match=rf"^{call.__name__}: .*{words}"):
            call(u, w, 5)

    def put(index, value):
        return lambda w: w.__setitem__(index, value)

    refused(put(17, np.nan), r"mmse\[17\] is nan; .*shortest_paths with \+inf")
    refused(put([17, 18, 20], np.nan), r"mmse\[17\] is nan \(3 such entries\)")
    refused(put([3, 4], -1e-9), r"negative at timesteps 3, 4, .*clip_mmse")
    refused(put(6, 1.001 / u[6]), r"at most 1/snr; .*timestep 6 \(snr \* mmse = 1.001 at 6\).*clip_mmse")
    with pytest.raises(dpm.InvalidParameterError, match=r"one length N\+1"):
        call(u, v[:-1], 5)
    with pytest.raises(dpm.InvalidParameterError, match="snr must decrease strictly"):
        call(np.r_[u[0], u[:0:-1]], v, 5)


def test_rounding_beyond_the_bound_is_taken():
    u = linear_snr(20)
    v = np.zeros(21)
    v[1:] = 1 / u[1:] * (1 + 1e-12)
    assert optimal_trajectory(u, v, 5).cost == pytest.approx(np.log(u[1] / u[20]), rel=1e-9)


def test_wrong_method_and_backend():
    u = linear_snr(20)
    v = product_mmse(u, [1.0])
    with pytest.raises(
        dpm.InvalidParameterError, match=r"method must be one of auto, multiplier, hull.*'smawk'"
    ):
        optimal_trajectory(u, v, 5, method="smawk")
    with pytest.raises(
        dpm.InvalidParameterError, match="method must be one of auto, hull, li_chao, dense; got 'mul"
    ):
        optimal_trajectories(u, v, 5, method="multiplier")
    with pytest.raises(dpm.InvalidParameterError, match="backend must be one of"):
        optimal_trajectory(u, v, 5, backend="torch")
    with pytest.raises(dpm.InvalidParameterError, match="brute_force_path: needs k < n <= 12"):
        optimal_trajectory(u, v, 5, method="brute_force")


def test_stable_names_are_exported():
    for name in (
        "trajectory_cost",
        "monge_certificate",
        "MongeCertificate",
        "optimal_trajectory",
        "Trajectory",
    ):
        assert getattr(dpm, name) is getattr(module, name)
    for name in ("optimal_trajectories", "shortest_paths", "even_grid", "quadratic_grid"):
        assert getattr(dpm, name) is getattr(module, name)


def test_thousand_timesteps_of_three_scales():
    """The size of use: all programs meet at N = 1000, and the passes of the multiplier stay few."""
    u = linear_snr(1000)
    v = product_mmse(u, [0.1, 10.0, 1000.0])
    every = optimal_trajectories(u, v, 60, backend="numpy")
    for K in (2, 10, 25, 60):
        assert same_cost(optimal_trajectory(u, v, K, backend="numpy"), every[K])
    assert same_cost(optimal_trajectory(u, v, 25, backend="numpy", method="dense"), every[25])
    assert every[50].cost < evaluate_trajectory(u, v, even_grid(1000, 50)).cost
