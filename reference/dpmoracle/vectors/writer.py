"""The files of a set of vectors, and how they get into a folder without touching what is not theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import __version__, storage
from ..errors import InvalidParameterError
from .catalogue import QUANTITIES
from .negatives import WRONG
from .quantity import Vector
from .readme import readme
from .schema import schema

__all__ = ["FORMAT", "VERSION", "check_folder", "documents", "make_vectors", "write"]

#: raised when files of one version cannot be read as those of another
FORMAT, VERSION = "dpmoracle.vectors", 1

_FILES = {
    "schedule": "schedules.json",
    "formula": "formulas.json",
    "oracle": "oracle.json",
    "step": "steps.json",
    "trajectory": "trajectories.json",
}
_NEGATIVES, _SCHEMA, _README = "negatives.json", "schema.json", "README.md"
NAMES = (*_FILES.values(), _NEGATIVES, _SCHEMA, _README)
_HEAD = 200  # bytes in which each of the files says its format

Progress = Callable[[int, int, str], object]


def make_vectors(progress: Progress = lambda done, total, what: None) -> dict[str, list[Vector]]:
    """All vectors by the name of their file; progress(done, total, quantity) is called on the way."""
    found: dict[str, list[Vector]] = {name: [] for name in (*_FILES.values(), _NEGATIVES)}
    total = len(QUANTITIES) + len(WRONG)
    for done, quantity in enumerate(QUANTITIES):
        progress(done, total, quantity.name)
        found[_FILES[quantity.kind]] += quantity.vectors()
    for done, wrong in enumerate(WRONG, start=len(QUANTITIES)):
        progress(done, total, f"{wrong.of.name}, wrong")
        found[_NEGATIVES] += wrong.vectors()
    progress(total, total, "")
    return found


def documents(vectors: Mapping[str, Sequence[Vector]]) -> dict[str, str]:
    """The text of every file by its name; the same vectors give the same bytes."""
    texts = {name: _dumps(listed) for name, listed in vectors.items()}
    texts[_SCHEMA] = json.dumps(schema(FORMAT, VERSION, QUANTITIES), indent=1) + "\n"
    texts[_README] = readme(FORMAT, VERSION, __version__, QUANTITIES, vectors)
    return texts


def check_folder(folder: Path, who: str, force: bool = False) -> None:
    """Refuse a folder that cannot be written, or, unless `force`, one with other people's files of our names.

    A folder that does not exist yet will be made, in one that does. Call it before the vectors are made; it leaves
    nothing behind.
    """
    if not folder.exists():
        storage.check_writable(folder, who)
        return
    if not folder.is_dir():
        raise InvalidParameterError(f"{who}: {str(folder)!r} must be a folder; it is a file. Name another")
    for name in NAMES:
        storage.check_writable(folder / name, who)
    foreign = [name for name in NAMES if not force and not _ours(folder / name)]
    if foreign:
        raise InvalidParameterError(
            f"{who}: {str(folder)!r} has files of other origin that would be replaced: {', '.join(foreign)}. Name "
            "another folder, or add --force"
        )


def write(folder: Path, texts: Mapping[str, str], who: str, force: bool = False) -> None:
    """Write every text under its name; each file is replaced as a whole or not at all."""
    check_folder(folder, who, force)
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        storage.write_text(folder / name, text, who)


def _ours(path: Path) -> bool:
    """Whether nothing is lost: no such file, or one that an earlier run wrote."""
    if not path.exists():
        return True
    with path.open("rb") as file:
        return FORMAT.encode() in file.read(_HEAD)


def _dumps(vectors: Sequence[Vector]) -> str:
    """Strict JSON: each key of a vector on a line of its own, and nothing broken below that."""
    entries = [
        "{"
        + ",\n ".join(f"{_compact(key)}: {_compact(value)}" for key, value in asdict(vector).items())
        + "}"
        for vector in vectors
    ]
    head = {"format": FORMAT, "version": VERSION, "program": __version__}
    top = ",\n".join(f"{_compact(key)}: {_compact(value)}" for key, value in head.items())
    return "{" + top + ',\n"vectors": [\n' + ",\n".join(entries) + "\n]}\n"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
