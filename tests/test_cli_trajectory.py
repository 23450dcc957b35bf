"""dpmoracle trajectory: brute force, the exact KL, its JSON and its text, clipping, wrong files."""

from __future__ import annotations

import functools
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

import dpmoracle as dpm
from dpmoracle import plan
from dpmoracle.cli.app import app
from dpmoracle.gamma_curve import DataRecord, GammaCurve
from dpmoracle.likelihood import kl_to_normal, snr_integral, trajectory_kl
from trajectory_cases import rebuilt

LINE = np.outer(
    [-1.0, 0.4, 2.0], [2 / 3, -1 / 3, 2 / 3]
)  # three dimensions, one of them used: quadrature is quick
N = 11
SCH = dpm.Schedule.linear(N, beta_start=0.02, beta_end=0.6)
Q0 = dpm.GaussianMixture.from_points(LINE)


@functools.cache
def exact_mmse() -> np.ndarray:
    return dpm.Oracle(Q0, SCH).mmse(np.arange(N + 1), method="quadrature").value


def curve(mmse: Any = None, schedule: dpm.Schedule = SCH, count: float = 500.0) -> GammaCurve:
    v = exact_mmse() if mmse is None else np.asarray(mmse)
    some = np.append(np.inf, np.full(v.size - 1, count))
    record = DataRecord.of(LINE, "line.npy")
    return GammaCurve(v, some, some, some, some, schedule, record, "trace", 500, 50, 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    curve().save("g.npz")
    return tmp_path


def trajectory(*args: str) -> Any:
    return CliRunner().invoke(app, ["trajectory", *args])


def refused(result: Any, words: str) -> None:
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert re.fullmatch(rf"dpmoracle trajectory: [^\n]*{words}[^\n]*\n", result.stderr), result.stderr


def written(*args: str) -> dict[str, Any]:
    result = trajectory(*args, "--json", "t.json")
    assert result.exit_code == 0, result.output
    content: dict[str, Any] = json.loads(Path("t.json").read_text(encoding="utf-8"))
    return content


# numbers -----------------------------------------------------------------------------------------------------


def eq10(timesteps: Any, mmse: np.ndarray) -> float:
    """Sum of log(σ*²/β̃) with the variances themselves, not their ratio in SNR form."""
    total = 0.0
    for s, t in itertools.pairwise(timesteps):
        tilde = dpm.lambda2_ddpm(SCH, s, t)
        total += float(np.log(dpm.optimal_variance_from_mmse(SCH, s, t, mmse[t], tilde) / tilde))
    return total


def right(content: dict[str, Any]) -> bool:
    """Against every path there is, and the KL divergence of the whole chain by quadrature."""
    v, orc = exact_mmse(), dpm.Oracle(Q0, SCH)
    start = float(kl_to_normal(Q0.diffuse(*map(float, SCH.levels(N)))).value)
    integral = float(snr_integral(Q0, float(SCH.snr[N]), float(SCH.snr[1])).value)
    told = content["mmse_integral"]
    if abs(told["value"] - integral) > told["error"]:
        return False
    for entry in content["trajectories"]:
        inner = itertools.combinations(range(2, N), entry["K"] - 2)
        best = min(eq10((1, *some, N), v) for some in inner)
        if abs(entry["cost"] - best) > 1e-12:
            return False
        for path in (entry, entry["even"]):
            nodes = path["timesteps"]
            excess = (
                float(trajectory_kl(orc, np.array(nodes)).value) - start + 1.5 * (integral - told["value"])
            )
            if (
                len(nodes) != entry["K"]
                or abs(path["cost"] - eq10(nodes, v)) > 1e-12
                or abs(path["excess_nats"] - excess) > 1e-8
                or abs(3 * path["excess_nats_per_dimension"] - path["excess_nats"]) > 1e-12
                or [t + 1 for t in path["diffusers_timesteps"]] != nodes[::-1]
            ):
                return False
        if entry["even"]["timesteps"] != dpm.even_grid(N, entry["K"]).tolist():
            return False
    return True


def test_against_brute_force_and_the_exact_kl(folder: Path) -> None:
    content = written("g.npz", "-K", "2", "-K", "4", "-K", "6", "-K", "11")
    assert [entry["K"] for entry in content["trajectories"]] == [2, 4, 6, 11]
    assert right(content)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0.5 * (cost", "0.5 * (cost"),  # no mutant: what follows is caught for what it is
        ("0.5 * (cost", "(cost"),
        ("cost - float", "cost + float"),
        ("d * each", "each"),
        ("int(t) - 1", "int(t)"),
        ("timesteps[::-1]", "timesteps"),
        ("even_grid(last, K)", "even_grid(last, K)[:1].repeat(2) + np.array([0, last - 1])"),
        ("optimal_trajectory(u, v, K, backend)", 'evaluate_trajectory(u, v, even_grid(last, K), "x")'),
        ("optimal_trajectory(u, v, K, backend)", "optimal_trajectory(u, v, max(K - 1, 2))"),
        ("u, last = curve.schedule.snr,", "u, last = curve.schedule.alpha_bar,"),
    ],
)
def test_mutants_are_caught(folder: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    for name in ("make_plan", "plan_json", "to_diffusers"):
        monkeypatch.setattr(plan, name, rebuilt(plan, name, old, new))
    try:
        caught = not right(written("g.npz", "-K", "4", "-K", "6"))
    except AssertionError:  # an error of its own
        caught = True
    assert caught == (old != new)


# what is written ---------------------------------------------------------------------------------------------


def keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_every_key_of_the_json_is_in_the_help_and_no_other(folder: Path) -> None:
    told = re.sub(r"[│\s]+", " ", trajectory("--help").stdout)
    told = told[told.index("Keys of the JSON:") : told.index("Null stands")]
    found = keys(written("g.npz", "-K", "3"))
    assert not [key for key in found if not re.search(rf"\b{key}\b", told)]
    listed = re.sub(
        r"\([^)]*\bt - 1\)|\(increasing[^)]*\)|of alpha_bar|\(sum of J\)|, a list,.*?K:", ", ", told[17:]
    )
    words = {"lists", "of", "and", "the", "same", "even", "grid"}
    assert set(re.findall(r"[A-Za-z_0-9]{2,}", listed)) - words <= found


def test_the_json_says_what_it_was_made_from(folder: Path) -> None:
    content = written("g.npz", "-K", "4")
    assert (content["format"], content["version"]) == ("dpmoracle.trajectory", 1)
    assert (content["program"], content["gamma_file"]) == (dpm.__version__, "g.npz")
    assert content["data"] == {"name": "line.npy", "shape": [3, 3], "sha256": DataRecord.of(LINE, "").sha256}
    assert (content["schedule"]["name"], content["schedule"]["N"]) == ("linear(0.02, 0.6)", N)
    assert content["certificate"]["holds"] is True
    assert content["certificate"]["violations"] == 0
    assert (content["clipped"], content["poor"]) == ([], [])


def test_the_text_shows_the_same_numbers(folder: Path) -> None:
    content = written("g.npz", "-K", "4", "-K", "6", "-K", "4")
    assert [entry["K"] for entry in content["trajectories"]] == [4, 6]
    text = trajectory("g.npz", "-K", "4", "-K", "6", "-K", "4").stdout
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    plain = " ".join(text.split())
    for entry in content["trajectories"]:
        assert f"K = {entry['K']}: timesteps {', '.join(map(str, entry['timesteps']))}" in plain
        assert f"set_timesteps(timesteps={entry['diffusers_timesteps']})" in plain
        row = next(line.split() for line in lines if line.split()[:1] == [str(entry["K"])])
        assert row[1] == entry["method"]
        numbers = [
            path[key]
            for path in (entry, entry["even"])
            for key in ("cost", "excess_nats", "excess_nats_per_dimension")
        ]
        assert [float(x) for x in row[2:]] == pytest.approx(numbers, rel=5e-3)
    assert "The certificate holds" in plain
    assert "rare" not in plain
    assert "clipped" not in plain


def test_one_point_and_gaussian_data_have_nothing_to_choose(folder: Path) -> None:
    curve(np.zeros(N + 1), count=0.0).save("point.npz")
    text = " ".join(trajectory("point.npz", "-K", "4").stdout.split())
    assert "V is 0 at every timestep, as for data that are one point: no step costs anything" in text
    assert "The even grid costs the same." in text
    assert "rare" not in text
    assert "certificate" not in text
    # variance 2.25 in every direction: 1/V - u is constant, and every path has the same cost
    gaussian = np.append(0.0, 2.25 / (1 + 2.25 * SCH.snr[1:]))
    curve(gaussian).save("gauss.npz")
    text = trajectory("gauss.npz", "-K", "4", "-K", str(N)).stdout
    assert text.count("The even grid costs the same.") == 1  # for K = N they are one path
    row = next(line for line in text.split("\n") if line.split()[:1] == ["4"])
    assert row.split()[3:5] == row.split()[6:8] == ["0", "0"]
    assert "The even grid costs the same." not in trajectory("g.npz", "-K", "4").stdout


def test_a_curve_that_breaks_the_certificate_is_told_and_solved(folder: Path) -> None:
    v = exact_mmse() * (1 + 0.2 * (-1.0) ** np.arange(N + 1))
    curve(v, count=10).save("noisy.npz")
    result = trajectory("noisy.npz", "-K", "5", "--json", "t.json")
    text = " ".join(result.stdout.split())
    content = json.loads(Path("t.json").read_text())
    assert f"The certificate fails at {content['certificate']['violations']} timesteps" in text
    assert "rests on a few rare samples at 11 timesteps (1..11)" in text
    best = min(eq10((1, *some, N), v) for some in itertools.combinations(range(2, N), 3))
    assert content["trajectories"][0]["cost"] == pytest.approx(best, abs=1e-12)


@pytest.mark.peers
def test_diffusers_takes_the_timesteps(folder: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=N)
    timesteps = written("g.npz", "-K", "5")["trajectories"][0]["diffusers_timesteps"]
    scheduler.set_timesteps(timesteps=timesteps)
    assert scheduler.timesteps.tolist() == timesteps


# what an estimate may be -------------------------------------------------------------------------------------


def spoiled() -> np.ndarray:
    v = exact_mmse().copy()
    v[[9, 11]] = -0.01
    v[3] = 1.5 / SCH.snr[3]
    return v


def test_an_impossible_v_is_refused_naming_the_timesteps(folder: Path) -> None:
    curve(spoiled()).save("bad.npz")
    refused(trajectory("bad.npz", "-K", "4"), r"timesteps 3, 9, 11 .*--estimator trace.*--clip")


def test_clipping_is_on_request_and_named(folder: Path) -> None:
    curve(spoiled()).save("bad.npz")
    content = written("bad.npz", "-K", "4", "--clip")
    assert content["clipped"] == [3, 9, 11]
    assert "V was clipped at 3 timesteps (3, 9, 11)" in " ".join(
        trajectory("bad.npz", "-K", "4", "--clip").stdout.split()
    )
    half = (LINE.max() - LINE.min()) / 2
    v = spoiled()
    v[3], v[[9, 11]] = min(1 / SCH.snr[3], half**2), 0
    best = min(eq10((1, *some, N), v) for some in itertools.combinations(range(2, N), 2))
    assert content["trajectories"][0]["cost"] == pytest.approx(best, abs=1e-12)
    written("g.npz", "-K", "4", "--clip")
    assert json.loads(Path("t.json").read_text())["clipped"] == []


def test_points_that_are_all_one_cost_nothing(folder: Path) -> None:
    record = DataRecord.of(np.ones((3, 3)), "ones")
    zeros = np.zeros(N + 1)
    GammaCurve(zeros, zeros, zeros, zeros, zeros, SCH, record, "trace", 500, 50, 0).save("ones.npz")
    for args in ([], ["--clip"]):
        assert written("ones.npz", "-K", "4", *args)["trajectories"][0]["excess_nats"] == 0


def test_zero_terminal_snr(folder: Path) -> None:
    sch = dpm.Schedule.cosine(N, max_beta=1.0)
    assert sch.snr[-1] == 0
    curve(dpm.Oracle(Q0, sch).mmse(np.arange(N + 1), method="quadrature").value, sch).save("zero.npz")
    content = written("zero.npz", "-K", "4")
    assert 0 < content["trajectories"][0]["excess_nats"] < content["trajectories"][0]["even"]["excess_nats"]


# wrong use ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["-K", "1"], "K must be a whole number >= 2; got 1"),
        (["-K", "4", "-K", "0"], "K must be a whole number >= 2; got 0"),
        (["-K", "12"], "at most N = 11; got 12"),
        (["-K", "4", "--json", "no/t.json"], "--json: cannot write 'no/t.json'.*does not exist"),
        (["-K", "4", "--json", "g.npz"], "--json must be another file than 'g.npz'"),
    ],
)
def test_wrong_use_is_one_line(folder: Path, args: list[str], words: str) -> None:
    refused(trajectory("g.npz", *args), words)


