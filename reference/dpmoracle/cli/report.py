"""--report FILE.html: one option of several commands, checked before the long work and written after it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import inputs
from .console import command_line

if TYPE_CHECKING:
    from ..report.page import Page

__all__ = ["ReportFile", "check", "write"]

OPTION = "--report"

ReportFile = Annotated[
    Path | None,
    typer.Option(
        OPTION, metavar="FILE.html", help="Write a page with tables and figures too; it needs no network."
    ),
]


def check(path: Path | None, *files: str | Path | None) -> None:
    """Refuse what could not be written at the end: a missing library, a folder, one of the `files` of the command."""
    if path is None:
        return
    from ..report import html

    inputs.refuse_overwriting(path, OPTION, *files)
    inputs.check_ending(path, OPTION, ".html")
    html.check(path, OPTION)


def write(path: Path | None, make: Callable[[str], Page]) -> None:
    """Write the page that `make` makes for this command line."""
    if path is None:
        return
    from ..report import html

    html.write_html(path, make(command_line()), OPTION)
