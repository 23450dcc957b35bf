"""Claims on the probability flow: they hold, and break with the ODE."""

from __future__ import annotations

import numpy as np
import pytest

from dpmoracle import flow as flow_module
from dpmoracle.claims import World, judge, song2021
from dpmoracle.errors import InvalidParameterError
from dpmoracle.flow import flow, log_prob_flow
from dpmoracle.flow_field import divergence, velocity
from mutation import mutant_of

WORLD = World(np.random.default_rng(0).normal(size=(12, 2)), "normal", 0)
CLAIMS = {claim.id: claim for claim in song2021.CLAIMS}


def with_velocity(old, new):
    """The flow of another ODE."""

    def carry(orc, x, t, s):
        with pytest.MonkeyPatch.context() as patch, np.errstate(all="ignore"):
            patch.setattr(flow_module, "velocity", mutant_of(velocity, (old, new)))
            try:
                return flow(orc, x, t, s, 1e-6)
            except InvalidParameterError:  # it ran away
                return np.full_like(x, 1e9)

    return carry


def with_divergence(old, new):
    def log_prob(orc, x, t, s):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(flow_module, "divergence", mutant_of(divergence, (old, new)))
            return log_prob_flow(orc, x, t, s, 1e-6)

    return log_prob


SIGN = "-sin[:, None] * (p.mean + cos"
SCORE = "(p.mean + cos[:, None] * p.score)"
FLOWS = [
    with_velocity(SIGN, "sin[:, None] * (p.mean + cos"),
    with_velocity(SCORE, "(p.mean + 2 * cos[:, None] * p.score)"),
    with_velocity(SCORE, "(p.mean - cos[:, None] * p.score)"),
    with_velocity(SCORE, "p.mean"),
    lambda orc, x, t, s: x,
    lambda orc, x, t, s: flow(orc, x, t, s, 1e-2) * 1.001,
]
BROKEN = {
    "song2021.flow.gaussian": FLOWS,
    "song2021.flow.ranks": FLOWS,
    "song2021.flow.density": [
        with_divergence("(within - between)", "(within + between)"),
        with_divergence("(1.0 - e) / (", "(1.0 + e) / ("),
        with_divergence("np.asarray(cos * sin * (", "np.asarray(-cos * sin * ("),
        lambda orc, x, t, s: orc.log_prob(flow(orc, x, t, s, 1e-4), s),
    ],
}


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict_is_as_expected(name):
    verdict = judge(CLAIMS[name], WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in BROKEN for k in range(len(BROKEN[name]))])
def test_a_broken_formula_turns_the_verdict(name, k):
    assert judge(CLAIMS[name], WORLD, BROKEN[name][k]).verdict == "refuted"


def test_every_claim_is_covered():
    assert set(BROKEN) == set(CLAIMS)
