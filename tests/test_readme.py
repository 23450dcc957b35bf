"""The README's uses run and print what it says, and its figures are those that are stored."""

from __future__ import annotations

import contextlib
import io
import json
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dpmoracle.claims

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: (language or nothing, what stands in it, what is said to be printed or nothing)
BLOCKS = re.findall(r"```(python|)\n(.*?)```(?:\n+```text\n(.*?)```)?", README, flags=re.S)
EXAMPLES = [(code, printed) for language, code, printed in BLOCKS if language]


@pytest.mark.parametrize(("code", "printed"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(code: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen = io.StringIO()
    with contextlib.redirect_stdout(seen):
        exec(compile(code, "README.md", "exec"), {})
    assert seen.getvalue() == printed
    assert sum(bool(line.strip()) for line in code.splitlines()) < 15


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


# commands ----------------------------------------------------------------------------------------------------


def commands(block: str) -> list[str]:
    """Its lines that run dpmoracle, without what comes before && and after #."""
    lines = [line.rpartition("&&")[2].strip() for line in block.splitlines()]
    return [line for line in lines if line.startswith("dpmoracle ")]


SHELL = [(block, printed) for language, block, printed in BLOCKS if not language and commands(block)]


def fewer(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command works through, cut down where its own tests work through all."""
    if command.startswith("dpmoracle validate") and "--only" not in command:
        some = dpmoracle.claims.all_claims()[::40]
        monkeypatch.setattr(dpmoracle.claims, "all_claims", lambda: some)
    if command.startswith("dpmoracle check diffusers"):
        pytest.importorskip("diffusers")
        from dpmoracle.conformance.adapters import catalogue

        every = catalogue.diffusers_entries
        monkeypatch.setattr(catalogue, "diffusers_entries", lambda quick: every(quick)[:1])


@pytest.mark.parametrize(("block", "printed"), SHELL, ids=[commands(block)[0] for block, _ in SHELL])
def test_commands(block: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with what they name: points, and a module with the sampler of the example."""
    for library in ("typer", "rich", "sklearn", "numba", "jinja2", "matplotlib", "threadpoolctl"):
        pytest.importorskip(library)
    from dpmoracle.cli.app import run

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    np.save("mine.npy", np.random.default_rng(0).uniform(-1, 1, (30, 3)))
    (example,) = (code for code, _ in EXAMPLES if "my_sampler" in code)
    Path("mymodule.py").write_text(example, encoding="utf-8")
    told = ""
    for command in commands(block):
        seen = io.StringIO()
        with monkeypatch.context() as patched, contextlib.redirect_stdout(seen):
            fewer(command, patched)
            code = run(shlex.split(command, comments=True)[1:])
        assert code == 0 or (code == 1 and command.startswith("dpmoracle check")), command
        assert max(map(len, seen.getvalue().splitlines())) <= 80, command
        told += seen.getvalue()
        for file in re.findall(r"(?:-o|--json|--junit|--report|--markdown) (\S+)", command):
            assert Path(file).exists(), command
    assert printed in told


def test_every_option_that_is_named_is_one() -> None:
    typer = pytest.importorskip("typer")
    from dpmoracle.cli.app import app

    known = {
        name for each in typer.main.get_command(app).commands.values() for p in each.params for name in p.opts
    }
    named = set(re.findall(r"(?<![\w-])--[a-z]+(?:-[a-z]+)*", re.sub(r"<!--.*?-->", "", README)))
    assert named
    assert named <= known, sorted(named - known)


# figures -----------------------------------------------------------------------------------------------------


@pytest.fixture
def figures() -> dict[str, Any]:
    """The names of benchmarks/readme.py."""
    return runpy.run_path(str(ROOT / "benchmarks" / "readme.py"))


def test_the_figures_are_those_that_are_stored(figures: dict[str, Any]) -> None:
    """Run `python benchmarks/readme.py` after a new result."""
    table = figures["render"](figures["stored"]())
    assert figures["replaced"](README, table) == README
    assert README.count(table) == 1


def test_ratios_and_times_follow_from_the_turns(figures: dict[str, Any]) -> None:
    """By the seconds of every turn alone: what is derived from them in the file could be stale."""
    rows = [
        line.split(" | ") for line in figures["render"](figures["stored"]()).splitlines() if " | " in line
    ]
    units = {"s": 1.0, "ms": 1e-3, "µs": 1e-6}
    results = [r for run in figures["stored"]().values() for found in run["results"].values() for r in found]
    compared = 0
    for (work, ours, beside, _), result in zip(rows[1:], results, strict=True):
        first, *others = result["timings"]
        number, unit = ours.split()
        assert work == f"| {result['work']}"
        assert float(number) * units[unit] == pytest.approx(np.median(first["seconds"]), rel=6e-3)
        for other in others:
            if shown := re.search(rf"(?:^|, ){re.escape(other['name'])} ([\d.]+)×", beside):
                ratio = np.median(np.divide(other["seconds"], first["seconds"]))
                assert float(shown[1]) == pytest.approx(ratio, rel=0.06)
                compared += 1
    assert compared >= 5


def test_a_result_of_another_day_or_of_a_quick_run_is_refused(figures: dict[str, Any]) -> None:
    runs = json.loads(json.dumps(figures["stored"]()))
    name = next(iter(runs))
    runs[name]["settings"]["quick"] = True
    with pytest.raises(SystemExit, match="--quick"):
        figures["render"](runs)
    with pytest.raises(SystemExit, match="must have the lines"):
        figures["replaced"]("no marks", "table")
    runs = json.loads(json.dumps(figures["stored"]()))
    first = next(iter(runs[name]["results"].values()))[0]
    first["medians"] = {timing: 2 * value for timing, value in first["medians"].items()}
    assert figures["render"](runs) not in README