def test_k_is_required(folder: Path) -> None:
    result = trajectory("g.npz")
    assert result.exit_code == 2
    assert "Missing option" in result.stderr


def test_files_of_another_kind_are_refused(folder: Path) -> None:
    with np.load("g.npz") as archive:
        whole = {name: archive[name] for name in archive.files}

    def changed(words: str, **parts: Any) -> None:
        np.savez("bad.npz", **{**whole, **parts})
        refused(trajectory("bad.npz", "-K", "4"), words)

    refused(trajectory("gone.npz", "-K", "4"), "'gone.npz' .*no such file")
    Path("bad.npz").write_bytes(Path("g.npz").read_bytes()[:900])
    refused(trajectory("bad.npz", "-K", "4"), "damaged, truncated")
    Path("bad.npz").write_text("{}")
    refused(trajectory("bad.npz", "-K", "4"), "of another kind")
    np.savez("bad.npz", x=LINE)
    refused(trajectory("bad.npz", "-K", "4"), "must have format dpmoracle.gamma; it has none")
    estimate = dpm.estimate_mmse(lambda x, t: 0 * x, LINE, SCH, rng=0)
    estimate.save("bad.npz")
    refused(
        trajectory("bad.npz", "-K", "4"), "must have format dpmoracle.gamma; it has dpmoracle.MmseEstimate"
    )
    changed("must have version 1; it has 2", version=2)
    changed(r"mmse must have shape \(N\+1,\) = \(12,\), as the schedule has; got \(11,\)", mmse=np.zeros(11))
    changed(r"mmse\[1:\] must be finite; 1 of 11", mmse=np.append(exact_mmse()[:-1], np.nan))
    changed("betas must lie in", schedule_values=np.zeros(11))
    for name in ("mmse", "schedule_values", "data_range", "estimator"):
        np.savez("bad.npz", **{key: x for key, x in whole.items() if key != name})
        refused(trajectory("bad.npz", "-K", "4"), name.removeprefix("schedule_"))


