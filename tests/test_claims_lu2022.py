"""Claims on DPM-Solver: each verdict is as expected, and turns when the formula is broken (or put right)."""

from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from dpmoracle.claims import World, judge, lu2022
from dpmoracle.flow import flow_levels
from dpmoracle.solvers import ddim, dpm_multistep, dpm_singlestep
from dpmoracle.solvers.coefficients import Step
from mutation import mutant_of

WORLD = World(np.random.default_rng(0).normal(size=(12, 2)), "normal", 0)
CLAIMS = {claim.id: claim for claim in lu2022.CLAIMS}


def one_step(keep, weight):
    """A first-order solver with coefficients of its own; noise or data prediction."""

    def solver(model, x, nodes, prediction):
        levels = [tuple(map(float, node)) for node in nodes]
        for t, s in pairwise(levels):
            step = Step.between(t, s, prediction)
            x = keep(step, t, s) * x + weight(step) * model(x, *t)
        return x

    return solver


def right_keep(step, t, s):
    return step.keep


def right_weight(step):
    return step.weight(1)


FIRST = [
    one_step(lambda step, t, s: 1.0, right_weight),
    one_step(lambda step, t, s: s[0] * s[1] / (t[0] * t[1]), right_weight),
    one_step(right_keep, lambda step: -step.weight(1)),
    one_step(right_keep, lambda step: 0.8 * step.weight(1)),
    one_step(right_keep, lambda step: step.weight(2)),
]
DDIM = [*FIRST, one_step(right_keep, lambda step: step.gain * step.h)]


def single(old, new, **options):
    return partial(mutant_of(dpm_singlestep, (old, new)), **options)


def multi(old, new, **options):
    return partial(mutant_of(dpm_multistep, (old, new)), **options)


ORDER_2 = [
    ddim,
    single("(0.5 * step.weight(1) if", "(0.4 * step.weight(1) if", order=2),
    single("middle = path(half_log_snr(t) + r * h)", "middle = path(half_log_snr(t) + h)", order=2),
]
ORDER_3 = [
    partial(dpm_singlestep, order=2),
    single("(part.weight(2) * r + extra)", "(part.weight(2) * r**2 + extra)", order=3),
    single("(net(inner, middle) - f) / r)", "(net(inner, middle) - f) / r1)", order=3),
]
MULTI_2 = [
    multi("(0.5 * step.weight(1) if", "(step.weight(2) * 0.5 if", order=2, form="paper"),
    multi("- seen[1].f) / r0", "- seen[1].f) * r0 * 2", order=2),
]
MULTI_3 = [
    partial(dpm_multistep, order=3, form="common"),
    multi("slope0 + r0 * bend", "slope0 - r0 * bend", order=3),
    multi("(slope0 - slope1) / (r0 + r1)", "(slope0 - slope1) / r0", order=3),
    multi('(1.0 if form == "common" else 2.0) * bend', "3.0 * bend", order=3),
]


def constant_error(model, x, nodes, prediction):
    """A solver whose error is the same at every step size."""
    q0 = WORLD.lines["three gaussians"]
    return flow_levels(q0, x, nodes[0], nodes[-1]) + 1e-3


RIGHT_3 = partial(dpm_multistep, order=3)
BROKEN = {
    "lu2022.ddim": DDIM,
    "lu2022.order.1": FIRST,
    "lu2022.order.2": ORDER_2,
    "lu2022.order.3": ORDER_3,
    "lu2022.order.3.any-r2.paper": [partial(lu2022.published_singlestep3, r2=2 / 3)],
    "lu2022.order.3.any-r2.taylor": [partial(lu2022.published_singlestep3, r2=2 / 3, form="taylor")],
    "lu2022.order.3.any-r2.corrected": [
        lu2022.published_singlestep3,
        partial(lu2022.published_singlestep3, r1=0.2, r2=0.8, form="taylor"),
    ],
    "lu2022pp.multistep.2": MULTI_2,
    "lu2022pp.multistep.3.common": [RIGHT_3],
    "lu2022pp.multistep.3.common.second": [RIGHT_3],
    "lu2022pp.multistep.3.corrected": MULTI_3,
    "lu2022pp.multistep.3.users-start": [*MULTI_3, partial(dpm_multistep, order=3, start="lower")],
    "lu2022pp.multistep.3.order-1-start": [RIGHT_3],
    "notes.solver.step-size": [[constant_error]],
}


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict_is_as_expected(name):
    verdict = judge(CLAIMS[name], WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), [(name, k) for name in BROKEN for k in range(len(BROKEN[name]))])
def test_a_broken_formula_turns_the_verdict(name, k):
    turned = {"holds": "refuted", "refuted": "holds"}
    with np.errstate(all="ignore"):
        verdict = judge(CLAIMS[name], WORLD, BROKEN[name][k])
    assert verdict.verdict == turned[CLAIMS[name].expected], verdict


def test_every_claim_is_covered():
    assert set(BROKEN) == set(CLAIMS)
