"""The page of `dpmoracle validate`."""

from __future__ import annotations

from collections.abc import Sequence

from ...claims.results import Report, Verdict
from ..page import Column, Lines, Outcome, Page, Section, Table

__all__ = ["validate_page"]

_ERROR = ".1e"  # an error is of interest by its order of magnitude


def validate_page(report: Report, command: str, experiments: Sequence[Section] = ()) -> Page:
    """Every claim with its verdict, what is not as expected first, the experiments before the long table."""
    head = [
        Section(
            "Claims",
            (
                "Each claim is a statement with its source, judged by an independent road that does not use its "
                "formula. The measured error is the largest difference between the two; up to the tolerance a "
                "statement counts as true. A form that is wrong as printed is expected to be refuted, and its "
                "correction is a claim of its own.",
            ),
            tables=(_groups(report),),
        )
    ]
    if report.failures:
        found = "These verdicts are not the ones that were expected: a formula, a road or the code is wrong."
        head.insert(
            0, Section("Not as expected", (found,), tables=(_verdicts(report.failures, "Claims to look at"),))
        )
    everything = Section(
        "Every claim", tables=(_verdicts(report.verdicts, "All claims, in the order of their sources"),)
    )
    return Page(
        "Which formulas hold",
        Outcome(report.summary, "good" if report.ok else "bad"),
        command,
        report.seed,
        (*head, *experiments, everything),
        (("Data", report.data),),
    )


def _outcome(verdict: Verdict) -> Outcome:
    if verdict.as_expected:
        return Outcome(verdict.outcome, "good" if verdict.verdict == "holds" else "expected")
    return Outcome(verdict.outcome, "open" if verdict.verdict == "undecided" else "bad")


def _verdicts(verdicts: tuple[Verdict, ...], caption: str) -> Table:
    return Table(
        (
            "claim",
            "verdict",
            Column("measured error", _ERROR),
            Column("tolerance", _ERROR),
            "statement and evidence",
        ),
        tuple(
            (
                Lines(v.id, v.source),
                _outcome(v),
                v.measured,
                v.tolerance,
                Lines(v.statement, v.evidence, latex=True),
            )
            for v in verdicts
        ),
        caption,
    )


def _groups(report: Report) -> Table:
    """Counts by the first part of the identifiers."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in report:
        groups.setdefault(verdict.id.partition(".")[0], []).append(verdict)
    return Table(
        ("group", "claims", "hold", "refuted, as expected", "not as expected", Column("seconds", ".2f")),
        tuple(
            (
                name,
                len(group),
                sum(v.as_expected and v.verdict == "holds" for v in group),
                sum(v.as_expected and v.verdict == "refuted" for v in group),
                sum(not v.as_expected for v in group),
                sum(v.seconds for v in group),
            )
            for name, group in groups.items()
        ),
        "Claims by the first part of their names",
    )
