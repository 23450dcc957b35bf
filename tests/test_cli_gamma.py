"""dpmoracle gamma: its numbers against quadrature, its file, checkpoints that resume to the last bit, wrong use."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

import dpmoracle as dpm
from dpmoracle import gamma_curve, gamma_run, shared
from dpmoracle.cli.app import app
from dpmoracle.cli.gamma import Estimator
from dpmoracle.gamma_curve import DataRecord, GammaCurve
from trajectory_cases import rebuilt

POINTS = np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -2.0]])
NAMES = (
    "mmse gamma mmse_stderr gamma_stderr effective_count timesteps estimator num_samples batch_size seed program "
    "data_name data_shape data_sha256 data_range schedule_kind schedule_name schedule_given schedule_values "
    "format version"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", POINTS)
    return tmp_path


def gamma(*args: str, data: str = "points.npy", output: str = "out.npz") -> Any:
    return CliRunner().invoke(app, ["gamma", data, "-o", output, "--steps", "40", "--beta-end", "0.3", *args])


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def refused(result: Any, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(rf"dpmoracle gamma: [^\n]*{words}[^\n]*\n", result.stderr), result.stderr


# numbers -----------------------------------------------------------------------------------------------------


def test_one_point_has_no_v(folder: Path) -> None:
    np.save("point.npy", np.full((3, 2), 0.25))
    text = " ".join(gamma("-M", "20", data="point.npy").stdout.split())
    assert "V is 0 at every timestep, as for data that are one point." in text
    assert "Warning" not in text


LINE = np.outer(
    [-1.0, 0.4, 2.0], [2 / 3, -1 / 3, 2 / 3]
)  # three dimensions, one of them used: quadrature is quick


@functools.cache
def truth() -> tuple[np.ndarray, np.ndarray]:
    """Γ and V of LINE at 1..40 by quadrature, each by its own integrand."""
    orc = dpm.Oracle(dpm.GaussianMixture.from_points(LINE), dpm.Schedule.linear(40, beta_end=0.3))
    t = np.arange(1, 41)
    gamma, mmse = (getattr(orc, name)(t, method="quadrature").value for name in ("gamma", "mmse"))
    return gamma, mmse


def agrees(curve: GammaCurve) -> bool:
    """Within 5 standard errors wherever 100 samples count, at most 40 timesteps: a false alarm in 4e4 runs.

    The standard errors are held to the effective counts: (stderr/V)² = (1/n_eff - 1/M) M/(M - 1).
    """
    some = np.flatnonzero(curve.effective_count[1:] >= 100) + 1
    gamma, mmse = (exact[some - 1] for exact in truth())
    u, beta_bar, M = curve.schedule.snr[some], curve.schedule.beta_bar[some], curve.num_samples
    relative = np.sqrt((1 / curve.effective_count[some] - 1 / M) * M / (M - 1))
    stderr = relative * mmse
    return bool(
        some.size > 20
        and (np.abs(curve.mmse[some] - mmse) <= 5 * stderr).all()
        and (np.abs(curve.gamma[some] - gamma) <= 5 * stderr * u / beta_bar).all()
        and np.allclose(curve.mmse_stderr[some], relative * curve.mmse[some], rtol=1e-6)
        and np.allclose(curve.gamma_stderr[some], relative * curve.mmse[some] * u / beta_bar, rtol=1e-6)
        and (curve.mmse[0], curve.gamma[0], curve.mmse_stderr[0], curve.gamma_stderr[0]) == (0, np.inf, 0, 0)
    )


@pytest.mark.parametrize("estimator", ["pair", "trace", "residual"])
def test_values_against_quadrature(folder: Path, estimator: str) -> None:
    np.save("line.npy", LINE)
    result = gamma("--estimator", estimator, "-M", "4000", "--batch-size", "500", data="line.npy")
    assert result.exit_code == 0, result.output
    assert agrees(GammaCurve.load("out.npz"))


def test_the_score_estimator_within_its_large_error(folder: Path) -> None:
    np.save("line.npy", LINE)
    gamma("--estimator", "score", "-M", "4000", "--batch-size", "500", data="line.npy")
    curve = GammaCurve.load("out.npz")
    assert (np.abs(curve.gamma[1:] - truth()[0]) < 5 * curve.gamma_stderr[1:]).all()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(1 - u * mean) / beta_bar", "(1 + u * mean) / beta_bar"),
        ("(1 - u * mean) / beta_bar", "1 - u * mean"),
        ("(1 - u * mean) / beta_bar", "(1 - mean) / beta_bar"),
        ("u * stderr / beta_bar", "stderr / beta_bar"),
        ("u * stderr / beta_bar", "u * stderr"),
        ("schedule.snr[1:]", "schedule.snr[:-1].clip(0, 1e9)"),
        ("schedule.beta_bar[1:]", "schedule.alpha_bar[1:]"),
        ("np.insert(mean, 0, 0.0)", "np.append(mean, 0.0)"),
        ("/ beta_bar, 0, np.inf)", "/ beta_bar, 0, 0.0)"),
        ("found.mean, found.stderr", "found.mean, found.deviation"),
    ],
)
def test_mutants_of_the_curve_are_caught(old: str, new: str) -> None:
    assert agrees(curve_of(gamma_run.GammaRun, GammaCurve))
    assert not agrees(curve_of(gamma_run.GammaRun, rebuilt(gamma_curve, "GammaCurve", old, new)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("arange(1, self.schedule.N + 1)", "arange(self.schedule.N)"),
        ("rng.standard_normal((size", "0.5 * rng.standard_normal((size"),
        ("integers(len(self.points), ", "integers(1, len(self.points), "),
        ("(self.seed, spawn_key=(i,))", "(self.seed)"),
    ],
)
def test_mutants_of_a_batch_are_caught(old: str, new: str) -> None:
    mutant = rebuilt(gamma_run, "GammaRun", old, new)
    try:
        right = batches_differ(mutant) and agrees(curve_of(mutant, GammaCurve))
    except RuntimeWarning:  # timestep 0 divides by its zero noise
        right = False
    assert not right


def batches_differ(kind: Any) -> bool:
    job = job_of(kind)
    return bool((job.batch(0, 5).mean != job.batch(1, 5).mean).any())


def test_a_batch_depends_on_its_number_and_the_seed_alone() -> None:
    job = job_of(gamma_run.GammaRun)
    assert batches_differ(gamma_run.GammaRun)
    assert np.array_equal(job.batch(1, 5).mean, job.batch(1, 5).mean)


def batches_run(run: Any) -> list[tuple[int, int]]:
    """Number and size of each batch, and what `keep` saw, of 25 samples in batches of 10, 10 of them done."""
    seen: list[tuple[int, int]] = []

    class Recorded(gamma_run.GammaRun):
        def batch(self, i: int, size: int) -> Any:
            seen.append((i, size))
            return super().batch(i, size)

    job = Recorded(LINE, dpm.Schedule.linear(5), DataRecord.of(LINE, "line"), "trace", 10, 0)
    told: list[tuple[int, int]] = []
    kept: list[int] = []
    found = run(
        job,
        25,
        gamma_run.GammaRun.batch(job, 0, 10),
        lambda m: kept.append(m.count),
        lambda *p: told.append(p),
    )
    assert found.count == 25
    assert (kept, told) == ([20, 25], [(10, 25), (20, 25), (25, 25)])
    return seen


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("count // job.batch_size", "count // job.batch_size"),  # no mutant
        ("count // job.batch_size", "0"),
        ("count // job.batch_size", "count // job.batch_size + 1"),
        ("min(job.batch_size, num_samples - count)", "job.batch_size"),
        ("found = done", "found = None"),
    ],
)
def test_mutants_of_a_run_are_caught(old: str, new: str) -> None:
    run = rebuilt(gamma_run, "run", old, new)
    try:
        right = batches_run(run) == [(1, 10), (2, 5)]
    except AssertionError:
        right = False
    assert right == (old == new)


def job_of(kind: Any) -> Any:
    sch = dpm.Schedule.linear(40, beta_end=0.3)
    return kind(LINE, sch, DataRecord.of(LINE, "line"), "trace", 1000, 1)


def curve_of(kind: Any, curve: Any) -> Any:
    job = job_of(kind)
    found = gamma_run.run(job, 4000)
    settings = {"estimator": "trace", "batch_size": 1000, "seed": 1}
    return curve.from_moments(found, job.schedule, job.data, **settings)


# the file ----------------------------------------------------------------------------------------------------


def test_the_file_says_what_it_was_made_from(folder: Path) -> None:
    result = gamma(
        "-M", "60", "--schedule", "sigmoid", "--seed", "5", "--estimator", "pair", "--batch-size", "7"
    )
    assert result.exit_code == 0, result.output
    found = arrays("out.npz")
    assert set(found) == set(NAMES.split())
    assert not any(array.dtype.hasobject for array in found.values())
    sch = dpm.Schedule.sigmoid(40, beta_end=0.3)
    state = {name.removeprefix("schedule_"): x for name, x in found.items() if name.startswith("schedule_")}
    assert np.array_equal(dpm.Schedule.from_state(state).betas, sch.betas)
    expected: dict[str, Any] = {
        "estimator": "pair",
        "num_samples": 60,
        "batch_size": 7,
        "seed": 5,
        "program": dpm.__version__,
        "data_name": "points.npy",
        "data_shape": [3, 2],
        "data_range": [-2, 1],
        "data_sha256": hashlib.sha256(POINTS.tobytes()).hexdigest(),
        "timesteps": np.arange(41),
    }
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, name)
    back = GammaCurve.load("out.npz")
    assert back.schedule == sch
    for name in NAMES.split()[:5]:
        np.testing.assert_array_equal(getattr(back, name), found[name])


def test_the_same_seed_gives_the_same_file_and_another_another(folder: Path) -> None:
    for seed, output in ((3, "a.npz"), (3, "b.npz"), (4, "c.npz")):
        gamma("-M", "30", "--seed", str(seed), output=output)
    assert np.array_equal(arrays("a.npz")["mmse"], arrays("b.npz")["mmse"])
    assert not np.array_equal(arrays("a.npz")["mmse"], arrays("c.npz")["mmse"])


def test_each_schedule_by_name(folder: Path) -> None:
    for name, want in {
        "linear": dpm.Schedule.linear(40, beta_end=0.3),
        "scaled_linear": dpm.Schedule.scaled_linear(40, beta_end=0.3),
        "sigmoid": dpm.Schedule.sigmoid(40, beta_end=0.3),
    }.items():
        assert gamma("-M", "2", "--schedule", name).exit_code == 0
        assert GammaCurve.load("out.npz").schedule == want
    args = ["gamma", "points.npy", "-o", "out.npz", "-M", "2", "--schedule", "cosine", "--steps", "30"]
    assert CliRunner().invoke(app, args).exit_code == 0
    assert GammaCurve.load("out.npz").schedule == dpm.Schedule.cosine(30)


def test_the_digits_by_their_word(folder: Path) -> None:
    pytest.importorskip("sklearn")
    args = ["gamma", "digits", "-o", "out.npz", "-M", "2", "--steps", "5"]
    result = CliRunner().invoke(app, args)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("digits (1797 x 64), linear(0.0001, 0.02), N = 5; 2 samples")


def test_choices_of_the_command_are_those_of_the_estimators() -> None:
    assert {e.value for e in Estimator} == set(gamma_curve.ESTIMATORS) == set(shared.ESTIMATORS) - {"gamma"}


# the table ---------------------------------------------------------------------------------------------------


def test_summary_shows_values_and_names_the_timesteps_that_cannot_be_trusted(folder: Path) -> None:
    result = gamma("-M", "60")
    curve = GammaCurve.load("out.npz")
    lines = result.stdout.splitlines()
    assert lines[0] == "points.npy (3 x 2), linear(0.0001, 0.3), N = 40; 60 samples, estimator trace,"
    row = next(line.split() for line in lines if line.lstrip().startswith("21 "))
    assert [float(x) for x in row[1::2]] == pytest.approx(
        [curve.gamma[21], curve.mmse[21], curve.effective_count[21]], rel=0.01
    )
    poor = [t for t in range(1, 41) if curve.effective_count[t] < 30]
    assert 1 < len(poor) < 40
    assert poor == list(range(1, len(poor) + 1))
    text = " ".join(result.stdout.split())
    assert f"below 30 at {len(poor)} timesteps (1..{len(poor)}) of 40" in text
    assert "Next: dpmoracle trajectory out.npz" in text
    assert "negative" not in text


def test_summary_warns_of_a_negative_v(folder: Path) -> None:
    text = " ".join(gamma("-M", "20", "--estimator", "score", "--seed", "3").stdout.split())
    negative = np.flatnonzero(arrays("out.npz")["mmse"] < 0)
    assert f"V is negative at {len(negative)} timesteps" in text


def test_the_share_of_the_integral_that_poor_timesteps_carry(folder: Path) -> None:
    text = " ".join(gamma("-M", "60").stdout.split())
    curve = GammaCurve.load("out.npz")
    u, v = curve.schedule.snr, curve.mmse
    pieces = {t: v[t] * (u[t - 1] - u[t]) for t in range(2, 41)}
    share = sum(x for t, x in pieces.items() if curve.effective_count[t] < 30) / sum(pieces.values())
    assert f"with {share:.1%} of the integral" in text


# checkpoints -------------------------------------------------------------------------------------------------


class Stopped:
    """GammaRun.batch that hits Ctrl-C at its n-th call."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
        self.left, self.batch = after, gamma_run.GammaRun.batch
        monkeypatch.setattr(gamma_run.GammaRun, "batch", lambda job, i, size: self(job, i, size))

    def __call__(self, job: Any, i: int, size: int) -> Any:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        return self.batch(job, i, size)


