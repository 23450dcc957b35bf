"""DPM-Solver-12 and -23: the error follows the tolerance, steps are refused and grow."""

from __future__ import annotations

import numpy as np
import pytest

from dpmoracle.solvers import ExactModel, Yardstick, dpm_adaptive
from solver_cases import mixtures

MIXTURES = mixtures()


@pytest.fixture(scope="module")
def yardsticks():
    return {name: Yardstick.of(q0, 0, samples=16) for name, q0 in MIXTURES.items()}


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_adaptive_error_follows_the_tolerance(order, prediction, yardsticks):
    yardstick = yardsticks["d=1"]
    errors, work = [], []
    for tol in (1e-2, 1e-4, 1e-6):
        found = dpm_adaptive(
            ExactModel(yardstick.q0, prediction),
            yardstick.x,
            yardstick.nodes(1),
            order,
            prediction,
            atol=tol,
            rtol=tol,
        )
        errors.append(float(np.abs(found.x - yardstick.end).max()))
        work.append(found.evaluations)
        assert found.nodes[0] == tuple(yardstick.nodes(1)[0])
        assert found.nodes[-1] == tuple(yardstick.nodes(1)[-1])
        taken = len(found.nodes) - 1
        assert found.evaluations == order * taken + (order - 1) * found.refused
    assert errors[0] < 0.2
    assert errors[1] < 0.05 * errors[0] + 1e-4
    assert errors[2] < 0.05 * errors[1]
    assert work[0] < work[1] < work[2]


def test_adaptive_steps_are_refused_and_shrink(yardsticks):
    yardstick = yardsticks["d=1"]
    model = ExactModel(yardstick.q0, "noise")
    eager = dpm_adaptive(model, yardstick.x, yardstick.nodes(1), atol=1e-6, rtol=1e-6, h_init=3.0)
    assert eager.refused > 0
    assert np.abs(eager.x - yardstick.end).max() < 1e-4
    timid = dpm_adaptive(model, yardstick.x, yardstick.nodes(1), atol=1e-6, rtol=1e-6, h_init=1e-4)
    first = [np.log(a / sigma) for a, sigma in timid.nodes[:3]]
    assert first[1] - first[0] == pytest.approx(1e-4)
    assert first[2] - first[1] > 1e-3
