"""Files: what is read is what was written, or an error; nothing is unpickled, half replaced, left behind."""

from __future__ import annotations

import io
import os
import pickle
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import storage
from dpmoracle.errors import InvalidParameterError
from dpmoracle.storage import check_writable, read_npz, write_npy, write_npz, write_text

ARRAYS = {
    "x": np.linspace(0.0, 1.0, 50).reshape(5, 10),
    "n": np.arange(4),
    "format": np.array("thing"),
    "version": np.array(3),
    "empty": np.empty((0, 2)),
}


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return (open, (self.path, "w"))


def test_round_trip_at_exactly_the_path(tmp_path: Path) -> None:
    path = tmp_path / "no suffix"
    write_npz(path, ARRAYS)
    back = read_npz(path, "f", ("x", "n"), kind="thing", version=3)
    assert os.listdir(tmp_path) == ["no suffix"]
    assert set(back) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].dtype == array.dtype


def test_npy_and_text(tmp_path: Path) -> None:
    write_npy(tmp_path / "a", ARRAYS["x"])
    np.testing.assert_array_equal(np.load(tmp_path / "a"), ARRAYS["x"])
    write_text(tmp_path / "t", "Γ_t\r\n")
    assert (tmp_path / "t").read_bytes() == "Γ_t\r\n".encode()


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_is_an_error_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any truncation, any change of one to three bytes, gives the same arrays or InvalidParameterError."""
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    write_npz(path, ARRAYS)
    raw = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    try:
        back = read_npz(path, "f", ("x", "n"))
    except InvalidParameterError:
        return
    for name in ("x", "n"):
        np.testing.assert_array_equal(back[name], ARRAYS[name])


def _npz(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def _npy(array: object, **keywords: bool) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **keywords)  # type: ignore[arg-type]
    return buffer.getvalue()


_HUGE = _npy(np.zeros(3)).replace(b"(3,)", b"(9000000000000000000,)", 1)
FOREIGN = {
    "empty": (b"", "no zip header"),
    "text": (b"0.5, 0.25\n", "no zip header"),
    "npy": (_npy(np.zeros(3)), "no zip header"),
    "zip without arrays": (_npz(), "lacks x and has none"),
    "zip of text": (_npz(("x", b"hello")), "'x' is not an array"),
    "zip of broken array": (_npz(("x.npy", b"\x93NUMPY\x01\x00")), "damaged"),
    "array larger than memory": (_npz(("x.npy", _HUGE)), "damaged"),
    "other names": (_npz(("y.npy", _npy(np.zeros(3)))), "named x; it lacks x and has y"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_are_refused(tmp_path: Path, name: str) -> None:
    content, words = FOREIGN[name]
    (tmp_path / "f.npz").write_bytes(content)
    with pytest.raises(InvalidParameterError, match=words):
        read_npz(tmp_path / "f.npz", "f", ("x",))


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    sign = tmp_path / "exploded"
    objects = np.array([Bomb(sign)], dtype=object)
    for content in (_npz(("x.npy", _npy(objects, allow_pickle=True))), pickle.dumps(Bomb(sign))):
        (tmp_path / "f.npz").write_bytes(content)
        with pytest.raises(InvalidParameterError, match=r"^f: .*f\.npz' must be an \.npz file of plain"):
            read_npz(tmp_path / "f.npz", "f", ("x",))
    with pytest.raises(InvalidParameterError, match="x must be numbers or text; got an array of objects"):
        write_npz(tmp_path / "g.npz", {"x": objects})
    with pytest.raises(InvalidParameterError, match="got an array of objects"):
        write_npy(tmp_path / "g.npy", objects)
    assert sorted(os.listdir(tmp_path)) == ["f.npz"]


def test_kind_and_version_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    with pytest.raises(InvalidParameterError, match=r"f: .*a\.npz' must have format other; it has thing"):
        read_npz(path, "f", (), kind="other", version=3)
    with pytest.raises(InvalidParameterError, match=r"must have version 4; it has 3"):
        read_npz(path, "f", (), kind="thing", version=4)
    write_npz(path, {"x": 1.0})
    with pytest.raises(InvalidParameterError, match="must have format thing; it has none"):
        read_npz(path, "f", ("x",), kind="thing", version=3)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"f: .*none\.npz' must be an \.npz .* no such file"):
        read_npz(tmp_path / "none.npz", "f", ())
    with pytest.raises(InvalidParameterError, match="IsADirectoryError"):
        read_npz(tmp_path, "f", ())


def test_check_writable_says_so_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    refused = {
        tmp_path / "none" / "a.npz": "none' does not exist; create it first",
        tmp_path / "file" / "a.npz": "file' is not a folder",
        tmp_path / "file" / "deep" / "a.npz": "does not exist",
        tmp_path: "names a folder",
        f"{tmp_path}/new/": "names a folder",
        "": "names a folder",
        tmp_path / ("a" * 300): "File name too long",
    }
    for path, words in refused.items():
        with pytest.raises(InvalidParameterError, match=f"^who: .*{words}"):
            check_writable(path, "who")
    assert check_writable(tmp_path / "fine", "who") == (tmp_path / "fine").resolve()
    assert check_writable(tmp_path / "file", "who") == (tmp_path / "file").resolve()
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InvalidParameterError, match="Permission denied"):
        check_writable(tmp_path / "a", "who")


def test_folder_that_refuses_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InvalidParameterError, match=r"^who: cannot write .*denied; name one in"):
        check_writable(tmp_path / "a", "who")


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError, ValueError])
def test_a_stopped_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    path = tmp_path / "a.npz"
    write_npz(path, ARRAYS)
    before = path.read_bytes()

    def half(file: io.BufferedWriter, **_: object) -> None:
        file.write(b"half")
        raise error

    monkeypatch.setattr(storage.np, "savez", half)
    with pytest.raises(error):
        write_npz(path, {"x": 1.0})
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.npz"]


def test_links_permissions_and_devices(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    write_text("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pipe_that_has_no_real_path_is_a_device(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        write_text(f"/dev/fd/{writing}", "through")
        assert os.read(reading, 100) == b"through"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_named() -> None:
    with pytest.raises(OSError, match="--json: cannot write '/dev/full': No space left"):
        write_text("/dev/full", "more", "--json")
