"""Rules for the variances of a trajectory against plain formulas of the schedule."""

from __future__ import annotations

import numpy as np
import pytest

from dpmoracle import (
    GaussianMixture,
    InvalidParameterError,
    Oracle,
    Process,
    Schedule,
    Trajectory,
    estimate_mmse,
)
from dpmoracle.variance import last_step_bound
from dpmoracle.variance_rules import reverse_variances, step_lam2

SCH = Schedule.linear(100, 1e-3, 0.2)
NODES = np.array([2, 10, 55, 100])
S, T = NODES[:-1], NODES[1:]
A, B = SCH.alpha_bar, 1 - SCH.alpha_bar
ORC = Oracle(GaussianMixture([0.3, 0.7], [[-1.0], [1.0]], [0.1, 0.3], covariance_type="spherical"), SCH)
V = np.append(0.0, ORC.mmse(np.arange(1, 101)).value)


def tilde():
    return B[S] / B[T] * (1 - A[T] / A[S])


def star(lam2, mmse):
    c = np.sqrt(A[S]) - np.sqrt(np.maximum(B[S] - lam2, 0)) * np.sqrt(A[T] / B[T])
    return lam2 + c**2 * mmse[T]


RIGHT = {
    "lam2, ddpm": (("lam2", {}), tilde),
    "lam2, ddim": (("lam2", {"lam2": "ddim"}), lambda: np.zeros(3)),
    "lam2, given": (("lam2", {"lam2": [1e-3, 0.01, 0.5]}), lambda: np.array([1e-3, 0.01, 0.5])),
    "beta": (("beta", {}), lambda: 1 - A[T] / A[S]),
    "beta_tilde": (("beta_tilde", {}), tilde),
    "beta_tilde whatever lam2 is": (("beta_tilde", {"lam2": "ddim"}), tilde),
    "optimal": (("optimal", {"mmse": V}), lambda: star(tilde(), V)),
    "optimal, ddim": (("optimal", {"mmse": V, "lam2": "ddim"}), lambda: star(0.0, V)),
    "optimal, one lam2": (("optimal", {"mmse": V, "lam2": 1e-3}), lambda: star(1e-3, V)),
    "below": (("optimal", {"mmse": -V, "clip": "bounds"}), tilde),
    "above": (
        ("optimal", {"mmse": 1e6 * V, "clip": "bounds"}),
        lambda: star(tilde(), 1 / np.append(1, SCH.snr[1:])),
    ),
    "above, in a box": (
        ("optimal", {"mmse": 1e6 * V, "clip": (-0.5, 0.1)}),
        lambda: star(tilde(), np.minimum(0.09, 1 / np.append(1, SCH.snr[1:]))),
    ),
    "last step": (
        ("optimal", {"mmse": V, "last_step": 1e-5}),
        lambda: np.where(np.arange(3) == 0, 1e-5, star(tilde(), V)),
    ),
    "last step, wide": (("optimal", {"mmse": V, "last_step": 9.0}), lambda: star(tilde(), V)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_rules(name):
    (rule, options), truth = RIGHT[name]
    got = reverse_variances(SCH, NODES, rule, **options)
    np.testing.assert_allclose(got, truth(), rtol=1e-12)
    given = Trajectory(NODES, 0.0, "given")
    np.testing.assert_array_equal(reverse_variances(SCH, given, rule, **options), got)


MUTANTS = {
    "beta_t of one step": ("beta", lambda: SCH.betas[T - 1]),
    "beta_bar_t for beta_bar_s": ("beta_tilde", lambda: 1 - A[T] / A[S]),
    "ratio upside down": ("beta_tilde", lambda: B[T] / B[S] * (1 - A[T] / A[S])),
    "V of the node arrived at": ("optimal", lambda: tilde() + (star(tilde(), V) - tilde()) / V[T] * V[S]),
    "V by place for V by timestep": (
        "optimal",
        lambda: tilde() + (star(tilde(), V) - tilde()) / V[T] * V[1:4],
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name):
    rule, mutant = MUTANTS[name]
    got = reverse_variances(SCH, NODES, rule, mmse=V)
    assert np.abs(got / mutant() - 1).max() > 1e-3


def test_an_estimate_is_taken_on_its_own_timesteps():
    x0 = ORC.q0.sample(200, 0)
    estimate = estimate_mmse(ORC.x0, x0, SCH, timesteps=[10, 55, 60, 100], rng=1)
    got = reverse_variances(SCH, NODES, mmse=estimate)
    curve = np.zeros(101)
    curve[[10, 55, 60, 100]] = estimate.mmse
    np.testing.assert_array_equal(got, reverse_variances(SCH, NODES, mmse=curve))
    with pytest.raises(
        InvalidParameterError, match="mmse must be finite at the nodes; it is not at timestep 56"
    ):
        reverse_variances(SCH, [2, 56, 100], mmse=estimate)
    with pytest.raises(InvalidParameterError, match="mmse was estimated on"):
        reverse_variances(Schedule.linear(100), NODES, mmse=estimate)


def test_lam2_of_the_steps():
    np.testing.assert_allclose(step_lam2("f", SCH, NODES, "ddpm"), tilde(), rtol=1e-12)
    assert step_lam2("f", SCH, NODES, "ddim").tolist() == [0, 0, 0]
    assert step_lam2("f", SCH, NODES, 1e-3).tolist() == [1e-3] * 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rule": "sigma"}, "rule must be one of lam2, beta, beta_tilde, optimal; got 'sigma'"),
        ({"rule": 3}, "rule must be one of"),
        ({"rule": "optimal"}, 'rule "optimal" needs mmse'),
        ({"mmse": V[:-1]}, r"mmse must have shape \(N\+1,\) = \(101,\)"),
        ({"mmse": np.where(np.arange(101) == 55, np.nan, V)}, "not at timestep 55"),
        (
            {"mmse": V, "lam2": "ddpm+"},
            r"lam2 must be one of ddpm, ddim, a number or an array of shape \(3,\)",
        ),
        ({"mmse": V, "lam2": [0.0, 0.0]}, "one for each of the 3 steps"),
        ({"mmse": V, "lam2": 0.9}, "lam2 must lie in"),
        ({"mmse": V, "clip": "box"}, r'clip must be None, "bounds" or \(a, b\)'),
        ({"mmse": V, "clip": (1.0, -1.0)}, "data_range must be"),
        ({"mmse": V, "last_step": 0.0}, "last_step must be one positive variance"),
        ({"mmse": V, "last_step": [1.0, 2.0]}, "last_step must be one positive variance"),
    ],
)
def test_wrong_arguments_are_refused(options, words):
    with pytest.raises(InvalidParameterError, match=words):
        reverse_variances(SCH, NODES, **options)


def test_a_process_is_refused():
    with pytest.raises(InvalidParameterError, match="sch must be a Schedule"):
        reverse_variances(Process.vp_linear(), NODES, "beta")


def test_the_papers_last_step_rule_fits():
    limit = last_step_bound(1)
    got = reverse_variances(SCH, NODES, "beta", last_step=limit)
    assert got[0] == limit
    assert (got[1:] == reverse_variances(SCH, NODES, "beta")[1:]).all()
