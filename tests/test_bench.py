"""The benchmark harness on clocks and contenders of its own; results, tables, peers, and the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpmoracle import InvalidParameterError
from dpmoracle.bench import limits, machine, suite, tables
from dpmoracle.bench.harness import Contender, Timing, interleave, ratio
from dpmoracle.bench.peers import Missing, load, load_analytic_dpm
from dpmoracle.bench.results import Result, Run, compare
from dpmoracle.bench.trajectories import curve, published_program
from dpmoracle.trajectory import monge_certificate, optimal_trajectory, path_cost

pytest.importorskip("numba")
typer_testing = pytest.importorskip("typer.testing")
pytest.importorskip("threadpoolctl")

ROOT = Path(__file__).parents[1]


class Clock:
    """Time that only passes where a contender says so."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def contender(self, name, seconds, **parts):
        def call():
            self.calls.append(name)
            self.now += seconds

        return Contender(name, call, **parts)


def test_contenders_take_turns_and_the_order_is_reversed():
    clock = Clock()
    found = interleave([clock.contender(name, 1.0) for name in "abc"], 3, clock)
    assert "".join(clock.calls) == "aabbcc" + "abc" + "cba" + "abc"  # each once unmeasured, once to be sized
    assert [timing.name for timing in found] == ["a", "b", "c"]
    assert all(timing.seconds == (1.0, 1.0, 1.0) for timing in found)


def test_short_calls_are_repeated_and_still_told_per_call():
    clock = Clock()
    (found,) = interleave([clock.contender("a", 1e-6)], 2, clock, least=1e-3)
    assert len(clock.calls) >= 2 * 1000
    np.testing.assert_allclose(found.seconds, 1e-6, rtol=1e-6)


def test_none_pays_for_what_another_leaves_behind(monkeypatch):
    """Before its turn a contender of short calls works unmeasured, one of long calls rests."""
    clock, rests = Clock(), []
    monkeypatch.setattr(
        "dpmoracle.bench.harness.time.sleep", lambda s: rests.append((s, "".join(clock.calls)))
    )
    long, short = clock.contender("a", 1.0), clock.contender("b", 0.25)
    interleave([long, short], 2, clock, warm=0.5)
    assert "".join(clock.calls) == "aabb" + "a" + "bbb" + "bbb" + "a"
    assert rests == [(0.5, "aabb"), (0.5, "aabbabbbbbb")]


def test_a_part_is_scaled_to_the_whole():
    clock = Clock()
    (found,) = interleave([clock.contender("a", 2.0, scale=100.0, note="10 of 1000, scaled")], 1, clock)
    assert found.seconds == (200.0,)
    assert found.note == "10 of 1000, scaled"


def test_a_ratio_is_taken_within_each_turn():
    """A machine that is twice as slow in one turn is so for both."""
    ours, other = Timing("a", (1.0, 2.0, 1.0)), Timing("b", (10.0, 20.0, 10.0))
    assert ratio(other, ours) == 10.0
    assert ours.median == 1.0
    assert ours.spread == (1.0, 1.5)


@pytest.mark.parametrize(("contenders", "turns"), [([], 3), ([Contender("a", int)], 0)])
def test_nothing_to_time(contenders, turns):
    with pytest.raises(InvalidParameterError, match="interleave: needs contenders and at least 1 turn"):
        interleave(contenders, turns)


def example():
    result = compare(
        "some work",
        Contender("ours", lambda: sum(range(1000))),
        [Contender("theirs", lambda: sum(range(20000)), note="scaled"), Missing("torch", "not installed")],
        turns=2,
        error=1e-13,
        measure="relative",
        target={"theirs": 15.0, "product": 0.5},
        limit=("product", lambda seconds: 0.25),
        figures={"exponent": 1.03, "nothing": float("nan")},
    )
    return Run(machine.describe(), {"quick": True}, {"copy on one core, GB/s": 20.0}, {"some.work": [result]})


def test_a_result_names_ratios_shares_and_who_is_missing():
    (result,) = example().results["some.work"]
    assert result.ours.name == "ours"
    assert result.ratios()["theirs"] > 5
    assert result.limit == ("product", 0.25)
    assert result.missing == (Missing("torch", "not installed"),)


