"""Tables for a terminal: six columns where they fit, else two lines per claim; needs rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..claims.results import Report, Verdict, number

__all__ = ["claim_list", "verdict_table"]

_WIDE = 120  # columns from which evidence has room beside the numbers
_STYLE = {"holds": "green", "refuted": "cyan"}
_HEADINGS = ("claim", "verdict", "measured error", "tolerance")


class Listed(Protocol):
    """What a claim tells of itself before it is checked."""

    @property
    def id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def statement(self) -> str: ...
    @property
    def expected(self) -> str: ...


def verdict_table(report: Report, console: Console) -> list[RenderableType]:
    """What to print of a report: heading, table, what failed, and the counts in the last line.

    All strings go in as Text, so that brackets in a statement are never read as markup.
    """
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    parts: list[RenderableType] = [Text(f"Data: {report.data}; {versions}", style="dim"), ""]
    parts += [_wide(report, console)] if console.width >= _WIDE else _narrow(report, console.width)
    parts.append("")
    if any(v.expected == "refuted" and v.as_expected for v in report):
        parts += [
            Text("refuted, as expected: the form is wrong as printed; its correction is a claim of its own."),
            "",
        ]
    for v in report.failures:
        numbers = f"measured {number(v.measured)}, tolerance {number(v.tolerance)}"
        parts += [
            Text(f"{v.id}: expected {v.expected}, found {v.verdict}", style="bold red"),
            Padding.indent(Text(f"{v.statement}\n{numbers}\n{v.source}: {v.evidence}"), 4),
            "",
        ]
    parts.append(Text(report.summary, style="bold" if report.ok else "bold red"))
    return parts


def claim_list(claims: Iterable[Listed]) -> list[RenderableType]:
    """Identifier, source, what is expected, and the statement of each claim."""
    parts: list[RenderableType] = []
    for claim in claims:
        expected = "expected to hold" if claim.expected == "holds" else "expected to be refuted"
        below = Text(f"{claim.source}; {expected}\n{claim.statement}")
        parts += [Text(claim.id, style="bold"), Padding.indent(below, 4)]
    return parts


def _style(verdict: Verdict) -> str:
    return _STYLE[verdict.verdict] if verdict.as_expected else "bold red"


def _wide(report: Report, console: Console) -> Table:
    table = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("claim", no_wrap=True)
    table.add_column("source", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    for heading in _HEADINGS[2:]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("evidence", overflow="fold", ratio=1)
    for v in report:
        cells = (v.id, v.source, Text(v.outcome, style=_style(v)), number(v.measured), number(v.tolerance))
        table.add_row(*(Text(c) if isinstance(c, str) else c for c in cells), Text(v.evidence))
    return table


def _narrow(report: Report, width: int) -> list[RenderableType]:
    """First line identifier, verdict and numbers, so that grep shows them; then source and evidence."""
    outcome = max(len(_HEADINGS[1]), *(len(v.outcome) for v in report))
    room = width - outcome - len(_HEADINGS[2]) - len(_HEADINGS[3]) - 3 * 2
    claim = max(len(_HEADINGS[0]), min(room, max(len(v.id) for v in report)))

    def line(first: str, second: str, third: str, fourth: str, style: str) -> Text:
        long = len(first) > claim  # then the identifier takes a line of its own
        text = Text(first + "\n" + " " * claim if long else f"{first:<{claim}}", no_wrap=True)
        text.append(f"  {second:<{outcome}}", style=style)
        return text.append(f"  {third:>{len(_HEADINGS[2])}}  {fourth:>{len(_HEADINGS[3])}}")

    parts: list[RenderableType] = [line(*_HEADINGS, style="")]
    for v in report:
        parts.append(line(v.id, v.outcome, number(v.measured), number(v.tolerance), style=_style(v)))
        parts.append(Padding.indent(Text(f"{v.source}: {v.evidence}", style="dim"), 4))
    return parts