def same_bits(one: str, other: str) -> None:
    a, b = arrays(one), arrays(other)
    assert set(a) == set(b)
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), name


RUN = ("-M", "55", "--batch-size", "10", "--seed", "2")


@pytest.mark.parametrize("after", [1, 3, 5])
def test_an_interrupted_run_resumes_to_the_same_bits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    assert gamma(*RUN, output="whole.npz").exit_code == 0
    with monkeypatch.context() as patch:
        Stopped(patch, after)
        result = gamma(*RUN, "--checkpoint", "c.npz")
    assert result.exit_code == 130
    assert result.stderr == (
        f"dpmoracle gamma: interrupted; {10 * after} of 55 samples are kept in c.npz; the same command with "
        "--resume goes on\n"
    )
    assert not Path("out.npz").exists()
    result = gamma(*RUN, "--checkpoint", "c.npz", "--resume")
    assert result.exit_code == 0, result.output
    same_bits("out.npz", "whole.npz")


def test_interrupted_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gamma(*RUN, output="whole.npz")
    for args in ([], ["--resume"]):
        with monkeypatch.context() as patch:
            Stopped(patch, 2)
            assert gamma(*RUN, "--checkpoint", "c.npz", *args).exit_code == 130
    assert gamma(*RUN, "--checkpoint", "c.npz", "--resume").exit_code == 0
    same_bits("out.npz", "whole.npz")


