"""The command `dpmoracle`: from the first instruction on, Ctrl-C ends it with one line.

This module loads nothing heavy: until main() runs, an interrupt is Python's to report.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from ..errors import MissingExtraError, require
from . import interrupts

__all__ = ["main"]


def main(args: Sequence[str] | None = None) -> int:
    """Run one command line (sys.argv by default) and return its exit code.

    0 all as expected, 1 not all, 2 wrong use, 130 Ctrl-C.
    """
    # Before NumPy is loaded. Products here are small and many, and threads that spin between them cost more than they
    # bring (on a busy two-core machine 78 claims took 52 s with two, 108 claims 21 s with one). One also fixes the
    # last bits.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    for stream in (sys.stdout, sys.stderr):  # a terminal that has no Γ shows a question mark
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with interrupts.end_at_once():
        try:
            for module in ("typer", "rich"):
                require(module, "cli", "dpmoracle")
            from .app import run

            return run(args)
        except MissingExtraError as error:
            print(error, file=sys.stderr)
            return 2
