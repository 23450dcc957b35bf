"""The numbers of a figure or table as CSV, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

__all__ = ["dumps"]


def dumps(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180 with a head line; floats to the last bit, None as nothing.

    Text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a line end) gets an apostrophe
    before it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    for row in (columns, *rows):
        writer.writerow([_plain(cell) for cell in row])
    return out.getvalue()


def _plain(cell: object) -> object:
    if cell is None or isinstance(cell, bool | int | float):
        return cell if not isinstance(cell, float) else repr(float(cell))
    if hasattr(cell, "item"):  # a NumPy scalar
        return _plain(cell.item())
    text = str(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text
