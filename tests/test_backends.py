"""backends.pick: the plain function, a kernel of its name, or an error that names the extra."""

from __future__ import annotations

import importlib.util
import sys
import types

import numpy as np
import pytest

from dpmoracle import InvalidParameterError, MissingExtraError
from dpmoracle.backends import WORTH_COMPILING, pick
from dpmoracle.trajectory import optimal_trajectories, optimal_trajectory, shortest_paths
from dpmoracle.trajectory.dense import dense_layers
from dpmoracle.trajectory.hull import hull_layers
from dpmoracle.trajectory.li_chao import li_chao_layers
from dpmoracle.trajectory.monge import certify
from dpmoracle.trajectory.multiplier import multiplier_path
from trajectory_cases import linear_snr, product_mmse


def plain():
    return "plain"


@pytest.fixture
def kernels(monkeypatch):
    """Stand-ins for dpmoracle_kernels.cpu and .gpu and for the libraries they need."""
    found = {}
    for name, library in (("cpu", "numba"), ("gpu", "cupy")):
        module = types.ModuleType(f"dpmoracle_kernels.{name}")
        monkeypatch.setitem(sys.modules, f"dpmoracle_kernels.{name}", module)
        monkeypatch.setitem(sys.modules, library, types.ModuleType(library))
        found[name] = module
    return found


@pytest.fixture
def no_kernels(monkeypatch):
    for name in ("dpmoracle_kernels.cpu", "dpmoracle_kernels.gpu", "numba", "cupy"):
        monkeypatch.setitem(sys.modules, name, None)  # import raises ImportError


def test_numpy_is_the_plain_function(kernels):
    kernels["cpu"].plain = lambda: "kernel"
    assert pick("plain", "numpy", plain)() == "plain"


def test_auto_takes_a_kernel_where_there_is_one(kernels):
    assert pick("plain", "auto", plain)() == "plain"
    kernels["cpu"].plain = lambda: "cpu"
    kernels["gpu"].plain = lambda: "gpu"
    assert pick("plain", "auto", plain, np.zeros(3))() == "cpu"
    device_array = type("ndarray", (), {"__module__": "cupy._core.core"})()
    assert pick("plain", "auto", plain, np.zeros(3), device_array)() == "gpu"


def test_auto_waits_for_no_compiler_where_the_work_is_small(monkeypatch):
    monkeypatch.delitem(sys.modules, "dpmoracle_kernels.cpu", raising=False)
    loaded = types.ModuleType("dpmoracle_kernels.cpu")
    loaded.plain = lambda: "kernel"

    def load(name):
        monkeypatch.setitem(sys.modules, name, loaded)
        return loaded

    monkeypatch.setattr("dpmoracle.backends.importlib.import_module", load)
    assert pick("plain", "auto", plain) is plain
    assert pick("plain", "auto", plain, seconds=0.99 * WORTH_COMPILING) is plain
    assert pick("plain", "auto", plain, seconds=WORTH_COMPILING)() == "kernel"
    assert pick("plain", "auto", plain)() == "kernel"  # they are loaded now


@pytest.mark.usefixtures("no_kernels")
def test_auto_without_numba_is_plain_whatever_the_work():
    assert pick("plain", "auto", plain, seconds=1e9) is plain


def test_asked_for_by_name(kernels):
    kernels["cpu"].plain = lambda: "cpu"
    kernels["gpu"].plain = lambda: "gpu"
    assert pick("plain", "numba", plain)() == "cpu"
    assert pick("plain", "cupy", plain)() == "gpu"


@pytest.mark.usefixtures("no_kernels")
@pytest.mark.parametrize(
    ("backend", "extra"), [("numba", r"dpmoracle\[numba\]"), ("cupy", r"dpmoracle\[gpu\]")]
)
def test_missing_library_names_the_extra(backend, extra):
    with pytest.raises(MissingExtraError, match=rf"hull_layers.*{backend}.*{extra}"):
        pick("hull_layers", backend, plain)
    assert pick("hull_layers", "auto", plain) is plain


@pytest.mark.usefixtures("kernels")
def test_backend_without_that_kernel():
    with pytest.raises(InvalidParameterError, match=r"no numba kernel of this name.*'auto' or 'numpy'"):
        pick("plain", "numba", plain)


@pytest.mark.parametrize("backend", ["torch", "", None, 3, ["numba"]])
def test_unknown_backend(backend):
    with pytest.raises(InvalidParameterError, match="plain: backend must be one of auto, numpy, numba, cupy"):
        pick("plain", backend, plain)


@pytest.mark.parametrize(
    ("function", "method", "call"),
    [
        (hull_layers, "hull", optimal_trajectory),
        (li_chao_layers, "li_chao", optimal_trajectory),
        (multiplier_path, "multiplier", optimal_trajectory),
        (dense_layers, "dense", optimal_trajectory),
        (certify, "auto", optimal_trajectory),
        (hull_layers, "auto", optimal_trajectories),
    ],
)
def test_programs_look_for_their_kernel(kernels, function, method, call):
    """A kernel dropped into dpmoracle_kernels.cpu is picked up, with the arguments of its plain function."""
    called = []
    name = function.__name__
    for other in (certify, dense_layers, hull_layers, li_chao_layers, multiplier_path):
        setattr(kernels["cpu"], other.__name__, other)
    setattr(kernels["cpu"], name, lambda *args: called.append(name) or function(*args))
    u = linear_snr(30)
    v = product_mmse(u, [1.0, 30.0])
    for backend in ("auto", "numba"):
        call(u, v, 7, backend=backend, method=method)
    assert len(called) >= 2
    before = len(called)
    call(u, v, 7, backend="numpy", method=method)
    assert len(called) == before


def test_shortest_paths_looks_for_its_kernel(kernels):
    called = []
    kernels["cpu"].dense_layers = lambda *args: called.append(1) or dense_layers(*args)
    shortest_paths(np.ones((4, 4)), 3, backend="numba")
    assert called == [1]


@pytest.mark.skipif(importlib.util.find_spec("cupy") is not None, reason="cupy is installed")
def test_optimal_trajectory_says_what_cupy_needs():
    u = linear_snr(10)
    with pytest.raises(MissingExtraError, match=r"dpmoracle\[gpu\]"):
        optimal_trajectory(u, product_mmse(u, [1.0]), 3, backend="cupy")
