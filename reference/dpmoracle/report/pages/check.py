"""The page of `dpmoracle check`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from .. import sections
from ..page import Column, Lines, Outcome, Page, Section, Table

__all__ = ["check_page"]

_TONES = {
    "failed": "bad",
    "xpassed": "bad",
    "note": "open",
    "skipped": "open",
    "xfailed": "expected",
    "passed": "good",
}


def check_page(rows: Iterable[Any], where: str, command: str) -> Page:
    """Every result, what must be looked at first.

    rows  : as `conformance.sweep` gives them, with subject, config, check, status, measured, bound and detail
    where : which library and version
    """
    order = list(_TONES)
    found = sorted(rows, key=lambda row: order.index(row.status))
    counts = Counter(row.status for row in found)
    told = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    wrong = counts["failed"] + counts["xpassed"]
    table = Table(
        ("subject", "check", "verdict", Column("measured", ".3g"), Column("bound", ".3g"), "detail"),
        tuple(
            (
                Lines(row.subject, row.config),
                row.check,
                _outcome(row.status),
                row.measured,
                row.bound,
                row.detail,
            )
            for row in found
        ),
        "All results; what must be looked at first",
    )
    return Page(
        "Which samplers pass which checks",
        Outcome(f"{len(found)} results: {told}", "bad" if wrong else "good"),
        command,
        None,
        (
            *sections.check_sections(found, where),
            Section("Results", tables=(table,)),
        ),
        (("Checked", where),),
    )


def _outcome(status: str) -> Outcome:
    return Outcome(status, _TONES[status])
