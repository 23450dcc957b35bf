"""Public functions on a real device: CuPy arrays and CUDA tensors in and out, against NumPy on the host."""

from __future__ import annotations

import numpy as np
import pytest

import dpmoracle as dpm
from dpmoracle import Oracle
from oracle_cases import LINEAR, build
from test_gpu_device import gpu as gpu  # the fixture that skips where there is no device
from trajectory_cases import linear_snr, product_mmse

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]

POINTS = np.random.default_rng(0).standard_normal((2, 5, 2))
U = linear_snr(40)
V = product_mmse(U, [1.0, 30.0])


@pytest.fixture(params=["cupy", "torch"])
def kind(request):
    """(to the device, to the host, address) of a library's arrays."""
    if request.param == "cupy":
        import cupy

        return cupy.asarray, cupy.asnumpy, lambda array: array.data.ptr
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    return lambda host: torch.from_numpy(host).cuda(), lambda x: x.cpu().numpy(), lambda x: x.data_ptr()


@pytest.mark.parametrize("covariances", ["spherical", "diag", "tied", "full"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_predictions(kind, covariances, dtype):
    put, take, _ = kind
    orc, plain = Oracle(build(covariances), LINEAR), Oracle(build(covariances), LINEAR, "numpy")
    x = put(POINTS.astype(dtype))
    rtol = 1e-11 if dtype == np.float64 else 2e-6
    for t in (300, put(np.array([1, 20, 300, 700, 1000]))):
        at = t if isinstance(t, int) else take(t)
        for name in ("score", "eps", "x0", "v", "log_prob"):
            found = getattr(orc, name)(x, t)
            assert type(found) is type(x)
            assert (found.dtype, found.device) == (x.dtype, x.device)
            expected = getattr(plain, name)(POINTS.astype(dtype).astype(float), at)
            np.testing.assert_allclose(take(found), expected, rtol=rtol, atol=rtol)
    np.testing.assert_array_equal(take(x), POINTS.astype(dtype))


def test_layouts_of_the_device(kind):
    put, take, _ = kind
    wide = put(np.repeat(POINTS, 2, -1))
    expected = Oracle(build(), LINEAR, "numpy").score(POINTS, 300)
    np.testing.assert_allclose(take(Oracle(build(), LINEAR).score(wide[..., ::2], 300)), expected, rtol=1e-11)


def test_memory_is_shared_not_copied(kind):
    from dpmoracle_kernels.gpu.place import adopt, place, release

    put, _, address = kind
    x = put(POINTS)
    with place("test", x):
        seen = adopt(x)
        assert seen.data.ptr == address(x)
        assert address(release(seen, x)) == address(x)


def test_work_is_done_on_the_stream_of_torch():
    import cupy

    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    from dpmoracle_kernels.gpu.place import place

    expected = Oracle(build(), LINEAR, "numpy").score(np.full((4000, 2), 0.5), 300)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        busy = torch.ones((3000, 3000), device="cuda")
        for _ in range(20):
            busy = busy @ busy / 3000
        x = 0.5 * busy[:4000, :1].mean() * torch.ones((4000, 2), device="cuda", dtype=torch.float64)
        with place("test", x):
            assert cupy.cuda.get_current_stream().ptr == side.cuda_stream
        found = Oracle(build(), LINEAR).score(x, 300) + 0.0
    side.synchronize()
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-5)


def test_costs_and_paths(kind):
    put, take, _ = kind
    F = dpm.trajectory_cost(U, V)[1:, 1:]
    cost = dpm.trajectory_cost(put(U), put(V))
    assert type(cost) is type(put(U))
    np.testing.assert_allclose(take(cost)[1:, 1:], F, rtol=1e-14)
    found, expected = dpm.shortest_paths(put(F), 9), dpm.shortest_paths(F, 9)
    np.testing.assert_array_equal(take(found.predecessors), expected.predecessors)
    np.testing.assert_array_equal(found.path(7), expected.path(7))
    best = dpm.optimal_trajectory(U, V, 7, backend="cupy")
    assert best.cost == pytest.approx(dpm.optimal_trajectory(U, V, 7).cost, rel=1e-13)


@pytest.mark.parametrize("covariances", ["spherical", "full"])
def test_estimates(kind, covariances):
    put, _, _ = kind
    q = build(covariances)
    orc, x0 = Oracle(q, LINEAR), q.sample(40, 0)
    settings = {"timesteps": [10, 500], "num_noise": 2, "rng": 1}
    found = dpm.estimate_gamma(lambda x, t: orc.score(x, t), put(x0), LINEAR, **settings)
    expected = dpm.estimate_gamma(lambda x, t: orc.score(x, t), x0, LINEAR, **settings)
    np.testing.assert_allclose(found.gamma, expected.gamma, rtol=1e-9)
    for method in ("trace", "pair", "residual", "score"):
        values = [
            Oracle(q, LINEAR, backend).mmse([10, 500], 60, 3, method=method).value
            for backend in ("cupy", "numpy")
        ]
        np.testing.assert_allclose(*values, rtol=1e-8)


def test_memory_that_ends_and_goes_on():
    import cupy

    orc = Oracle(build(), LINEAR)
    x = cupy.asarray(POINTS.reshape(-1, 2)[:1])
    expected = orc.score(x, 300)
    pool = cupy.get_default_memory_pool()
    pool.set_limit(size=pool.used_bytes() + 2**22)
    try:
        with pytest.raises(dpm.DeviceError, match="rows at a time instead of 200000"):
            Oracle(build(), LINEAR, "cupy").score(np.zeros((200_000, 2)), 300)
    finally:
        pool.set_limit(size=0)
    assert cupy.array_equal(orc.score(x, 300), expected)
