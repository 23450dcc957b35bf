"""datasets: every file a user may bring is read exactly, or refused with its name and the remedy."""

from __future__ import annotations

import contextlib
import io
import pickle
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpmoracle.datasets import as_points, digits, load_points
from dpmoracle.errors import InvalidParameterError, MissingExtraError

X = np.array([[1.5, -2.0, 3.25], [0.1, 1e-300, 1e300], [-0.0, 7.0, 1 / 3], [4.0, 5.0, 6.0]])


def write(tmp_path: Path, name: str, content: Any) -> Path:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content)
    return path


def refused(path: Any, words: str, key: str | None = None) -> None:
    with pytest.raises(InvalidParameterError, match=rf"(?s)^load_points: .*{words}"):
        load_points(path, key)


def test_digits_are_the_designs() -> None:
    pytest.importorskip("sklearn")
    data = digits()
    assert data.shape == (1797, 64)
    assert data.dtype == np.float64
    assert (data.min(), data.max()) == (-1, 1)
    assert np.array_equal((data + 1) * 8, np.rint((data + 1) * 8))
    assert (data[0, :6] * 8 + 8).tolist() == [0, 0, 5, 13, 9, 1]  # the file's first line begins so


def test_digits_without_scikit_learn_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=r"digits needs sklearn.*dpmoracle\[cli\]"):
        digits()


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, ">f8", np.int8, np.uint16, np.int64, bool]
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_is_read_exactly(tmp_path: Path, dtype: Any, order: Any) -> None:
    given_ = np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype, order=order)
    out = load_points(write(tmp_path, "x.npy", given_))
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, given_.astype(float))


def test_names_in_any_form(tmp_path: Path) -> None:
    path = write(tmp_path, "x.npy", X)
    shouting = path.rename(tmp_path / "ÜBER x.NPY")
    np.testing.assert_array_equal(load_points(str(shouting)), X)


def test_npz_with_one_array_or_a_key(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load_points(write(tmp_path, "one.npz", {"points": X})), X)
    two = write(tmp_path, "two.npz", {"a": X, "b": X[:2], "labels": np.arange(4)})
    np.testing.assert_array_equal(load_points(two, "b"), X[:2])
    refused(two, r"key must name one; it holds a \(4, 3\), b \(2, 3\), labels \(4,\)")
    refused(two, r"no array 'c'; it holds a \(4, 3\), b", key="c")
    refused(write(tmp_path, "none.npz", {}), "it holds no array")
    refused(write(tmp_path, "x.npy", X), "key='a'.*npz", key="a")


REPR = "\n".join(",".join(map(repr, row)) for row in X.tolist())


@pytest.mark.parametrize(
    "text",
    [
        REPR,
        REPR + "\n",
        REPR.replace("\n", "\r\n") + "\r\n",
        REPR.replace("\n", "\r"),
        "a,b,c\n" + REPR,
        '"a, with comma","b",c\n' + REPR,
        "\ufeffa,b,c\n" + REPR,
        "\ufeff" + REPR,
        "# made by hand\n\na,b,c\n" + REPR,
        "# a,b,c\n" + REPR,
        REPR.replace("\n", "\n\n") + "\n\n  \n",
        REPR.replace(",", " ,\t"),
        '"' + REPR.replace(",", '","').replace("\n", '"\n"') + '"',
    ],
)
def test_csv_is_read_exactly_with_and_without_a_header(tmp_path: Path, text: str) -> None:
    out = load_points(write(tmp_path, "x.csv", text))
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, X)
    np.testing.assert_array_equal(np.signbit(out), np.signbit(X))


def test_csv_written_by_numpy_comes_back_whole(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "x.csv", X, delimiter=",", header="a,b,c")
    np.testing.assert_array_equal(load_points(tmp_path / "x.csv"), X)


