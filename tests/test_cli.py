"""The command line as a user meets it: exit codes, one-line errors, Ctrl-C, pipes, colours, files."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dpmoracle
import dpmoracle.claims
import stub_claims
from dpmoracle.cli import interrupts, main

pytest.importorskip("typer")
from typer.testing import CliRunner

from dpmoracle.cli.app import app

STUB = Path(stub_claims.__file__)
SUMMARY = "4 claims: 2 hold, 2 refuted, all as expected (12 s, seed 0)"


class Asked:
    """Records what the command passes on to claims.validate."""

    def __init__(self, verdict: str | None = None, error: BaseException | None = None) -> None:
        self.calls: list[dict[str, Any]] = []
        self.validate = stub_claims.validate_with(verdict=verdict)
        self.error = error

    def __call__(self, **parts: Any) -> Any:
        self.calls.append(parts)
        if self.error is not None:
            raise self.error
        return self.validate(**parts)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    monkeypatch.setattr(dpmoracle.claims, "all_claims", lambda: stub_claims.CLAIMS)

    def use(**parts: Any) -> Asked:
        asked = Asked(**parts)
        monkeypatch.setattr(dpmoracle.claims, "validate", asked)
        return asked

    return use


def invoke(*args: str) -> Any:
    return CliRunner().invoke(app, list(args))


def one_line(text: str, words: str) -> None:
    assert re.fullmatch(rf"dpmoracle validate: [^\n]*{words}[^\n]*\n", text), text


def test_everything_as_expected_is_0_and_the_last_line_counts(ask: Any) -> None:
    asked = ask()
    result = invoke("validate")
    assert result.exit_code == 0, result.output
    assert result.stdout.endswith(SUMMARY + "\n")
    assert result.stderr == ""
    (call,) = asked.calls
    call.pop("progress")
    assert call == {"data": None, "only": None, "seed": 0}


@pytest.mark.parametrize("verdict", ["holds", "refuted", "undecided", "error"])
def test_anything_else_is_1(ask: Any, verdict: str) -> None:
    ask(verdict=verdict)
    result = invoke("validate")
    assert result.exit_code == 1
    assert "NOT as expected" in result.stdout


def test_brackets_in_a_statement_are_text_not_markup(ask: Any) -> None:
    ask(verdict="undecided")
    out = " ".join(invoke("validate").stdout.split())
    assert stub_claims.STATEMENT in out
    assert "Theorem 2 [iclr]" in out


def test_options_reach_validate(ask: Any, tmp_path: Path) -> None:
    asked = ask()
    points = np.arange(12.0).reshape(6, 2)
    np.savez(tmp_path / "x.npz", a=points, b=points + 1)
    args = ["--data", str(tmp_path / "x.npz"), "--key", "b", "--seed", "7", "--only", "notes.*"]
    result = invoke("validate", *args)
    assert result.exit_code == 0, result.output
    (call,) = asked.calls
    np.testing.assert_array_equal(call["data"], points + 1)
    assert (call["only"], call["seed"]) == ("notes.*", 7)
    assert "x.npz(6x2)" in "".join(result.stdout.split())  # wherever a long path breaks the line
    assert "3 claims" in result.stdout
    assert "bao2022" not in result.stdout


def test_json_holds_the_verdicts(ask: Any, tmp_path: Path) -> None:
    ask()
    path = tmp_path / "out.json"
    path.write_text("old")
    assert invoke("validate", "--json", str(path)).exit_code == 0
    back = json.loads(path.read_text(encoding="utf-8"))
    assert [entry["id"] for entry in back] == [c.id for c in stub_claims.CLAIMS]
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


def test_json_is_written_when_a_verdict_is_wrong_too(ask: Any, tmp_path: Path) -> None:
    ask(verdict="error")
    assert invoke("validate", "--json", str(tmp_path / "out.json")).exit_code == 1
    assert (tmp_path / "out.json").exists()


def test_the_table_survives_a_json_that_cannot_be_written_any_more(
    ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dpmoracle.storage.write_text", full)
    result = invoke("validate", "--json", str(tmp_path / "out.json"))
    assert result.exit_code == 2
    assert SUMMARY in result.stdout
    one_line(result.stderr, "No space left")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--json", "no/such/folder/x.json"], "--json: cannot write 'no/such/folder/x.json'.*does not exist"),
        (["--json", "."], "--json: .*names a folder"),
        (["--data", "gone.npy"], "no file 'gone.npy'"),
        (["--data", "x.mat"], "must end in .npy, .npz, .csv"),
        (["--key", "a"], "--key a .*--data FILE"),
        (["--only", "nothing.*"], "--only must match .* 'nothing.[*]' matches none of 4. Nearest"),
        (["--list", "--only", "nothing.*"], "--only must match .* matches none of 4. Nearest"),
    ],
)
def test_wrong_use_is_2_and_one_line(ask: Any, args: list[str], words: str) -> None:
    asked = ask()
    result = invoke("validate", *args)
    assert result.exit_code == 2
    assert result.stdout == ""
    one_line(result.stderr, words)
    assert not asked.calls  # said before computing


@pytest.mark.parametrize("args", [["--bogus"], ["--seed", "x"], ["--seed", "-1"], ["extra"], ["--data"]])
def test_options_that_do_not_parse_are_2(args: list[str]) -> None:
    result = invoke("validate", *args)
    assert result.exit_code == 2
    assert "Error" in result.stderr


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (dpmoracle.InvalidParameterError("validate: two\nlines"), "two lines"),
        (
            dpmoracle.MissingExtraError("digits needs sklearn: pip install 'dpmoracle[cli]'"),
            r"dpmoracle\[cli\]",
        ),
        (MemoryError("Unable to allocate 8 TiB"), "Unable to allocate"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_errors_while_computing_are_2_and_one_line(ask: Any, error: Exception, words: str) -> None:
    ask(error=error)
    result = invoke("validate")
    assert result.exit_code == 2
    one_line(result.stderr, words)


def test_a_bug_is_not_dressed_up_as_wrong_use(ask: Any) -> None:
    ask(error=ZeroDivisionError("a bug"))
    assert isinstance(invoke("validate").exception, ZeroDivisionError)


def test_keyboard_interrupt_is_130_and_one_line(ask: Any) -> None:
    before = signal.getsignal(signal.SIGINT)
    ask(error=KeyboardInterrupt())
    result = invoke("validate")
    assert result.exit_code == 130
    assert result.stderr == "dpmoracle validate: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_that_surfaces_as_another_error_is_still_130(
    ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interrupts.Interruptible, "received", True)
    ask(error=ImportError("numpy.core.multiarray failed to import"))
    result = invoke("validate")
    assert (result.exit_code, result.stderr) == (130, "dpmoracle validate: interrupted\n")


def test_list_shows_statements_and_checks_nothing(ask: Any) -> None:
    asked = ask()
    result = invoke("validate", "--list", "--only", "*theorem2*")
    assert result.exit_code == 0
    assert result.stdout == (
        "bao2022.theorem2.upper_bound_of_bounded_data\n"
        "    Bao et al. 2022, Theorem 2 [iclr]; expected to hold\n"
        f"    {stub_claims.STATEMENT}\n"
    )
    assert not asked.calls


def test_version_and_help() -> None:
    assert invoke("--version").stdout == f"dpmoracle {dpmoracle.__version__}\n"
    assert invoke("--help").exit_code == invoke("validate", "--help").exit_code == 0
    assert "validate" in invoke("--help").stdout
    for option in ("--json", "--only", "--data", "--key", "--seed", "--list"):
        assert option in invoke("validate", "--help").stdout
    assert invoke().exit_code == 2


def test_main_returns_the_code_and_leaves_the_signal_handler(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGINT)
    assert main(["--version"]) == 0
    assert main(["validate", "--data", "gone.npy"]) == 2
    assert signal.getsignal(signal.SIGINT) is before
    assert "gone.npy" in capsys.readouterr().err


# in a process of its own -------------------------------------------------------------------------------------


def stub(*args: str, seconds: str = "0", verdict: str = "-") -> list[str]:
    return [sys.executable, "-W", "error", str(STUB), seconds, verdict, *args]


def environment(**extra: str) -> dict[str, str]:
    plain = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "TERM")}
    return {**plain, "TERM": "xterm-256color", **extra}


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    options.setdefault("env", environment())
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, **options)


@pytest.mark.parametrize(
    ("args", "verdict", "code"),
    [
        (["validate"], "holds", 1),
        (["validate", "--key", "a"], "-", 2),
        (["what"], "-", 2),
    ],
)
def test_exit_codes_of_the_process(args: list[str], verdict: str, code: int) -> None:
    assert run(stub(*args, verdict=verdict)).returncode == code


@pytest.mark.parametrize("columns", ["", "80", "132", "what"])
def test_columns_are_kept_where_stdout_is_no_terminal(columns: str) -> None:
    out = run(stub("validate"), env=environment(COLUMNS=columns)).stdout
    lines = out.split("\n")
    assert max(map(len, lines)) <= (132 if columns == "132" else 80)
    assert "\x1b" not in out
    assert out.endswith(SUMMARY + "\n")
    assert ("evidence" in lines[2]) == (columns == "132")


def terminal(command: list[str], **extra: str) -> tuple[int, str]:
    """Run with stdout and stderr on a pseudo-terminal; all that it received."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(**extra))
    os.close(theirs)
    received = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not chunk:
            break
        received += chunk
    os.close(ours)
    return process.wait(60), received.decode("utf-8")


