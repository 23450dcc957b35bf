"""What a claim's check found, and the report of a run over all claims."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidParameterError

__all__ = ["Report", "Verdict"]

_EXPECTED = ("holds", "refuted")
_VERDICTS = (*_EXPECTED, "undecided", "error")


@dataclass(frozen=True)
class Verdict:
    """One claim, checked.

    id        : dotted name, what `--only` matches
    source    : where the statement stands: notes and equation, as printed or as corrected; paper and theorem
    statement : LaTeX
    verdict   : "holds", "refuted", "undecided" (the evidence does not decide), "error" (the check broke off)
    expected  : "holds", or "refuted" for a misprint
    measured  : the error found, in the units of tolerance; nan or inf where there is none
    tolerance : the largest error with which the statement still counts as true
    evidence  : the independent road, and on what it was walked
    seconds   : what the check took
    """

    id: str
    source: str
    statement: str
    verdict: str
    expected: str
    measured: float
    tolerance: float
    evidence: str
    seconds: float

    def __post_init__(self) -> None:
        for name, allowed in (("verdict", _VERDICTS), ("expected", _EXPECTED)):
            if getattr(self, name) not in allowed:
                raise InvalidParameterError(
                    f"Verdict: {name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}"
                )
        for name in ("measured", "tolerance", "seconds"):  # a NumPy scalar is no number to json
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def as_expected(self) -> bool:
        return self.verdict == self.expected

    @property
    def outcome(self) -> str:
        """The verdict in words: a misprint found to be one reads "refuted, as expected"."""
        if self.verdict not in _EXPECTED:
            return self.verdict
        if not self.as_expected:
            return f"{self.verdict}, UNEXPECTED"
        return "refuted, as expected" if self.verdict == "refuted" else "holds"


@dataclass(frozen=True)
class Report:
    """All verdicts of one run, and what is needed to repeat it."""

    verdicts: tuple[Verdict, ...]
    seed: int
    data: str
    versions: dict[str, str]
    seconds: float

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The verdicts that are not as expected; undecided and broken checks are among them."""
        return tuple(verdict for verdict in self.verdicts if not verdict.as_expected)

    @property
    def ok(self) -> bool:
        return not self.failures

    def __len__(self) -> int:
        return len(self.verdicts)

    def __iter__(self) -> Iterator[Verdict]:
        return iter(self.verdicts)

    def to_json(self) -> list[dict[str, Any]]:
        """One plain dict per verdict; None stands for nan and inf, which strict JSON has not."""
        keys = (
            "id",
            "source",
            "statement",
            "verdict",
            "expected",
            "measured",
            "tolerance",
            "evidence",
            "seconds",
        )
        return [{key: _finite(getattr(verdict, key)) for key in keys} for verdict in self.verdicts]

    @property
    def summary(self) -> str:
        """One line: "41 claims: 25 hold, 16 refuted, all as expected (38 s, seed 0)"."""
        counts = Counter(verdict.verdict for verdict in self.verdicts)
        words = {"holds": "holds" if counts["holds"] == 1 else "hold", "error": "broke off"}
        found = ", ".join(f"{counts[kind]} {words.get(kind, kind)}" for kind in _VERDICTS if counts[kind])
        wrong = [verdict.id for verdict in self.failures]
        end = f"; NOT as expected: {', '.join(wrong)}" if wrong else ", all as expected"
        claims = "1 claim" if len(self) == 1 else f"{len(self)} claims"
        took = f"{self.seconds:.1f} s" if self.seconds < 10 else f"{self.seconds:.0f} s"
        return f"{claims}: {found}{end} ({took}, seed {self.seed})"

    def __str__(self) -> str:
        rows = [("claim", "verdict", "measured error", "tolerance", "source")]
        rows += [(v.id, v.outcome, number(v.measured), number(v.tolerance), v.source) for v in self.verdicts]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}"
            for row in rows
        ]
        return "\n".join([*lines, self.summary])


def number(value: float) -> str:
    """Two digits, "-" for nan: an error is of interest by its order of magnitude."""
    return "-" if math.isnan(value) else f"{value:.1e}" if value and math.isfinite(value) else f"{value:g}"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
