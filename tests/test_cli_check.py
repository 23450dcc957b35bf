"""dpmoracle check: what it prints, writes and returns."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dpmoracle.cli.app import run

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
bad = from_step(bad_step, levels, "eps", prepare, name="bad")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "my_samplers_of_check.py").write_text(_MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
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


def test_list_and_wrong_use(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "my_samplers_of_check:good", "--list"]) == 0
    assert "my_samplers_of_check:good" in capsys.readouterr().out
    for command, words in (
        (["check", "nonsense"], "MODULE:NAME"),
        (["check", "no_such_module_at_all:x"], "cannot be imported"),
        (["check", "my_samplers_of_check:nothing"], "has no 'nothing'"),
        (["check", "dpm-solver"], "--file PATH"),
        (["check", "dpm-solver", "--file", "missing.py"], "is no file"),
        (["check", "diffusers", "--file", "a.py"], "--file is for dpm-solver"),
        (["check", "my_samplers_of_check:good", "--only", "zzz"], "matches none"),
    ):
        assert run(command) == 2
        assert words in capsys.readouterr().err