def test_samples_can_be_added_to_a_run_of_full_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gamma("-M", "55", "--batch-size", "10", output="whole.npz")
    assert gamma("-M", "30", "--batch-size", "10", "--checkpoint", "c.npz").exit_code == 0
    counted = Stopped(monkeypatch, 3)
    assert gamma("-M", "55", "--batch-size", "10", "--checkpoint", "c.npz", "--resume").exit_code == 0
    assert counted.left == 0  # 3 batches and no more
    same_bits("out.npz", "whole.npz")
    refused(
        gamma("-M", "60", "--batch-size", "10", "--checkpoint", "c.npz", "--resume"),
        "ends on a batch of 5.*--samples 55; got 60",
    )
    refused(
        gamma("-M", "30", "--batch-size", "10", "--checkpoint", "c.npz", "--resume"), "at least 55.*got 30"
    )
    assert gamma("-M", "55", "--batch-size", "10", "--checkpoint", "c.npz", "--resume").exit_code == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--seed", "9"], "--seed was 2 there and is 9 here"),
        (["--estimator", "pair"], "--estimator was trace there and is pair here"),
        (["--batch-size", "20"], "--batch-size was 10 there and is 20 here"),
        (["--steps", "41"], "--steps was 40 there and is 41 here"),
        (["--schedule", "sigmoid"], r"--schedule was linear\(0.0001, 0.3\) there and is sigmoid"),
        (["--beta-start", "0.00010000001"], "schedule was other values there"),
        (["other"], "DATA was 3 x 2, sha256 .* there and is 3 x 2, sha256"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_naming_the_difference(
    folder: Path, args: list[str], words: str
) -> None:
    gamma(*RUN, "--checkpoint", "c.npz")
    before = Path("c.npz").read_bytes()
    data = "points.npy"
    if args == ["other"]:
        data, args = "other.npy", []
        np.save(data, np.nextafter(POINTS, 9))
    refused(gamma(*RUN, "--checkpoint", "c.npz", "--resume", *args, data=data), words)
    assert Path("c.npz").read_bytes() == before


def test_a_checkpoint_of_another_version_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gamma(*RUN, "--checkpoint", "c.npz")
    monkeypatch.setattr(gamma_run, "__version__", "9.9")
    refused(gamma(*RUN, "--checkpoint", "c.npz", "--resume"), "dpmoracle version was .* and is 9.9 here")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 0),
        ("count", [10]),
        ("count", 1.5),
        ("mean", np.zeros(39)),
        ("mean", np.full(40, np.nan)),
        ("deviation", -np.ones(40)),
        ("deviation", np.full(40, np.inf)),
        ("mean", "text"),
    ],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_refused(folder: Path, name: str, value: Any) -> None:
    gamma(*RUN, "--checkpoint", "c.npz")
    np.savez("c.npz", **{**arrays("c.npz"), name: value})
    refused(gamma(*RUN, "--checkpoint", "c.npz", "--resume"), "whole checkpoint")