def test_csv_of_one_column_and_of_integers(tmp_path: Path) -> None:
    np.testing.assert_array_equal(load_points(write(tmp_path, "x.csv", "1\n2\n3\n")), [[1], [2], [3]])
    np.testing.assert_array_equal(load_points(write(tmp_path, "y.csv", "height\n0\n0.5\n")), [[0], [0.5]])
    np.testing.assert_array_equal(load_points(write(tmp_path, "z.csv", "0,1\n1,0\n")), [[0, 1], [1, 0]])
    named = write(tmp_path, "n.csv", "digit,1x1\n1,0\n0,1\n")
    np.testing.assert_array_equal(load_points(named), [[1, 0], [0, 1]])
    mixed = load_points(write(tmp_path, "m.csv", "0,1\n0.5,0.25\n1,0.5\n"))
    np.testing.assert_array_equal(mixed, [[0, 1], [0.5, 0.25], [1, 0.5]])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty, 0 bytes"),
        ("\n \n# nothing\n", "empty"),
        ("a,b\n", "empty below its header"),
        ("a,b\n1,2\n3,oops\n", "line 3, column 2 is 'oops'"),
        ("1,2\n3,NA\n", "line 2, column 2 is 'NA'"),
        ("1,abc\n3,4\n", "line 1, column 2 is 'abc'"),
        ("1,2\n\n# remark\n3,\n", "line 4, column 2 is empty"),
        ("1,2\n3,4\n5,6,7\n", "line 3 has 3, line 1 has 2"),
        ("1;2\n3;4\n", "separated by commas.*line 1, column 1 is '1;2'"),
        ("1 2\n3 4\n", "separated by commas.*line 1, column 1 is '1 2'"),
        ("# of two\n-1.O\n2\n3\n", "line 2, column 1 is '-1.O', which begins as a number does.*put # before"),
        ("1,,5,.2,5\n3,4\n", "line 1, column 2 is empty"),
        ("1x1,1x2\n3,4\n5,6\n", "line 1, column 1 is '1x1'.*if it holds names"),
        ("1,5;2,5\n3,5;4,5\n", "separated by commas; line 1, column 2 is '5;2'"),
        ("1,2\n3,4+5j\n", "column 2 is '4[+]5j'"),
        ("1,2\n3,1_0\n", "must hold numbers"),
        ("1,2\n3,nan\n", r"nan or inf in 1 of 2 points, first at \[row, column\] \[1, 1\]"),
        ("a,b\n1,2\ninf,1\n", r"\[1, 0\]"),
        ("a,b\n1,2\n", "at least two points; it holds one, of 2 numbers"),
        (",a,b\n0,1.5,2.5\n1,3.5,4.5\n", r"row numbers.*index=False"),
        (",0,1\n0,1.5,2.5\n1,3.5,4.5\n", r"row numbers.*index=False"),
        ("a,b\n1,1.5,2.5\n2,3.5,4.5\n", "row numbers"),
        ("0,1,2\n1,2,3\n4,5,6\n", "column numbers.*header=False.*line of names"),
        ("0,1\n1.5,2.5\n3.5,4.0\n", "column numbers"),
        ("1,2\n3,\x004\n", "line 2"),
        (b"\xff\xfe1\x00,\x002\x00\n\x00", "UTF-8"),
    ],
)
def test_csv_faults_are_named(tmp_path: Path, text: Any, words: str) -> None:
    path = write(tmp_path, "x.csv", text)
    refused(path, words)
    refused(path, "x.csv")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (X[0], r"shape \(C, d\).*got \(3,\).*X.reshape\(-1, 1\)"),
        (np.float64(3), r"got \(\)"),
        (np.zeros((5, 8, 8)), r"got \(5, 8, 8\).*X.reshape\(len\(X\), -1\)"),
        (np.zeros((0, 3)), r"empty, of shape \(0, 3\)"),
        (np.zeros((3, 0)), r"empty, of shape \(3, 0\)"),
        (X[:1], "at least two points; it holds one, of 3 numbers"),
        (X + 1j, "complex128.*X.real"),
        (X.astype(str), "text"),
        (np.zeros(3, dtype=[("u", float), ("v", float)]), "records with the fields u, v"),
        (np.array(["2020-01-01"] * 2, dtype="datetime64[D]").reshape(2, 1), "datetime64"),
        (np.where(X == 7, np.nan, X), r"nan or inf in 1 of 4 points, first at \[row, column\] \[2, 1\]"),
        (np.where(X == 4, -np.inf, X), r"\[3, 0\]"),
    ],
)
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_arrays_of_the_wrong_kind_are_named(tmp_path: Path, array: Any, words: str, name: str) -> None:
    path = write(tmp_path, name, {"points": array} if name == "x.npz" else array)
    refused(path, words)
    refused(path, name)


