"""Claims on the estimators of V; a broken estimator turns each verdict."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from dpmoracle import estimate_mmse
from dpmoracle.claims import World, estimators, judge
from dpmoracle.moments import Moments
from small_world import ODD, SMALL, WORLD, turns, verdicts

CLAIMS = estimators.CLAIMS
ON_DATA = [claim for claim in CLAIMS if "on the data" in claim.source]
RIGHT = estimators._of_points


# -- four estimators on a mixture, each by its definition ----------------------------------------------------


def score(p, x0, a, sigma, d):
    return (sigma / a) ** 2 * (1 - sigma**2 * np.square(p.score).sum(1) / d)


def residual(p, x0, a, sigma, d):
    return np.square(x0 - p.mean).sum(1) / d


def pair(p, x0, a, sigma, d):
    squares = np.square(x0[:, None] - p.mean[:, None] - p.offsets).sum(2)
    return 0.5 * (p.weights * (p.spectrum.sum(2) + squares)).sum(1) / d


def trace(p, x0, a, sigma, d):
    return p.trace() / d


def sampled(**changed):
    """oracle.mmse by definitions of the four statistics, some of them changed."""
    statistics = {"score": score, "residual": residual, "pair": pair, "trace": trace} | changed

    def estimate(oracle, steps, count, rng, method):
        q0, rows = oracle.q0, []
        x0 = q0.sample(count, rng)
        noise = rng.standard_normal(x0.shape)
        for a, sigma in zip(*oracle.process.levels(steps)):
            p = q0.posterior(a * x0 + sigma * noise, np.full(count, a), np.full(count, sigma))
            rows.append(statistics[method](p, x0, a, sigma, q0.d))
        return Moments.of(np.stack(rows, 1)).estimate(method)

    return estimate


FOUR = [
    sampled(score=lambda p, x0, a, sigma, d: score(p, x0, a, sigma, d) * (a / sigma) ** 2),
    sampled(score=lambda p, x0, a, sigma, d: (sigma / a) ** 2 * (1 - np.square(p.score).sum(1) / d)),
    sampled(score=lambda p, x0, a, sigma, d: (sigma / a) ** 2 * (1 - sigma**2 * np.square(p.score).sum(1))),
    sampled(score=lambda p, x0, a, sigma, d: (sigma / a) ** 2 * (1 - sigma * np.square(p.score).sum(1) / d)),
    sampled(
        score=lambda p, x0, a, sigma, d: (sigma / a) ** 2 * (1 + sigma**2 * np.square(p.score).sum(1) / d)
    ),
    sampled(residual=lambda p, x0, a, sigma, d: np.square(x0 - p.mean).sum(1)),
    sampled(residual=lambda p, x0, a, sigma, d: np.square(x0 + p.mean).sum(1) / d),
    sampled(residual=lambda p, x0, a, sigma, d: np.square(x0 - p.mean / a).sum(1) / d),
    sampled(residual=lambda p, x0, a, sigma, d: np.linalg.norm(x0 - p.mean, axis=1) / d),
    sampled(pair=lambda p, x0, a, sigma, d: 2 * pair(p, x0, a, sigma, d)),
    sampled(pair=lambda p, x0, a, sigma, d: pair(replace(p, spectrum=0 * p.spectrum), x0, a, sigma, d)),
    sampled(pair=lambda p, x0, a, sigma, d: pair(replace(p, offsets=0 * p.offsets), x0, a, sigma, d)),
    sampled(trace=lambda p, x0, a, sigma, d: p.trace()),
    sampled(trace=lambda p, x0, a, sigma, d: replace(p, offsets=0 * p.offsets).trace() / d),
    sampled(trace=lambda p, x0, a, sigma, d: replace(p, spectrum=0 * p.spectrum).trace() / d),
]


def scaled(factor, shift=0.0):
    def estimate(model, x0, sch, timesteps, rng):
        return estimate_mmse(lambda x, t: factor * model(x, t) + shift, x0, sch, timesteps, rng=rng)

    return estimate


def doubled(model, x0, sch, timesteps, rng):
    found = estimate_mmse(model, x0, sch, timesteps, rng=rng)
    return replace(found, mmse=2 * found.mmse)


def of_its_root(model, x0, sch, timesteps, rng):
    found = estimate_mmse(model, x0, sch, timesteps, rng=rng)
    return replace(found, mmse=np.sqrt(found.mmse))


def from_others(model, x0, sch, timesteps, rng):
    """The residual of a prediction made from somebody else's x_t."""
    rolled = {}

    def wrong(x, t):
        rolled["x"] = np.roll(x, 1, axis=0)
        return model(rolled["x"], t)

    return estimate_mmse(wrong, x0, sch, timesteps, rng=rng)


