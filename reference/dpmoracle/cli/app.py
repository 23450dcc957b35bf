"""The commands of `dpmoracle`, one module each."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from .. import __version__
from ..errors import InvalidParameterError
from . import bench, check, gamma, sample, trajectory, validate, vectors
from .console import command, emit

__all__ = ["app", "run"]

app = typer.Typer(
    name="dpmoracle",
    help="The ground truth for diffusion samplers: exact oracles and checked formulas.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        emit(f"dpmoracle {__version__}\n")
        raise typer.Exit


@app.callback()
def dpmoracle(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


command(app, "validate")(validate.validate)
command(app, "gamma")(gamma.gamma)
command(app, "trajectory")(trajectory.trajectory)
command(app, "sample")(sample.sample)
command(app, "vectors")(vectors.vectors)
command(app, "check")(check.check)
command(app, "bench")(bench.bench)


def run(args: Sequence[str] | None = None) -> int:
    """The exit code of one command line."""
    try:
        app(args=None if args is None else list(args), prog_name="dpmoracle")
    except (InvalidParameterError, OSError) as error:  # --help or --version into a full disk
        print(f"dpmoracle: {error}", file=sys.stderr)
        _flush()
        return 2
    except SystemExit as end:
        _flush()
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


def _flush() -> None:
    """Meet a broken pipe here, not at Python's end; it was told already, or nobody is left to tell."""
    with contextlib.suppress(InvalidParameterError):
        emit("")