def test_on_a_terminal_a_bar_with_the_time_left_that_vanishes() -> None:
    code, text = terminal(stub("validate", seconds="0.15"), COLUMNS="80")
    assert code == 0
    bar, _, table = text.partition("Data:")
    assert "0/4" in bar
    assert re.search(r"\d:\d\d:\d\d|-:--:--", bar)
    assert "notes.eq05.corrected" in bar
    assert bar.endswith("\x1b[?25h\r\x1b[1A\x1b[2K\x1b[2m")  # cursor shown, bar erased, then the dim heading
    assert "\x1b[3" in table  # colours
    assert "as expected" in table


def test_no_color_is_honoured() -> None:
    _, text = terminal(stub("validate"), COLUMNS="80", NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]", text.partition("Data:")[2])


def test_no_bar_where_stderr_is_no_terminal() -> None:
    assert run(stub("validate")).stderr == ""


@pytest.mark.parametrize(
    ("args", "reader"),
    [("validate", "head -1"), ("validate", "true"), ("validate --list", "true"), ("--help", "true")],
)
def test_a_pipe_that_closes_early_is_no_error(args: str, reader: str) -> None:
    done = run(["bash", "-c", f'"$@" | {reader}; exit ${{PIPESTATUS[0]}}', "bash", *stub(*args.split())])
    assert done.stderr == ""
    # rich ends a help text that meets a closed pipe with 1
    assert done.returncode in ((0, 1) if args == "--help" else (0,))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("args", ["validate", "--help", "--version"])
