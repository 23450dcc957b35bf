"""dpmoracle sample: its samples against chains written out by hand, its options, files and wrong use."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

import dpmoracle as dpm
from dpmoracle.cli.app import app
from dpmoracle.gamma_curve import GammaCurve
from dpmoracle.plan import impossible_steps

POINTS = np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -2.0]])
N = 30
SCH = dpm.Schedule.linear(N, beta_end=0.3)
NOISY = (
    "--timesteps",
    "12,15,19,24,30",
)  # stops where the last mean still depends on x; nearer it is a point
SHORT = ("--steps", str(N), "--beta-end", "0.3")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", POINTS)
    return tmp_path


@pytest.fixture
def files(folder: Path) -> Path:
    """g.npz and t.json, as the two commands before this one leave them."""
    assert run("gamma", "points.npy", "-o", "g.npz", "-M", "300", *SHORT).exit_code == 0
    assert run("trajectory", "g.npz", "-K", "5", "-K", "8", "--json", "t.json").exit_code == 0
    return folder


def run(*args: str) -> Any:
    return CliRunner().invoke(app, list(args))


def sample(*args: str, data: str = "points.npy") -> Any:
    return run("sample", data, "-o", "out.npy", "-n", "40", *args)


def timesteps_of(result: Any) -> list[int]:
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    found = re.search(r"K = (\d+): timesteps ([\d, ]+\d)", text)
    assert found, text
    steps = [int(t) for t in found[2].split(",")]
    assert len(steps) == int(found[1])
    return steps


def refused(result: Any, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(rf"dpmoracle sample: [^\n]*{words}[^\n]*\n", result.stderr), result.stderr
    assert not Path("out.npy").exists()


# the chain ---------------------------------------------------------------------------------------------------


def posterior_mean(x: np.ndarray, t: int) -> np.ndarray:
    """E[x_0|x_t] over POINTS, by Bayes' rule."""
    off = x[:, None, :] - np.sqrt(SCH.alpha_bar[t]) * POINTS
    square = (off**2).sum(-1)
    weight = np.exp(-0.5 * (square - square.min(1, keepdims=True)) / SCH.beta_bar[t])
    return (weight / weight.sum(1, keepdims=True)) @ POINTS


