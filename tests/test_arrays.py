"""arrays.foreign: the same numbers, kind, device and dtype out as in, and nothing lost silently."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

from dpmoracle.arrays import foreign, to_numpy
from dpmoracle.errors import InvalidParameterError


class Probe:
    """Stands for an oracle: every method records what the decorator let through."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    @foreign
    def score(self, x: Any, t: Any = 1, *, scale: Any = -1.0) -> Any:
        """docs of score"""
        self.seen = [x, t, scale]
        return scale * x

    @foreign
    def x0(self, x: Any, t: Any = 0) -> Any:
        return x

    @foreign
    def log_prob(self, x: Any) -> Any:
        return -np.sum(x * x, axis=-1)

    @foreign
    def nearest(self, x: Any) -> Any:
        return np.argmin(x, axis=-1)

    @foreign
    def reverse(self, x_t: Any, s: int, t: int) -> Any:
        return ("mixture", x_t, s, t)

    @foreign
    def steep(self, x: Any) -> Any:
        return 1e30 * x

    @foreign
    def density(self, x: Any) -> Any:
        return np.where(x > 0, -np.inf, x)


X = np.array([[0.5, -1.25, 3.0], [2.0, 0.125, -8.0]])  # exact in float16


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy_keeps_its_floating_dtype_and_computes_in_float64(dtype: Any) -> None:
    probe = Probe()
    out = probe.score(X.astype(dtype), 3)
    assert probe.seen[0].dtype == np.float64
    assert type(out) is np.ndarray
    assert out.dtype == dtype
    np.testing.assert_array_equal(out, -X)


@pytest.mark.parametrize(
    "x",
    [
        np.array([[1, 2]]),
        np.array([[True, False]]),
        [[1, 2]],
        [[1.0, 2.0]],
        ((1, 2),),
        np.longdouble([[1, 2]]),
    ],
)
def test_integers_booleans_and_lists_become_float64(x: Any) -> None:
    out = Probe().score(x)
    assert type(out) is np.ndarray
    assert out.dtype == np.float64
    np.testing.assert_array_equal(out, -np.asarray(x, dtype=np.float64))


def test_a_foreign_byte_order_comes_back_native() -> None:
    out = Probe().score(X.astype(">f4"))
    assert out.dtype == np.dtype(np.float32)
    assert out.dtype.isnative


def test_zero_dimensional_results_are_numpy_scalars() -> None:
    out = Probe().log_prob(np.array([3.0, 4.0], dtype=np.float32))
    assert isinstance(out, np.float32)
    assert out == -25


def test_integer_results_keep_their_dtype() -> None:
    np.testing.assert_array_equal(Probe().nearest(X.astype(np.float32)), [1, 2])
    assert Probe().nearest(X.astype(np.float32)).dtype.kind == "i"


def test_other_results_pass_untouched() -> None:
    kind, x_t, s, t = Probe().reverse([1, 2], 3, t=4)
    assert (kind, s, t) == ("mixture", 3, 4)
    assert x_t.dtype == np.float64


@pytest.mark.parametrize("x", [X.copy(), X.astype(np.float32)])
def test_a_result_never_shares_memory_with_the_input(x: Any) -> None:
    out = Probe().x0(x)
    out[...] = 7
    np.testing.assert_array_equal(x, X)


def test_x_by_keyword_and_the_name_of_the_method_survive() -> None:
    np.testing.assert_array_equal(Probe().score(x=X, t=2), -X)
    assert Probe().reverse(x_t=X, s=1, t=2)[2:] == (1, 2)
    assert Probe.score.__doc__ == "docs of score"
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Probe().score()


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X + 1j, "complex128.*x.real"),
        (np.array(["a"]), "real numbers"),
        ([["a", "b"]], "real numbers"),
        (None, "object"),
        ([object()], "object"),
        ([[1.0], [1.0, 2.0]], "could not be read"),
        (np.array(["2020-01-01"], dtype="datetime64[D]"), "datetime64"),
        (np.ma.masked_equal(X, 0.5), "1 are masked.*filled"),
    ],
)
def test_what_is_not_a_real_array_is_refused_by_name(x: Any, words: str) -> None:
    with pytest.raises(InvalidParameterError, match=rf"Probe\.score: x must.*{words}"):
        Probe().score(x)


def test_a_mask_without_masked_entries_is_fine() -> None:
    np.testing.assert_array_equal(Probe().score(np.ma.masked_equal(X, 99.0)), -X)