def test_damaged_and_foreign_checkpoints_are_refused(folder: Path) -> None:
    gamma(*RUN, "--checkpoint", "c.npz", output="out.npz")
    whole = Path("c.npz").read_bytes()
    Path("c.npz").write_bytes(whole[: len(whole) // 2])
    refused(gamma(*RUN, "--checkpoint", "c.npz", "--resume"), "damaged, truncated")
    refused(
        gamma(*RUN, "--checkpoint", "out.npz", "--resume", output="o.npz"),
        "format dpmoracle.gamma.checkpoint",
    )
    refused(gamma(*RUN, "--checkpoint", "new.npz", "--resume"), "no checkpoint 'new.npz'.*leave out --resume")
    Path("c.npz").write_bytes(whole)
    refused(gamma(*RUN, "--checkpoint", "c.npz"), "exists; add --resume")


def test_ctrl_c_without_a_checkpoint_says_that_nothing_is_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Stopped(monkeypatch, 1)
    result = gamma(*RUN)
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == (
        "dpmoracle gamma: interrupted; nothing is kept; with --checkpoint FILE it could be resumed\n"
    )
    result = gamma(*RUN, "--checkpoint", "c.npz")
    assert "no batch was complete" in result.stderr
    assert not Path("c.npz").exists()


# wrong use ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-o", "no/such/x.npz"], "-o: cannot write 'no/such/x.npz'.*does not exist"),
        (["-o", "."], "-o: .*names a folder"),
        (["-o", "points.npy"], "-o must be another file than 'points.npy'"),
        (["-o", "./sub/../points.npy"], "-o must be another file than 'points.npy'"),
        (["--checkpoint", "no/c.npz"], "--checkpoint: cannot write"),
        (["--checkpoint", "points.npy", "--resume"], "--checkpoint must be another file than 'points.npy'"),
        (["--checkpoint", "out.npz"], "-o must be another file than 'out.npz'"),
        (["--resume"], "--resume needs --checkpoint FILE"),
        (["--schedule", "cosine"], "do not apply to --schedule cosine"),
        (["--beta-start", "2"], r"beta_start must be a number in \[0, 1\]; got 2"),
        (["--beta-start", "0"], r"betas must lie in \(0, 1\)"),
        (["--beta-start", "nan"], "beta_start"),
        (["--key", "x"], "key='x' chooses an array"),
    ],
)
def test_wrong_use_is_one_line_before_anything_is_computed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], words: str
) -> None:
    Path("sub").mkdir()
    counted = Stopped(monkeypatch, 99)
    refused(gamma(*args), words)
    assert counted.left == 99
    np.testing.assert_array_equal(np.load("points.npy"), POINTS)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("gone.npy", "no file 'gone.npy'"),
        ("digit", "must end in .npy"),
        ("one.npy", "at least two points"),
        ("huge.npy", "must lie within 1e.100 of 0.*Scale the data"),
    ],
)
def test_wrong_data_is_one_line(folder: Path, data: str, words: str) -> None:
    np.save("one.npy", POINTS[:1])
    np.save("huge.npy", POINTS * 1e200)
    refused(gamma(data=data), words)