def chain(
    steps: list[int], rule: str, seed: int, mmse: np.ndarray | None = None, eta: float = 0.0
) -> np.ndarray:
    """x_0 of 40 chains; every line as in the notes, eqs. (1), (2) and (9), in products of (1 - beta)."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((40, 2))
    ab = np.concatenate([[1.0], np.cumprod(1 - np.linspace(1e-4, 0.3, N))])
    for s, t in zip(steps[-2::-1], steps[:0:-1]):
        x0, beta = posterior_mean(x, t), 1 - ab[t] / ab[s]
        tilde = (1 - ab[s]) / (1 - ab[t]) * beta
        lam2 = eta**2 * tilde if rule == "ddim" else tilde
        eps = (x - np.sqrt(ab[t]) * x0) / np.sqrt(1 - ab[t])
        mean = np.sqrt(ab[s]) * x0 + np.sqrt(1 - ab[s] - lam2) * eps
        c = np.sqrt(ab[s]) - np.sqrt(1 - ab[s] - lam2) * np.sqrt(ab[t] / (1 - ab[t]))
        v = 0.0 if mmse is None else mmse[t]
        sigma2 = {"ddim": lam2, "beta": beta, "beta_tilde": tilde, "optimal": lam2 + c**2 * v}[rule]
        x = mean if sigma2 == 0 else mean + np.sqrt(sigma2) * rng.standard_normal(x.shape)
    return posterior_mean(x, steps[0])


@pytest.mark.parametrize("rule", ["beta", "beta_tilde", "optimal"])
def test_ancestral_sampling_by_hand(files: Path, rule: str) -> None:
    steps = timesteps_of(sample(*NOISY, "--variance", rule, "--gamma", "g.npz", "--seed", "4"))
    expected = chain(steps, rule, 4, GammaCurve.load("g.npz").mmse)
    np.testing.assert_allclose(np.load("out.npy"), expected, rtol=0, atol=1e-9)
    # the comparison tells the rules apart
    for other in {"beta", "beta_tilde", "optimal"} - {rule}:
        assert np.abs(chain(steps, other, 4, GammaCurve.load("g.npz").mmse) - expected).max() > 1e-3


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_ddim_by_hand(folder: Path, eta: float) -> None:
    args = ["--eta", str(eta)] if eta else []
    steps = timesteps_of(sample(*NOISY, "--sampler", "ddim", *args, *SHORT))
    np.testing.assert_allclose(np.load("out.npy"), chain(steps, "ddim", 0, eta=eta), rtol=0, atol=1e-9)


def test_optimal_is_the_default_and_finds_v_itself_without_a_file(folder: Path) -> None:
    result = sample("-K", "6", *SHORT)
    assert "by ancestral, variance optimal" in " ".join(result.stdout.split())
    found = np.load("out.npy")
    assert found.shape == (40, 2)
    assert found.dtype == np.float64
    timesteps_of(sample("-K", "6", "--variance", "optimal", *SHORT))
    np.testing.assert_array_equal(np.load("out.npy"), found)


def test_many_steps_arrive_at_the_points_in_equal_shares(folder: Path) -> None:
    args = "sample points.npy -o out.npy -n 600 -K 100 --steps 100 --beta-end 0.15 --variance beta_tilde"
    result = run(*args.split())
    assert result.exit_code == 0, result.output
    apart = np.linalg.norm(np.load("out.npy")[:, None, :] - POINTS, axis=-1)
    assert np.quantile(apart.min(1), 0.9) < 1e-3
    counts = np.bincount(apart.argmin(1), minlength=3)
    assert (np.abs(counts - 200) < 5 * np.sqrt(600 * 2 / 9)).all()  # 5 standard deviations of a fair draw


def test_a_seed_gives_the_same_samples_and_another_others(folder: Path) -> None:
    made = []
    for seed in ("3", "3", "4"):
        timesteps_of(sample("-K", "4", "--seed", seed, *SHORT))
        made.append(np.load("out.npy"))
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_summary_shows_the_variances(folder: Path) -> None:
    text = " ".join(sample("-K", "4", *SHORT).stdout.split())
    ours = np.mean([np.mean((x - x.mean()) ** 2) for x in np.load("out.npy").T])
    data = np.mean([np.mean((x - x.mean()) ** 2) for x in POINTS.T])
    assert f"Variance per dimension: samples {ours:.4g}, data {data:.4g}" in text
    assert "40 samples of 2 numbers" in text


# solvers -----------------------------------------------------------------------------------------------------

SOLVERS = ("ddim", "heun", "singlestep", "multistep", "unipc", "deis")
ENDS = ("--timesteps", "12,30")
LATE = "--timesteps=" + ",".join(map(str, range(12, N + 1)))  # ends where the last mean still depends on x


def made_by(*args: str) -> np.ndarray:
    result = sample(*args, *SHORT)
    assert result.exit_code == 0, result.output
    return np.load("out.npy")


def evaluations(*args: str) -> int:
    found = re.search(r"Network evaluations: (\d+)", sample(*args, *SHORT).stdout)
    assert found
    return int(found[1])


@pytest.fixture
def exact(folder: Path) -> np.ndarray:
    """The samples of seed 0 along the exact probability flow to timestep 12, then the mean there."""
    orc = dpm.Oracle(dpm.GaussianMixture.from_points(POINTS), SCH)
    x = np.random.default_rng(0).standard_normal((40, 2))
    return posterior_mean(orc.flow(x, N, 12), 12)


def off(made: np.ndarray, exact: np.ndarray) -> float:
    """Root mean square; a sample on the border between two points may go astray, so without the worst two."""
    return float(np.sqrt(np.sort(((made - exact) ** 2).sum(1))[:-2].mean()))


def test_deterministic_samplers_follow_the_flow(exact: np.ndarray) -> None:
    error = {name: off(made_by(LATE, "--sampler", name), exact) for name in SOLVERS}
    assert error["ddim"] < 0.1
    assert max(error[name] for name in SOLVERS[1:]) < 0.25 * error["ddim"]
    tight = (*ENDS, "--sampler", "adaptive", "--atol", "1e-7", "--rtol", "1e-7")
    assert off(made_by(*tight), exact) < 1e-5
    # the final step is the mean at the last level: the flow alone, or the mean of another level, is seen
    orc = dpm.Oracle(dpm.GaussianMixture.from_points(POINTS), SCH)
    arrived = orc.flow(np.random.default_rng(0).standard_normal((40, 2)), N, 12)
    assert off(arrived, exact) > 0.05
    assert off(posterior_mean(arrived, 11), exact) > 1e-3


@pytest.mark.parametrize("tolerance", ["--rtol", "--atol"])
def test_tolerances_of_adaptive(folder: Path, tolerance: str) -> None:
    fixed = ("--sampler", "adaptive", *(("--rtol", "1e-6") if tolerance == "--atol" else ("--atol", "1e-6")))
    assert evaluations(*fixed, tolerance, "1e-4") > 1.2 * evaluations(*fixed, tolerance, "1e-1")


def test_order_and_prediction_reach_the_solver(folder: Path) -> None:
    seen = []
    for args in (
        *(f"{name} --order {k}" for name in ("singlestep", "multistep", "unipc") for k in (1, 2, 3)),
        *(f"{name} --prediction noise" for name in ("singlestep", "multistep", "unipc", "adaptive")),
        "deis --order 2",
        "deis --order 4",
        "adaptive",
        "adaptive --order 2",
        "sde",
        "sde --order 1",
    ):
        seen.append(made_by(*(ENDS if "adaptive" in args else NOISY), "--sampler", *args.split()))
    ddim = made_by(*NOISY, "--sampler", "ddim")
    np.testing.assert_allclose(seen.pop(3), ddim, atol=1e-12)  # multistep of order 1
    np.testing.assert_allclose(seen.pop(0), ddim, atol=1e-12)  # singlestep of order 1
    for i, one in enumerate([ddim, *seen]):
        for other in seen[i:]:
            assert np.abs(one - other).max() > 1e-5
    for name in ("singlestep", "multistep", "unipc", "deis"):
        default = made_by(*NOISY, "--sampler", name)
        np.testing.assert_array_equal(default, made_by(*NOISY, "--sampler", name, "--order", "3"))


def test_sde_of_order_one_is_ancestral_with_beta_tilde(folder: Path) -> None:
    made = made_by(*NOISY, "--sampler", "sde", "--order", "1")
    np.testing.assert_allclose(made, made_by(*NOISY, "--variance", "beta_tilde"), rtol=0, atol=1e-12)
    assert np.abs(made - made_by(*NOISY, "--sampler", "sde")).max() > 1e-3


@pytest.mark.parametrize("grid", ["lambda", "karras"])
def test_levels_between_timesteps(folder: Path, grid: str) -> None:
    result = sample("--sampler", "heun", "--grid", grid, "-K", "6", *SHORT)
    text = " ".join(result.stdout.split())
    found = re.search(r"K = 6: log\(a/sigma\) from noise to data ([-\d., ]+\d)", text)
    assert found, text
    lam = np.array([float(word) for word in found[1].split(",")])
    ends = 0.5 * np.log(SCH.snr[[N, 1]])
    np.testing.assert_allclose(lam[[0, -1]], ends, rtol=1e-3)
    even = lam if grid == "lambda" else np.exp(-lam / 7)
    np.testing.assert_allclose(even, np.linspace(even[0], even[-1], 6), rtol=0, atol=2e-3)


def test_evaluations_are_counted(folder: Path) -> None:
    for args, expected in {
        "ancestral": 7,
        "ddim": 7,
        "unipc": 7,
        "deis": 7,
        "sde": 7,
        "heun": 13,
        "singlestep --order 2": 13,
        "singlestep": 19,
        "multistep": 11,
    }.items():
        assert evaluations("-K", "7", "--sampler", *args.split()) == expected, args


def test_no_signal_at_the_noisiest_level(files: Path) -> None:
    """alpha_bar = 0 at N, as a file of gamma may have it."""
    zero = dpm.Schedule.from_alpha_bar([*SCH.alpha_bar[:-1], 0.0])
    replace(GammaCurve.load("g.npz"), schedule=zero).save("zero.npz")
    for name in ("ancestral", "ddim", "unipc", "sde"):
        made = sample("-K", "6", "--grid", "even", "--gamma", "zero.npz", "--sampler", name)
        assert made.exit_code == 0, made.output
        assert np.isfinite(np.load("out.npy")).all()
        Path("out.npy").unlink()
    for name in ("heun", "singlestep", "multistep", "deis"):
        refused(
            sample("-K", "6", "--grid", "even", "--gamma", "zero.npz", "--sampler", name),
            f"--sampler {name} must start where alpha_bar > 0.*N = {N}. Use ancestral, ddim, unipc or sde",
        )
    refused(
        sample("-K", "6", "--grid", "karras", "--gamma", "zero.npz", "--sampler", "sde"),
        f"--grid karras is even in a variable that is infinite at timestep N = {N}",
    )


# timesteps ---------------------------------------------------------------------------------------------------


def test_timesteps_of_every_kind(files: Path) -> None:
    paths = {
        entry["K"]: entry["timesteps"] for entry in json.loads(Path("t.json").read_text())["trajectories"]
    }
    even, quadratic = dpm.even_grid(N, 5).tolist(), dpm.quadratic_grid(N, 5).tolist()
    assert paths[5] not in (even, quadratic)
    for args, expected in (
        (["-K", "5", *SHORT], even),
        (["-K", "5", "--grid", "even", "--gamma", "g.npz"], even),
        (["-K", "5", "--grid", "quadratic", *SHORT], quadratic),
        (["-K", "5", "--gamma", "g.npz"], paths[5]),
        (["-K", "8", "--gamma", "g.npz", "--grid", "optimal"], paths[8]),
        (["-K", "8", "--from", "t.json", *SHORT], paths[8]),
        (["-K", "5", "--from", "t.json", "--gamma", "g.npz"], paths[5]),
        (["--timesteps", "1, 4,9 30", *SHORT], [1, 4, 9, 30]),
        (["--timesteps", "2,30", *SHORT], [2, 30]),
    ):
        assert timesteps_of(sample(*args)) == expected, args


@pytest.mark.parametrize("name", ["gamma", "trajectory", "sample"])
def test_help_loses_no_bracket(name: str) -> None:
    """What stands in [ ] would be read as markup, and vanish."""
    told = app.registered_commands[[c.name for c in app.registered_commands].index(name)].callback.__doc__
    assert "[" not in told


def test_gamma_brings_the_schedule(files: Path) -> None:
    assert "linear(0.0001, 0.3), N = 30" in " ".join(sample("-K", "3", "--gamma", "g.npz").stdout.split())


# wrong use ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "timesteps must be chosen: -K 25"),
        (["-K", "1"], "K must be a whole number >= 2; got 1"),
        (["-K", "31"], "at most N = 30; got 31"),
        (["--timesteps", "1,5", "-K", "2"], "leave out -K and --from"),
        (["--timesteps", "1,5", "--grid", "even"], "--grid chooses K timesteps"),
        (["--timesteps", "1,x"], "whole numbers separated by commas; got '1,x'"),
        (["--timesteps", "1,2.5"], "whole numbers"),
        (["--timesteps", "1," + "9" * 30], "whole numbers"),
        (["--timesteps", ""], "at least 2 nodes"),
        (["--timesteps", "30,5,1"], "must increase strictly.*noisiest first, must be reversed"),
        (["--timesteps", "1,5,5"], "must increase strictly"),
        (["--timesteps", "0,5"], "must lie in 1..30; got 0"),
        (["--timesteps", "1,31"], "must lie in 1..30; got 31"),
        (["-K", "3", "--grid", "optimal"], "needs V at every timestep: give --gamma FILE"),
        (["-K", "3", "--sampler", "ddim", "--variance", "beta"], "--variance is for --sampler ancestral"),
        (["-K", "3", "--eta", "0.5"], "--eta is for --sampler ddim"),
        (["-K", "3", "--sampler", "ddim", "--eta", "1.5"], r"eta must lie in \[0, 1\]"),
        (["-K", "3", "--sampler", "ddim", "--eta", "nan"], r"eta must lie in \[0, 1\]"),
        (["-K", "3", "--sampler", "sde", "--eta", "1"], "--eta is for --sampler ddim; sde takes --order"),
        (
            ["-K", "3", "--sampler", "heun", "--order", "2"],
            "--order is for .* heun takes no option of this kind",
        ),
        (
            ["-K", "3", "--sampler", "deis", "--prediction", "data"],
            "--prediction is for --sampler singlestep, multi",
        ),
        (["-K", "3", "--sampler", "unipc", "--rtol", "0.1"], "--rtol is for --sampler adaptive"),
        (["-K", "3", "--atol", "0.1"], "--atol is for --sampler adaptive; ancestral takes --variance"),
        (["-K", "3", "--sampler", "multistep", "--order", "4"], "order must be one of 1, 2, 3; got 4"),
        (["-K", "3", "--sampler", "deis", "--order", "5"], "order must be one of 1, 2, 3, 4; got 5"),
        (["-K", "3", "--sampler", "sde", "--order", "3"], "order must be one of 1, 2; got 3"),
        (["--sampler", "adaptive", "--order", "1"], "order must be one of 2, 3; got 1"),
        (["--sampler", "adaptive", "--rtol", "0"], "rtol must lie in"),
        (["--sampler", "adaptive", "-K", "5"], "adaptive finds its own levels.*leave out -K"),
        (
            ["--sampler", "adaptive", "--timesteps", "1,5,30"],
            "--timesteps must be two for --sampler adaptive.*got 3",
        ),
        (["-K", "3", "--grid", "lambda"], "fall between timesteps.*--sampler sde --order 1"),
        (["-K", "3", "--grid", "karras", "--sampler", "ddim", "--eta", "1"], "fall between timesteps"),
        (["-K", "1", "--grid", "lambda", "--sampler", "heun"], "K must be a whole number >= 2; got 1"),
        (["-K", "3", "--clip"], "--clip moves the V of --gamma"),
        (["--from", "gone.json"], "no such file"),
        (["-K", "3", "-o", "no/x.npy"], "-o: cannot write 'no/x.npy'"),
        (["-K", "3", "-o", "points.npy"], "-o must be another file than 'points.npy'"),
        (["-K", "3", "--key", "a"], "key='a'"),
    ],
)
def test_wrong_use_is_one_line(folder: Path, args: list[str], words: str) -> None:
    refused(sample(*args, *SHORT), words)
    np.testing.assert_array_equal(np.load("points.npy"), POINTS)


def test_files_that_do_not_go_together(files: Path) -> None:
    np.save("other.npy", POINTS + 1e-9)
    refused(sample("-K", "3", "--gamma", "g.npz", data="other.npy"), "of other data, points.npy")
    refused(sample("-K", "3", "--gamma", "g.npz", "--steps", "30"), "do not go with --gamma")
    refused(sample("-K", "3", "--gamma", "t.json"), "of another kind")
    refused(sample("-K", "5", "--from", "g.npz", *SHORT), "--from: 'g.npz' must be the --json file")
    refused(sample("-K", "6", "--from", "t.json", *SHORT), "K = 5, 8; got -K 6")
    refused(sample("--from", "t.json", *SHORT), "choose one with -K")
    refused(sample("-K", "5", "--from", "t.json"), "for the schedule linear.0.0001, 0.3.*N = 1000")
    refused(sample("-K", "5", "--grid", "even", "--from", "t.json", *SHORT), "leave it out with --from")
    refused(sample("-K", "3", "--gamma", "g.npz", "-o", "g.npz"), "-o must be another file than 'g.npz'")
    refused(
        sample("-K", "5", "--from", "t.json", *SHORT, "-o", "t.json"), "-o must be another file than 't.json'"
    )


def test_an_impossible_v_is_refused_or_clipped(folder: Path) -> None:
    run("gamma", "points.npy", "-o", "g.npz", "-M", "20", "--estimator", "score", "--seed", "3", *SHORT)
    assert impossible_steps(GammaCurve.load("g.npz")).size
    refused(sample("-K", "10", "--grid", "even", "--gamma", "g.npz"), "V must lie in .*--clip")
    timesteps_of(sample("-K", "10", "--grid", "even", "--gamma", "g.npz", "--clip"))
    assert np.isfinite(np.load("out.npy")).all()


@pytest.mark.parametrize(
    "args", [["-n", "0"], ["--sampler", "best"], ["--variance", "best"], ["--seed", "-1"]]
)
def test_options_out_of_range_are_2(folder: Path, args: list[str]) -> None:
    result = sample("-K", "3", *args)
    assert result.exit_code == 2
    assert "Error" in result.stderr


def test_ctrl_c_leaves_no_file(folder: Path) -> None:
    np.save("big.npy", np.random.default_rng(0).standard_normal((2000, 16)))
    args = ["sample", "big.npy", "-o", "out.npy", "-K", "900", "-n", "500", "--variance", "beta_tilde"]
    command = [sys.executable, "-W", "error", "-c", STARTED, *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "started\n"
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, out, err) == (130, "", "dpmoracle sample: interrupted\n")
    assert sorted(p.name for p in folder.iterdir()) == ["big.npy", "points.npy"]


STARTED = """
import sys
from dpmoracle import sampler
from dpmoracle.cli import main
chain = sampler.reverse_chain
def told(*args):
    print("started", flush=True)
    return chain(*args)
sampler.reverse_chain = told
sys.exit(main(sys.argv[1:]))
"""


def test_the_process(folder: Path) -> None:
    args = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "dpmoracle.cli",
        "sample",
        "points.npy",
        "-o",
        "out.npy",
        *SHORT,
    ]
    done = subprocess.run([*args, "-K", "3"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*args, "-K", "99"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_timesteps_that_do_not_start_from_noise(tmp_path: Path) -> None:
    found = run("sample", "digits", "--timesteps", "1, 44", "-o", str(tmp_path / "s.npy"))
    assert found.exit_code == 2
    assert "must end at N = 1000" in found.stderr


@pytest.mark.parametrize("command", [["sample", "-K", "5"], ["gamma"]])
def test_the_ending_of_another_kind_of_file(command: list[str], tmp_path: Path) -> None:
    found = run(*command, "digits", "-o", str(tmp_path / "s.csv"))
    assert found.exit_code == 2
    assert "Name it s.np" in found.stderr
