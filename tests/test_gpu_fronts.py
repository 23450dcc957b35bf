"""Costs, paths and estimates whose arrays live on a GPU, under the strict stand-in for CuPy."""

from __future__ import annotations

import numpy as np
import pytest

import dpmoracle as dpm
from cuda_host import needs_compiler
from dpmoracle import InvalidParameterError, Oracle, Schedule
from dpmoracle.shared import shared_mmse
from oracle_cases import build
from strict_cupy import Array, Tensor
from trajectory_cases import linear_snr, product_mmse

U = linear_snr(40)
V = product_mmse(U, [1.0, 30.0])
SHORT = Schedule.linear(12)


def costs() -> np.ndarray:
    return dpm.trajectory_cost(U, V)[1:, 1:]


@needs_compiler
def test_costs_and_shortest_paths_come_back_as_they_came(cupy, torch_cuda):
    expected = dpm.shortest_paths(costs(), 9)
    for make in (cupy.asarray, lambda host: Tensor(host, "cuda:0")):
        cost = dpm.trajectory_cost(make(U), V)
        assert type(cost) is type(make(U))
        np.testing.assert_allclose(cost.host[1:, 1:], costs(), rtol=1e-15)
        F = make(costs())
        cupy.traffic.clear()
        found = dpm.shortest_paths(F, 9)
        assert (type(found.costs), type(found.predecessors)) == (type(F), type(F))
        assert cupy.traffic.arrays == cupy.traffic.uploads == 0
        np.testing.assert_array_equal(found.costs.host, expected.costs)
        np.testing.assert_array_equal(found.predecessors.host, expected.predecessors)
        np.testing.assert_array_equal(found.path(7), expected.path(7))
        with pytest.raises(InvalidParameterError, match="no allowed path with k = 10"):
            found.path(10)


@needs_compiler
def test_asked_for_by_name_from_the_host(cupy):
    assert type(dpm.trajectory_cost(U, V, backend="cupy")) is np.ndarray
    found = dpm.shortest_paths(costs(), 9, backend="cupy")
    np.testing.assert_array_equal(found.costs, dpm.shortest_paths(costs(), 9).costs)
    assert {launch[0] for launch in cupy.traffic.launches} == {"settle", "update"}
    best = dpm.optimal_trajectory(U, V, 7, backend="cupy")
    assert best.method == "dense"
    assert best.cost == pytest.approx(dpm.optimal_trajectory(U, V, 7).cost, rel=1e-14)
    every = dpm.optimal_trajectories(U, V, 9, backend="cupy")
    plain = dpm.optimal_trajectories(U, V, 9, method="dense", backend="numpy")
    assert all(np.array_equal(every[K].timesteps, plain[K].timesteps) for K in plain)
    assert dpm.monge_certificate(U, V, backend="cupy").holds
    with pytest.raises(InvalidParameterError, match="multiplier_path: there is no cupy kernel"):
        dpm.optimal_trajectory(U, V, 7, backend="cupy", method="multiplier")


@needs_compiler
def test_curves_on_a_gpu_serve_every_program(cupy, torch_cuda):
    expected = dpm.optimal_trajectory(U, V, 7)
    for u, v in ((cupy.asarray(U), cupy.asarray(V)), (Tensor(U, "cuda:0"), Tensor(V, "cuda:0"))):
        for method in ("auto", "dense", "hull"):
            found = dpm.optimal_trajectory(u, v, 7, method=method)
            assert found.cost == pytest.approx(expected.cost, rel=1e-12)
        assert dpm.path_cost(u, v, expected.timesteps) == expected.cost
        assert dpm.monge_certificate(u, v).holds
        assert dpm.mmse_integral(u, v).value == dpm.mmse_integral(U, V).value
    assert [launch[0] for launch in cupy.traffic.launches].count(
        "settle"
    ) == 4  # two tiles, where dense was asked for