def test_the_table_survives_a_json_that_cannot_be_written_any_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dpmoracle.storage.write_text", full)
    result = trajectory("g.npz", "-K", "4", "--json", "t.json")
    assert result.exit_code == 2
    assert "K = 4: timesteps" in result.stdout
    assert "No space left" in result.stderr


# reading the JSON back ---------------------------------------------------------------------------------------


def test_timesteps_are_read_back_for_the_same_schedule_only(folder: Path) -> None:
    content = written("g.npz", "-K", "4", "-K", "6")
    assert plan.read_timesteps("t.json", SCH, 6, "x").tolist() == content["trajectories"][1]["timesteps"]
    whole = Path("t.json").read_text()
    for K, sch, words in (
        (None, SCH, "K = 4, 6; choose one with -K"),
        (5, SCH, "K = 4, 6; got -K 5"),
        (4, dpm.Schedule.linear(N), "for the schedule linear.0.02, 0.6., N = 11; this run has linear.0.0001"),
    ):
        with pytest.raises(dpm.InvalidParameterError, match=words):
            plan.read_timesteps("t.json", sch, K, "x")
    written("g.npz", "-K", "4")
    assert plan.read_timesteps("t.json", SCH, None, "x").size == 4
    for text, words in (
        (whole[:500], "damaged"),
        ("[]", r"format and version are \(None, None\)"),
        (whole.replace('"version": 1', '"version": 2'), r"\('dpmoracle.trajectory', 2\)"),
        (whole.replace('"trajectories"', '"paths"'), "a part of it is missing.*trajectories"),
        (whole.replace('"schedule": {', '"schedule": 3, "x": {'), "a part of it is missing"),
        (whole.replace('"timesteps": [1,', '"timesteps": [5, 1,'), "increase strictly"),
        (whole.replace('"timesteps": [1,', '"timesteps": [1.5,'), "integer timestep"),
    ):
        Path("t.json").write_text(text)
        with pytest.raises(dpm.InvalidParameterError, match=words):
            plan.read_timesteps("t.json", SCH, 4, "x")
    with pytest.raises(dpm.InvalidParameterError, match="no such file"):
        plan.read_timesteps("gone.json", SCH, 4, "x")


def test_the_process(folder: Path) -> None:
    args = [sys.executable, "-W", "error", "-m", "dpmoracle.cli", "trajectory", "g.npz"]
    done = subprocess.run([*args, "-K", "3"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run([*args, "-K", "99"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
