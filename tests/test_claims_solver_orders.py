"""Claims on the orders of Heun, DEIS, UniP and UniPC: verdicts as expected, turned by every broken solver."""

from __future__ import annotations

from functools import partial

import pytest

from claim_worlds import WORLD
from dpmoracle.claims import judge, solver_orders
from dpmoracle.solvers import ddim, deis, heun, unipc
from mutation import mutant_of

CLAIMS = {claim.id: claim for claim in solver_orders.CLAIMS}


def broken(solver, old, new, **options):
    return partial(mutant_of(solver, (old, new)), **options)


def without_corrector(order, variant):
    return partial(unipc, order=order, variant=variant, corrector=False)


BROKEN = {
    "karras2022.heun": [ddim, broken(heun, "noise(y + step * slope, s)", "noise(y + step * slope, t)")],
    "zhang2023.deis.3": [
        broken(deis, "x = x + (s[0] * weight) * node.f", "x = x + (s[0] * 1.01 * weight) * node.f", order=3),
        broken(
            deis, "(ticks[:, None] - others) / (knot - others)", "(ticks[:, None] - others) / knot", order=3
        ),
    ],
}
for variant in ("bh1", "bh2"):
    half = partial(broken, unipc, "0.5 * scale / r", "0.4 * scale / r", variant=variant)
    BROKEN[f"zhao2023.unip.2.{variant}"] = [
        half(order=2, corrector=False),
        broken(unipc, "(node.f - now.f)", "(now.f - node.f)", order=2, variant=variant, corrector=False),
    ]
    BROKEN[f"zhao2023.unipc.1.{variant}"] = [half(order=1), without_corrector(1, variant)]
factorial = ("math.factorial(i) * step.weight(i + 1)", "step.weight(i + 1)")
BROKEN["zhao2023.unip.3.bh2"] = [broken(unipc, *factorial, order=3, corrector=False)]
BROKEN["zhao2023.unipc.2.bh2"] = [broken(unipc, *factorial, order=2), without_corrector(2, "bh2")]


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict_is_as_expected(name):
    assert (found := judge(CLAIMS[name], WORLD)).as_expected, found


@pytest.mark.parametrize(("name", "formula"), [(name, f) for name, fs in BROKEN.items() for f in fs])
def test_a_broken_solver_turns_the_verdict(name, formula):
    assert (found := judge(CLAIMS[name], WORLD, formula)).verdict == "refuted", found


def test_every_claim_is_broken():
    assert set(BROKEN) == set(CLAIMS)
