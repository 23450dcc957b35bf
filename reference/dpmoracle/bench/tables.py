"""A run for people: lines of text for a terminal, a markdown table for a page."""

from __future__ import annotations

import math
from textwrap import wrap
from typing import Any, NamedTuple

from .results import Result, Run

__all__ = ["markdown", "text"]

_WIDTH, _NAME = 80, 40  # columns of a terminal, and of a name in it


class _Row(NamedTuple):
    """What stands beside our time: a peer with its time and ratio, a share of a limit, a figure, or a peer missing."""

    name: str
    time: str = ""
    value: str = ""
    aim: str = ""


def text(run: Run) -> str:
    """A paragraph for each piece of work, below the machine and its limits; 80 columns at the most."""
    lines = [*wrap(_machine(run), _WIDTH), *_limits(run)]
    for name, results in run.results.items():
        for result in results:
            lines += ["", *wrap(f"{name}: {result.work}", _WIDTH)]
            lines.append(f"  {'ours':{_NAME}} {_ours(result)}")
            if error := _error(result):
                lines += wrap(f"error {error}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
            for row in _rows(result):
                *before, last = wrap(row.name, _NAME)
                lines += [f"  {part}" for part in before]
                aim = f"  (aim {row.aim})" if row.aim else ""
                lines.append(f"  {last:{_NAME}} {row.time:>9} {row.value:>8}{aim}".rstrip())
    return "\n".join(lines) + "\n"


def markdown(run: Run) -> str:
    """A row for each peer of each piece of work, below the machine and its limits."""
    lines = [
        _machine(run),
        "",
        *(f"- {line}" for line in _limits(run)),
        "",
        "| work | ours (quartiles) | error | beside | time | ratio | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for results in run.results.values():
        for result in results:
            first = (result.work, _ours(result), _error(result))
            for i, row in enumerate(_rows(result) or [_Row("")]):
                lines.append("| " + " | ".join((*(first if i == 0 else ("", "", "")), *row)) + " |")
    return "\n".join(lines) + "\n"


def _machine(run: Run) -> str:
    machine = run.machine
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    threads = ", ".join(f"{name} {count}" for name, count in machine["threads"].items())
    return (
        f"{_device(machine)}{machine['cpu']}, {machine['cores']} cores, load {machine['load']}; "
        f"Python {machine['python']}, {versions}; threads: {threads}"
    )


def _device(machine: dict[str, Any]) -> str:
    """The GPU, its versions and clocks before and after, where there is one."""
    if "device" not in machine:
        return ""
    device = machine["device"]
    parts = [f"{name} {value}" for name, value in device.items() if name not in ("name", "now", "after")]
    clocks = [
        f"{when}: " + ", ".join(f"{name} {value}" for name, value in device[key].items())
        for when, key in (("before", "now"), ("after", "after"))
        if key in device
    ]
    return "; ".join((f"{device['name']}, {', '.join(parts)}", *clocks)) + "; "


def _limits(run: Run) -> list[str]:
    return [f"{name}: {value:.4g}" for name, value in run.limits.items()]


def _ours(result: Result) -> str:
    low, high = result.ours.spread
    return f"{_seconds(result.ours.median)} ({_seconds(low)} to {_seconds(high)})"


def _error(result: Result) -> str:
    return "" if math.isnan(result.error) else f"{result.error:.1e} {result.measure}".rstrip()


def _rows(result: Result) -> list[_Row]:
    def aim(name: str, form: str) -> str:
        return format(result.target[name], form) if name in result.target else ""

    rows = []
    for other, factor in zip(result.timings[1:], result.ratios().values()):
        name = f"{other.name}, {other.note}" if other.note else other.name
        goal = aim(other.name, "g")
        rows.append(_Row(name, _seconds(other.median), f"{factor:.3g}x", goal and f"{goal}x"))
    if result.limit is not None:
        name, share = result.limit
        rows.append(_Row(f"limit: {name}", "", f"{share:.0%}", aim("limit", ".0%") or aim(name, ".0%")))
    rows += [_Row(name, "", f"{value:.3g}", aim(name, "g")) for name, value in result.figures.items()]
    rows += [_Row(f"{peer.name}: missing, {peer.reason}") for peer in result.missing]
    return rows


def _seconds(seconds: float) -> str:
    """'12.3 ms'."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
