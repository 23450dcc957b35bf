"""Oracles whose x lives on a GPU: equal to NumPy's, and nothing of x leaves the device, under a strict stand-in."""

from __future__ import annotations

import pickle
import sys
from typing import Any

import numpy as np
import pytest

import dpmoracle as dpm
from cuda_host import needs_compiler
from dpmoracle import DeviceError, InvalidParameterError, MissingExtraError, Oracle
from mutation import mutant
from oracle_cases import LINEAR, build
from strict_cupy import Array, Device, OutOfMemoryError, Tensor

KINDS = ("spherical", "diag", "tied", "full")
PREDICTIONS = ("score", "eps", "x0", "v", "log_prob")
POINTS = np.random.default_rng(0).standard_normal((2, 5, 2))


def ask(oracle, name, x, t):
    return oracle.posterior_cov(x, t, form="trace") if name == "trace" else getattr(oracle, name)(x, t)


@needs_compiler
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["auto", "cupy"])
def test_cupy_in_cupy_out_and_nothing_leaves_the_device(cupy, kind, backend):
    q = build(kind)
    orc, plain = Oracle(q, LINEAR, backend), Oracle(q, LINEAR, "numpy")
    x = cupy.asarray(POINTS)
    for name in (*PREDICTIONS, "trace"):
        expected = ask(plain, name, POINTS, 300)
        ask(orc, name, x, 300)  # the mixture is on the device from here on
        cupy.traffic.clear()
        found = ask(orc, name, x, 300)
        assert type(found) is Array
        assert cupy.traffic.arrays == 0
        assert cupy.traffic.numbers <= 12  # whether x is finite, σ > 0, who leads; two kernels for v
        assert cupy.traffic.uploads <= 2  # the two levels
        np.testing.assert_allclose(found.host, expected, rtol=1e-11, atol=1e-13)
        assert not np.shares_memory(found.host, x.host)


@needs_compiler
def test_levels_of_each_row_are_looked_up_on_the_device(cupy):
    orc, t = Oracle(build(), LINEAR), np.array([1, 500, 30, 7, 1000])
    x, steps = cupy.asarray(POINTS), cupy.asarray(t)
    orc.eps(x, steps)
    cupy.traffic.clear()
    found = orc.eps(x, steps)
    assert cupy.traffic.entries < 5  # where the kernel's levels begin
    np.testing.assert_allclose(found.host, Oracle(build(), LINEAR, "numpy").eps(POINTS, t), rtol=1e-11)
    with pytest.raises(InvalidParameterError, match=r"t must lie in 0\.\.1000; got 1001"):
        orc.eps(x, steps + 1)
    with pytest.raises(InvalidParameterError, match="integer timestep"):
        orc.eps(x, steps * 1.0)
    with pytest.raises(
        InvalidParameterError, match=r"broadcast against x.shape\[:-1\] = \(2, 5\); got \(4,\)"
    ):
        orc.eps(x, steps[:4])


@needs_compiler
def test_tensors_share_their_memory_and_their_stream(cupy, torch_cuda):
    orc = Oracle(build("diag"), LINEAR)
    expected = Oracle(build("diag"), LINEAR, "numpy").eps(POINTS, 300)
    for dtype, rtol in ((np.float64, 1e-11), (np.float32, 2e-6)):
        x = Tensor(POINTS.astype(dtype), "cuda:3")
        orc.eps(x, 300)
        cupy.traffic.clear()
        found = orc.eps(x, Tensor(np.full((2, 1), 300), "cuda:3"))
        assert (type(found), found.dtype) == (Tensor, dtype)
        assert found.device.index == 3
        assert cupy.traffic.arrays == 0
        assert {launch[1:] for launch in cupy.traffic.launches} == {(3, 77)}
        np.testing.assert_allclose(found.host, expected, rtol=rtol, atol=rtol)
    assert Device.current == 0
    with pytest.raises(InvalidParameterError, match=r"x must not require grad.*x\.detach\(\)"):
        orc.eps(Tensor(POINTS, "cuda:3", requires_grad=True), 300)


def keeps_to_the_device(cupy) -> bool:
    """The same on arrays of both kinds on device 3: nothing of x on the host, on torch's stream for its tensors."""
    orc = Oracle(build("diag"), LINEAR)
    with Device(3):
        arrays = Tensor(POINTS, "cuda:3"), cupy.asarray(POINTS)
    for x, stream in zip(arrays, (77, 0)):
        try:
            orc.score(x, 300)
            cupy.traffic.clear()
            found = orc.score(x, 300)
        except ValueError:  # arrays on another device than the current one
            return False
        seen = {launch[1:] for launch in cupy.traffic.launches}
        if (
            type(found) is not type(x)
            or cupy.traffic.entries
            or cupy.traffic.uploads
            or seen != {(3, stream)}
        ):
            return False
    return True