def test_a_key_does_not_go_with_the_digits(folder: Path) -> None:
    refused(gamma("--key", "a", data="digits"), "--key a .*word digits")


@pytest.mark.parametrize(
    "args", [["-M", "1"], ["--steps", "1"], ["--batch-size", "0"], ["--estimator", "best"]]
)
def test_options_out_of_range_are_2(folder: Path, args: list[str]) -> None:
    result = gamma(*args)
    assert result.exit_code == 2
    assert "Error" in result.stderr


def test_the_table_survives_an_output_that_cannot_be_written_any_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(gamma_curve, "write_npz", full)
    result = gamma("-M", "4")
    assert result.exit_code == 2
    assert "No space left" in result.stderr
    assert "effective count" in result.stdout


def test_curves_that_do_not_fit_are_refused(folder: Path) -> None:
    gamma("-M", "4")
    whole = arrays("out.npz")
    for name, value, words in (
        ("mmse", whole["mmse"][:-1], "mmse must have shape"),
        ("gamma", np.full(41, np.nan), r"gamma\[1:\] must be finite"),
        ("estimator", "best", "estimator must be one of"),
        ("num_samples", 0, "num_samples"),
        ("data_shape", [3], "whole file"),
        ("schedule_kind", "Process", "kind must be 'Schedule'"),
        ("version", 2, "must have version 1; it has 2"),
        ("format", "other", "must have format dpmoracle.gamma; it has other"),
    ):
        np.savez("bad.npz", **{**whole, name: value})
        with pytest.raises(dpm.InvalidParameterError, match=words):
            GammaCurve.load("bad.npz")
    for name in whole:
        np.savez("bad.npz", **{key: x for key, x in whole.items() if key != name})
        if name != "timesteps":
            with pytest.raises(
                dpm.InvalidParameterError, match=rf"{name.removeprefix('schedule_')}|it has none"
            ):
                GammaCurve.load("bad.npz")


