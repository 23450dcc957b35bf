"""What a report page holds, whichever command made it: sections of text, tables and figures. Plain data.

All text is plain text: the page escapes it. Only `Figure.svg` is markup, and it is checked when the page is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidParameterError

__all__ = ["Cell", "Column", "Figure", "Lines", "Outcome", "Page", "Section", "Table"]

_TONES = ("good", "expected", "bad", "open")


@dataclass(frozen=True)
class Outcome:
    """A verdict in one or a few words, and how it is coloured.

    tone : "good"; "expected", a failure that was foreseen; "bad", what a reader must look at; "open", undecided or
           skipped
    """

    word: str
    tone: str

    def __post_init__(self) -> None:
        if self.tone not in _TONES:
            raise InvalidParameterError(
                f"Outcome: tone must be one of {', '.join(_TONES)}; got {self.tone!r}"
            )

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class Lines:
    """A cell of two lines, the second smaller: an identifier and its source, a statement and its evidence.

    latex : whether `text` is LaTeX, to be shown as mathematics
    value : the number that `text` writes, if it writes one, "0.12 ± 0.03": the cell sorts by it
    """

    text: str
    below: str
    latex: bool = False
    value: float | None = None

    def __str__(self) -> str:
        return self.text


Cell = str | int | float | Outcome | Lines | None  # None is an empty cell


@dataclass(frozen=True)
class Column:
    """A heading, and how the numbers below it are written.

    format : of `format(number, ...)`, for int and float cells; they sort by value, not by what is shown
    """

    name: str
    format: str = ".4g"


@dataclass(frozen=True)
class Table:
    """Rows of as many cells as there are columns; a heading alone may be given as its name.

    caption : what the rows are, in a few words
    The first column with an Outcome is the one that can be filtered by verdict.
    """

    columns: tuple[Column | str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str

    def __post_init__(self) -> None:
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise InvalidParameterError(
                    f"Table: every row must have {len(self.columns)} cells, one per column; row {i} has {len(row)}"
                )


@dataclass(frozen=True)
class Figure:
    """A drawing for light and dark paper, and the numbers in it.

    name    : short and unique in the page; the numbers are saved as <name>.csv
    svg     : one <svg> element (an XML head before it is dropped) with a transparent background and without
              scripts, styles by @import or links out. Black becomes the colour of the text and white that of the
              paper; every other colour must be readable on both
    caption : what to see in it
    alt     : the same for who cannot see it: what is drawn against what, and how it runs
    csv     : the numbers, as report.csv.dumps writes them
    """

    name: str
    svg: str
    caption: str
    alt: str
    csv: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", self.name):
            raise InvalidParameterError(
                f"Figure: name must be a letter and then letters, digits, - and _, for a file; got {self.name!r}"
            )


@dataclass(frozen=True)
class Section:
    """A heading; then paragraphs, figures and tables, in this order.

    text : each string a paragraph
    """

    title: str
    text: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Page:
    """One report.

    summary : the one line that a reader takes away, coloured by its tone
    command : the command line that made it
    facts   : (name, value) for the head of the page, besides versions, machine and date: the data, the schedule
    """

    title: str
    summary: Outcome
    command: str
    seed: int | None
    sections: tuple[Section, ...]
    facts: tuple[tuple[str, str], ...] = ()
