"""The page of `dpmoracle bench`."""

from __future__ import annotations

from ...bench.results import Result, Run
from .. import sections
from ..page import Cell, Column, Outcome, Page, Section, Table

__all__ = ["bench_page"]


def bench_page(run: Run, command: str) -> Page:
    """The time of each piece of work, beside that of every peer, and the aims that were reached or not."""
    rows = tuple(
        row for name, found in run.results.items() for result in found for row in _rows(name, result)
    )
    aims = [cell for row in rows for cell in row if isinstance(cell, Outcome)]
    short = sum(aim.tone != "good" for aim in aims)
    reached = f"{len(aims) - short} of {len(aims)} aims are reached" if aims else "No aim was set"
    away = {
        f"{peer.name}: {peer.reason}" for found in run.results.values() for r in found for peer in r.missing
    }
    times = Table(
        (
            "benchmark", "work", Column("ours, seconds", ".3g"), "beside", Column("its seconds", ".3g"),
            Column("ratio or share", ".3g"), Column("aim", "g"), "verdict", Column("error", ".1e"),
        ),
        rows,
        "Medians over the turns; a ratio is the time of a peer over ours",
    )  # fmt: skip
    limits = tuple(run.limits.items())
    measured = Table(("limit", Column("measured", ".4g")), limits, "Limits of this machine")
    machine = run.machine
    threads = ", ".join(f"{name} {count}" for name, count in machine["threads"].items())
    return Page(
        "How fast",
        Outcome(reached, "open" if short else "good"),
        command,
        run.settings.get("seed"),
        (
            *sections.bench_sections(run),
            Section("Times", tuple(f"Missing, {peer}." for peer in sorted(away)), tables=(times,)),
            *((Section("Limits", tables=(measured,)),) if limits else ()),
        ),
        (("Threads", threads), ("Load", str(machine["load"]))),
    )


def _rows(name: str, result: Result) -> list[tuple[Cell, ...]]:
    ours = result.ours.median
    head: tuple[Cell, ...] = (name, result.work, ours)

    def row(beside: str, seconds: float | None, value: float, aim: float | None) -> tuple[Cell, ...]:
        verdict = None
        if aim is not None:
            verdict = Outcome("reached", "good") if value >= aim else Outcome("not reached", "open")
        return (*head, beside, seconds, value, aim, verdict, result.error)

    rows = [
        row(peer.name, peer.median, factor, result.target.get(peer.name))
        for peer, factor in zip(result.timings[1:], result.ratios().values(), strict=True)
    ]
    if result.limit is not None:
        limit, share = result.limit
        rows.append(row(f"limit: {limit}", None, share, result.target.get(limit)))
    return rows or [(*head, None, None, None, None, None, result.error)]
