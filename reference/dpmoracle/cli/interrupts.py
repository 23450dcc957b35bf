"""Ctrl-C: one line and exit code 130, during imports, while computing, and when the key is hit again and again."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

__all__ = ["CODE", "Interruptible", "end_at_once"]

CODE = 130
_PATIENCE = 2.0  # seconds that cleaning up may take before another Ctrl-C ends the process

_SHOW_CURSOR = "\x1b[?25h"  # a progress bar hides it


@contextmanager
def end_at_once() -> Iterator[None]:
    """Where nothing can be lost: an interrupt prints one line and ends the process.

    A KeyboardInterrupt raised during an import would surface as another error, or be swallowed and printed.
    """

    def handle(signum: int, frame: FrameType | None) -> NoReturn:
        _end()

    before = _install(handle)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is handle:
            _restore(before)
        elif before is not None:  # interrupted: Python's own end must not meet another one
            signal.signal(signal.SIGINT, signal.SIG_IGN)


class Interruptible:
    """While a command computes: the first interrupt raises KeyboardInterrupt, so that files and the terminal are
    left in order. Repeated ones are ignored, and end the process where that takes longer than two seconds.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._before: Any = None

    @property
    def received(self) -> bool:
        """Whether Ctrl-C was hit, also where some library swallowed the KeyboardInterrupt."""
        return self._since is not None

    def __enter__(self) -> Interruptible:
        self._before = _install(self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        if not self.received:  # else later ones stay ignored until the process has ended
            _restore(self._before)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._since is None:
            self._since = now
            raise KeyboardInterrupt
        if now - self._since > _PATIENCE:
            _end()


def _install(handler: Callable[[int, FrameType | None], Any]) -> Any:
    """The handler that stood before, or None where none may be set: another thread, or SIGINT ignored (nohup, &)."""
    if threading.current_thread() is not threading.main_thread():
        return None
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        return None
    signal.signal(signal.SIGINT, handler)
    return before


def _restore(before: Any) -> None:
    if before is not None:
        signal.signal(signal.SIGINT, before)


def _end() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    terminal = sys.stderr is not None and sys.stderr.isatty()
    text = ("\r" + _SHOW_CURSOR if terminal else "") + "dpmoracle: interrupted\n"
    os.write(2, text.encode())  # not through sys.stderr, which the interrupt may have caught in the middle
    os._exit(CODE)
