"""dpmoracle validate: check every claim and say which hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidParameterError
from . import inputs, report
from .console import progress_bar, show, stdout_console

__all__ = ["validate"]


def validate(
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the verdicts as JSON too.")
    ] = None,
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="GLOB", help="Check the claims whose id matches, e.g. 'notes.*'."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Your points instead of the digits: .npy, .npz or .csv, one point per row.",
        ),
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", metavar="NAME", help="Which array of an .npz file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same numbers.")] = 0,
    report_file: report.ReportFile = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the claims, check none.")] = False,
) -> int:
    """Check every formula of the notes and papers, as printed and as corrected, and say which hold.

    A misprint is expected to be refuted. Without --only the page of --report
    holds the experiments too, samples and solvers: two minutes more.

    Exit code: 0 all as expected, 1 not all, 2 wrong use, 130 Ctrl-C.
    """
    from .. import claims, storage
    from ..report import json as json_report
    from ..report import pages, sections, text

    on = stdout_console()
    chosen = claims.registry.find(claims.all_claims(), only, "--only")
    if show_list:
        show(text.claim_list(chosen), on)
        return 0
    if key is not None and data is None:
        raise InvalidParameterError(f"--key {key} names an array of an .npz file; say which with --data FILE")
    if json is not None:
        storage.check_writable(json, "--json")
        inputs.refuse_overwriting(json, "--json", data)
    report.check(report_file, data, json)
    points = None if data is None else inputs.load(str(data), key)
    with progress_bar() as progress:
        found = claims.validate(data=points, only=only, seed=seed, progress=progress)
    if points is not None:
        found = dataclasses.replace(found, data=f"{data} ({len(points)} x {points.shape[1]})")
    try:
        if json is not None:
            storage.write_text(json, json_report.dumps(found), "--json")
    finally:  # a disk that is full must not cost the table
        show(text.verdict_table(found, on), on)
    if report_file is not None:
        points = inputs.load("digits", None) if points is None else points
        with progress_bar() as progress:
            more = sections.validate_sections(found, points, progress) if only is None else ()
        report.write(report_file, lambda command: pages.validate_page(found, command, more))
    return 0 if found.ok else 1
