"""dpmoracle check: what it prints, writes and returns."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from dpmoracle.cli.app import run
from dpmoracle.conformance import sweep

_MODULE = """
import numpy as np
from dpmoracle.conformance import from_step

def levels(K):
    sigma = np.geomspace(20.0, 0.05, K + 1)
    return np.stack([np.ones(K + 1), sigma], axis=1)

K_now = [0]
def good_step(output, i, x, noise):
    nodes = levels(K_now[0])[:, 1]
    return x + (nodes[i + 1] - nodes[i]) * output
def bad_step(output, i, x, noise):
    nodes = levels(K_now[0])[:, 1]
    return x + 0.9 * (nodes[i + 1] - nodes[i]) * output
def prepare(K):
    K_now[0] = K

good = from_step(good_step, levels, "eps", prepare, name="good")
def raising_step(output, i, x, noise):
    raise KeyError("no such key")

bad = from_step(bad_step, levels, "eps", prepare, name="bad")
both = [good, from_step(raising_step, levels, "eps", prepare, name="raising")]
none = []
number = 3
def trips():
    raise ValueError("made badly")
def leaves():
    raise SystemExit
"""


#: ends at sigma = 0 by its last x0
_EULER = """
def to_zero(K):
    return np.concatenate([levels(K - 1), [[1.0, 0.0]]])
def euler_step(output, i, x, noise):
    nodes = to_zero(K_now[0])[:, 1]
    return x + (nodes[i + 1] - nodes[i]) * output
euler = from_step(euler_step, to_zero, "eps", prepare, name="euler")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_samplers_of_check.py").write_text(_MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # each test imports its own file of that name
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "my_samplers_of_check", raising=False)
    return tmp_path


def test_a_right_sampler(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "my_samplers_of_check:good", "--quick", "--jobs", "1"]) == 0
    assert "0 findings" in capsys.readouterr().out


def test_a_wrong_sampler_and_its_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [
        "check",
        "my_samplers_of_check:bad",
        "--quick",
        "--jobs",
        "1",
        "--json",
        "a.json",
        "--junit",
        "a.xml",
    ]
    assert run(command) == 1
    out = capsys.readouterr().out
    assert "landing" in out
    assert max(map(len, out.splitlines())) <= 80
    rows = json.loads((here / "a.json").read_text(encoding="utf-8"))
    assert set(rows[0]) == {
        "subject", "config", "check", "status", "measured", "bound", "detail", "library", "version",
    }  # fmt: skip
    failed = [row for row in rows if row["status"] == "failed"]
    root = ElementTree.parse(here / "a.xml").getroot()
    assert len(root.findall(".//failure")) == len(failed) > 0