@pytest.mark.parametrize("name", ["bfloat16", "float8_e5m2", "float8_e4m3fn"])
def test_short_floats_of_ml_dtypes_are_refused_with_the_conversion(name: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    with pytest.raises(InvalidParameterError, match=rf"got {name}. Pass x.astype\('float32'\)"):
        Probe().score(X.astype(getattr(ml_dtypes, name)))


def test_a_result_that_overflows_the_dtype_of_x_is_refused_not_inf() -> None:
    with pytest.raises(InvalidParameterError, match=r"reaches 8e\+30 and float16 ends at 6.55e\+04.*float64"):
        Probe().steep(X.astype(np.float16))
    np.testing.assert_array_equal(Probe().steep(X), 1e30 * X)


def test_an_infinity_of_the_formula_itself_passes() -> None:
    out = Probe().density(np.array([1.0, -2.0], dtype=np.float16))
    np.testing.assert_array_equal(out, [-np.inf, -2])


def test_underflow_to_the_dtype_of_x_is_silent_whatever_the_caller_set() -> None:
    with np.errstate(all="raise"):
        assert Probe().score(np.float32([1.0]), scale=np.float64(1e-300))[0] == 0


def test_to_numpy_leaves_the_dtype_alone() -> None:
    assert to_numpy(3).dtype.kind == "i"
    assert to_numpy([1.5]).dtype == np.float64
    given = np.array([1, 2], dtype=np.int32)
    assert to_numpy(given) is given


# torch ------------------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_torch_in_torch_out(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, dtype=getattr(torch, dtype))
    probe = Probe()
    out = probe.score(x, torch.tensor([[5], [6]]), scale=torch.tensor(-1.0, dtype=torch.float64))
    assert isinstance(out, torch.Tensor)
    assert (out.dtype, out.device) == (x.dtype, x.device)
    assert not out.requires_grad
    np.testing.assert_array_equal(out.numpy(), -X)
    assert isinstance(probe.seen[1], np.ndarray)
    assert probe.seen[1].dtype == np.int64
    assert isinstance(probe.seen[2], np.ndarray)


@pytest.mark.peers
def test_torch_integers_strides_scalars_and_aliases() -> None:
    torch = pytest.importorskip("torch")
    assert Probe().score(torch.tensor([[1, 2]])).dtype == torch.float64
    x = torch.tensor(X)
    np.testing.assert_array_equal(Probe().score(x.T).numpy(), -X.T)
    np.testing.assert_array_equal(Probe().score(x.flip(0)[:, ::2]).numpy(), -X[::-1, ::2])
    scalar = Probe().log_prob(x[0])
    assert isinstance(scalar, torch.Tensor)
    assert scalar.shape == ()
    out = Probe().x0(x)
    out.zero_()
    np.testing.assert_array_equal(x.numpy(), X)
    assert Probe().nearest(x).dtype == torch.int64


@pytest.mark.peers
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda torch: torch.ones(2, 3, requires_grad=True), r"grad.*x\.detach\(\)"),
        (lambda torch: torch.nn.Parameter(torch.ones(2, 3)), r"grad.*x\.detach\(\)"),
        (lambda torch: torch.ones(2, 3, dtype=torch.bfloat16), r"torch\.bfloat16\. Pass x\.float\(\)"),
        (lambda torch: torch.ones(2, 3, dtype=torch.float8_e5m2), r"float8_e5m2\. Pass x\.float\(\)"),
        (lambda torch: torch.ones(2, 3, dtype=torch.complex64), r"complex64\. Pass x\.real"),
        (lambda torch: torch.ones(2, 3).to_sparse(), "to_dense"),
        (lambda torch: torch.ones(2, 3, device="meta"), "could not be read"),
    ],
)
def test_torch_tensors_that_would_lose_something_are_refused(make: Any, words: str) -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(InvalidParameterError, match=rf"Probe\.score: x .*{words}"):
        Probe().score(make(torch))


@pytest.mark.peers
def test_torch_t_is_named_when_it_is_at_fault() -> None:
    torch = pytest.importorskip("torch")
    bad = torch.ones(2, dtype=torch.bfloat16)
    for call in (lambda: Probe().score(X, bad), lambda: Probe().score(X, t=bad)):
        with pytest.raises(InvalidParameterError, match=r"Probe\.score: t must be.*t\.float\(\)"):
            call()


@pytest.mark.peers
def test_torch_objects_that_are_no_tensors_are_left_alone() -> None:
    torch = pytest.importorskip("torch")
    probe = Probe()
    probe.score(X, torch.Size([2]))
    assert isinstance(probe.seen[1], torch.Size)


# JAX --------------------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_jax_in_jax_out(dtype: str) -> None:
    jax = pytest.importorskip("jax")
    x = jax.numpy.asarray(X, dtype=dtype)
    probe = Probe()
    out = probe.score(x, jax.numpy.asarray([[5], [6]]))
    assert isinstance(out, jax.Array)
    assert (out.dtype, out.devices()) == (x.dtype, x.devices())
    np.testing.assert_array_equal(np.asarray(out), -X)
    assert isinstance(probe.seen[1], np.ndarray)
    assert probe.seen[1].dtype.kind == "i"
    assert Probe().log_prob(x[0]).shape == ()


