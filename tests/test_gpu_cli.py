"""--backend of the commands: a GPU where there is one (the strict stand-in), and one line where there is none."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

pytest.importorskip("typer")
from typer.testing import CliRunner

from cuda_host import needs_compiler
from dpmoracle.cli.app import app

GAMMA = [
    "gamma",
    "points.npy",
    "-o",
    "g.npz",
    "--steps",
    "12",
    "--beta-end",
    "0.3",
    "-M",
    "6",
    "--batch-size",
    "6",
]
TRAJECTORY = ["trajectory", "g.npz", "-K", "4", "--json", "t.json"]
SAMPLE = [
    "sample",
    "points.npy",
    "-o",
    "s.npy",
    "-n",
    "3",
    "--timesteps",
    "1, 12",
    "--steps",
    "12",
    "--beta-end",
    "0.3",
]
SAMPLE += ["--sampler", "ddim"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("points.npy", np.array([[-1.0, 0.5], [1.0, 0.0], [0.2, -2.0]]))
    return tmp_path


def call(arguments, backend, code=0):
    done = CliRunner().invoke(app, [*arguments, "--backend", backend])
    assert done.exit_code == code, done.output
    return done


@needs_compiler
@pytest.mark.usefixtures("folder")
def test_every_command_computes_the_same_on_a_gpu(cupy):
    found = {}
    for backend in ("numpy", "cupy"):
        for arguments in (GAMMA, TRAJECTORY, SAMPLE):
            cupy.traffic.clear()
            call(arguments, backend)
            assert bool(cupy.traffic.launches) == (backend == "cupy"), arguments
        with np.load("g.npz") as archive, open("t.json", encoding="utf-8") as file:
            found[backend] = archive["mmse"], json.load(file)["trajectories"][0], np.load("s.npy")
    (v, path, samples), (v2, path2, samples2) = found["numpy"], found["cupy"]
    np.testing.assert_allclose(v2, v, rtol=1e-9)
    assert path2["method"] == "dense"
    assert path2["cost"] == pytest.approx(path["cost"], rel=1e-9)
    np.testing.assert_allclose(samples2, samples, rtol=1e-9)


@pytest.mark.usefixtures("folder")
def test_what_is_missing_is_one_line(cupy, monkeypatch):
    call(GAMMA, "numpy")
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    for arguments in (GAMMA, TRAJECTORY, SAMPLE):
        line = call(arguments, "cupy", 2).stderr
        assert re.fullmatch(r"dpmoracle \w+: [^\n]*needs a CUDA device[^\n]*'numpy'\n", line), line
    with monkeypatch.context() as patch:  # undone before the stand-in is taken away
        for name in ("cupy", "dpmoracle_kernels.gpu"):
            patch.setitem(sys.modules, name, None)
        for arguments in (GAMMA, TRAJECTORY, SAMPLE):
            line = call(arguments, "cupy", 2).stderr
            assert re.fullmatch(r"dpmoracle \w+: [^\n]*dpmoracle\[gpu\][^\n]*gpu-cuda12[^\n]*\n", line), line