# in a process of its own -------------------------------------------------------------------------------------


def command(*args: str) -> list[str]:
    options = ["-M", "4000", "--steps", "400", "--batch-size", "20", "--checkpoint", "c.npz"]
    return [
        sys.executable,
        "-W",
        "error",
        "-m",
        "dpmoracle.cli",
        "gamma",
        "big.npy",
        "-o",
        "out.npz",
        *options,
        *args,
    ]


def test_ctrl_c_and_resume_of_the_process(folder: Path) -> None:
    np.save("big.npy", np.random.default_rng(0).standard_normal((150, 3)))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            deadline = time.monotonic() + 30
            while not Path("c.npz").exists() and time.monotonic() < deadline:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out) == (130, "")
    found = re.fullmatch(
        r"dpmoracle gamma: interrupted; (\d+) of 4000 samples are kept in c.npz; [^\n]*--resume[^\n]*\n", err
    )
    assert found, err
    kept = int(found[1])
    assert 0 < kept < 4000
    assert arrays("c.npz")["count"] == kept
    assert sorted(p.name for p in folder.iterdir()) == ["big.npy", "c.npz", "points.npy"]
    more = str(kept + 40)
    done = subprocess.run(
        command("--resume", "-M", more), capture_output=True, text=True, env=environment, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    Path("out.npz").rename("resumed.npz")
    Path("c.npz").unlink()
    done = subprocess.run(command("-M", more), capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0
    same_bits("out.npz", "resumed.npz")


def test_on_a_terminal_a_bar_with_the_time_left(folder: Path) -> None:
    pty = pytest.importorskip("pty")
    np.save("big.npy", np.random.default_rng(0).standard_normal((150, 3)))
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "OMP_NUM_THREADS": "1"}
    args = command("-M", "200")
    process = subprocess.Popen(args, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, env=environment)
    os.close(theirs)
    text = b""
    while select.select([ours], [], [], 30)[0]:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not chunk:
            break
        text += chunk
    os.close(ours)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert re.search(rb"\d+/200", text)
    assert re.search(rb"\d:\d\d:\d\d|-:--:--", text)
