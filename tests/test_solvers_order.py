"""The order of every solver, measured against the exact flow: K = 160, 320, 640, three mixtures, float64."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from dpmoracle import InvalidParameterError
from dpmoracle.flow import flow_levels
from dpmoracle.solvers import (
    ExactModel,
    Yardstick,
    ddim,
    deis,
    dpm_multistep,
    dpm_singlestep,
    heun,
    measure_order,
    unipc,
)
from dpmoracle.solvers.order import OrderFit
from solver_cases import METHODS, mixtures

MIXTURES = mixtures()


@pytest.fixture(scope="module")
def yardsticks():
    return {name: Yardstick.of(q0, 0, samples=16) for name, q0 in MIXTURES.items()}


@pytest.mark.parametrize("name", METHODS)
def test_order(name, yardsticks):
    solver, order, states = METHODS[name]
    for mixture, yardstick in yardsticks.items():
        both = mixture == "d=1" and name in ("singlestep 3", "multistep 2", "multistep 3", "unipc 3")
        for prediction in ("data", "noise") if both else ("data",):
            fit = yardstick.measure(partial(solver, prediction=prediction), prediction, states)
            assert order - 0.25 <= fit.slope, (mixture, prediction, fit)
            assert fit.slope <= order + 0.25, (mixture, prediction, fit)


@pytest.mark.parametrize(
    ("solver", "order"),
    [
        (partial(dpm_multistep, order=2), 2),
        (partial(dpm_multistep, order=3), 3),
        (partial(dpm_multistep, order=3, start="lower"), 2),
        (partial(unipc, order=2), 3),
        (partial(unipc, order=3), 3),
        (partial(unipc, order=3, start="singlestep"), 4),
        (partial(deis, order=3), 2),
        (partial(deis, order=3, start="singlestep"), 3),
        (partial(dpm_singlestep, order=3, lower_end=True), 3),
        (partial(dpm_multistep, order=3, lower_end=True), 2),
    ],
)
def test_order_as_users_start(solver, order, yardsticks):
    """A first step of order p leaves O(h^{p+1}), and so does a last one: the order is held at p + 1."""
    if solver.keywords.get("lower_end"):
        order = 2
    fit = yardsticks["d=2"].measure(solver, "noise" if solver.func is deis else "data", steps=(80, 160, 320))
    assert fit.slopes[-1] == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(("r1", "r2"), [(0.4, 0.8), (0.5, 1.0), (0.25, 0.5), (0.1, 2 / 3), (0.8, 0.9)])
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_singlestep_3_with_any_points(r1, r2, prediction, yardsticks):
    solver = partial(dpm_singlestep, order=3, r1=r1, r2=r2, prediction=prediction)
    fit = yardsticks["d=1"].measure(solver, prediction, steps=(40, 80, 160))
    assert fit.slope == pytest.approx(3.0, abs=0.15)


# -- the loop of the multistep methods -----------------------------------------------------------------------


def test_exact_states_are_used_as_given(yardsticks):
    """Handed over far from the truth, they show: nothing replaces them."""
    yardstick = yardsticks["d=2"]
    nodes = yardstick.nodes(20)

    def off(states):
        return (
            dpm_multistep(ExactModel(yardstick.q0, "data"), yardstick.x, nodes, start=states) - yardstick.end
        )

    right = yardstick.states(nodes, 2)
    assert np.abs(off(right)).max() < 1e-2 < np.abs(off(right + np.array([[[0.0]], [[1.0]]]))).max()


def test_evaluations(yardsticks):
    counts = {
        ddim: (40, {}),
        heun: (80, {}),
        dpm_singlestep: (120, {}),
        dpm_multistep: (44, {}),
        unipc: (40, {}),
        deis: (40, {}),
    }
    for solver, (count, options) in counts.items():
        assert yardsticks["d=1"].measure(solver, steps=(40,), **options).evaluations == (count,)
    assert yardsticks["d=1"].measure(partial(dpm_multistep, start="lower"), steps=(40,)).evaluations == (40,)


# -- the measurement itself ----------------------------------------------------------------------------------


def test_a_slope_is_what_the_errors_say():
    fit = OrderFit((10, 20, 40), (1e-2, 1.25e-3, 1.5625e-4), (10, 20, 40))
    assert fit.slope == pytest.approx(3.0)
    assert fit.slopes == pytest.approx((3.0, 3.0))


def test_measure_order_takes_any_solver():
    def euler_in_lambda(model, x, nodes):
        for (a, sigma), (a_s, sigma_s) in pairwise(nodes):
            x = a_s * (x / a + (sigma_s / a_s - sigma / a) * model(x, a, sigma))
        return x

    fit = measure_order(euler_in_lambda, MIXTURES["d=1"], "noise", steps=(20, 40, 80))
    assert fit.slope == pytest.approx(1.0, abs=0.15)
    assert fit.evaluations == (20, 40, 80)


def test_the_yardstick_is_the_flow():
    yardstick = Yardstick.of(MIXTURES["d=5"], 3, 8, (-2.0, 1.0))
    nodes = yardstick.nodes(7)
    states = yardstick.states(nodes, 7)
    assert states.shape == (7, 8, 5)
    assert np.abs(states[-1] - yardstick.end).max() < 1e-11
    direct = flow_levels(yardstick.q0, yardstick.x, nodes[0], nodes[3])
    assert np.abs(states[2] - direct).max() < 1e-9


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Yardstick.of(MIXTURES["d=1"], lam=(1.0, 1.0)), "lam must rise"),
        (lambda: Yardstick.of(MIXTURES["d=1"], samples=0), "samples must be a whole number"),
        (lambda: measure_order(ddim, MIXTURES["d=1"], steps=(0, 4)), "steps must be a whole number"),
    ],
)
def test_wrong_use_is_named(call, words):
    with pytest.raises(InvalidParameterError, match=words):
        call()
