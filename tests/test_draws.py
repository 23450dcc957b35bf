"""Sampled SNR integrals where a few rare components carry them: their errors by repetition, against exact values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import GaussianMixture, snr_integral
from dpmoracle.likelihood import draws, information
from dpmoracle.likelihood.draws import distinct, tilt, trace_samples
from mutation import mutant

REPEATS, SAMPLES = 40, 400
RARE = np.zeros((2000, 3))
RARE[:4] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, -0.5, 0.0]]


def points() -> GaussianMixture:
    """1996 equal points and four rare ones."""
    return GaussianMixture.from_points(RARE)


def points_truth() -> float:
    """2/d times the entropy of the five distinct points."""
    return -2 / 3 * (0.998 * np.log(0.998) + 0.002 * np.log(0.0005))


def clouds(variances: list[float]) -> GaussianMixture:
    return GaussianMixture([0.98, 0.01, 0.01], [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], variances, "spherical")


class Seen(NamedTuple):
    """Over independent runs: how far the mean is off in its errors, how far each is in its own, and the spread."""

    bias: float
    mean_square: float
    spread: float


def repeated(q0: GaussianMixture, low: float, high: float, truth: float) -> Seen:
    runs = [snr_integral(q0, low, high, SAMPLES, seed, method="monte carlo") for seed in range(REPEATS)]
    off = np.array([float(run.value) for run in runs]) - truth
    error = np.array([float(run.error) for run in runs])
    spread = float(off.std(ddof=1))
    return Seen(float(off.mean()) / spread * REPEATS**0.5, float(np.square(off / error).mean()), spread)


def honest(seen: Seen) -> bool:
    """Unbiased, and with the errors it states: false alarms 2e-4 and 3e-4 for normal errors."""
    return abs(seen.bias) < 4 and 0.35 < seen.mean_square < 1.95


def right(seen: Seen) -> bool:
    """On the points: honest, and with errors that a few rare samples do not decide."""
    return honest(seen) and seen.spread < 0.1 * points_truth()  # measured 0.07; drawn by the weights 0.3


def test_rare_points() -> None:
    assert right(repeated(points(), 0.0, np.inf, points_truth()))


def test_rare_points_between_two_snrs() -> None:
    flat = GaussianMixture.from_points(RARE[RARE[:, 2] == 0.0][:, :2])
    truth = snr_integral(distinct(flat), 2.0, 20.0, method="quadrature")
    assert float(truth.error) < 1e-9
    assert honest(repeated(flat, 2.0, 20.0, float(truth.value)))


@pytest.mark.parametrize("variances", [[0.01, 0.01, 0.01], [0.3, 0.3, 0.3], [0.3, 0.03, 0.15]])
def test_rare_clouds(variances: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    q0 = clouds(variances)
    truth = float(snr_integral(q0, 0.1, 50.0, method="quadrature").value)
    tilted = repeated(q0, 0.1, 50.0, truth)
    assert honest(tilted)
    monkeypatch.setattr(draws, "_UNEVEN", np.inf)
    assert tilted.spread < 1.2 * repeated(q0, 0.1, 50.0, truth).spread  # measured 0.45 to 0.65 times


BROKEN: dict[str, Callable[[], Any]] = {
    "drawn by the weights": lambda: mutant(draws, ("_UNEVEN = 4.0", "_UNEVEN = np.inf")),
    "no factor": lambda: mutant(draws, ("1.0 / (seen.weights @ slant)", "1.0")),
    "factor upside down": lambda: mutant(draws, ("1.0 / (seen.weights @ slant)", "seen.weights @ slant")),
    "factor of the own component": lambda: mutant(
        draws, ("1.0 / (seen.weights @ slant)", "1.0 / slant[own[some]] ** 2")
    ),
    "tilt without a draw by it": lambda: mutant(draws, ("_reweighted(q0, slant * q0.weights)", "q0")),
    "V so far not given back": lambda: mutant(draws, ("guess + rho", "rho")),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_draws_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(information, "trace_samples", BROKEN[name]().trace_samples)
    assert not right(repeated(points(), 0.0, np.inf, points_truth()))


def test_a_rule_on_the_scale_of_v_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """V(0) is 7e-4 here, and the points part at u near 10: the rule would have 6 nodes and be off by a sixth."""
    monkeypatch.setattr(information, "_reach", lambda q0: q0.trace_cov() / q0.d)
    assert abs(repeated(points(), 0.0, np.inf, points_truth()).bias) > 6


# the parts ---------------------------------------------------------------------------------------------------


@given(st.lists(st.floats(1e-12, 1.0), min_size=1, max_size=8))
def test_tilted_weights_are_weights(raw: list[float]) -> None:
    w = np.array(raw) / np.sum(raw)
    p = tilt(w) * w
    assert abs(p.sum() - 1) < 1e-9
    assert (p >= 0.5 * w * (1 - 1e-12)).all()
    np.testing.assert_allclose(tilt(np.full(len(w), 1 / len(w))), 1.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.sampled_from([0.0, 0.2]))
def test_distinct_is_the_same_law(which: list[int], variance: float) -> None:
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [1.0, 2.0]])
    weights = np.arange(1.0, len(which) + 1)
    variances = np.full(len(which), variance)
    q0 = GaussianMixture(weights / weights.sum(), places[which], variances, "spherical")
    q = distinct(q0)
    assert q.n_components == len(set(which))
    x = np.random.default_rng(0).standard_normal((5, 2))
    np.testing.assert_allclose(q.diffuse(0.8, 0.6).log_prob(x), q0.diffuse(0.8, 0.6).log_prob(x), rtol=1e-12)


def test_even_mixtures_are_drawn_by_their_weights() -> None:
    """The samples of points in general position are those of `sample_labelled`."""
    q0 = GaussianMixture.from_points(np.random.default_rng(1).standard_normal((7, 3)))
    found = np.concatenate(list(trace_samples(q0, np.array([0.5]), 300, np.random.default_rng(2))))
    rng = np.random.default_rng(2)
    x0, _ = q0.sample_labelled(300, rng)
    a, sigma = np.sqrt(1 / 3), np.sqrt(2 / 3)
    x = a * x0 + sigma * rng.standard_normal(x0.shape)
    trace = q0.posterior(x, np.full(300, a), np.full(300, sigma)).trace() / 3
    np.testing.assert_allclose(found[:, 0], trace, rtol=1e-10)
