"""What a terminal gets and what a pipe gets: colours, width, the bar, the command line of a report."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

from dpmoracle.cli.app import app
from dpmoracle.cli.console import command_line
from test_cli import environment, stub, terminal

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9](;[0-9;]*)?m")
CODE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@pytest.mark.parametrize(
    ("extra", "coloured", "bar"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"NO_COLOR": ""}, True, True),  # no-color.org: only where it is not empty
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_a_terminal_gets_what_it_can_show(extra: dict[str, str], coloured: bool, bar: bool) -> None:
    code, text = terminal(stub("validate", seconds="0.1"), **{"COLUMNS": "80", **extra})
    assert code == 0
    assert bool(COLOUR.search(text)) == coloured
    assert ("0/4" in text) == bar
    assert "\x1b" in text or extra.get("TERM") == "dumb"
    assert max(len(CODE.sub("", line)) for line in re.split(r"[\r\n]", text)) <= 80


def test_a_bar_on_the_terminal_leaves_the_pipe_alone() -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        stub("validate", seconds="0.15"), stdout=subprocess.PIPE, stderr=theirs, env=environment(COLUMNS="80")
    ) as process:
        os.close(theirs)
        assert process.stdout is not None
        piped = process.stdout.read().decode()
        bar = b""
        while select.select([ours], [], [], 1)[0]:
            try:
                bar += os.read(ours, 65536)
            except OSError:  # Linux says so at the end
                break
    os.close(ours)
    assert "\x1b" not in piped
    assert piped.startswith("ready\nData:")
    assert b"0/4" in bar
    assert re.search(rb"\d:\d\d:\d\d|-:--:--", bar)
    assert b"Data:" not in bar


@pytest.mark.parametrize(
    "args",
    [
        ["gamma", "p.npy", "-o", "g.npz", "--steps", "30", "-M", "60"],
        ["trajectory", "g.npz", "-K", "3", "-K", "29"],
    ]
    + [[name, "--help"] for name in ("validate", "gamma", "trajectory", "sample")],
)
def test_plain_text_of_eighty_columns_in_a_pipe(
    args: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("pipe")
    np.save(folder / "p.npy", [[-1.0, 0.5], [1.0, 0.0]])
    command = [sys.executable, "-m", "dpmoracle.cli"]
    options = {"capture_output": True, "text": True, "cwd": folder, "env": environment(), "timeout": 60}
    if args[0] == "trajectory":
        subprocess.run([*command, "gamma", "p.npy", "-o", "g.npz", "--steps", "30", "-M", "60"], **options)
    done = subprocess.run([*command, *args], **options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.split("\n"))) <= 80


def test_the_command_line_is_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    monkeypatch.setattr("dpmoracle.cli.validate.show", lambda *_: said.append(command_line()))
    CliRunner().invoke(app, ["validate", "--list", "--only", "notes.* of mine"])
    CliRunner().invoke(app, ["validate", "--list", "--only", "notes.1*"])
    assert said == [
        "dpmoracle validate --list --only 'notes.1*'"
    ]  # the first matches nothing, and shows nothing
    assert command_line() == said[0]
