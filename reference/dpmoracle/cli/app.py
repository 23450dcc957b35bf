"""The commands of `dpmoracle`, one module each."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, cast

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


#: what the parser raises: of Click, or of Typer's own copy of it
_UsageError = cast(type[Exception], typer.BadParameter.__mro__[1])


def run(args: Sequence[str] | None = None) -> int:
    """The exit code of one command line."""
    given = sys.argv[1:] if args is None else list(args)
    try:
        # Without any argument Typer shows the help; else its errors come here, to be told as all others are.
        return int(app(args=given, prog_name="dpmoracle", standalone_mode=not given) or 0)
    except _UsageError as error:
        print(_told(error, given), file=sys.stderr)
        return 2
    except (InvalidParameterError, OSError) as error:  # --help or --version into a full disk
        print(f"dpmoracle: {error}", file=sys.stderr)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    finally:
        _flush()


def _told(error: Any, given: list[str]) -> str:
    """One line: whose option, what it must be, what came, and where to read on."""
    who = error.ctx.command_path if error.ctx is not None else "dpmoracle"
    message = " ".join(error.format_message().split()).rstrip(".")
    options = getattr(getattr(error, "param", None), "opts", ())
    came = [after for option, after in pairwise(given) if option in options]
    return f"{who}: {message}{f'; got {came[-1]!r}' if came else ''}. See {who} --help"


def _flush() -> None:
    """Meet a broken pipe here, not at Python's end; it was told already, or nobody is left to tell."""
    with contextlib.suppress(InvalidParameterError):
        emit("")
