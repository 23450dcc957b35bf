"""A table as the page shows it: each cell's text, its tone, and the value by which it sorts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .page import Cell, Column, Lines, Outcome, Table

__all__ = ["Grid", "Shown", "grid"]

_PROSE = 40  # characters from which a cell is read, not looked up
_WORD = 36  # characters of a word that stays whole on a wide page
_BROAD, _FULL = 8, 84  # columns, and characters of their longest words


@dataclass(frozen=True)
class Shown:
    """One cell. key : what it sorts by, "" comes last; None sorts by the text."""

    text: str
    below: str = ""
    tone: str = ""
    key: str | None = None
    latex: bool = False

    @property
    def unbroken(self) -> int:
        """Characters of the longest word that stays whole on a wide page; 0 where any word may break."""
        longest = max(map(len, self.text.split()), default=0)
        return 0 if longest > _WORD or len(self.text) > _PROSE else longest


@dataclass(frozen=True)
class Grid:
    """names, numeric : by column
    cards : rows are better read as cards where the page is narrow
    broad : wider than the page may be
    """

    caption: str
    names: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Shown, ...], ...]
    cards: bool
    broad: bool


def grid(table: Table) -> Grid:
    columns = [column if isinstance(column, Column) else Column(column) for column in table.columns]
    rows = tuple(tuple(map(_show, row, columns)) for row in table.rows)
    numeric = tuple(
        bool(table.rows) and all(row[i] is None or _number(row[i]) is not None for row in table.rows)
        for i in range(len(columns))
    )
    return Grid(
        table.caption,
        tuple(column.name for column in columns),
        numeric,
        rows,
        any(len(cell.text) > _PROSE or len(cell.below) > _PROSE for row in rows for cell in row),
        len(columns) >= _BROAD or sum(max(cell.unbroken for cell in cells) for cells in zip(*rows)) > _FULL,
    )


def _number(cell: Cell) -> float | None:
    """The number that a cell is, or writes."""
    if isinstance(cell, Lines):
        return cell.value
    return float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else None


def _show(cell: Cell, column: Column) -> Shown:
    if cell is None:
        return Shown("", key="")
    if isinstance(cell, Outcome):
        return Shown(cell.word, tone=cell.tone)
    value = _number(cell)
    if isinstance(cell, Lines):
        return Shown(cell.text, cell.below, key=None if value is None else _key(value), latex=cell.latex)
    if value is None:
        return Shown(str(cell))
    if math.isnan(value):
        return Shown("–", key="")
    if math.isinf(value):
        return Shown("∞" if value > 0 else "-∞", key=_key(value))
    return Shown(format(cell, column.format) if value else "0", key=_key(value))


def _key(value: float) -> str:
    """As JavaScript's Number reads it; nan is none."""
    if math.isfinite(value):
        return repr(float(value))
    return "" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"
