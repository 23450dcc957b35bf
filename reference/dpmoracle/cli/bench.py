"""dpmoracle bench: the kernels beside the code people use today and the machine's limit."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap
from typing import Annotated

import typer

from . import report
from .console import emit, progress_bar

__all__ = ["bench"]


def bench(
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="GLOB", help="Run the benchmarks whose name matches, e.g. 'trajectory.*'."
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the table as markdown.")
    ] = None,
    analytic_dpm: Annotated[
        Path | None,
        typer.Option(
            "--analytic-dpm",
            metavar="PATH",
            help="A checkout of baofff/Analytic-DPM; our transcription of its program stands in without it.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option("--threads", min=1, metavar="N", help="Threads for all; every core by default."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes and two turns, to see that everything runs.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same inputs.")] = 0,
    report_file: report.ReportFile = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the benchmarks, run none.")] = False,
) -> int:
    """Measure the kernels, in turns with the code of others, in one run.

    A ratio is the median over the turns of a peer's time over ours. Peers
    that are not installed are named as missing.

    Exit code: 0 done, 2 wrong use, 130 Ctrl-C.
    """
    from .. import storage
    from ..bench import machine, suite, tables

    if show_list:
        width = 2 + max(map(len, suite.BENCHMARKS))
        for name in suite.find(only):
            line = f"{name:{width}}{suite.BENCHMARKS[name][1]}"
            emit("\n".join(wrap(line, 80, subsequent_indent=" " * width)) + "\n")
        return 0
    for path, option in ((json, "--json"), (markdown, "--markdown")):
        if path is not None:
            storage.check_writable(path, option)
    report.check(report_file, json, markdown)
    setting = suite.Setting(quick, analytic_dpm, threads or machine.cores(), seed)
    with progress_bar() as progress:
        found = suite.run(only, setting, progress)
    try:
        if json is not None:
            storage.write_text(json, found.dumps(), "--json")
        if markdown is not None:
            storage.write_text(markdown, tables.markdown(found), "--markdown")
    finally:  # a disk that is full must not cost the table
        emit(tables.text(found))
    if report_file is not None:
        from ..report import pages

        report.write(report_file, lambda command: pages.bench_page(found, command))
    return 0
