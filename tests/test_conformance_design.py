"""What is a design choice, or nobody's fault, is a note or passes; the fault beside it still fails."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from broken_samplers import BROKEN
from dpmoracle import InvalidParameterError
from dpmoracle.conformance import OracleModel, StepLaw, Subject, from_step
from dpmoracle.conformance.checks import CHECKS
from dpmoracle.conformance.front import run_check
from dpmoracle.conformance.model import understood
from dpmoracle.conformance.worlds import smooth
from step_samplers import DDPM, SCHEDULE, Euler, even_levels, rows_of, subject

TABLE = np.log(SCHEDULE.beta_bar[1:] / SCHEDULE.alpha_bar[1:]) / 2


def ratio_at(time):
    """σ/a, interpolated between whole timesteps by its logarithm."""
    return np.exp(np.interp(time, np.arange(1, 1001), TABLE))


def time_level(time):
    ratio = float(ratio_at(time))
    return 1 / math.hypot(1, ratio), ratio / math.hypot(1, ratio)


def told(written, name, first=1000.0, **more):
    """A right Euler on fractional timesteps from `first` to 1, whose network is told written(t)."""

    def times(K):
        return np.linspace(first, 1.0, K + 1)

    def levels(K):
        return np.array([time_level(time) for time in times(K)])

    made = Euler(levels)
    facts = {"times": lambda K: written(times(K)[:-1]), "time_level": time_level, "time_range": (1, 1000)}
    return from_step(made, levels, "eps", made.prepare, name=name, order=1, **{**facts, **more})


def statuses(one, *checks):
    return [run_check(CHECKS[name], one, quick=True).status for name in checks]


# -- time values -----------------------------------------------------------------------------------------------


def test_time_values_may_be_fractional_or_rounded():
    for written in (np.array, np.round):
        assert statuses(told(written, "right"), "time_values", "grid") == ["passed", "passed"]


def test_a_time_value_cut_off_is_a_note_and_one_of_the_next_timestep_fails():
    cut = run_check(CHECKS["time_values"], told(np.floor, "cut off"), quick=True)
    assert cut.status == "note"
    assert "whole time values" in cut.detail
    assert run_check(CHECKS["time_values"], told(np.ceil, "cut up"), quick=True).status == "note"
    for name, wrong in {
        "one early": lambda t: np.floor(t) - 1,
        "one early, rounded": lambda t: np.maximum(np.round(t) - 1, 1),
        "cut to tens": lambda t: np.maximum(np.floor(t / 10) * 10, 1),
        "half a timestep, fractional": lambda t: np.maximum(t - 0.5, 1),
    }.items():
        assert statuses(told(wrong, name), "time_values") == ["failed"], name


def test_levels_that_share_a_whole_time_value_are_a_note():
    """From timestep 20 down 33 steps are shorter than one."""
    shared = run_check(CHECKS["grid"], told(np.round, "shared", first=20.0), quick=True)
    assert shared.status == "note"
    assert "round to one whole time value" in shared.detail
    assert statuses(told(np.array, "told apart", first=20.0), "grid") == ["passed"]
    assert statuses(told(lambda t: 0 * t + 10, "one for all", first=20.0), "grid") == ["failed"]
    # without time_level nobody can say that it is rounding
    assert statuses(told(np.round, "unknown", first=20.0, time_level=None), "grid") == ["failed"]


def test_whole_time_values_that_move_the_samples_are_a_note():
    """In steps of 100 timesteps 'half of one' is much: rounding, and so no fault of the sampler."""
    coarse = {"time_level": lambda time: time_level(100 * time), "time_range": (0.01, 10.0)}
    rounded = told(lambda t: np.maximum(np.round(t / 100), 1), "rounded", **coarse)
    assert statuses(rounded, "fed_by_time") == ["note"]
    assert statuses(told(lambda t: t / 100, "exact", **coarse), "fed_by_time") == ["passed"]
    assert statuses(told(lambda t: np.minimum(t / 100 + 0.5, 10), "late", **coarse), "fed_by_time") == [
        "failed"
    ]


def test_within_a_span_any_reading_is_right():
    low, high = (1.0, 2.0), (1.0, 3.0)
    for span in ((low, high), (high, low)):
        for asked, wanted in (
            ((1.0, 2.5), (1.0, 2.5)),
            ((1.0, 1.0), low),
            ((0.5, 2.0), high),
            ((0.0, 1.0), high),
        ):
            assert understood(7.5, asked, lambda time: low, lambda time, span=span: span) == wanted
    assert understood(7.5, (1.0, 1.0), lambda time: (1.0, time)) == (1.0, 7.5)
    model = OracleModel(smooth(), "x0", time_level=lambda time: low, time_span=lambda time: (low, high))
    x = np.zeros((1, 2))
    assert np.array_equal(model(x, 1.0, 9.0, time=7.5), OracleModel(smooth(), "x0")(x, *high))


def test_a_span_does_not_hide_a_wrong_time():
    """Linear in σ here, in log σ there: the sampler that mixes them passes, one that is late does not."""

    def span(time):
        below, above = ratio_at(math.floor(time)), ratio_at(math.ceil(time))
        part = time - math.floor(time)
        linear = float(below + part * (above - below))
        return time_level(time), (1 / math.hypot(1, linear), linear / math.hypot(1, linear))

    def linear_level(time):
        return span(time)[1]

    for level in (time_level, linear_level):
        assert statuses(told(np.array, "mixed", time_level=level, time_span=span), "time_values") == [
            "passed"
        ]
    late = told(lambda t: np.minimum(t + 0.5, 1000), "late", time_span=span)
    assert statuses(late, "time_values") == ["failed"]


# -- the last step ---------------------------------------------------------------------------------------------


def resting(place):
    """Euler on nodes of which one comes twice."""

    def levels(K):
        return np.insert(even_levels(K), place, even_levels(K)[place], axis=0)

    return replace(subject(Euler, levels=even_levels), levels=levels)


def test_a_last_step_that_rests_on_purpose_is_a_note():
    assert statuses(resting(-1), "grid") == ["failed"]
    noted = run_check(CHECKS["grid"], replace(resting(-1), rests="it is told to"), quick=True)
    assert noted.status == "note"
    assert "by design: it is told to" in noted.detail
    assert statuses(replace(resting(0), rests="it is told to"), "grid") == ["failed"]


# -- precision, spacing, SDEs ----------------------------------------------------------------------------------


def heun_across(top, dtype="float32"):
    """Heun in x = x_0 + σ ε, of which the first step spans from σ = top to 10: it multiplies errors by top/20."""

    def levels(K):
        sigma = np.append(top, np.append(np.geomspace(10.0, 0.05, K - 1), 0.0))
        return np.stack([np.ones(K + 1), sigma], axis=1)

    def run(model, x, K, noise):
        nodes = levels(K)[:, 1].astype(x.dtype)
        for t, s in pairwise(nodes):
            slope = model(x, 1.0, float(t))
            if s > 0:
                slope = (slope + model(x + (s - t) * slope, 1.0, float(s))) / 2
            x = x + (s - t) * slope
        return x

    return Subject(
        "heun",
        run,
        lambda K: ((1.0, top), (1.0, 0.0)),
        dtype=dtype,
        levels=levels,
        promoted=lambda: heun_across(top, "float64"),
    )


def test_a_method_that_multiplies_errors_is_a_note_and_bad_arithmetic_fails():
    assert statuses(heun_across(80.0), "stability") == ["passed"]
    noted = run_check(CHECKS["stability"], heun_across(2e4), quick=True)
    assert noted.status == "note"
    assert noted.measured > 1e-3
    assert "rounding the model's answers" in noted.detail
    for broken in BROKEN["stability"]:
        assert statuses(broken, "stability") == ["failed"]


def crowded(K):
    """Nearly all nodes far above the noise that matters: even in σ from 60 down."""
    ratio = np.linspace(60.0, 0.0, K + 1)
    return np.stack([1 / np.hypot(1, ratio), ratio / np.hypot(1, ratio)], axis=1)


def test_a_slow_spacing_converges():
    slow = run_check(CHECKS["converges"], subject(Euler, levels=crowded), quick=True)
    assert slow.status == "passed"
    assert "K = 320" in slow.detail
    for broken in BROKEN["converges"]:
        assert statuses(broken, "converges") == ["failed"]


class NoiseSDE(Euler):
    """SDE-DPM-Solver-1 in the form that takes ε̂ for constant within a step: right in the limit, inexact on a point."""

    def __call__(self, eps, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        if s_s == 0.0:
            return (x - s_t * eps) / a_t
        grow = a_s * s_t / (a_t * s_s)
        return a_s / a_t * x - 2 * s_s * (grow - 1) * eps + s_s * math.sqrt(grow**2 - 1) * noise


def test_an_sde_in_noise_is_not_asked_to_be_exact_on_a_point():
    asked = subject(NoiseSDE, law=StepLaw())
    asked = replace(asked, law=None)
    assert statuses(asked, "exact_on_gaussian", "landing", "terminal") == ["failed", "passed", "passed"]
    assert statuses(replace(asked, exact_on_point=False), "exact_on_gaussian") == ["skipped"]


# -- learned range ---------------------------------------------------------------------------------------------


class LearnedRange(DDPM):
    """DDPM whose network says how far its variance lies between the small and the large one, in logarithms."""

    def __init__(
        self, levels, fraction=0.0, mix=lambda part, small, large: small ** (1 - part) * large**part
    ):
        super().__init__(levels)
        self.fraction, self.mix = fraction, mix

    def __call__(self, v, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        mean = super().__call__(v, i, x, np.zeros_like(x))
        large = 1 - (a_t / a_s) ** 2
        return mean + math.sqrt(self.mix(self.fraction, large * (s_s / s_t) ** 2, large)) * (
            noise if s_s > 0 else 0.0
        )


def learned(**arguments):
    def at(fraction):
        return subject(
            LearnedRange, None, StepLaw(1.0, "range", fraction), arguments={"fraction": fraction, **arguments}
        )

    return replace(at(0.0), learned=at)


def test_a_learned_range_is_asked_for_both_ends_and_the_middle():
    assert statuses(learned(), "step_mean", "step_noise", "exact_on_gaussian", "terminal") == ["passed"] * 4
    for name, mix in {
        "linear, right at both ends": lambda part, small, large: (1 - part) * small + part * large,
        "swapped, right in the middle": lambda part, small, large: small**part * large ** (1 - part),
        "always small": lambda part, small, large: small,
        "without the shift from [-1, 1]": lambda part, small, large: (
            small ** (2 - 2 * part) * large ** (2 * part - 1)
        ),
        "deviations": lambda part, small, large: small ** (2 - 2 * part) * large ** (2 * part),
    }.items():
        assert statuses(learned(mix=mix), "step_noise") == ["failed"], name


def test_the_range_of_a_step_law():
    t, s = (0.6, 0.8), (0.8, 0.6)
    small, large = (StepLaw(1.0, kind).noise_variance(t, s) for kind in ("lam2", "beta"))
    found = [StepLaw(1.0, "range", part).noise_variance(t, s) for part in (0.0, 0.5, 1.0)]
    assert found == pytest.approx([small, math.sqrt(small * large), large], rel=1e-14)
    assert StepLaw(1.0, "range", 0.5).noise_variance(t, (1.0, 0.0)) == 0.0
    for wrong in (-0.1, 1.1, math.nan):
        with pytest.raises(InvalidParameterError, match="fraction must be in"):
            StepLaw(1.0, "range", wrong)
