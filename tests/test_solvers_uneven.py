"""The order of the solvers on an uneven grid, and mutants of the formulas that only a slope can judge."""

from __future__ import annotations

import contextlib
from functools import partial

import numpy as np
import pytest

from dpmoracle import InvalidParameterError
from dpmoracle.solvers import Yardstick, dpm_multistep, dpm_singlestep, unipc, vp_path
from mutation import mutant_of
from solver_cases import METHODS, mixtures

MIXTURES = mixtures()


@pytest.fixture(scope="module")
def yardsticks():
    return {name: Yardstick.of(q0, 0, samples=16) for name, q0 in MIXTURES.items()}


class Uneven(Yardstick):
    """Steps of lengths 1, 2, 1, 2, ... in λ: on an even grid the ratio of steps could be upside down."""

    def nodes(self, K):
        steps = np.resize([1.0, 2.0], K)
        share = np.append(0.0, np.cumsum(steps)) / steps.sum()
        return np.array([vp_path(lam) for lam in self.lam[0] + (self.lam[1] - self.lam[0]) * share])


@pytest.fixture(scope="module")
def uneven():
    return Uneven.of(MIXTURES["d=2"], 0, samples=16)


@pytest.mark.parametrize("name", [name for name in METHODS if "singlestep" not in name])
def test_order_on_an_uneven_grid(name, uneven):
    solver, order, states = METHODS[name]
    fit = uneven.measure(solver, "noise" if name.startswith("deis") else "data", states, steps=(80, 160))
    assert fit.slope == pytest.approx(order, abs=0.25)


def test_both_variants_of_unipc_3_are_one(yardsticks):
    """B(h) matters only where a coefficient is set to 1/2; once the start is past it, it cancels."""
    yardstick = yardsticks["d=1"]
    one, two = (
        yardstick.measure(partial(unipc, order=3, variant=variant), exact_start=2, steps=(40,))
        for variant in ("bh1", "bh2")
    )
    assert one.errors == pytest.approx(two.errors, rel=1e-9)


SKEW = [
    ("extra = part.gain * h * skew(r1, r2)", "extra = 0.0 * part.gain * h * skew(r1, r2)"),
    ("return r2 * (3.0 * r2 - 2.0) / (r1 * (2.0 - 3.0 * r1))", "return 0.0"),
    ("return r2 * (3.0 * r2 - 2.0) / (r1", "return r2 * (2.0 - 3.0 * r2) / (r1"),
    ("share = skew(r1, r2) * r1", "share = skew(r1, r2)"),
    ("share = skew(r1, r2) * r1", "share = 0.0"),
    ("skew(r1, r2) * r1**2 * phi", "skew(r1, r2) * r1 * phi"),
    ("(part.weight(2) * r + extra)", "(part.weight(2) + extra)"),
    ("part.weight(2) * r + extra) * slopes[0]", "extra) * slopes[0]"),
    ("step.weight(2) / (share + r2)", "step.weight(2) / r2"),
]


@pytest.mark.parametrize(("old", "new"), SKEW)
def test_a_broken_third_order_is_seen(old, new, yardsticks):
    solver = partial(mutant_of(dpm_singlestep, (old, new)), order=3, r1=0.25, r2=0.5)
    assert yardsticks["d=1"].measure(solver, steps=(20, 40, 80)).slope < 2.6
    right = partial(dpm_singlestep, order=3, r1=0.25, r2=0.5)
    assert yardsticks["d=1"].measure(right, steps=(20, 40, 80)).slope > 2.75


PAPER = [
    (dpm_singlestep, {"order": 2}, "(0.5 * step.weight(1) if", "(step.weight(1) if", 1.75),
    (dpm_singlestep, {"order": 2}, "(net(inner, middle) - f) / r)", "(net(inner, middle) - f))", 1.75),
    (dpm_multistep, {"order": 2, "form": "paper"}, "(0.5 * step.weight(1) if", "(step.weight(1) if", 1.75),
    (unipc, {"order": 2}, "0.5 * scale / r", "scale / r", 2.75),
    (unipc, {"order": 2}, "0.5 * scale / r", "0.5 * scale * r", 2.75),
    (unipc, {"order": 2}, "[*seen[1:], new]", "[new]", 2.75),
    (unipc, {"order": 1}, "_step(x, seen[0], [*seen[1:], new], new.level, prediction, variant)", "x", 1.75),
    (unipc, {"order": 1, "variant": "bh1"}, "step.gain * step.h if", "step.gain if", 1.75),
]


@pytest.mark.parametrize(("function", "options", "old", "new", "least"), PAPER)
def test_a_broken_simplified_form_is_seen(function, options, old, new, least, uneven):
    steps = (40, 80, 160)
    assert uneven.measure(partial(function, **options), steps=steps).slope > least
    broken = partial(mutant_of(function, (old, new)), **options)
    with np.errstate(all="ignore"), contextlib.suppress(InvalidParameterError):
        assert not uneven.measure(broken, steps=steps).slope > least
