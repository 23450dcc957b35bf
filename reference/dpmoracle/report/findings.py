"""What a sweep found, for a terminal of 80 columns or more; needs rich."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from ..claims.results import number

__all__ = ["finding_table"]

_COUNTED = ("failed", "xpassed", "xfailed", "note", "passed", "skipped")


def finding_table(
    rows: Iterable[Any], found: Iterable[Any], left_out: Mapping[str, str], each: bool = False
) -> list[RenderableType]:
    """Findings grouped by check, the worst configuration of each; what was refused and left out; the counts last.

    rows     : all results, as `conformance.sweep.sweep` gives them
    found    : as `conformance.sweep.findings` groups them
    left_out : sampler -> why it was not checked
    each     : every result in place of the findings alone, for the few samplers of somebody's own
    """
    given, groups = list(rows), list(found)
    parts: list[RenderableType] = []
    if each:
        parts += _each(given, groups)
    for check in () if each else dict.fromkeys(finding.worst.check for finding in groups):
        parts.append(Text(check, style="bold red"))
        for finding in groups:
            if finding.worst.check == check:
                parts += _told(finding)
        parts.append("")
    refused = [row for row in given if row.check == "configuration" and row.status == "note"]
    if refused and not each:
        parts.append(Text("Refused by the sampler, with a message", style="bold"))
        parts += [Padding.indent(Text(f"{r.subject} {r.config}: {r.detail}"), 2) for r in refused]
        parts.append("")
    if left_out:
        parts.append(Text("Not checked", style="bold"))
        parts += [Padding.indent(Text(f"{name}: {why}"), 2) for name, why in left_out.items()]
        parts.append("")
    counts = Counter(row.status for row in given)
    follow = counts["failed"] + counts["xpassed"] - sum(len(finding.rows) for finding in groups)
    if follow:
        what = "1 failure that follows" if follow == 1 else f"{follow} failures that follow"
        parts += [Text(f"Not listed: {what} from samples that are not finite, or from what raises"), ""]
    told = ", ".join(f"{counts[status]} {status}" for status in _COUNTED if counts[status])
    versions = ", ".join(dict.fromkeys(row.origin for row in given))
    summary = (
        f"{len(groups)} finding{'s' if len(groups) != 1 else ''}; {len(given)} results: {told} ({versions})"
    )
    parts.append(Text(summary, style="bold red" if groups else "bold"))
    return parts


def _each(given: list[Any], groups: list[Any]) -> list[RenderableType]:
    """By sampler: check, status and figures, below what is to be said of it; last what was skipped, by reason."""
    told = [row for finding in groups for row in finding.rows]
    parts: list[RenderableType] = []
    for key in dict.fromkeys((row.subject, row.config) for row in given):
        parts.append(Text(" ".join(key).rstrip(), style="bold"))
        rows = [row for row in given if (row.subject, row.config) == key]
        without: dict[str, list[str]] = {}
        for row in rows:
            failed = row.status in ("failed", "xpassed")
            if row.status == "skipped":
                without.setdefault(row.detail, []).append(row.check)
            elif not failed or row in told:
                measured = "-" if row.measured is None else number(row.measured)
                bound = "" if row.bound is None else f"  bound {number(row.bound)}"
                line = f"{row.check:<17}  {row.status:<7}  {measured:>8}{bound}"
                parts.append(Padding.indent(Text(line, style="red" if failed else ""), 2))
                if row.status != "passed":
                    parts.append(Padding.indent(Text(row.detail, style="dim"), 4))
        for reason, checks in without.items():
            parts.append(Padding.indent(Text(f"skipped, {reason}: {', '.join(checks)}"), 2))
        parts.append("")
    return parts


def _told(finding: Any) -> list[RenderableType]:
    worst = finding.worst
    figures = (
        "" if worst.measured is None else f", measured {number(worst.measured)}, bound {number(worst.bound)}"
    )
    head = Text(f"{worst.subject}: {len(finding.rows)} of {finding.among} configurations{figures}")
    below = f"{worst.config or 'defaults'}: {worst.detail}"
    return [Padding.indent(head, 2), Padding.indent(Text(below, style="dim"), 4)]
