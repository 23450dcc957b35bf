"""dpmoracle vectors: test vectors as JSON, for implementations in any language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InvalidParameterError
from .console import emit, progress_bar

__all__ = ["vectors"]


def vectors(
    output: Annotated[
        str,
        typer.Option("-o", "--output", metavar="DIR", help="Where the files go; made if it does not exist."),
    ],
    force: Annotated[
        bool, typer.Option("--force", help="Replace files of the same names that are not ours.")
    ] = False,
) -> int:
    """Write test vectors as JSON, for samplers in any language.

    For each formula, oracle quantity, solver step and whole trajectory: the
    inputs, the expected output in 17 digits, and its tolerance; and negative
    vectors, what misprints and common mistakes would give.

    DIR gets schedules.json, formulas.json, oracle.json, steps.json,
    trajectories.json, negatives.json, schema.json (their JSON Schema) and
    README.md (how to read them, conventions, tolerances).

    Exit code: 0 done, 2 wrong use, 130 Ctrl-C.
    """
    from .. import vectors as package

    if not output:  # as a path it would be the current folder
        raise InvalidParameterError("-o must name a folder; got an empty name")
    folder = Path(output)
    package.check_folder(folder, "-o", force)
    with progress_bar() as progress:
        made = package.make_vectors(progress)
    package.write(folder, package.documents(made), "-o", force)
    for name, listed in made.items():
        emit(f"{len(listed):5d}  {folder / name}\n")
    wrong = sum(vector.wrong is not None for listed in made.values() for vector in listed)
    emit(
        f"{sum(map(len, made.values()))} vectors, {wrong} of them negative. How to read them: {folder / 'README.md'}\n"
    )
    return 0