class Bomb:
    def __reduce__(self) -> Any:
        return (pytest.fail, ("unpickled!",))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_are_refused_and_never_unpickled(tmp_path: Path, name: str) -> None:
    array = np.array([[Bomb()], [Bomb()]], dtype=object)
    if name == "x.npz":
        np.savez(tmp_path / name, points=array)
    else:
        np.save(tmp_path / name, array, allow_pickle=True)
    refused(tmp_path / name, "Python objects, which are never unpickled")


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_a_bare_pickle_is_refused(tmp_path: Path, name: str) -> None:
    refused(write(tmp_path, name, pickle.dumps(Bomb())), "does not begin as one")


def test_files_that_are_not_there_or_no_files(tmp_path: Path) -> None:
    refused(tmp_path / "gone.npy", "there is no file .*gone.npy.*seen from the folder")
    (tmp_path / "folder.npy").mkdir()
    refused(tmp_path / "folder.npy", "cannot read .*folder.npy.*directory")
    refused(tmp_path / "x.npy" / "y.npy", "no file")
    refused(tmp_path / "x.mat", r"must end in .npy, .npz, .csv; it ends in '.mat'.*numpy.save")
    refused(tmp_path / "x", "it ends in ''")
    refused(3, "path must name a file; got int")
    for name in ("e.npy", "e.npz", "e.csv"):
        refused(write(tmp_path, name, b""), "empty, 0 bytes")


def _bytes(name: str) -> bytes:
    stream = io.BytesIO()
    if name.endswith("npz"):
        np.savez_compressed(stream, points=X)
    else:
        np.save(stream, X)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_every_truncation_is_refused(tmp_path: Path, name: str) -> None:
    whole = _bytes(name)
    path = tmp_path / name
    for length in range(1, len(whole)):
        path.write_bytes(whole[:length])
        refused(path, "damaged or truncated|does not begin as one")


@pytest.mark.filterwarnings("default")  # numpy warns of some damaged headers, before the error
@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), to=st.integers(0, 255))
def test_a_flipped_byte_is_read_or_refused_never_a_crash(tmp_path: Path, name: str, at: int, to: int) -> None:
    damaged = bytearray(_bytes(name))
    damaged[at % len(damaged)] = to
    path = write(tmp_path, name, bytes(damaged))
    with contextlib.suppress(InvalidParameterError):
        assert load_points(path).ndim == 2


def test_a_header_that_promises_more_than_memory_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 10**6)}
    )
    refused(write(tmp_path, "x.npy", stream.getvalue()), "damaged or truncated")
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("points.npy", stream.getvalue())
    refused(tmp_path / "x.npz", "damaged or truncated")


def test_a_member_that_is_no_array_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused(tmp_path / "x.npz", "real numbers|damaged")


def test_as_points_names_its_caller_and_copies() -> None:
    with pytest.raises(InvalidParameterError, match=r"validate: data must be of shape \(C, d\)"):
        as_points("validate", "data", X[0])
    with pytest.raises(InvalidParameterError, match=r"validate: data .*could not be read"):
        as_points("validate", "data", [[1, 2], [3]])
    out = as_points("validate", "data", X)
    assert not np.shares_memory(out, X)