@pytest.mark.peers
def test_jax_float64_under_x64_and_integers_without_it() -> None:
    jax = pytest.importorskip("jax")
    assert Probe().score(jax.numpy.asarray([[1, 2]])).dtype == np.float32  # the widest JAX has without x64
    with pytest.raises(InvalidParameterError, match=r"reaches 1e\+39 and float32 ends"):
        Probe().steep(jax.numpy.asarray([10**9]))
    with jax.enable_x64(True):
        x = jax.numpy.asarray(X / 3)
        out = Probe().score(x)
        assert out.dtype == np.float64
        np.testing.assert_array_equal(np.asarray(out), -X / 3)
        assert Probe().score(jax.numpy.asarray([[1, 2]])).dtype == np.float64


@pytest.mark.peers
def test_jax_bfloat16_and_tracers_are_refused() -> None:
    jax = pytest.importorskip("jax")
    x = jax.numpy.asarray(X, dtype=jax.numpy.bfloat16)
    with pytest.raises(InvalidParameterError, match=r"got bfloat16. Pass x.astype\('float32'\)"):
        Probe().score(x)
    for transform in (jax.jit, jax.vmap, lambda f: jax.grad(lambda y: f(y).sum())):
        with pytest.raises(InvalidParameterError, match=r"jit, grad or vmap.*pure_callback"):
            transform(Probe().score)(jax.numpy.ones(3))


# CuPy (a double that refuses implicit conversion, as CuPy does) --------------------------------------------


class FakeDevice:
    current = 0

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> None:
        self.before, FakeDevice.current = FakeDevice.current, self.number

    def __exit__(self, *_: object) -> None:
        FakeDevice.current = self.before


class FakeCupyArray:
    def __init__(self, host: Any, device: int) -> None:
        self.host, self.device = np.array(host), FakeDevice(device)

    def get(self) -> Any:
        return self.host.copy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


@pytest.fixture
def cupy(monkeypatch: pytest.MonkeyPatch) -> Any:
    module: Any = types.ModuleType("cupy")
    module.ndarray = FakeCupyArray
    module.asarray = lambda host: FakeCupyArray(host, FakeDevice.current)
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_cupy_goes_through_the_host_and_back_to_its_device(cupy: Any, dtype: Any) -> None:
    probe = Probe()
    out = probe.score(FakeCupyArray(X.astype(dtype), device=3), cupy.asarray([[5], [6]]))
    assert isinstance(out, FakeCupyArray)
    assert out.device.number == 3
    assert FakeDevice.current == 0
    assert out.host.dtype == dtype
    np.testing.assert_array_equal(out.host, -X)
    np.testing.assert_array_equal(probe.seen[1], [[5], [6]])


def test_torch_on_a_gpu_goes_through_the_host_and_back_to_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    class Tensor:
        def __init__(self, host: Any, device: str) -> None:
            self.host, self.device, self.dtype, self.requires_grad = host, device, host.dtype, False

        def is_floating_point(self) -> bool:
            return self.host.dtype.kind == "f"

        def numpy(self, *, force: bool = False) -> Any:
            if not force:
                raise TypeError("can't convert cuda:1 device type tensor to numpy")
            return self.host

        def to(self, device: str) -> Tensor:
            return Tensor(self.host, device)

    module: Any = types.ModuleType("torch")
    module.Tensor, module.from_numpy = Tensor, lambda host: Tensor(host, "cpu")
    module.float16, module.float32, module.float64 = map(np.dtype, ("f2", "f4", "f8"))
    monkeypatch.setitem(sys.modules, "torch", module)
    probe = Probe()
    out = probe.score(Tensor(X.astype(np.float32), "cuda:1"), Tensor(np.array([[5], [6]]), "cuda:1"))
    assert (type(out), out.device, out.dtype) == (Tensor, "cuda:1", np.float32)
    np.testing.assert_array_equal(out.host, -X)
    np.testing.assert_array_equal(probe.seen[1], [[5], [6]])


# others -----------------------------------------------------------------------------------------------------


class DlpackOnly:
    """The least that the array API standard asks of an array that is to be exchanged."""

    def __init__(self, host: Any, device: str = "cpu") -> None:
        self.host, self.device = host, device

    def __dlpack__(self, **options: Any) -> Any:
        return self.host.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.host.__dlpack_device__()

    def __array_namespace__(self) -> Any:
        return types.SimpleNamespace(from_dlpack=lambda array: DlpackOnly(np.from_dlpack(array), "default"))

    def to_device(self, device: str) -> DlpackOnly:
        return DlpackOnly(self.host, device)


def test_an_array_that_speaks_only_dlpack_comes_back_as_itself() -> None:
    out = Probe().score(DlpackOnly(X.astype(np.float32), device="cpu:7"))
    assert isinstance(out, DlpackOnly)
    assert out.device == "cpu:7"
    assert out.host.dtype == np.float32
    np.testing.assert_array_equal(out.host, -X)


def test_what_speaks_only_array_gets_numpy() -> None:
    class Frame:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return X.astype(np.float32)

    out = Probe().score(Frame())
    assert type(out) is np.ndarray
    assert out.dtype == np.float32


def test_no_framework_is_imported_for_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "jax", "cupy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    Probe().score(X)
    assert not {"torch", "jax", "cupy"} & set(sys.modules)
