"""dpmoracle check: other people's samplers against the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidParameterError
from . import inputs, report
from .console import progress_bar, show, stdout_console

if TYPE_CHECKING:
    from ..conformance.sweep import Entry, Row

__all__ = ["check"]

_LIBRARIES = ("diffusers", "k-diffusion", "dpm-solver")


def check(
    target: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="diffusers, k-diffusion, dpm-solver, or mymodule:my_sampler."),
    ],
    file: Annotated[
        Path | None, typer.Option("--file", metavar="PATH", help="dpm_solver_pytorch.py, for dpm-solver.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="GLOB", help="Samplers or checks that match, e.g. 'DDIM*' or order."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The defaults of each sampler, and few numbers of steps.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, metavar="N", help="Processes; one per core if not given.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all results as JSON.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="Write all results as JUnit XML.")
    ] = None,
    report_file: report.ReportFile = None,
    show_list: Annotated[
        bool, typer.Option("--list", help="List what would be checked, check nothing.")
    ] = False,
) -> int:
    """Check the samplers of a library against exact mixtures, in many configurations.

    mymodule:my_sampler is a Subject, a configured scheduler of diffusers, or
    a function that returns one or several of them.

    Importing the code under test runs it; nothing else of it is run but its
    samplers.

    Exit code: 0 no failure, 1 findings, 2 wrong use, 130 Ctrl-C.
    """
    from .. import storage
    from ..conformance.adapters.entries import module_file
    from ..conformance.records import to_json, to_junit
    from ..conformance.sweep import findings, selected, sweep
    from ..report import findings as table

    for path, option, others in ((json, "--json", [file]), (junit, "--junit", [file, json])):
        if path is not None:
            storage.check_writable(path, option)
            inputs.refuse_overwriting(path, option, *others)
    report.check(report_file, json, junit, file)
    entries, left_out = _entries(target, file, quick)
    own = target not in _LIBRARIES
    if own:
        for path, option in ((json, "--json"), (junit, "--junit"), (report_file, report.OPTION)):
            if path is not None:
                inputs.refuse_overwriting(path, option, module_file(target))
    on = stdout_console()
    if show_list:
        listed = dict.fromkeys(
            f"{entry.name} {_told(entry.config)}".rstrip() for entry, _ in selected(entries, only)
        )
        show([*listed], on)
        return 0
    rows: list[Row] = []
    try:
        with progress_bar() as progress:
            sweep(entries, quick=quick, only=only, jobs=jobs, progress=progress, into=rows)
    except KeyboardInterrupt:
        _write(storage, json, junit, rows, to_json, to_junit)
        kept = f"{json} holds the {len(rows)} results so far" if json is not None else ""
        raise KeyboardInterrupt(kept) from None
    found = findings(rows)
    try:
        _write(storage, json, junit, rows, to_json, to_junit)
    finally:  # a disk that is full must not cost the table
        show(table.finding_table(rows, found, {} if only else left_out, each=own), on)
    if report_file is not None:
        from ..report import pages

        where = ", ".join(dict.fromkeys(row.origin for row in rows))
        report.write(report_file, lambda command: pages.check_page(rows, where, command))
    return 1 if found else 0


def _entries(target: str, file: Path | None, quick: bool) -> tuple[list[Entry], dict[str, str]]:
    """What to check, and what of the library is left out and why."""
    from ..conformance.adapters import catalogue, entries

    if (file is not None) != (target == "dpm-solver"):
        raise InvalidParameterError(
            "dpm-solver needs --file PATH of dpm_solver_pytorch.py"
            if file is None
            else f"--file is for dpm-solver, not for {target}"
        )
    if target == "diffusers":
        return [*catalogue.diffusers_entries(quick)], catalogue.left_out()
    if target == "k-diffusion":
        return [*entries.k_diffusion_entries(quick)], entries.k_diffusion_left_out()
    if target == "dpm-solver":
        return [*entries.solver_entries(str(file), quick)], {}
    if ":" not in target:
        raise InvalidParameterError(
            f"WHAT must be diffusers, k-diffusion, dpm-solver, or MODULE:NAME; got {target!r}"
        )
    return [*entries.own_entries(target)], {}


def _told(config: dict[str, Any]) -> str:
    return ", ".join(f"{name}={getattr(value, '__name__', value)}" for name, value in config.items())


def _write(
    storage: Any, json: Path | None, junit: Path | None, rows: list[Row], to_json: Any, to_junit: Any
) -> None:
    if json is not None:
        storage.write_text(json, to_json(rows), "--json")
    if junit is not None:
        storage.write_text(junit, to_junit(rows), "--junit")