def test_a_full_disk_behind_stdout_is_one_line(args: str, tmp_path: Path) -> None:
    wanted = ["--json", str(tmp_path / "x.json")] if args == "validate" else []
    done = run(["bash", "-c", '"$@" > /dev/full', "bash", *stub(args, *wanted)])
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr
    if wanted:
        assert len(json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))) == 4


def test_closed_stdout_and_ascii_stdout_lose_no_verdict() -> None:
    assert run(["bash", "-c", '"$@" >&-', "bash", *stub("validate")]).returncode == 0
    done = run(stub("validate"), env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 0
    assert SUMMARY in done.stdout


@contextlib.contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said "ready"."""
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=environment()) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def interrupted(delay: float, times: int, gap: float, *args: str) -> subprocess.CompletedProcess[bytes]:
    with started(stub("validate", *args, seconds="20")) as process:
        time.sleep(delay)
        for _ in range(times):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            time.sleep(gap)
        out, err = process.communicate(timeout=15)
    return subprocess.CompletedProcess([], process.returncode, out, err)


@pytest.mark.parametrize(
    ("delay", "times", "gap"),
    [
        (0.03, 1, 0),
        (0.06, 5, 0.01),
        (0.15, 8, 0.03),
        (0.3, 8, 0.02),
        (1.0, 8, 0.02),
    ],
)
def test_ctrl_c_is_one_line_and_130_whenever_and_however_often(delay: float, times: int, gap: float) -> None:
    done = interrupted(delay, times, gap)
    assert done.returncode == 130
    assert done.stdout == b""
    assert re.fullmatch(rb"dpmoracle( validate)?: interrupted\n", done.stderr), done.stderr


def test_ctrl_c_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("old")
    assert interrupted(1.0, 1, 0, "--json", str(tmp_path / "x.json")).returncode == 130
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("x.json", "old")]


HUNG = """
import signal, sys, time
from dpmoracle.cli.interrupts import Interruptible
with Interruptible():
    print("ready", flush=True)
    while True:
        try:
            time.sleep(30)
        except KeyboardInterrupt:
            pass  # a library that swallows it
"""


def test_a_second_ctrl_c_ends_what_swallowed_the_first() -> None:
    with started([sys.executable, "-c", HUNG]) as process:
        time.sleep(0.2)  # from "ready" into the loop
        process.send_signal(signal.SIGINT)
        time.sleep(interrupts._PATIENCE + 0.2)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=15)
    assert (process.returncode, err) == (130, b"dpmoracle: interrupted\n")


def test_after_an_interrupt_the_end_of_python_ignores_more() -> None:
    code = (
        "import os, signal, dpmoracle.claims; from dpmoracle.cli import main;"
        "dpmoracle.claims.validate = lambda **_: os.kill(os.getpid(), signal.SIGINT);"
        "print(main(['validate']), signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    )
    assert run([sys.executable, "-c", code]).stdout == "130 True\n"


def test_an_ignored_sigint_stays_ignored() -> None:
    code = (
        "import signal, os; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "from dpmoracle.cli.interrupts import *;"
        "a = end_at_once(); a.__enter__(); b = Interruptible().__enter__();"
        "os.kill(os.getpid(), signal.SIGINT); b.__exit__(); a.__exit__(None, None, None); print('alive')"
    )
    assert run([sys.executable, "-c", code]).stdout == "alive\n"


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_extra_it_is_named_and_the_code_is_2(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from dpmoracle.cli import main; sys.exit(main(['validate']))"
    done = run([sys.executable, "-c", code])
    assert done.returncode == 2
    assert re.fullmatch(
        rf"dpmoracle[^\n]* needs {missing}[^\n]*pip install 'dpmoracle\[cli\]'\n", done.stderr
    )


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from dpmoracle.cli import main; main(['--help']);"
        "sys.exit(','.join({'numpy', 'scipy', 'sklearn', 'dpmoracle.claims'} & set(sys.modules)))"
    )
    done = run([sys.executable, "-c", code])
    assert done.stderr.strip() == ""


def test_the_installed_command_and_the_module_answer() -> None:
    line = f"dpmoracle {dpmoracle.__version__}\n"
    assert run([sys.executable, "-m", "dpmoracle.cli", "--version"]).stdout == line
    script = Path(sys.executable).with_name("dpmoracle")
    if script.exists():
        assert run([str(script), "--version"]).stdout == line


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["gamma", "digits", "-o", "x.npz", "-M", "-5"], "-M.*got '-5'"),
        (["gamma", "digits"], "Missing option"),
        (["validate", "--seed", "x"], "--seed.*got 'x'"),
        (["validate", "--nope"], "--nope"),
        (["nope"], "nope"),
    ],
)
def test_what_the_parser_refuses_is_one_line(
    args: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(args) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert re.fullmatch(rf"dpmoracle[^\n]*: [^\n]*{words}[^\n]*\. See dpmoracle[^\n]* --help\n", told.err), (
        told.err
    )


def test_help_where_the_terminal_has_no_greek() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dpmoracle.cli", "--help"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"trajectory" in done.stdout


def test_the_verdicts_never_replace_the_data(ask: Any, tmp_path: Path) -> None:
    ask()
    data = tmp_path / "d.npy"
    np.save(data, np.eye(3))
    before = data.read_bytes()
    result = invoke("validate", "--data", str(data), "--json", str(data.parent / "." / "d.npy"))
    assert result.exit_code == 2
    one_line(result.stderr, "--json must be another file")
    assert data.read_bytes() == before