@needs_compiler
@pytest.mark.usefixtures("torch_cuda")
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("stack.enter_context(stream)", "pass"),
        ("stack.enter_context(cupy.cuda.Device(number))", "pass"),
        ("cupy.from_dlpack(value)", "cupy.asarray(value.numpy(force=True))"),
        (
            "    if isinstance(value, cupy.ndarray):\n        return value\n",
            "    value = getattr(value, 'get', lambda: value)()\n",
        ),
        ('sys.modules["torch"].from_dlpack(array)', "array"),
        (
            "        return array\n    return cupy",
            "        return cupy.asarray(array.get())\n    return cupy",
        ),
    ],
)
def test_places_that_lose_the_device_are_caught(cupy, monkeypatch, right, wrong):
    from dpmoracle_kernels.gpu import place

    assert keeps_to_the_device(cupy)
    broken = mutant(place, (right, wrong))
    with monkeypatch.context() as patch:  # undone before the stand-in is taken away
        patch.setitem(sys.modules, place.__name__, broken)
        assert not keeps_to_the_device(cupy)


@needs_compiler
def test_clean_rows_and_integers(cupy):
    points = dpm.GaussianMixture.from_points([[0.0, 1.0], [2.0, -1.0]])
    orc, x = Oracle(points, LINEAR), cupy.asarray(np.array([[0, 1], [2, -1]]))
    found = orc.x0(x, cupy.asarray(np.array([0, 900])))
    assert found.dtype == np.float64
    expected = Oracle(points, LINEAR, "numpy").x0(x.host, np.array([0, 900]))
    np.testing.assert_allclose(found.host, expected, rtol=1e-12)
    assert not orc.posterior_cov(x, 0, form="trace").host.any()
    assert orc.log_prob(x[0], 900).shape == ()
    assert orc.eps(x[:0], 900).shape == (0, 2)
    with pytest.raises(InvalidParameterError, match="no density because a covariance is singular"):
        orc.score(x, 0)


@needs_compiler
@pytest.mark.parametrize(
    "make", [np.asfortranarray, lambda x: np.repeat(x, 2, -1)[..., ::2], lambda x: x.astype(">f8")]
)
def test_host_arrays_of_any_layout_go_there_and_back(cupy, make):
    orc = Oracle(build(), LINEAR, "cupy")
    found = orc.score(make(POINTS), 300)
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, Oracle(build(), LINEAR, "numpy").score(POINTS, 300), rtol=1e-11)
    assert cupy.traffic.launches


@needs_compiler
def test_mixtures_and_their_copies(cupy):
    q = build("tied")
    x = cupy.asarray(POINTS)
    np.testing.assert_allclose(q.score(x).host, q.score(POINTS), rtol=1e-11)
    again = pickle.loads(pickle.dumps(q))
    np.testing.assert_array_equal(again.means, q.means)
    cupy.cuda.runtime.memGetInfo = lambda: (40, 2**31)  # too little for this mixture: it is streamed
    np.testing.assert_allclose(again.score(x).host, q.score(POINTS), rtol=1e-11)


@needs_compiler
def test_a_covariance_that_no_kernel_computes(cupy):
    x = cupy.asarray(POINTS)
    found = Oracle(build(), LINEAR).posterior_cov(x, 300)
    assert type(found) is Array
    np.testing.assert_array_equal(found.host, Oracle(build(), LINEAR).posterior_cov(POINTS, 300))
    with pytest.raises(InvalidParameterError, match=r"no cupy kernel for form='diag'.*trace.*auto"):
        Oracle(build(), LINEAR, "cupy").posterior_cov(x, 300, form="diag")


@needs_compiler
def test_precision_is_chosen_and_told(cupy):
    """float32 and tf32 products come from x in float32, and differ as far as they should; V too."""
    q, x = build("full", count=4, d=40), np.random.default_rng(1).standard_normal((200, 40))
    exact = Oracle(q, LINEAR, "numpy").score(x, 300)
    errors = {}
    for precision in ("float64", "float32", "tf32"):
        found = Oracle(q, LINEAR, precision=precision).score(cupy.asarray(x), 300)
        assert found.dtype == np.float64
        errors[precision] = np.abs(found.host - exact).max() / np.abs(exact).max()
    assert errors["float64"] < 1e-11 < 1e-8 < errors["float32"] < 1e-5 < errors["tf32"] < 1e-2, errors
    with pytest.raises(
        InvalidParameterError, match="precision must be one of float64, float32, tf32; got 'half'"
    ):
        Oracle(q, LINEAR, precision="half")
    points = dpm.GaussianMixture.from_points(np.random.default_rng(2).standard_normal((20, 3)))
    truth = Oracle(points, LINEAR, "numpy").mmse([300, 900], 20, 0, method="pair").value
    for precision, tolerance in (("float64", 1e-10), ("float32", 1e-5), ("tf32", 3e-2)):
        found = Oracle(points, LINEAR, "cupy", precision).mmse([300, 900], 20, 0, method="pair").value
        np.testing.assert_allclose(found, truth, rtol=tolerance)