# -- estimators on points ------------------------------------------------------------------------------------


def times(factor):
    return lambda *drawn: factor * RIGHT(*drawn)


def at_other_level(x0, noise, own, points, a, sigma, method):
    return RIGHT(x0, noise, own, points, sqrt(1.1) * a, sigma, method)


def of_other_noise(x0, noise, own, points, a, sigma, method):
    return RIGHT(x0, -noise, own, points, a, sigma, method)


def only(name, change):
    """One of the estimators changed, the others right."""

    def samples(x0, noise, own, points, a, sigma, method):
        found = RIGHT(x0, noise, own, points, a, sigma, method)
        return change(found) if method == name else found

    return samples


def from_norm(change):
    """The score norm from Γ = ‖s‖²/d."""

    def samples(x0, noise, own, points, a, sigma, method):
        return change(RIGHT(x0, noise, own, points, a, sigma, "gamma"), a, sigma)

    return samples


BROKEN = {
    "estimators.agree": FOUR,
    "estimators.residual": [scaled(-1.0), scaled(0.9), scaled(1.0, 0.1), doubled, of_its_root, from_others],
    "estimators.posterior": [
        at_other_level,
        of_other_noise,
        *(only(name, lambda found: 2 * found) for name in ("residual", "pair", "trace")),
        *(only(name, lambda found: found - 1e-6) for name in ("residual", "pair", "trace")),
        only("residual", np.sqrt),
    ],
    "estimators.score.data": [
        times(2),
        from_norm(lambda norm, a, sigma: 1 - sigma**2 * norm),
        from_norm(lambda norm, a, sigma: (sigma / a) ** 2 * (1 - norm)),
        from_norm(lambda norm, a, sigma: (sigma / a) ** 2 * (1 - sigma * norm)),
        from_norm(lambda norm, a, sigma: (sigma / a) ** 2 * (1 + sigma**2 * norm)),
        from_norm(lambda norm, a, sigma: (sigma / a) * (1 - sigma**2 * norm)),
        from_norm(lambda norm, a, sigma: np.full(norm.shape, np.nan)),
    ],
    "estimators.score-variance": [
        lambda u, d: 1 / (d * u**2),
        lambda u, d: 2 / u**2,
        lambda u, d: 2 / (d * u),
        lambda u, d: 2 * d / u**2,
        lambda u, d: 4 / (d * u**2),
        lambda u, d: 2 / d,
    ],
    "estimators.effective-count": [
        estimators._every_sample,
        lambda moments: 1 / moments.effective_count,
        lambda moments: 100 * moments.effective_count,
        lambda moments: moments.count - moments.effective_count,
        lambda moments: 0 * moments.mean,
    ],
    "estimators.stderr-alone": [lambda moments: moments.effective_count],
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_verdict_is_as_expected(claim):
    verdict = judge(claim, WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), verdicts(CLAIMS, BROKEN))
def test_a_broken_formula_turns_the_verdict(name, k):
    needs_two_points = name in ("estimators.effective-count", "estimators.stderr-alone")
    assert turns(CLAIMS, BROKEN, name, k, WORLD if needs_two_points else SMALL)


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
@pytest.mark.parametrize("claim", ON_DATA, ids=lambda claim: claim.id)
def test_odd_data_get_no_false_verdict(claim, data):
    verdict = judge(claim, World(data, "odd", 1))
    assert verdict.as_expected, verdict


def test_the_parts_that_the_mutants_change_are_right():
    control = {
        "estimators.agree": sampled(),
        "estimators.residual": scaled(1.0),
        "estimators.posterior": times(1),
        "estimators.score.data": from_norm(lambda norm, a, sigma: (sigma / a) ** 2 * (1 - sigma**2 * norm)),
    }
    for claim in CLAIMS:
        if claim.id in control:
            assert judge(claim, SMALL, control[claim.id]).verdict == "holds", claim.id