def test_bad_costs_on_a_gpu_are_named(cupy):
    bad = costs()
    bad[3, 9] = np.nan
    with pytest.raises(InvalidParameterError, match=r"shortest_paths: F\[i, j\] must be a number.*\[3, 9\]"):
        dpm.shortest_paths(cupy.asarray(bad), 4)
    with pytest.raises(InvalidParameterError, match="square matrix"):
        dpm.shortest_paths(cupy.asarray(bad[:3]), 4)
    with pytest.raises(InvalidParameterError, match=r"mmse\[2\] is nan"):
        dpm.trajectory_cost(U, cupy.asarray(np.where(np.arange(len(V)) == 2, np.nan, V)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: dpm.trajectory_cost(U, V, backend="gpu"),
        lambda: dpm.monge_certificate(U, V, backend="gpu"),
        lambda: dpm.shortest_paths(costs(), 4, backend="gpu"),
        lambda: dpm.optimal_trajectory(U, V, 4, backend="gpu"),
        lambda: dpm.estimate_gamma(lambda x, t: -x, np.ones((3, 2)), SHORT, backend="gpu"),
        lambda: Oracle(build(), SHORT, backend="gpu"),
    ],
)
def test_unknown_backends(call):
    with pytest.raises(
        InvalidParameterError, match="backend must be one of auto, numpy, numba, cupy; got 'gpu'"
    ):
        call()


# estimates --------------------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.parametrize("estimate", [dpm.estimate_gamma, dpm.estimate_mmse])
def test_a_model_on_a_gpu_sees_arrays_there(cupy, torch_cuda, estimate):
    q = build("diag")
    name = "score" if estimate is dpm.estimate_gamma else "x0"
    x0, orc, plain = q.sample(8, 0), Oracle(q, SHORT), Oracle(q, SHORT, "numpy")
    settings = {"num_noise": 2, "rng": 1, "batch_size": 9, "timesteps": [1, 12]}
    expected = estimate(lambda x, t: getattr(plain, name)(x, t), x0, SHORT, **settings)
    for make in (cupy.asarray, lambda host: Tensor(host, "cuda:0")):
        seen = set()

        def model(x, t, seen=seen):
            seen |= {type(x), type(t)}
            return getattr(orc, name)(x, t)

        model(make(x0[:1]), make(np.array([3])))
        cupy.traffic.clear()
        found = estimate(model, make(x0), SHORT, **settings)
        assert seen == {type(make(x0))}
        assert cupy.traffic.arrays == 1  # one block of samples, a number each
        value = "gamma" if estimate is dpm.estimate_gamma else "mmse"
        np.testing.assert_allclose(getattr(found, value), getattr(expected, value), rtol=1e-10)
        np.testing.assert_allclose(found.stderr, expected.stderr, rtol=1e-9)
    moved = estimate(lambda x, t: getattr(orc, name)(x, t), x0, SHORT, backend="cupy", **settings)
    np.testing.assert_allclose(moved.stderr, expected.stderr, rtol=1e-9)


@needs_compiler
def test_models_that_leave_the_device_or_break_are_named(cupy):
    x0 = cupy.asarray(np.ones((6, 2)))
    for model, words in (
        (lambda x, t: x.get(), r"t = 1 must be an array on the GPU.*got ndarray.*backend='numpy'"),
        (lambda x, t: x[:3], r"must have shape \(6, 2\)"),
        (lambda x, t: x / 0 * 0, "must be finite; 6 of 6"),
        (lambda x, t: x * 1e300, "t = 1 is too large to square"),
    ):
        with (
            pytest.raises(InvalidParameterError, match=f"estimate_gamma: .*{words}"),
            np.errstate(all="ignore"),
        ):
            dpm.estimate_gamma(model, x0, SHORT, rng=0)


@needs_compiler
@pytest.mark.parametrize("kind", ["spherical", "full"])
@pytest.mark.parametrize("method", ["trace", "residual", "score"])
def test_v_and_gamma_by_kernels_of_the_device(cupy, kind, method):
    q, t = build(kind), [1, 6, 12]
    for quantity in ("mmse", "gamma"):
        found = getattr(Oracle(q, SHORT, "cupy"), quantity)(t, 60, 3, method=method)
        expected = getattr(Oracle(q, SHORT, "numpy"), quantity)(t, 60, 3, method=method)
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-9)
        np.testing.assert_allclose(found.error, expected.error, rtol=1e-8)
    assert cupy.traffic.launches


@needs_compiler
@pytest.mark.parametrize("free", [2**30, 900])
def test_points_are_uploaded_once_or_streamed(cupy, free):
    cupy.cuda.runtime.memGetInfo = lambda: (free, 2**31)
    y = np.random.default_rng(0).standard_normal((30, 3))
    law = (np.ones(30), y, 0.0, [0.9, 0.5], [0.1, 0.8])
    for estimator in ("pair", "trace"):
        found, expected = (
            shared_mmse(*law, num_samples=6, rng=1, estimator=estimator, backend=backend)
            for backend in ("cupy", "numpy")
        )
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-9)
    assert Array.traffic.launches