# wrong use --------------------------------------------------------------------------------------------------


def test_bad_rows_are_named(cupy):
    x = POINTS.copy()
    x[1, 2, 0] = np.nan
    for bad in (x, x.astype(np.float32)):
        with pytest.raises(
            InvalidParameterError, match=r"Oracle\.score: x must be finite; 1 of 20 .* at \[1, 2, 0\]"
        ):
            Oracle(build(), LINEAR).score(cupy.asarray(bad), 300)
    with pytest.raises(InvalidParameterError, match=r"must have shape \(\.\.\., 2\)"):
        Oracle(build(), LINEAR).score(cupy.asarray(POINTS[..., :1]), 300)
    with pytest.raises(InvalidParameterError, match="real numbers"):
        Oracle(build(), LINEAR).score(cupy.asarray(POINTS + 1j), 300)


def test_arrays_on_different_devices(cupy):
    with Device(1):
        t = cupy.asarray(np.array([3]))
    with pytest.raises(
        DeviceError, match=r"Oracle\.eps: all arrays must be on one device.* devices 0, 1.*Move them"
    ):
        Oracle(build(), LINEAR).eps(cupy.asarray(POINTS), t)


def test_no_device(cupy):
    def none() -> int:
        raise cupy.cuda.runtime.CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    cupy.cuda.runtime.getDeviceCount = none
    with pytest.raises(
        DeviceError, match=r"Oracle\.score: .*needs a CUDA device.*cudaErrorNoDevice.*'numpy'"
    ):
        Oracle(build(), LINEAR, "cupy").score(POINTS, 300)
    with pytest.raises(DeviceError, match="certify: backend='cupy' needs a CUDA device"):
        dpm.optimal_trajectory(LINEAR.snr, 0.1 / (1 + LINEAR.snr), 5, backend="cupy", method="hull")


@needs_compiler
def test_a_device_that_is_too_old(cupy, monkeypatch):
    monkeypatch.setattr(Device, "compute_capability", "61")
    with pytest.raises(
        DeviceError, match=r"needs compute capability 7.0 or later; device 0 has 6.1.*'numpy'"
    ):
        Oracle(build(), LINEAR).score(cupy.asarray(POINTS), 300)


def test_no_cupy(monkeypatch):
    for name in ("cupy", "dpmoracle_kernels.gpu"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"dpmoracle\[gpu\].*dpmoracle\[gpu-cuda12\]"):
        Oracle(build(), LINEAR, "cupy")
    with pytest.raises(MissingExtraError, match=r"trajectory_cost.*dpmoracle\[gpu\]"):
        dpm.trajectory_cost(LINEAR.snr, 0.1 / (1 + LINEAR.snr), backend="cupy")


def test_a_tensor_without_cupy_goes_through_the_host(monkeypatch, torch_cuda):
    for name in ("cupy", "dpmoracle_kernels.gpu"):
        monkeypatch.setitem(sys.modules, name, None)
    torch_cuda.from_numpy = lambda host: Tensor(host, "cpu")
    Tensor.to = lambda self, device: Tensor(self.host, f"{device.type}:{device.index}")
    try:
        found = Oracle(build(), LINEAR).score(Tensor(POINTS, "cuda:2"), 300)
    finally:
        del Tensor.to
    assert found.device.index == 2
    np.testing.assert_array_equal(found.host, Oracle(build(), LINEAR).score(POINTS, 300))


@needs_compiler
def test_memory_that_ends_says_how_much_and_how_many_rows(cupy):
    def all_gone(shape: Any, *args: Any, **options: Any) -> Any:
        raise OutOfMemoryError(3 * 2**30)

    orc, x = Oracle(build(), LINEAR), cupy.asarray(POINTS)
    expected = orc.score(x, 300)
    kept, cupy.empty = cupy.empty, all_gone
    with pytest.raises(
        DeviceError, match=r"3 GiB.*1 GiB of 2 GiB are free.*at most 1 rows at a time instead of 10.*CPU"
    ):
        orc.score(x, 300)
    cupy.empty = kept
    np.testing.assert_array_equal(orc.score(x, 300).host, expected.host)


def test_what_is_computed_on_the_host_says_so(cupy):
    with pytest.raises(InvalidParameterError, match=r"means must be on the host.*means\.get\(\)"):
        dpm.GaussianMixture([1.0], cupy.asarray([[0.0]]), [1.0], "spherical")
