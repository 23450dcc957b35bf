"""What every command shares: errors as one line, output that outlives a broken pipe, a progress bar."""

from __future__ import annotations

import functools
import io
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec, cast

import typer
from typer.core import TyperCommand

from ..backends import DeviceError
from ..errors import InvalidParameterError, MissingExtraError, require
from .interrupts import CODE, Interruptible

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

__all__ = ["Progress", "command", "command_line", "emit", "progress_bar", "show", "stdout_console"]

P = ParamSpec("P")

Progress = Callable[[int, int, str], None]

_PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}

_TYPED: ContextVar[tuple[str, ...]] = ContextVar("_TYPED", default=())

_WRONG_USE = (InvalidParameterError, MissingExtraError, DeviceError, OSError, MemoryError)


def command(app: typer.Typer, name: str) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Register a function that returns an exit code; wrong use becomes one line on stderr and code 2."""

    def register(function: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> int:
            with Interruptible() as interrupt:
                advice = ""
                try:
                    code = function(*args, **kwargs)
                except KeyboardInterrupt as stop:  # its text says what is kept, and how to go on
                    code, advice = CODE, f"; {stop}" if str(stop) else ""
                except Exception as error:
                    if interrupt.received:  # an import that is interrupted may turn up as an ImportError
                        code = CODE
                    elif isinstance(error, _WRONG_USE):
                        _say(name, str(error) or type(error).__name__)
                        code = 2
                    else:
                        raise
                if interrupt.received or code == CODE:
                    _say(name, f"interrupted{advice}")
                    code = CODE
            raise typer.Exit(code)

        class Remembered(TyperCommand):
            def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
                _TYPED.set((name, *args))
                return super().parse_args(ctx, args)

        app.command(name, cls=Remembered)(guarded)
        return function

    return register


def command_line() -> str:
    """What was typed to run the current command, quoted for a shell; however it was called, it begins `dpmoracle`."""
    return shlex.join(("dpmoracle", *_TYPED.get()))


def _say(name: str, message: str) -> None:
    line = " ".join(message.split()).removeprefix(f"{name}: ").removeprefix(f"dpmoracle {name} ")
    typer.echo(f"dpmoracle {name}: {line}", err=True)


def stdout_console() -> Console:
    """A rich console that renders for stdout into memory; show() prints it.

    It guesses nothing: no markup, no emoji, no colours for numbers; 80 columns, or $COLUMNS, where stdout is no
    terminal.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()
    columns = os.environ.get("COLUMNS", "")
    made: Console = require("rich.console", "cli", "dpmoracle").Console(
        file=io.StringIO(),
        force_terminal=True if terminal else None,
        width=None if terminal else int(columns) if columns.isdecimal() and int(columns) else 80,
        **_PLAIN,
    )
    return made


def show(parts: Iterable[RenderableType], on: Console) -> None:
    """Print on stdout what `on` makes of the parts."""
    for part in parts:
        on.print(part)
    text = cast(io.StringIO, on.file).getvalue()
    emit("\n".join(line.rstrip() for line in text.split("\n")))


def emit(text: str) -> None:
    """Write to stdout. A reader that has gone (`| head`) wants no more: that is no error."""
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()
    except OSError as error:
        # what is still in the buffer would fail again at Python's end, with a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise InvalidParameterError(f"cannot write to standard output: {error.strerror}") from error


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar on stderr with the time left; it vanishes at the end, and shows only on a terminal."""
    rich: Any = require("rich.progress", "cli", "dpmoracle")
    on: Console = require("rich.console", "cli", "dpmoracle").Console(stderr=True, **_PLAIN)
    if not on.is_terminal:
        yield lambda done, total, what: None
        return
    columns = (
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        rich.TimeRemainingColumn(),
        rich.TextColumn("{task.description}", markup=False),
    )
    with rich.Progress(*columns, console=on, transient=True) as bar:
        task = bar.add_task("", total=None)

        def progress(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield progress
