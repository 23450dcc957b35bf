"""benchmarks/gpu.py on the host: its limits, its parts under the strict stand-in, its table, and its refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cuda_host import needs_compiler
from dpmoracle.bench import gpu, gpu_peers, gpu_work
from dpmoracle.bench.gpu_limits import DeviceLimits
from dpmoracle.bench.gpu_peers import usable
from dpmoracle.bench.harness import Contender
from dpmoracle.bench.peers import Missing
from dpmoracle.bench.softmax import Work
from dpmoracle.shared import shared_samples
from dpmoracle.trajectory.dense import dense_layers

pytest.importorskip("threadpoolctl")

ROOT = Path(__file__).parents[1]


def small(monkeypatch):
    """Sizes at which the stand-in takes seconds: what is checked is that all fits together."""
    rng = np.random.default_rng(0)
    points = rng.standard_normal((40, 6)).astype(np.float32)
    monkeypatch.setattr(gpu_work, "patches", lambda setting: points)
    draw = gpu_work.draw

    def drawn(points, count, dtype, setting):
        return draw(points[:40], 3, dtype, setting).some(6)

    monkeypatch.setattr(gpu_work, "draw", drawn)
    for module in (gpu_peers, gpu_work):
        monkeypatch.setattr(module, "load", lambda name: Missing(name, "not looked for"))


@needs_compiler
def test_every_part_end_to_end(cupy, monkeypatch, tmp_path, capsys):
    small(monkeypatch)
    assert gpu.main(["--quick", "--to", str(tmp_path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    kept = json.loads((tmp_path / "gpu-stand-in-1.json").read_text(encoding="utf-8"))
    assert set(kept["results"]) == set(gpu_work.PARTS)
    assert kept["machine"]["device"]["name"] == "Stand-in 1"
    assert len(kept["limits"]) == 8
    table = (tmp_path / "gpu-stand-in-1.md").read_text(encoding="utf-8")
    for name, results in kept["results"].items():
        assert results, name
        for result in results:
            assert result["error"] < (5e-3 if "tf32" in result["work"] else 1e-5), result["work"]
            assert result["limit"][1] > 0
            assert result["work"] in table
            assert result["work"] in printed
    first = kept["results"]["images_32"][0]
    assert {peer["name"].split(",")[0] for peer in first["missing"]} >= {"torch"}


@needs_compiler
def test_a_part_that_fails_or_does_not_fit_costs_no_other(cupy, monkeypatch, tmp_path, capsys):
    def breaks(setting):
        raise MemoryError("all gone")

    parts = {"dense": gpu_work.PARTS["dense"], "scores": (breaks, 1)}
    monkeypatch.setattr(gpu, "PARTS", parts)
    assert gpu.main(["--quick", "--to", str(tmp_path)]) == 1
    assert "not measured: scores: MemoryError: all gone" in capsys.readouterr().out
    assert json.loads((tmp_path / "gpu-stand-in-1.json").read_text(encoding="utf-8"))["results"]["dense"]
    assert gpu.main(["--minutes", "0.001", "--to", str(tmp_path / "none")]) == 1
    assert "dense: 0 s were left, and it may take 90; give more --minutes" in capsys.readouterr().out


@needs_compiler
def test_limits_count_what_the_kernels_do(cupy):
    """The sums that the kernels return are those of the operations that are counted."""
    from dpmoracle_kernels.gpu.cuda import source

    rounds, out = 3, cupy.empty(256)
    source("limits").get_function("exponentials")((1,), (256,), (out, np.int32(rounds)))
    x = 1 / (2.0 + np.arange(8)[:, None] + np.arange(256))
    for _ in range(rounds):
        x = 2.0**-x
    np.testing.assert_allclose(out.host, x.sum(0), rtol=1e-13)
    seed = np.random.default_rng(0).random(256)
    source("limits").get_function("add_compare")((1,), (256,), (cupy.asarray(seed), out, np.int32(rounds)))
    at = (
        np.arange(rounds)[:, None, None, None],
        np.arange(4)[:, None, None],
        np.arange(8)[:, None],
        np.arange(256),
    )
    sums = seed[(at[0] + at[1]) % 256] + seed[(at[0] + at[2] + at[3]) % 256]
    np.testing.assert_allclose(out.host, sums.min(0).sum((0, 1)), rtol=1e-13)
    assert DeviceLimits(quick=True).compare64 > 0


@pytest.mark.peers
def test_the_peers_compute_the_same(cupy):
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    F = rng.random((30, 30))
    program = gpu_peers.of_costs(F, "cpu")[0].call()
    np.testing.assert_array_equal(program[3:, 29].numpy(), dense_layers(F, 29)[1][3:, 29])
    points = rng.standard_normal((9, 2))
    own = rng.integers(9, size=5)
    work = Work(
        points[own], rng.standard_normal((5, 2)), own, points, np.array([0.6, 0.3]), np.array([0.8, 0.9])
    )
    products = next(peer for peer in gpu_peers.of_v(work, 2, "cpu") if "products" in peer.name).call()
    truth = shared_samples(*work[:3], np.ones(9), points, 0.0, work.a, work.sigma, "pair")
    np.testing.assert_allclose(np.stack(products, 1) / 2, truth, rtol=1e-12)


def test_a_peer_that_fails_is_missing_and_says_why():
    good, bad = usable([Contender("good", int), Contender("bad", lambda: 1 / 0)])
    assert isinstance(good, Contender)
    assert bad == Missing("bad", "fails: ZeroDivisionError: division by zero")


def test_refusals(cupy, capsys, tmp_path):
    assert gpu.main(["--only", "nothing", "--to", str(tmp_path)]) == 2
    assert "no part matches --only 'nothing'; there are dense, scores, images_32" in capsys.readouterr().err
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    assert gpu.main(["--to", str(tmp_path)]) == 2
    assert "benchmarks/gpu.py: backend='cupy' needs a CUDA device" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_script_needs_nothing_installed_and_names_the_extra(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--quick", "--to", str(tmp_path)],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        check=False,
    )
    if done.returncode != 0 or "Stand-in" in done.stdout:  # where there is a GPU it runs
        assert done.returncode == 2
        assert "dpmoracle[gpu]" in done.stderr or "needs a CUDA device" in done.stderr