def test_tables_show_all_of_it():
    run = example()
    for page in (tables.text(run), tables.markdown(run)):
        for words in (
            "some work",
            "theirs, scaled",
            "1.0e-13 relative",
            "25%",
            "50%",
            "15x",
            "torch: missing, not",
        ):
            assert words in page
        assert run.machine["cpu"] in page
        assert "copy on one core, GB/s: 20" in page
    away = (Missing("torch", "not here, nor anywhere near " * 3),)
    wide = replace(run.results["some.work"][0], work="a long way " * 9, measure="of all " * 15, missing=away)
    long = tables.text(replace(run, results={"some.long.name": [wide]}))
    assert max(map(len, long.splitlines())) <= 80
    rows = [line for line in tables.markdown(run).splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {8}


def test_json_is_strict_and_holds_every_turn():
    back = json.loads(example().dumps(), parse_constant=pytest.fail)
    assert (back["format"], back["version"]) == ("dpmoracle.bench", 1)
    (result,) = back["results"]["some.work"]
    assert [len(timing["seconds"]) for timing in result["timings"]] == [2, 2]
    assert result["figures"] == {"exponent": 1.03, "nothing": None}
    assert result["medians"]["ours"] > 0
    assert result["missing"] == [{"name": "torch", "reason": "not installed"}]
    assert {"cpu", "cores", "versions", "threads", "python", "load"} <= set(back["machine"])


def test_limits_are_measured_when_they_are_asked_for():
    found = limits.Limits(turns=1)
    assert found.measured() == {}
    assert found.exp64 > 1e6
    assert list(found.measured()) == ["float64 exp on one core, 1e9/s"]
    assert limits.gemm_rate(np.float32, 64, 1) > 1e7
    assert limits.bandwidth(8, 1) > 1e8


def test_threads_are_set_and_given_back():
    numba = pytest.importorskip("numba")
    before, spoken = numba.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    with machine.on_threads(1):
        assert numba.get_num_threads() == 1
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert set(machine.describe()["threads"].values()) == {1}
    assert numba.get_num_threads() == before
    assert os.environ.get("OMP_NUM_THREADS") == spoken


def test_peers_are_loaded_or_named():
    assert isinstance(load("json"), types.ModuleType)
    missing = load("no_such_peer.part")
    assert isinstance(missing, Missing)
    assert missing.name == "no_such_peer"
    assert "not installed" in missing.reason
    assert "--analytic-dpm PATH" in load_analytic_dpm(None).reason


def test_the_official_code_is_found_by_its_function(tmp_path):
    with pytest.raises(InvalidParameterError, match=r"--analytic-dpm: .* must be a checkout"):
        load_analytic_dpm(tmp_path)
    folder = tmp_path / "codes" / "core" / "inference"
    folder.mkdir(parents=True)
    (folder / "steps.py").write_text("def _dp_seg(ms_eps, betas, N, K):\n    return list(range(K))\n")
    path = list(sys.path)
    found = load_analytic_dpm(tmp_path)
    try:
        assert found._dp_seg(None, None, 9, 3) == [0, 1, 2]
        assert sys.path == path
        (folder / "steps.py").write_text("import no_such_library\ndef _dp_seg(): ...\n")
        for name in [name for name in sys.modules if name.partition(".")[0] == "core"]:
            del sys.modules[name]
        assert "no_such_library" in load_analytic_dpm(tmp_path).reason
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "core"]:
            del sys.modules[name]


def test_our_transcription_finds_the_optimum():
    """The published program minimises log(1 - beta_{t|s} Gamma_t), which has the same best paths."""
    u, v = curve(60)
    assert monge_certificate(u, v)
    alpha_bar = np.r_[1.0, u[1:] / (1.0 + u[1:])]
    betas = np.r_[0.0, 1.0 - alpha_bar[1:] / alpha_bar[:-1]]
    for edges in (1, 2, 7, 58, 59):
        nodes = published_program(np.r_[0.0, 1.0 - v[1:] * u[1:]], betas, edges)
        best = optimal_trajectory(u, v, edges + 1, method="dense").cost
        assert nodes.size == edges + 1
        assert path_cost(u, v, nodes) == pytest.approx(best, rel=1e-12)


def test_benchmarks_are_found_by_pattern():
    assert suite.find(None) == list(suite.BENCHMARKS)
    assert suite.find("trajectory.o*") == ["trajectory.one"]
    with pytest.raises(
        InvalidParameterError, match=r"--only: no benchmark matches 'x'; there are trajectory\.one"
    ):
        suite.find("x")


def test_every_benchmark_has_its_function():
    for name in suite.BENCHMARKS:
        assert callable(suite._function(name))


@pytest.mark.parametrize("name", ["trajectory.any_v", "trajectory.growth", "trajectory.matrix"])
def test_trajectory_benchmarks_run(name):
    run = suite.run(name, suite.Setting(quick=True, threads=1))
    assert all(isinstance(result, Result) for result in run.results[name])
    assert all(result.error <= 1e-12 for result in run.results[name])


def test_the_command(tmp_path):
    from dpmoracle.cli.app import app

    runner = typer_testing.CliRunner()
    listed = runner.invoke(app, ["bench", "--list"])
    assert listed.exit_code == 0
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == list(suite.BENCHMARKS)
    assert max(map(len, lines)) <= 80
    names = {name: str(tmp_path / name) for name in ("b.json", "b.md")}
    args = ["--only", "trajectory.growth", "--quick", "--json", names["b.json"], "--markdown", names["b.md"]]
    ran = runner.invoke(app, ["bench", *args])
    assert ran.exit_code == 0, ran.output
    assert "exponent of N" in ran.stdout
    assert json.loads((tmp_path / "b.json").read_text())["settings"]["quick"] is True
    assert "exponent of N" in (tmp_path / "b.md").read_text()
    wrong = runner.invoke(app, ["bench", "--only", "nothing"])
    assert wrong.exit_code == 2
    assert "no benchmark matches" in wrong.output


def test_from_a_checkout():
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--list"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert "trajectory.one" in ran.stdout
