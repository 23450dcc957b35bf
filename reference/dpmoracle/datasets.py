"""Real data: the digits that scikit-learn carries, and the user's own file of points."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .arrays import to_numpy
from .checking import offenders
from .errors import InvalidParameterError, require

__all__ = ["as_points", "digits", "load_points"]

_WHO = "load_points"


def digits() -> NDArray[np.float64]:
    """(1797, 64) the UCI handwritten digits, X/8 - 1, pixels in [-1, 1]; needs scikit-learn."""
    loaded = require("sklearn.datasets", "cli", "digits").load_digits()
    return np.asarray(loaded.data, dtype=np.float64) / 8 - 1


def load_points(path: str | os.PathLike[str], key: str | None = None) -> NDArray[np.float64]:
    """(C, d) float64: the points of a file, one per row, values taken as they are.

    path : .npy, .npz (of one array, or the one named `key`), or .csv (numbers separated by commas, one point
           per line, with or without a header, a first line of names alone; a line that begins with # is left out)
    Nothing is ever unpickled. Raises InvalidParameterError, which names the file, if it is missing, empty,
    damaged, of objects or text, not of shape (C, d) with C >= 2, or holds nan, inf or complex numbers.
    """
    if not isinstance(path, str | os.PathLike):
        raise InvalidParameterError(f"{_WHO}: path must name a file; got {type(path).__name__}")
    file, shown = Path(path), repr(os.fspath(path))
    ending = file.suffix.lower()
    if ending not in _READERS:
        raise InvalidParameterError(
            f"{_WHO}: {shown} must end in {', '.join(_READERS)}; it ends in {file.suffix!r}. "
            "Save the points X with numpy.save('points.npy', X)"
        )
    if key is not None and ending != ".npz":
        raise InvalidParameterError(f"{_WHO}: key={key!r} chooses an array of an .npz file; {shown} is none")
    try:
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                raise InvalidParameterError(f"{_WHO}: {shown} must hold points; it is empty, 0 bytes")
            array = _READERS[ending](stream, shown, key)
    except FileNotFoundError as error:
        raise InvalidParameterError(
            f"{_WHO}: there is no file {shown} (seen from the folder {str(Path.cwd())!r})"
        ) from error
    except OSError as error:
        raise InvalidParameterError(f"{_WHO}: cannot read {shown}: {error.strerror or error}") from error
    return as_points(_WHO, shown, array)


def as_points(who: str, name: str, value: Any) -> NDArray[np.float64]:
    """`value` as (C, d) float64 points, C >= 2, d >= 1, finite; integers are converted, nothing is scaled."""
    array = to_numpy(value, who, name)
    if array.dtype.kind not in "fiub":
        raise InvalidParameterError(f"{who}: {name} must be real numbers; got {_describe(array.dtype)}")
    if array.ndim != 2:
        advice = {
            0: "One point cannot be a data set",
            1: "Reshape: X.reshape(-1, 1) for C points on a line, X.reshape(C, d) for C points of d numbers",
        }.get(array.ndim, "Reshape images to one row each: X.reshape(len(X), -1)")
        raise InvalidParameterError(
            f"{who}: {name} must be of shape (C, d), one point per row; got {array.shape}. {advice}"
        )
    if array.size == 0:
        raise InvalidParameterError(f"{who}: {name} must hold points; it is empty, of shape {array.shape}")
    if len(array) == 1:
        raise InvalidParameterError(
            f"{who}: {name} must hold at least two points; it holds one, of {array.shape[1]} numbers. "
            "Write one point per row (X.T if the points are columns)"
        )
    points = array.astype(np.float64)
    bad = ~np.isfinite(points)
    if bad.any():
        rows = bad.any(axis=1)
        raise InvalidParameterError(
            f"{who}: {name} must be finite; nan or inf in {int(rows.sum())} of {len(points)} points, "
            f"first at [row, column] {offenders(bad)}, counted from 0. "
            "Fill them, or drop the points with X[np.isfinite(X).all(axis=1)]"
        )
    return points


def _describe(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "c":
        return f"complex numbers ({dtype}). Save X.real, or real and imaginary parts side by side"
    if dtype.kind in "US":
        return f"text ({dtype}). Convert with X.astype(float)"
    if dtype.names:
        return f"records with the fields {', '.join(dtype.names)}. Stack the fields as columns"
    return f"{dtype}. Convert with X.astype(float)"


def _parse(stream: BinaryIO, shown: str, header: bytes, kind: str) -> Any:
    """What numpy.load finds, never unpickled; every damage becomes one error."""
    start = stream.read(len(header))
    stream.seek(0)
    if start != header:
        raise InvalidParameterError(
            f"{_WHO}: {shown} must be {kind}; it does not begin as one. Save the points again with numpy"
        )
    try:
        loaded = np.load(stream, allow_pickle=False)
        return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except Exception as error:  # damage raises nearly anything, MemoryError too
        if "Object arrays cannot be loaded" in str(error):
            raise InvalidParameterError(
                f"{_WHO}: {shown} must hold numbers; it holds Python objects, which are never unpickled. "
                "Save numbers: X = np.array(X.tolist(), dtype=float)"
            ) from error
        raise InvalidParameterError(
            f"{_WHO}: {shown} must be {kind}; it is damaged or truncated ({type(error).__name__}: {error}). "
            "Copy or save it again"
        ) from error


def _read_npy(stream: BinaryIO, shown: str, key: str | None) -> Any:
    return _parse(stream, shown, b"\x93NUMPY", "an .npy file of one array")


def _read_npz(stream: BinaryIO, shown: str, key: str | None) -> Any:
    arrays = _parse(stream, shown, b"PK", "an .npz file of arrays")
    names = ", ".join(f"{name} {np.shape(array)}" for name, array in arrays.items()) or "no array"
    if key is None and len(arrays) != 1:
        raise InvalidParameterError(
            f"{_WHO}: {shown} must hold one array, or key must name one; it holds {names}"
        )
    if key is not None and key not in arrays:
        raise InvalidParameterError(f"{_WHO}: {shown} has no array {key!r}; it holds {names}")
    return arrays[key] if key is not None else next(iter(arrays.values()))


def _read_csv(stream: BinaryIO, shown: str, key: str | None) -> Any:
    try:
        text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidParameterError(
            f"{_WHO}: {shown} must be UTF-8 text; {error}. Save it as UTF-8"
        ) from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    numbered = [(i, line) for i, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")]
    if not numbered:
        raise InvalidParameterError(f"{_WHO}: {shown} must hold points; it is empty, no line holds any")
    first = _cells(numbered[0][1])
    has_header = not any(map(_is_number, first))
    if has_header:
        _check_names(shown, *numbered[0])
    points = numbered[1:] if has_header else numbered
    if not points:
        raise InvalidParameterError(f"{_WHO}: {shown} must hold points; it is empty below its header")
    _check_row_numbers(shown, first, _cells(points[0][1]), has_header)
    _check_column_numbers(shown, first, points[1:])
    try:
        return np.loadtxt([line for _, line in points], delimiter=",", quotechar='"', comments=None, ndmin=2)
    except ValueError as error:
        raise InvalidParameterError(f"{_WHO}: {shown} {_first_fault(points, str(error))}") from error


def _check_names(shown: str, number: int, line: str) -> None:
    """Refuse a header that is more likely a point with a mistyped number, which would silently be dropped."""
    cells = [cell.strip() for cell in _cells(line)]
    if all(cell.lstrip("+-.")[:1].isdigit() for cell in cells):
        raise InvalidParameterError(
            f"{_WHO}: {shown} must hold numbers separated by commas, below a line of names or none; line {number}, "
            f"column 1 is {cells[0][:40]!r}, which begins as a number does and is none. Correct it, or put # before "
            "the line if it holds names"
        )


def _check_row_numbers(shown: str, first: list[str], second: list[str], has_header: bool) -> None:
    """Refuse a first column without a name, which would silently become a dimension."""
    if not first[0].strip() or (has_header and len(second) == len(first) + 1):
        raise InvalidParameterError(
            f"{_WHO}: {shown} must name every column or none; the first has no name and looks like row "
            "numbers. Save without them (pandas: to_csv(index=False))"
        )


def _check_column_numbers(shown: str, first: list[str], rest: list[tuple[int, str]]) -> None:
    """Refuse the header 0, 1, 2, ... that pandas writes unasked, which would silently become a point.

    With one or two columns it may be a point, unless every number below has a decimal point.
    """
    width = len(first)
    if [cell.strip() for cell in first] != [str(i) for i in range(width)] or not rest:
        return
    if width > 2 or all(line.count(".") >= width for _, line in rest):
        raise InvalidParameterError(
            f"{_WHO}: {shown} must begin with names or a point; it begins with the column numbers 0, 1, 2, ... "
            "Save without them (pandas: to_csv(header=False)); if they are a point, put a line of names above"
        )


def _first_fault(points: list[tuple[int, str]], otherwise: str) -> str:
    """The first cell or line that is no number or no row, as "must ...; got ..."."""
    width = len(_cells(points[0][1]))
    for number, line in points:
        row = _cells(line)
        for column, cell in enumerate(row, 1):
            if not _is_number(cell):
                what = f"is {cell.strip()[:40]!r}" if cell.strip() else "is empty"
                return f"must hold numbers separated by commas; line {number}, column {column} {what}"
        if len(row) != width:
            return (
                f"must have as many numbers in every line; line {number} has {len(row)}, "
                f"line {points[0][0]} has {width}"
            )
    return f"must hold numbers separated by commas; {otherwise}"


def _cells(line: str) -> list[str]:
    try:
        return next(csv.reader([line]))
    except csv.Error:  # a NUL, or a cell beyond any number's length
        return [line]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


_READERS: dict[str, Callable[[BinaryIO, str, str | None], Any]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
}
