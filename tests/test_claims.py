"""The claims as a whole: every one can fail, and a run is reproducible whichever part of it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import dpmoracle as dpm
from dpmoracle.claims import Claim, Measurement, World, all_claims, judge, validate

SOURCES = sorted(path.stem for path in Path(__file__).parent.glob("test_claims_*.py"))


def broken() -> dict[str, list[Callable[..., Any]]]:
    """Every broken formula that the tests of the single sources hand to a claim, by the claim's id."""
    found: dict[str, list[Callable[..., Any]]] = {}
    for name in SOURCES:
        found |= importlib.import_module(name).BROKEN
    return found


def test_every_claim_has_a_formula_that_turns_its_verdict() -> None:
    """A claim that cannot fail is a defect. That each of these does turn it is tested beside it."""
    assert {claim.id for claim in all_claims()} == set(broken())
    assert all(broken().values())


def test_ids_are_unique_and_fields_are_filled() -> None:
    claims = all_claims()
    assert len({claim.id for claim in claims}) == len(claims)
    for claim in claims:
        assert claim.expected in ("holds", "refuted")
        assert claim.source
        assert claim.statement
        assert claim.road
        assert claim.tolerance >= 0


def points(seed: int = 3) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(40, 3))


def test_the_same_seed_gives_the_same_numbers_for_a_part_as_for_all() -> None:
    part = validate(points(), only="notes.[67]*", seed=5)
    again = validate(points(), only="notes.*", seed=5)
    numbers = {v.id: v.measured for v in again}
    assert len(part) > 1
    assert all(numbers[v.id] == v.measured for v in part)


def test_progress_counts_every_claim() -> None:
    seen: list[tuple[int, int, str]] = []
    report = validate(points(), only="notes.[123]*", progress=lambda *step: seen.append(step))
    assert [step[0] for step in seen] == list(range(len(report)))
    assert {step[1] for step in seen} == {len(report)}
    assert [step[2] for step in seen] == [v.id for v in report]


@pytest.mark.parametrize(
    ("formula", "verdict"),
    [
        (lambda: 0.5, "holds"),
        (lambda: 1.5, "refuted"),
        (lambda: np.inf, "refuted"),
        (lambda: np.nan, "undecided"),
        (lambda: 1 // 0, "error"),
    ],
)
def test_verdicts(formula: Callable[..., Any], verdict: str) -> None:
    def check(formula: Callable[..., Any], world: World) -> Measurement:
        return Measurement(float(formula()), "seen")

    claim = Claim("x", "test", "x", "none", "holds", 1.0, formula, check)
    found = judge(claim, World(points(), "test", 0))
    assert found.verdict == verdict
    assert found.as_expected == (verdict == "holds")


ODD = {
    "one dimension": np.array([[0.0], [1.0], [5.0]]),
    "two points": np.array([[0.0, 1.0], [2.0, -1.0]]),
    "duplicates": np.repeat([[1.0, 2.0], [3.0, 5.0]], 4, axis=0),
    "one point twice": np.ones((2, 3)),
    "huge": 1e6 * points(),
    "tiny": 1e-6 * points(),
    "far from zero": points() + 1e4,
    "wide": np.random.default_rng(0).normal(size=(5, 200)),
    "constant column": np.column_stack([points(), np.ones(40)]),
    "outlier": np.vstack([points(), [[1e3, 0, 0]]]),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_no_verdict_turns_on_odd_data(data: np.ndarray[Any, Any]) -> None:
    """Formulas hold for every data set; only what is said of one in particular may depend on it."""
    report = validate(data, only="*data*")
    assert not [f"{v.id}: {v.measured:g} ({v.evidence})" for v in report if v.verdict != v.expected]


@settings(max_examples=10)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(1, 3)), elements=st.floats(-4, 4, width=16))
)
def test_any_data_gives_finite_or_infinite_numbers_never_an_exception(data: np.ndarray[Any, Any]) -> None:
    assert len(validate(data, only="*data*")) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": "notes.4.correct"}, "notes.4.corrected"),
        ({"data": np.ones(5)}, "shape"),
        ({"data": np.ones((1, 5))}, "two points"),
        ({"data": np.array([[1.0, np.nan], [1.0, 2.0]])}, "finite"),
    ],
)
def test_wrong_use_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(dpm.InvalidParameterError, match=message):
        validate(**arguments)
