"""Grids, `solve`, and what solvers refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Process, Schedule, strategies
from dpmoracle.flow import flow, flow_levels
from dpmoracle.solvers import (
    METHODS,
    ExactModel,
    ddim,
    deis,
    dpm_adaptive,
    dpm_multistep,
    dpm_singlestep,
    heun,
    solve,
    solver_nodes,
    unipc,
)
from dpmoracle.trajectory.grids import even_grid, quadratic_grid
from solver_cases import mixtures

Q0 = mixtures()["d=2"]
VP = Oracle(Q0, Process.vp_linear())
LINEAR = Schedule.linear(1000)
X = np.random.default_rng(0).standard_normal((16, 2))
NODES = solver_nodes(Process.vp_linear(), 8)


def lam(nodes):
    return np.log(nodes[:, 0] / nodes[:, 1])


# -- grids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "process", [Process.vp_linear(), Process.vp_cosine(), Process.ve(), Process.edm(), LINEAR], ids=repr
)
def test_grids_are_even_in_their_variable(process):
    first, last = (process.N, 1) if isinstance(process, Schedule) else (process.t_max, None)
    even = solver_nodes(process, 12, "lambda")
    assert np.ptp(np.diff(lam(even))) < 1e-12
    karras = solver_nodes(process, 12, "karras")
    roots = (karras[:, 1] / karras[:, 0]) ** (1 / 7)
    assert np.ptp(np.diff(roots)) < 1e-12 * roots[0]
    third = solver_nodes(process, 12, "karras", power=3.0)
    assert np.ptp(np.diff((third[:, 1] / third[:, 0]) ** (1 / 3))) < 1e-11
    for nodes in (even, karras, third):
        assert tuple(nodes[0]) == tuple(map(float, process.levels(first)))
        assert nodes[-1, 1] > 0
        if last is not None:
            assert tuple(nodes[-1]) == tuple(map(float, process.levels(last)))
        else:
            # between the ends the levels are those of the process
            back = process.levels(process.inverse(lam(nodes)[1:-1]))
            assert np.abs(np.stack(back, -1) - nodes[1:-1]).max() < 1e-10 * nodes.max()


def test_grids_in_time():
    process = Process.vp_linear()
    times = process.inverse(lam(solver_nodes(process, 10, "time")))
    assert times == pytest.approx(np.linspace(1.0, 1e-3, 11), rel=1e-9)
    times = process.inverse(lam(solver_nodes(process, 10, "quadratic")))
    assert times == pytest.approx(np.linspace(1.0, 1e-1**1.5, 11) ** 2, rel=1e-9)
    times = process.inverse(lam(solver_nodes(process, 10, "time", t_start=0.8, t_end=0.2)))
    assert times == pytest.approx(np.linspace(0.8, 0.2, 11), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(strategies.schedules(min_steps=2), st.data())
def test_whole_timesteps_are_those_of_the_trajectories(schedule, data):
    K = data.draw(st.integers(1, schedule.N - 1))
    for grid, steps in (("time", even_grid), ("quadratic", quadratic_grid)):
        nodes = solver_nodes(schedule, K, grid)
        want = np.stack(schedule.levels(steps(schedule.N, K + 1)[::-1]), -1)
        if grid == "quadratic":
            assert (np.diff(nodes[:, 0]) > 0).all()
            assert (nodes[[0, -1]] == want[[0, -1]]).all()
        elif K < 3 or schedule.N > 2 * K:
            # halves are rounded from the other end
            assert np.isin(nodes[:, 1], np.sqrt(schedule.beta_bar)).all()
        assert len(nodes) == K + 1


def test_ends_may_be_chosen():
    nodes = solver_nodes(LINEAR, 5, "time", t_start=500, t_end=100)
    assert (nodes == np.stack(LINEAR.levels([500, 420, 340, 260, 180, 100]), -1)).all()
    assert solver_nodes(Process.edm(), 3, t_end=0.5)[-1].tolist() == [1.0, 0.5]
    clean = solver_nodes(Process.rectified_flow(), 4, "time", t_end=0.0)
    assert clean.tolist() == [[0.0, 1.0], [0.25, 0.75], [0.5, 0.5], [0.75, 0.25], [1.0, 0.0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: solver_nodes(VP, 5), "must be a Process or a Schedule; got Oracle"),
        (lambda: solver_nodes(LINEAR, 0), "K must be a whole number >= 1"),
        (lambda: solver_nodes(LINEAR, 5, "linear"), "grid must be one of time, lambda, quadratic, karras"),
        (lambda: solver_nodes(LINEAR, 5, "karras", power=0.0), "power must lie in"),
        (lambda: solver_nodes(LINEAR, 1000, "time"), "K must be at most 999 steps"),
        (lambda: solver_nodes(LINEAR, 5, t_start=10.0), "integer timestep"),
        (lambda: solver_nodes(LINEAR, 5, t_start=1001), r"must lie in 0\.\.1000"),
        (lambda: solver_nodes(LINEAR, 5, t_end=1000), "t_end must be below t_start"),
        (lambda: solver_nodes(Process.ve(), 5, t_end=[0.1, 0.2]), "t_end must be one time"),
        (
            lambda: solver_nodes(Process.rectified_flow(), 5),
            r"needs a > 0 .* at t_start = 1 .*another t_start",
        ),
        (lambda: solver_nodes(Process.edm(), 5, t_end=0.0), "sigma > 0 at both ends.*another t_end"),
        (lambda: solver_nodes(LINEAR, 5, t_end=0), "another t_end"),
    ],
)
def test_grids_refuse(call, words):
    with pytest.raises(InvalidParameterError, match=words):
        call()


# -- solve ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "process", [Process.vp_linear(), Process.edm(), Process.ve(), Process.rectified_flow(), LINEAR], ids=repr
)
def test_every_method_on_every_process(method, process):
    orc = Oracle(Q0, process)
    ends = {"t_start": 0.99} if process == Process.rectified_flow() else {}
    K = None if method == "adaptive" else 200
    options = {"atol": 1e-4, "rtol": 1e-4} if method == "adaptive" else {}
    first = solver_nodes(process, 1, **ends)[0]
    x = Q0.diffuse(*first).sample(16, 1)
    found = solve(orc, x, K, method=method, **ends, **options)
    true = flow_levels(Q0, x, found.nodes[0], found.nodes[-1])
    bound = {"ddim": 0.1, "euler": 0.1, "heun": 1e-2, "deis": 1e-2}.get(method, 2e-3)
    assert np.abs(found.x - true).max() < bound
    assert found.evaluations >= len(found.nodes) - 1


def test_to_clean_data_and_from_pure_noise():
    orc = Oracle(Q0, Process.rectified_flow())
    found = solve(orc, X, 300, grid="time", t_end=0.0, start="lower", lower_end=True)
    assert np.abs(found.x - flow(orc, X, 1.0, 0.0)).max() < 1e-2
    assert found.nodes[0].tolist() == [0.0, 1.0]
    assert found.nodes[-1].tolist() == [1.0, 0.0]


def test_an_oracle_and_its_network_are_one():
    for prediction in ("data", "noise"):
        exact = solve(VP, X, 10, prediction=prediction).x
        network = ExactModel(Q0, prediction)
        other = solve(network, X, 10, prediction=prediction, process=VP.process).x
        assert (exact == other).all()
        plain = dpm_multistep(network, X, solver_nodes(VP.process, 10), prediction=prediction)
        assert np.abs(exact - plain).max() < 1e-13


def test_networks_are_asked_on_the_levels_of_their_process():
    asked = []

    def network(x, a, sigma):
        asked.append((a, sigma))
        return 0.1 * x

    solve(network, X, 4, process=Process.edm(), method="singlestep")
    assert len(asked) == 12
    assert {a for a, _ in asked} == {1.0}


def test_arrays_of_other_kinds():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, dtype=torch.float32)
    for method in METHODS:
        found = solve(VP, x, None if method == "adaptive" else 6, method=method).x
        assert isinstance(found, torch.Tensor)
        assert found.dtype == torch.float32
        numpy = solve(VP, X, None if method == "adaptive" else 6, method=method).x
        assert np.abs(found.numpy() - numpy).max() < 1e-3
    assert isinstance(solve(VP, X.tolist(), 3).x, np.ndarray)


def broken(value, after=3):
    calls = []

    def network(x, a, sigma):
        calls.append(a)
        return x * value if len(calls) > after else x

    return network


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: solve(VP, X, 5, method="rk4"), "method must be one of ddim, euler, heun, singlestep"),
        (lambda: solve(VP, X, 5, prediction="v"), "prediction must be one of data, noise; got 'v'"),
        (lambda: solve(VP, X, 5, method="heun", order=2), "options must be among prediction; got order"),
        (lambda: solve(VP, X, 5, order=4), "order must be one of 1, 2, 3; got 4"),
        (lambda: solve(VP, X, 5, order=2.0), "order must be one of"),
        (lambda: solve(VP, X, 5, order=True), "order must be one of"),
        (lambda: solve(VP, X, method="adaptive", order=1), "order must be one of 2, 3"),
        (lambda: solve(VP, X, 5, method="deis", order=5), "order must be one of 1, 2, 3, 4"),
        (lambda: solve(VP, X), "needs K, the number of steps, or nodes"),
        (lambda: solve(VP, X, 5, nodes=NODES), "K or nodes, not both"),
        (lambda: solve(VP, X, 5, method="adaptive"), "K must be left out"),
        (lambda: solve(VP, X, method="adaptive", nodes=NODES), "nodes must be two"),
        (lambda: solve(VP, X, 5, process=Process.edm()), "process must be left out for an Oracle"),
        (lambda: solve(lambda x, a, s: x, X, 5), "needs process= for a callable model"),
        (lambda: solve(3, X, 5), "model must be an Oracle, or callable"),
        (lambda: solve(broken(np.nan), X, 5, process=Process.edm()), r"nan or inf at t = \d.* evaluation 4"),
        (lambda: solve(broken(np.inf), X, 5, process=LINEAR), r"nan or inf at t = \d+, \(a, sigma\)"),
        (lambda: solve(broken(np.nan), X, nodes=NODES), r"nan or inf at \(a, sigma\)"),
        (
            lambda: solve(NETWORK, X, nodes=NODES, process=Process.ve()),
            "nodes must lie within the levels of ve",
        ),
        (lambda: ddim(broken(np.nan), X, NODES), r"ddim: the model must return finite .*half_log_snr"),
        (lambda: ddim(lambda x, a, s: x[:2], X, NODES), r"shape of x, \(16, 2\); it returned \(2, 2\)"),
        (lambda: ddim(lambda x, a, s: 1.0, X, NODES), "it returned float"),
        (lambda: heun(3, X, NODES), r"model must be callable as model\(x, a, sigma\); got int"),
    ],
)
def test_wrong_use_is_named(call, words):
    with pytest.raises(InvalidParameterError, match=words):
        call()


NETWORK = ExactModel(Q0, "data")
SOLVERS = [ddim, heun, dpm_singlestep, dpm_multistep, unipc, deis, dpm_adaptive]


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        (NODES[0], r"nodes must have shape \(K\+1, 2\)"),
        (NODES[:1], r"nodes must have shape \(K\+1, 2\)"),
        (np.ones((3, 3)), r"nodes must have shape \(K\+1, 2\)"),
        (NODES[::-1], r"nodes must fall in noise.*nodes\[1\].*noisiest first"),
        (NODES[[0, 1, 1]], "nodes must fall in noise"),
        (np.where(np.arange(9)[:, None] == 4, np.nan, NODES), "nodes must be finite"),
        (np.where(np.arange(9)[:, None] == 4, -NODES, NODES), r"nodes must have a >= 0.*nodes\[4\]"),
        (
            np.where(np.arange(9)[:, None] == 4, 0.0, NODES),
            r"nodes must have a >= 0 .*not both 0; nodes\[4\]",
        ),
    ],
)
def test_every_solver_checks_its_nodes(solver, nodes, words):
    with pytest.raises(InvalidParameterError, match=f"{solver.__name__}: {words}"):
        solver(NETWORK, X, nodes)
    with pytest.raises(InvalidParameterError, match=f"{solver.__name__}: prediction must be one of"):
        solver(NETWORK, X, NODES, prediction="eps")


CLEAN = np.vstack([NODES, [1.0, 0.0]])
NOISY = np.vstack([[0.0, 1.0], NODES])


@pytest.mark.parametrize(
    ("solver", "options", "nodes", "words"),
    [
        (ddim, {"prediction": "noise"}, NOISY, "start at a > 0.*use prediction='data'"),
        (heun, {}, NOISY, "start at a > 0.*smaller noise$"),
        (dpm_singlestep, {}, NOISY, "start at a > 0"),
        (dpm_multistep, {}, NOISY, "start at a > 0.*start='lower'"),
        (
            dpm_multistep,
            {"start": "lower", "prediction": "noise"},
            NOISY,
            "start at a > 0.*prediction='data'",
        ),
        (unipc, {"prediction": "noise"}, NOISY, "start at a > 0"),
        (deis, {}, NOISY, "start at a > 0"),
        (dpm_adaptive, {}, NOISY[[0, -1]], "start at a > 0"),
        (dpm_singlestep, {}, CLEAN, "end at the last sigma > 0.*Drop the last node, or pass lower_end=True"),
        (dpm_multistep, {}, CLEAN, "end at the last sigma > 0.*lower_end=True"),
        (unipc, {}, CLEAN, "end at the last sigma > 0.*lower_end=True"),
        (deis, {"clock": "log_rho"}, CLEAN, "end at the last sigma > 0.*lower_end=True"),
        (dpm_adaptive, {}, CLEAN[[0, -1]], "end at the last sigma > 0.*Drop the last node$"),
    ],
)
def test_ends_that_a_solver_cannot_take(solver, options, nodes, words):
    with pytest.raises(InvalidParameterError, match=words):
        solver(NETWORK, X, nodes, **options)


@pytest.mark.parametrize(
    ("solver", "options", "words"),
    [
        (dpm_singlestep, {"r1": 0.0}, r"r1 must lie in \(0, 1\]"),
        (dpm_singlestep, {"r1": 1.5}, r"r1 must lie in \(0, 1\]"),
        (dpm_singlestep, {"r1": 0.7, "r2": 0.7}, "r1 must be below r2"),
        (dpm_singlestep, {"r1": 2 / 3, "r2": 0.9}, "r1 away from 2/3"),
        (dpm_singlestep, {"r2": 0.5, "form": "taylor"}, "form 'taylor' of order 3 needs r2 = 2/3"),
        (dpm_singlestep, {"form": "common"}, "form must be one of paper, taylor"),
        (dpm_multistep, {"form": "other"}, "form must be one of taylor, paper, common"),
        (dpm_multistep, {"start": "exact"}, "start must be one of lower, singlestep"),
        (dpm_multistep, {"start": X}, r"an array \(2, 16, 2\) of x at the nodes 1..2; got \(16, 2\)"),
        (dpm_multistep, {"start": 3}, "start must be 'lower', 'singlestep', or"),
        (unipc, {"variant": "bh3"}, "variant must be one of bh1, bh2"),
        (deis, {"clock": "t"}, "clock must be one of rho, log_rho"),
        (deis, {"order": 4, "start": "singlestep"}, "start must be one of lower"),
    ],
)
def test_options_out_of_range(solver, options, words):
    with pytest.raises(InvalidParameterError, match=words):
        solver(NETWORK, X, NODES, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"atol": 0.0}, "atol must lie in"),
        ({"rtol": -1.0}, "rtol must lie in"),
        ({"h_init": np.nan}, "h_init must lie in"),
        ({"safety": 1.1}, r"safety must lie in \(0, 1\]"),
        ({"max_evaluations": 2}, "max_evaluations must be a whole number >= 3"),
        (
            {"max_evaluations": 30, "atol": 1e-9, "rtol": 1e-9},
            "reach the last node within max_evaluations = 30",
        ),
    ],
)
def test_adaptive_options_out_of_range(options, words):
    with pytest.raises(InvalidParameterError, match=words):
        dpm_adaptive(NETWORK, X, NODES[[0, -1]], prediction="data", **options)


def test_starting_states_need_their_steps():
    with pytest.raises(InvalidParameterError, match="for at least 3 steps"):
        dpm_multistep(NETWORK, X, NODES[:3], start=np.zeros((2, 16, 2)))


def test_short_runs():
    """One or two steps: the history is never longer than what was seen."""
    for solver in (dpm_multistep, unipc, deis):
        for count in (2, 3, 4):
            for start in ("lower", "singlestep"):
                landed = solver(NETWORK, X, NODES[-count:], start=start)
                assert np.isfinite(landed).all()


def test_an_empty_batch_and_a_single_row():
    for solver in SOLVERS:
        nodes = NODES[[0, -1]] if solver is dpm_adaptive else NODES
        one = solver(NETWORK, X[0], nodes)
        assert (one.x if solver is dpm_adaptive else one).shape == (2,)
        none = solver(NETWORK, X[:0], nodes)
        assert (none.x if solver is dpm_adaptive else none).shape == (0, 2)


def test_the_network_of_a_mixture():
    point = GaussianMixture.from_points([[1.0, 2.0]])
    x = np.array([[[3.0, -1.0]]])
    assert ExactModel(point, "data")(x, 0.6, 0.8) == pytest.approx(np.array([[[1.0, 2.0]]]))
    assert ExactModel(point, "noise")(x, 0.6, 0.8) == pytest.approx((x - [0.6, 1.2]) / 0.8)
