"""Files: written whole or not at all, and read without ever unpickling."""

from __future__ import annotations

import io
import os
import stat
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InvalidParameterError

__all__ = ["check_writable", "read_npz", "write_npy", "write_npz", "write_text"]

PathLike = str | os.PathLike[str]


def check_writable(path: PathLike, who: str) -> Path:
    """The file that writing to `path` will write, symbolic links followed; refuses one that cannot be.

    Call it before a long computation. It leaves nothing behind. A device such as /dev/stdout passes.
    """
    shown = os.fspath(path)
    target = Path(os.path.realpath(shown))
    try:
        if _kind(Path(shown)) == "device":  # a pipe, as /dev/stdout may be one, has no real path
            return Path(shown)
        if _kind(target) == "folder" or not shown or shown.endswith(os.sep):
            raise InvalidParameterError(f"{who}: the output must be a file; {shown!r} names a folder")
        if _kind(target.parent) != "folder":
            folder = str(target.parent)
            what = "is not a folder" if _kind(target.parent) else "does not exist; create it first"
            raise InvalidParameterError(f"{who}: cannot write {shown!r}: {folder!r} {what}")
        probe = _temporary(target)
        with probe.open("xb"):
            pass
        probe.unlink()
    except OSError as error:
        raise InvalidParameterError(
            f"{who}: cannot write {shown!r}: {error.strerror or error}; name one in a folder you may write to"
        ) from error
    return target


def write_npz(path: PathLike, arrays: Mapping[str, ArrayLike], who: str = "write_npz") -> None:
    """Write named arrays as .npz at exactly `path`; refuses arrays of objects, which only pickle can hold."""
    plain = {name: _plain(who, name, value) for name, value in arrays.items()}

    def write(file: BinaryIO) -> None:
        np.savez(file, **plain)  # type: ignore[arg-type]

    _replace(path, who, write)


def write_npy(path: PathLike, array: ArrayLike, who: str = "write_npy") -> None:
    """Write one array as .npy at exactly `path`; refuses an array of objects."""
    plain = _plain(who, "the array", array)
    _replace(path, who, lambda file: np.save(file, plain, allow_pickle=False))


def write_text(path: PathLike, text: str, who: str = "write_text") -> None:
    """Write text as UTF-8, line ends as they are."""
    data = text.encode("utf-8")
    _replace(path, who, lambda file: file.write(data))


def read_npz(
    path: PathLike, who: str, required: Sequence[str], *, kind: str | None = None, version: int | None = None
) -> dict[str, NDArray[np.generic]]:
    """All arrays of an .npz file that has at least the `required` names; objects are never unpickled.

    kind, version : what its arrays `format` and `version` must hold; None does not ask for them

    Raises FileNotFoundError if there is no such file, InvalidParameterError for all else that is not whole.
    """
    shown = os.fspath(path)
    wanted = f"{who}: {shown!r} must be an .npz file of plain arrays"
    try:
        with Path(shown).open("rb") as file:
            if file.read(2) != b"PK":
                raise InvalidParameterError(f"{wanted}; it is empty or of another kind (no zip header)")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{wanted}; there is no such file") from error
    except InvalidParameterError:
        raise
    except Exception as error:  # a damaged archive raises nearly anything, MemoryError too
        raise InvalidParameterError(
            f"{wanted}; it is damaged, truncated or of another kind ({type(error).__name__}: {error})"
        ) from error
    foreign = [name for name, value in arrays.items() if not isinstance(value, np.ndarray)]
    if foreign:
        raise InvalidParameterError(f"{wanted}; its member {foreign[0]!r} is not an array")
    for name, want in (("format", kind), ("version", version)):
        came = str(arrays[name])[:80] if name in arrays else "none"
        if want is not None and came != str(want):
            raise InvalidParameterError(
                f"{who}: {shown!r} must have {name} {want}; it has {came}. "
                "Read it with the program and version that wrote it, or write it anew"
            )
    missing = [name for name in required if name not in arrays]
    if missing:
        names, has = ", ".join(required), ", ".join(arrays) or "none"
        raise InvalidParameterError(f"{wanted} named {names}; it lacks {', '.join(missing)} and has {has}")
    return arrays


def _plain(who: str, name: str, value: ArrayLike) -> NDArray[np.generic]:
    array = np.asarray(value)
    if array.dtype.hasobject:
        raise InvalidParameterError(f"{who}: {name} must be numbers or text; got an array of objects")
    return array


def _kind(path: Path) -> str:
    """ "folder", "file", "device" (all else that exists), or "" where nothing is."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "device"


def _temporary(target: Path) -> Path:
    """An unused name in the folder of `target`: only within one file system is a rename atomic."""
    return target.with_name(f".dpmoracle-{uuid.uuid4().hex}.tmp")


def _replace(path: PathLike, who: str, write: Callable[[BinaryIO], object]) -> None:
    """Write beside `path`, then rename: whatever stops the run, the file is the old one or the new one."""
    target = check_writable(path, who)
    if _kind(target) == "device":  # renaming over it would destroy the device
        whole = io.BytesIO()  # a pipe has no position, which numpy asks for
        write(whole)
        try:
            with target.open("wb") as file:
                file.write(whole.getvalue())
        except OSError as error:
            raise _failed(path, who, error) from error
        return
    temporary = _temporary(target)
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _failed(path, who, error) from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _failed(path: PathLike, who: str, error: OSError) -> OSError:
    return OSError(f"{who}: cannot write {os.fspath(path)!r}: {error.strerror or error}")
