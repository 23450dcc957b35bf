"""Verdict, Report and their renderings: what they say is what was found."""

from __future__ import annotations

import io
import json
import math
import re
from typing import Any

import numpy as np
import pytest

from dpmoracle.claims.results import Report, Verdict
from dpmoracle.errors import InvalidParameterError
from dpmoracle.report.json import dumps


def verdict(**parts: Any) -> Verdict:
    usual = {
        "id": "notes.eq05.printed",
        "source": "notes (5), as printed",
        "statement": r"\sigma^2 = [x]\lambda",
        "verdict": "holds",
        "expected": "holds",
        "measured": 3.4e-13,
        "tolerance": 1e-9,
        "evidence": "quadrature [1-D]",
        "seconds": 0.25,
    }
    return Verdict(**{**usual, **parts})  # type: ignore[arg-type]


def report(*verdicts: Verdict, seconds: float = 38.2) -> Report:
    return Report(verdicts, 0, "digits", {"dpmoracle": "0.1.0"}, seconds)


@pytest.mark.parametrize(
    ("found", "expected", "as_expected", "outcome"),
    [
        ("holds", "holds", True, "holds"),
        ("refuted", "refuted", True, "refuted, as expected"),
        ("holds", "refuted", False, "holds, UNEXPECTED"),
        ("refuted", "holds", False, "refuted, UNEXPECTED"),
        ("undecided", "holds", False, "undecided"),
        ("undecided", "refuted", False, "undecided"),
        ("error", "holds", False, "error"),
        ("error", "refuted", False, "error"),
    ],
)
def test_every_outcome(found: str, expected: str, as_expected: bool, outcome: str) -> None:
    v = verdict(verdict=found, expected=expected)
    assert (v.as_expected, v.outcome) == (as_expected, outcome)
    r = report(v, verdict())
    assert r.ok == as_expected
    assert r.failures == (() if as_expected else (v,))


def test_words_that_are_no_verdict_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"verdict must be one of holds, refuted.*got 'true'"):
        verdict(verdict="true")
    with pytest.raises(
        InvalidParameterError, match="expected must be one of holds, refuted; got 'undecided'"
    ):
        verdict(expected="undecided")


def test_a_report_is_a_collection_of_verdicts() -> None:
    r = report(verdict(), verdict(id="b"))
    assert len(r) == 2
    assert [v.id for v in r] == ["notes.eq05.printed", "b"]
    with pytest.raises(AttributeError):
        r.seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("verdicts", "seconds", "line"),
    [
        (
            [verdict()] * 25 + [verdict(verdict="refuted", expected="refuted")] * 16,
            38.2,
            "41 claims: 25 hold, 16 refuted, all as expected (38 s, seed 0)",
        ),
        ([verdict()], 0.04, "1 claim: 1 holds, all as expected (0.0 s, seed 0)"),
        (
            [
                verdict(id="a"),
                verdict(id="b", verdict="refuted"),
                verdict(id="c", verdict="error"),
                verdict(),
            ],
            9.96,
            "4 claims: 2 hold, 1 refuted, 1 broke off; NOT as expected: b, c (10.0 s, seed 0)",
        ),
    ],
)
def test_the_last_line_counts(verdicts: list[Verdict], seconds: float, line: str) -> None:
    assert report(*verdicts, seconds=seconds).summary == line


def test_json_has_exactly_the_keys_of_the_issue_and_is_strict() -> None:
    r = report(
        verdict(measured=np.float64(0.5), tolerance=np.float32(0.25), seconds=np.float64(1)),
        verdict(measured=math.nan, tolerance=math.inf),
        verdict(measured=-math.inf, evidence="λ² [β̃]"),
    )
    keys = [
        "id",
        "source",
        "statement",
        "verdict",
        "expected",
        "measured",
        "tolerance",
        "evidence",
        "seconds",
    ]

    def no_constants(name: str) -> None:
        pytest.fail(f"{name} is not strict JSON")

    back = json.loads(dumps(r), parse_constant=no_constants)
    assert back == r.to_json()
    assert [list(entry) for entry in back] == [keys] * 3
    assert (back[0]["measured"], back[0]["tolerance"]) == (0.5, 0.25)
    assert back[1]["measured"] is back[1]["tolerance"] is back[2]["measured"] is None
    assert back[2]["evidence"] == "λ² [β̃]"


def test_str_is_a_plain_table_with_the_counts_last() -> None:
    misprint = verdict(id="x", verdict="refuted", expected="refuted", measured=math.nan)
    lines = str(report(verdict(), misprint)).split("\n")
    assert re.fullmatch(r"claim +verdict +measured error +tolerance +source", lines[0])
    assert re.fullmatch(r"notes.eq05.printed +holds +3.4e-13 +1.0e-09 +notes \(5\), as printed", lines[1])
    assert re.fullmatch(r"x +refuted, as expected +- +1.0e-09 .*", lines[2])
    assert lines[3] == report(verdict(), misprint).summary


# text.py: needs rich -----------------------------------------------------------------------------------------


def rendered(r: Report, width: int, terminal: bool = False) -> str:
    console = pytest.importorskip("rich.console").Console(
        file=io.StringIO(), width=width, force_terminal=terminal, markup=False, highlight=False
    )
    from dpmoracle.report.text import verdict_table

    for part in verdict_table(r, console):
        console.print(part)
    return str(console.file.getvalue())


LONG = "quadrature on 3-component mixtures in [-1, 1], linear schedule, N = 1000: worst at t = 17, λ² = β̃"
MANY = report(
    verdict(evidence=LONG),
    verdict(
        id="notes.eq05.corrected", verdict="refuted", expected="refuted", evidence=LONG, measured=math.inf
    ),
    verdict(id="bao2022.theorem2.upper_bound_of_bounded_data", verdict="refuted", evidence="[red]" + LONG),
)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_table_fits_and_loses_nothing(width: int) -> None:
    text = rendered(MANY, width)
    assert max(len(line.rstrip()) for line in text.split("\n")) <= width
    flat = " ".join(text.split())
    for words in (
        "claim",
        "verdict",
        "measured error",
        "tolerance",
        "3.4e-13",
        "1.0e-09",
        "notes (5), as printed",
    ):
        assert words in flat
    for v in MANY:
        assert v.id in flat
    if width < 120:  # else the evidence is broken over the lines of a column
        assert flat.count(LONG) == 4  # one per claim, and again for the failure
    assert "[red]" in flat
    assert flat.endswith(MANY.summary)


def test_wide_tables_have_six_columns() -> None:
    head = rendered(MANY, 160).split("\n")[2]
    assert head.split() == ["claim", "source", "verdict", "measured", "error", "tolerance", "evidence"]


def test_a_newcomer_is_told_what_a_refuted_claim_means_and_what_failed() -> None:
    text = rendered(MANY, 80)
    assert "wrong as printed" in text
    assert "upper_bound_of_bounded_data: expected holds, found refuted" in " ".join(text.split())
    assert r"\sigma^2 = [x]\lambda" in text
    assert "wrong as printed" not in rendered(report(verdict()), 80)


def test_an_identifier_and_its_verdict_share_a_line_for_grep() -> None:
    (line,) = (line for line in rendered(MANY, 80).split("\n") if line.startswith("notes.eq05.corrected"))
    assert "refuted, as expected" in line


def test_colours_only_on_a_terminal() -> None:
    assert "\x1b[" in rendered(MANY, 80, terminal=True)
    assert "\x1b[" not in rendered(MANY, 80)