def test_a_sampler_that_raises_is_a_finding_in_every_process(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = []
    for jobs in ("1", "2"):
        command = ["check", "my_samplers_of_check:both", "--quick", "--jobs", jobs, "--json", "a.json"]
        assert run(command) == 1
        kept.append(json.loads((here / "a.json").read_text(encoding="utf-8")))
    assert kept[0] == kept[1]
    out = capsys.readouterr().out
    assert "KeyError: 'no such key'" in out
    # one cause is told once
    failed = [row["check"] for row in kept[0] if row["status"] == "failed"]
    assert {"finite", "grid", "landing"} <= set(failed)
    assert f"Not listed: {len(failed) - 1} failures that follow" in out
    assert "1 finding;" in out
    assert {row["status"] for row in kept[0]} == {"passed", "failed", "skipped"}


def test_each_result_of_ones_own_sampler_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my_samplers_of_check.py").write_text(_MODULE + _EULER, encoding="utf-8")
    assert run(["check", "my_samplers_of_check:euler", "--jobs", "1", "--quick"]) == 0
    out = capsys.readouterr().out
    lines = [line.split() for line in out.splitlines()]
    assert ["my_samplers_of_check:euler"] in lines
    (converges,) = [line for line in lines if line[:2] == ["converges", "passed"]]
    assert 0 < float(converges[2]) <= float(converges[4])
    (at,) = [i for i, line in enumerate(lines) if line[:2] == ["last_step", "note"]]
    assert "returns x0, which is of order 1" in " ".join(lines[at + 1] + lines[at + 2])
    assert "skipped, needs time_level: time_values, fed_by_time" in out
    assert "needs order, uneven: order_uneven" in out
    assert "0 findings;" in out
    assert "unknown" not in out
    assert "(my_samplers_of_check)" in out
    assert max(map(len, out.splitlines())) <= 80


def test_samplers_of_a_list_are_told_apart(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "my_samplers_of_check.py").write_text(_MODULE + "pair = [good, bad]", encoding="utf-8")
    assert run(["check", "my_samplers_of_check:pair", "--quick", "--jobs", "1", "--only", "landing"]) == 1
    first, second = capsys.readouterr().out.split("my_samplers_of_check:pair[1]")
    assert "passed" in first
    assert "passed" not in second.partition("finding")[0]


@pytest.mark.parametrize("option", ["--json", "--junit", "--report"])
def test_the_module_under_test_is_not_overwritten(
    here: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    name = "my_samplers_of_check.py"
    if option == "--report":
        pytest.importorskip("matplotlib")
        (here / "page.html").symlink_to(name)
    command = [
        "check", "my_samplers_of_check:good", "--quick", "--jobs", "1", "--only", "finite",
        option, "page.html" if option == "--report" else name,
    ]  # fmt: skip
    assert run(command) == 2
    assert f"{option} must be another file" in capsys.readouterr().err
    assert (here / name).read_text(encoding="utf-8") == _MODULE


def test_interrupted_it_keeps_what_it_has(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, seen = sweep._judge, []

    def judged(*given: Any) -> list[sweep.Row]:
        if seen:
            raise KeyboardInterrupt
        seen.append(given)
        return judge(*given)

    monkeypatch.setattr(sweep, "_judge", judged)
    assert (
        run(["check", "my_samplers_of_check:both", "--jobs", "1", "--only", "grid", "--json", "a.json"])
        == 130
    )
    rows = json.loads((here / "a.json").read_text(encoding="utf-8"))
    assert [row["check"] for row in rows] == ["grid"]
    assert "a.json holds the 1 results so far" in capsys.readouterr().err


def test_only_narrows_the_list_too(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "my_samplers_of_check:good", "--list"]) == 0
    assert "my_samplers_of_check:good" in capsys.readouterr().out
    assert run(["check", "my_samplers_of_check:good", "--list", "--only", "zzz"]) == 2


def test_help_says_what_is_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "--help"]) == 0
    assert "Importing the code under test runs it" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("nonsense", "MODULE:NAME"),
        (":x", "MODULE:NAME"),
        ("my_samplers_of_check:", "MODULE:NAME"),
        ("no_such_module_at_all:x", "cannot be imported"),
        ("my_samplers_of_check:nothing", "has no 'nothing'"),
        ("my_samplers_of_check:trips", "trips() raises ValueError: made badly"),
        ("my_samplers_of_check:none", "gives no sampler"),
        ("my_samplers_of_check:number", "got int"),
        ("broken_of_check:x", "importing broken_of_check raises SyntaxError"),
        ("broken_of_check:x", "(broken_of_check.py:1)"),
        ("exits_of_check:x", "importing exits_of_check raises SystemExit: 3 (exits_of_check.py:2)"),
        ("my_samplers_of_check:leaves", "my_samplers_of_check:leaves() raises SystemExit"),
        ("my_samplers_of_check.py:good", "write my_samplers_of_check:good"),
        ("./my_samplers_of_check:good", "write my_samplers_of_check:good"),
        ("lib/mine.py:good", "write lib.mine:good"),
        ("/some/where/mine.py:good", "write mine:good, in the folder /some/where"),
        ("needs_of_check:x", "No module named 'no_such_dependency' (needs_of_check.py:1)"),
        ("dpm-solver", "--file PATH"),
        ("dpm-solver --file missing.py", "is no file"),
        ("dpm-solver --file broken_of_check.py", "raises SyntaxError"),
        ("dpm-solver --file my_samplers_of_check.py", "has no DPM_Solver"),
        ("diffusers --file a.py", "--file is for dpm-solver"),
        ("my_samplers_of_check:good --only zzz", "matches none"),
        ("my_samplers_of_check:good --only [", "matches none"),
        ("my_samplers_of_check:good --json no/such/folder.json", "does not exist"),
        ("my_samplers_of_check:good --junit .", "names a folder"),
        ("my_samplers_of_check:good --json a --junit a", "another file"),
        ("my_samplers_of_check:good --jobs 0", "--jobs"),
    ],
)
def test_wrong_use(here: Path, capsys: pytest.CaptureFixture[str], arguments: str, words: str) -> None:
    (here / "broken_of_check.py").write_text("def (", encoding="utf-8")
    (here / "exits_of_check.py").write_text("import sys\nsys.exit(3)", encoding="utf-8")
    (here / "needs_of_check.py").write_text("import no_such_dependency", encoding="utf-8")
    assert run(["check", *arguments.split()]) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
