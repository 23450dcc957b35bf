"""benchmarks/time_travel.py: the table over releases, and what it says of releases that cannot be checked."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_FILE = Path(__file__).parents[1] / "benchmarks" / "time_travel.py"


@pytest.fixture
def travel() -> ModuleType:
    spec = importlib.util.spec_from_file_location("time_travel", _FILE)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def _rows(**statuses: str) -> list[dict[str, str]]:
    """Rows of one check; configuration -> status."""
    return [{"subject": "S", "check": "finite", "config": c, "status": s} for c, s in statuses.items()]


def test_a_configuration_that_only_one_release_has_neither_comes_nor_goes(travel: ModuleType) -> None:
    found = {
        "1.0": travel.gathered(_rows(a="failed", b="failed", c="passed", d="skipped")),
        "2.0": travel.gathered(_rows(a="failed", b="passed", c="failed", d="failed")),
        "3.0": travel.gathered([]),
        "4.0": travel.gathered(_rows(a="passed", b="note", c="failed", e="failed")),
    }
    head, line = travel.table(found).splitlines()
    assert head.split() == ["failing", "of", "checked", "configurations", *found]
    cells = [cell.strip() for cell in line.split("  ") if cell.strip()]
    assert cells[:-1] == ["S finite", "2 of 3", "3 of 4", "-", "2 of 4"]
    assert cells[-1] == "1 came by 2.0, 1 went by 2.0, 1 went by 4.0"


def test_what_never_fails_has_no_line(travel: ModuleType) -> None:
    assert len(travel.table({"1.0": travel.gathered(_rows(a="passed"))}).splitlines()) == 1


def test_a_release_that_cannot_be_checked_is_told_and_the_others_go_on(
    travel: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        failed = "diffusers==9.9" in command
        error = (
            "Looking\nERROR: No matching distribution found for diffusers==9.9\n[notice] new pip"
            if failed
            else ""
        )
        return subprocess.CompletedProcess(command, int(failed), stdout="/nowhere\n", stderr=error)

    monkeypatch.setattr(travel, "_run", run)
    monkeypatch.setattr(travel.venv, "create", lambda *a, **k: None)
    monkeypatch.setattr(travel.Path, "write_text", lambda *a, **k: 0)
    monkeypatch.setattr(travel, "check", lambda python, more: travel.gathered(_rows(a="failed")))
    monkeypatch.setattr(sys, "argv", ["time_travel.py", "9.9", "0.31.0", "--only", "S"])
    assert travel.main() == 1
    told = capsys.readouterr()
    assert "9.9: pip cannot install diffusers==9.9: ERROR: No matching distribution" in told.err
    assert "1 of 1" in told.out
    assert "9.9" not in told.out


def test_a_release_that_cannot_be_imported_names_what_it_stands_beside(
    travel: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "Traceback\nImportError: cannot import name 'cached_download'"
    broken: Any = subprocess.CompletedProcess([], 1, stdout="", stderr=message)
    monkeypatch.setattr(travel, "_run", lambda command: broken)
    with pytest.raises(travel.Unusable, match=r"beside torch .*cached_download.*huggingface_hub==0\.25\.2"):
        travel.imports("python")


def test_torch_is_installed_before_the_release(travel: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0, stdout="/nowhere\n", stderr="")

    monkeypatch.setattr(travel, "_run", run)
    monkeypatch.setattr(travel.venv, "create", lambda *a, **k: None)
    monkeypatch.setattr(travel.Path, "write_text", lambda *a, **k: 0)
    travel.environment(Path("there"), "0.31.0", "2.13.0", ["huggingface_hub==0.25.2"])
    installs = [command[command.index("/nowhere") + 1 :] for command in ran if "install" in command]
    assert installs == [["torch==2.13.0"], ["--no-deps", "diffusers==0.31.0", "huggingface_hub==0.25.2"]]
