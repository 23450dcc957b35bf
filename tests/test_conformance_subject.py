"""The parts of a subject: the model that it is given, the law of its steps, the loop of from_step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Schedule, optimal_variance_from_mmse
from dpmoracle.conformance import OracleModel, StepLaw, Subject, from_step
from dpmoracle.conformance.model import OUTPUT_TYPES, as_output
from dpmoracle.conformance.runs import SubjectError, last_state, median_distance, play
from dpmoracle.conformance.worlds import gaussian, islands, particles, point, smooth
from dpmoracle.flow import flow_levels
from dpmoracle.reverse_step import forward_posterior_mean, lambda2_ddim, lambda2_ddpm
from step_samplers import DDIM, DDPM, Euler, even_levels, stock_levels, subject

SCH = Schedule.linear(1000)
LEVEL = (0.8, 0.6)
X = np.random.default_rng(0).standard_normal((5, 2))


# -- the model -------------------------------------------------------------------------------------------------


def from_output(kind, x, out, a, sigma, sigma_data):
    """x̂_0 as a sampler would read it from each output type."""
    if kind == "eps":
        return (x - sigma * out) / a
    if kind == "v":
        return (a * x - sigma * out) / (a**2 + sigma**2)
    if kind == "flow":
        return (x - sigma * out) / (a + sigma)
    if kind == "edm":
        variance = sigma**2 + sigma_data**2
        return sigma_data**2 / variance * x + sigma * sigma_data / math.sqrt(variance) * out
    return out


@pytest.mark.parametrize(
    ("kind", "level"),
    [(kind, (1.0, 2.5)) for kind in OUTPUT_TYPES]
    + [(kind, level) for kind in OUTPUT_TYPES if kind != "edm" for level in ((0.8, 0.6), (0.3, 0.7))],
)
def test_every_output_says_the_same(kind, level):
    model = OracleModel(smooth(), kind, sigma_data=0.7)
    x0 = smooth().posterior(X, np.full(5, level[0]), np.full(5, level[1])).mean
    read = from_output(kind, X, model(X, *level), *level, 0.7)
    assert np.abs(read - x0).max() < 1e-14


def test_the_model_remembers():
    model = OracleModel(smooth())
    x = X.astype(np.float32)
    out = model(x, *LEVEL, time=3)
    model(x, 0.6, 0.8)
    assert out.dtype == np.float32
    assert [(call.level, call.time) for call in model.calls] == [(LEVEL, 3.0), ((0.6, 0.8), None)]
    assert model.calls[0].x.dtype == np.float64
    assert np.array_equal(model.calls[0].x, x)
    x[:] = 0.0
    assert model.calls[0].x.any()


def test_fed_by_time_the_level_is_that_of_the_time():
    model = OracleModel(smooth(), "x0", time_level=lambda t: (math.cos(t), math.sin(t)))
    found = model(X, *LEVEL, time=0.3)
    assert np.array_equal(found, OracleModel(smooth(), "x0")(X, math.cos(0.3), math.sin(0.3)))
    assert model.calls[0].level == LEVEL
    with pytest.raises(InvalidParameterError, match="must pass the time value"):
        model(X, *LEVEL)


def test_a_consistency_model_answers_with_the_end_of_the_flow():
    found = OracleModel(smooth(), "x0", endpoint=True)(X, *LEVEL)
    assert np.abs(found - flow_levels(smooth(), X, np.array(LEVEL), np.array([1.0, 0.0]))).max() < 1e-12


def test_nan_in_nan_out():
    x = X.copy()
    x[1, 0], x[3] = np.nan, np.inf
    out = OracleModel(smooth())(x, *LEVEL)
    assert np.isnan(out[[1, 3]]).all()
    assert np.array_equal(out[[0, 2, 4]], OracleModel(smooth())(X, *LEVEL)[[0, 2, 4]])


@pytest.mark.parametrize("level", [(1.0, 0.0), (-0.1, 1.0), (0.5, math.nan), (math.inf, 1.0)])
def test_levels_at_which_no_network_is_trained(level):
    with pytest.raises(InvalidParameterError, match="must be asked at a level with a >= 0 and sigma > 0"):
        OracleModel(smooth())(X, *level)


def test_wrong_output_types():
    with pytest.raises(InvalidParameterError, match="one of eps, x0, v, flow, edm; got 'score'"):
        as_output("score", X, X, *LEVEL)


# -- the law of a step -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("s", "t"), [(1, 2), (10, 500), (600, 1000)])
@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_the_law_is_that_of_the_library(s, t, eta):
    """In betas there, in levels here; for the optimal variance V of a Gaussian by the oracle."""
    law, ends = StepLaw(eta), [tuple(map(float, SCH.levels(i))) for i in (t, s)]
    lam2 = float(lambda2_ddim(SCH, s, t, eta))
    assert law.lam2(*ends) == pytest.approx(lam2, rel=1e-9, abs=1e-300)
    clean, keep = law.mean(*ends)
    x0, x = X[:1], X[1:2]
    assert np.abs(clean * x0 + keep * x - forward_posterior_mean(SCH, s, t, x, x0, lam2)).max() < 1e-10
    assert StepLaw(eta, "beta").noise_variance(*ends) == pytest.approx(float(SCH.beta(s, t)), rel=1e-9)
    mmse = float(Oracle(gaussian(0.3), SCH).mmse(t).value)
    optimal = float(optimal_variance_from_mmse(SCH, s, t, mmse, lam2))
    assert StepLaw(eta, "optimal").noise_variance(*ends, mmse) == pytest.approx(optimal, rel=1e-8)


def test_the_law_in_another_scaling():
    """Ancestral steps in σ, and fresh noise throughout."""
    t, s = (1.0, 3.0), (1.0, 0.7)
    up = 0.7**2 * (3.0**2 - 0.7**2) / 3.0**2
    assert StepLaw().lam2(t, s) == pytest.approx(up, rel=1e-14)
    assert StepLaw().mean(t, s)[1] == pytest.approx(math.sqrt(0.7**2 - up) / 3.0, rel=1e-14)
    assert StepLaw(math.inf).lam2(t, s) == 0.7**2
    assert StepLaw(math.inf).mean(t, s) == (1.0, 0.0)
    assert StepLaw(math.inf).mean(t, (1.0, 0.0)) == (1.0, 0.0)
    assert StepLaw(variance="beta").noise_variance(t, s) == pytest.approx(9.0 - 0.49)
    assert lambda2_ddpm(SCH, 5, 9) == pytest.approx(
        StepLaw().lam2(*(tuple(map(float, SCH.levels(i))) for i in (9, 5)))
    )


def test_a_law_that_is_none():
    with pytest.raises(InvalidParameterError, match="variance one of lam2, beta, optimal"):
        StepLaw(1.0, "small")
    with pytest.raises(InvalidParameterError, match="eta must be >= 0"):
        StepLaw(-1.0)
    with pytest.raises(InvalidParameterError, match="needs mmse"):
        StepLaw(1.0, "optimal").noise_variance((0.6, 0.8), (0.8, 0.6))


# -- from_step -------------------------------------------------------------------------------------------------


def test_the_loop_is_the_users():
    """x, output, i and noise arrive as promised, and the run is what a loop by hand gives."""
    seen = []

    def step(output, i, x, noise):
        seen.append((i, output.shape, noise.shape))
        x += 1.0  # the step may write into what it is given
        return x + output + noise

    made = from_step(step, even_levels, "x0", name="mine", stochastic=True)
    model = OracleModel(smooth(), "x0")
    x = X.copy()
    end = made.run(model, x, 3, lambda shape: np.full(shape, 0.5))
    assert np.array_equal(x, X)
    assert seen == [(0, (5, 2), (5, 2)), (1, (5, 2), (5, 2)), (2, (5, 2), (5, 2))]
    by_hand = X
    for level in even_levels(3)[:-1]:
        by_hand = by_hand + 1.0 + OracleModel(smooth(), "x0")(by_hand, *level) + 0.5
    assert np.abs(end - by_hand).max() < 1e-12
    assert made.ends(3) == (tuple(even_levels(3)[0]), tuple(even_levels(3)[-1]))
    assert np.array_equal(made.levels(3), even_levels(3))
    assert [tuple(call.level) for call in model.calls] == [tuple(row) for row in even_levels(3)[:-1].tolist()]


def test_without_noise_given_it_draws_its_own():
    made = subject(DDPM, law=StepLaw())
    runs = [made.run(OracleModel(smooth(), "v"), X, 5, None) for _ in range(2)]
    assert not np.array_equal(*runs)


def test_every_run_starts_afresh():
    made = subject(Euler)
    runs = [made.run(OracleModel(smooth()), X, 7, None) for _ in range(2)]
    assert np.array_equal(*runs)


def test_exact_states_take_the_place_of_the_first_nodes():
    made, model = subject(Euler), OracleModel(smooth())
    states = np.stack([X, X + 1.0, X + 2.0])
    made.exact_start(model, states, 5, None)
    assert [np.array_equal(call.x, state) for call, state in zip(model.calls, states)] == [True, True, True]
    assert not np.array_equal(model.calls[3].x, X + 3.0)


def test_the_name_is_that_of_the_step():
    def mine(output, i, x, noise):
        return x

    assert from_step(mine, stock_levels, "eps").name == "mine"
    assert from_step(Euler(stock_levels), stock_levels, "eps").name == "Euler"


# -- worlds and runs -------------------------------------------------------------------------------------------


def test_particles_have_the_law_of_their_level():
    for q0 in (smooth(), islands(), gaussian(0.3), point()):
        x = particles(q0, (0.6, 0.8), 20_000, seed=1)
        assert np.abs(x.mean(0) - 0.6 * (q0.weights @ q0.means)).max() < 0.05
        total = 0.36 * q0.trace_cov() / q0.d + 0.64
        assert np.square(x - x.mean(0)).mean() == pytest.approx(total, rel=0.03)
        assert np.array_equal(particles(q0, (0.6, 0.8), 5, seed=1), particles(q0, (0.6, 0.8), 5, seed=1))


def test_the_last_state_is_the_one_before_the_data():
    made = subject(DDIM)
    run = play(made, smooth(), X, 6)
    x, level = last_state(made, run, 6)
    assert np.array_equal(x, run.calls[-1].x)
    assert level == pytest.approx(stock_levels(6)[-2])
    even = subject(DDIM, levels=even_levels)
    run = play(even, smooth(), X, 6)
    assert np.array_equal(last_state(even, run, 6)[0], run.end)


def test_distances_take_nan_for_infinite():
    x = X.copy()
    x[:3] = np.nan
    assert median_distance(x, X) == np.inf
    assert median_distance(X + 1.0, X) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (lambda model, x, K, noise: x[:2], r"must return x_end of shape \(5, 2\); it returned \(2, 2\)"),
        (lambda model, x, K, noise: x, "never called the model"),
        (lambda model, x, K, noise: 1 / 0, "with K = 4 it raises ZeroDivisionError"),
        (
            lambda model, x, K, noise: model(x, 1.0, np.nan),
            r"with K = 4 OracleModel: must .* sigma\) = \(1, nan\)",
        ),
    ],
)
def test_runs_that_are_none(run, words):
    made = Subject("mine", run, lambda K: ((0.0, 1.0), (1.0, 0.0)))
    with pytest.raises(SubjectError, match=words):
        play(made, smooth(), X, 4)


@pytest.mark.parametrize("q0", [gaussian(0.3), GaussianMixture([1.0], [[0.1, 0.2]], [[0.3, 0.1]], "diag")])
def test_the_end_of_the_flow_of_one_gaussian(q0):
    found = OracleModel(q0, "x0", endpoint=True)(X, *LEVEL)
    assert np.abs(found - flow_levels(q0, X, np.array(LEVEL), np.array([1.0, 0.0]))).max() < 1e-9


def test_the_end_of_the_flow_of_one_point():
    made = Subject(
        "endpoint",
        lambda model, x, K, noise: model(x, 0.6, 0.8),
        lambda K: ((0.6, 0.8), (1.0, 0.0)),
        "x0",
        endpoint=True,
    )
    assert np.array_equal(play(made, point(), X, 1).end, np.repeat(point().means, 5, axis=0))
