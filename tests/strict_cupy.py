"""CuPy as strict as the real one, on the host: what is on the device can only be taken off it by name.

`strict_cupy(folder)` builds on `cuda_host.hosted`. Its arrays are no NumPy arrays: they refuse implicit conversion and
NumPy's arrays beside them, and know their device. What happens is counted: arrays and single numbers that come to the
host, and launches with their device and stream. `fake_torch` has tensors whose memory such arrays share by DLPack.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

import cuda_host
from cuda_host import hosted

_FROM_HOST = {"asarray", "array", "ascontiguousarray"}


@dataclass
class Traffic:
    """What was seen since the fake was made, or since `clear`."""

    arrays: int = 0  # arrays that came to the host
    entries: int = 0  # of these arrays together
    numbers: int = 0  # single numbers that did
    uploads: int = 0  # NumPy arrays that went to the device
    launches: list[tuple[str, int, int]] = field(default_factory=list)  # kernel, device, stream

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]


class Device:
    compute_capability = "90"
    attributes: ClassVar[dict[str, int]] = {"MultiProcessorCount": 1}
    current = 0

    def __init__(self, number: int | None = None) -> None:
        self.id = Device.current if number is None else number
        self.before: list[int] = []

    def __enter__(self) -> Device:
        self.before.append(Device.current)
        Device.current = self.id
        return self

    def __exit__(self, *_: object) -> None:
        Device.current = self.before.pop()

    def synchronize(self) -> None:
        Stream.stack[-1].synchronize()


class Stream(cuda_host.Stream):
    stack: ClassVar[list[Stream]] = []

    def __init__(self, pointer: int = 0, non_blocking: bool = False) -> None:
        super().__init__(non_blocking)
        self.ptr = pointer

    def __enter__(self) -> Stream:
        Stream.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Stream.stack.pop()

    def synchronize(self) -> None:
        self.record().synchronize()


class OutOfMemoryError(MemoryError):
    def __init__(self, size: int) -> None:
        super().__init__(f"Out of memory allocating {size:,} bytes")
        self._size = size


class Array(NDArrayOperatorsMixin):
    """Stands for cupy.ndarray."""

    __module__ = "cupy"
    traffic = Traffic()

    def __init__(self, host: Any) -> None:
        self.host, self.device = np.asarray(host).view(np.ndarray), Device(Device.current)

    def get(self) -> Any:
        Array.traffic.arrays += 1
        Array.traffic.entries += self.host.size
        return self.host.copy()

    def set(self, host: Any, stream: Any) -> None:
        stream.queue.append(lambda: np.copyto(self.host, host))

    def _number(self) -> Any:
        Array.traffic.numbers += 1
        return self.host.item()

    item = _number

    def tolist(self) -> Any:
        return self.get().tolist()

    def __bool__(self) -> bool:
        return bool(self._number())

    def __int__(self) -> int:
        return int(self._number())

    def __float__(self) -> float:
        return float(self._number())

    def __index__(self) -> int:
        return self._number().__index__()

    def __len__(self) -> int:
        return len(self.host)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self.host)))

    def __getitem__(self, index: Any) -> Array:
        return Array(self.host[_bare(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.host[_bare(index)] = _bare(value)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        assert method == "__call__", f"cupy has no ufunc.{method}"
        options = {key: _bare(value) for key, value in options.items()}
        plain = [_bare(value) for value in inputs]
        if ufunc is np.matmul and cuda_host.Products.kind == cuda_host.Products.COMPUTE_TYPE_TF32:
            plain = [cuda_host.to_tf32(value) if value.dtype == np.float32 else value for value in plain]
        if out is not None:
            ufunc(*plain, out=tuple(map(_bare, out)), **options)
            return out[0]
        return _dressed(ufunc(*plain, **options))

    def __array_function__(self, function: Any, kinds: Any, args: Any, options: Any) -> Any:
        return _on_device(function)(*args, **options)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self.host, name)
        return _on_device(value) if callable(value) else _dressed(value)


def _bare(value: Any, from_host: bool = False) -> Any:
    """The host's array in `value`, of an array that is on the current device."""
    if isinstance(value, Array):
        if value.device.id != Device.current:
            raise ValueError(f"the array is on device {value.device.id}, the current one is {Device.current}")
        return value.host
    if isinstance(value, np.ndarray):
        if not from_host:
            raise TypeError(f"Unsupported type {type(value)}")
        Array.traffic.uploads += 1
        if value.dtype.byteorder not in "=|" or value.dtype.kind not in "biufc":
            raise ValueError(f"Unsupported dtype {value.dtype}")
    if isinstance(value, list | tuple):
        return type(value)(_bare(each, from_host) for each in value)
    return value


def _dressed(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return Array(value)
    return tuple(map(_dressed, value)) if type(value) is tuple and value else value


def _on_device(function: Any) -> Any:
    from_host = getattr(function, "__name__", "") in _FROM_HOST

    def call(*args: Any, **options: Any) -> Any:
        args, options = _bare(args, from_host), {key: _bare(each, from_host) for key, each in options.items()}
        return _dressed(function(*args, **options))

    return call


class _Module:
    """RawModule: kernels that take these arrays."""

    def __init__(self, module: cuda_host.HostModule) -> None:
        self.module = module

    def get_function(self, name: str) -> Any:
        run = self.module.get_function(name)

        def launch(grid: Any, block: Any, args: Any) -> None:
            Array.traffic.launches.append((name, Device.current, Stream.stack[-1].ptr))
            run(grid, block, tuple(map(_bare, args)))

        return launch


@contextlib.contextmanager
def strict_cupy(folder: Path) -> Iterator[Any]:
    """The module cupy, with `traffic`; dpmoracle_kernels.gpu is loaded on it."""
    with hosted(folder):
        import cupy
        import cupyx

        build = cupy.RawModule
        for name in np.__all__:
            value = getattr(np, name)
            if callable(value) and not isinstance(value, type):
                setattr(cupy, name, _on_device(value))
        cupy.asarray = _on_device(np.asarray)
        cupy.ascontiguousarray = _on_device(np.ascontiguousarray)
        cupy.ndarray, cupy.asnumpy = Array, Array.get
        cupy.from_dlpack = lambda tensor: _from_torch(tensor)
        cupy.RawModule = lambda **given: _Module(build(**given))
        cupyx.empty_pinned = np.empty
        Stream.stack = [Stream(0)]
        Stream.null = Stream.stack[0]
        runtime = cupy.cuda.runtime
        runtime.getDevice = lambda: Device.current
        runtime.CUDARuntimeError = type("CUDARuntimeError", (RuntimeError,), {})
        cupy.cuda = types.SimpleNamespace(
            Device=Device,
            Stream=Stream,
            ExternalStream=Stream,
            get_current_stream=lambda: Stream.stack[-1],
            runtime=runtime,
            memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        )
        runtime.getDeviceProperties = lambda number: {"name": b"Stand-in 1"}
        runtime.runtimeGetVersion = runtime.driverGetVersion = lambda: 13000
        cupy.__version__ = "14.0.0"
        cupy.traffic = Array.traffic
        cupy.traffic.clear()
        yield cupy


class Tensor:
    """Stands for torch.Tensor."""

    __module__ = "torch"

    def __init__(self, host: Any, place: str, requires_grad: bool = False) -> None:
        self.host, self.requires_grad = np.asarray(host), requires_grad
        kind, _, index = place.partition(":")
        self.device = types.SimpleNamespace(type=kind, index=int(index) if index else None)

    dtype = property(lambda self: self.host.dtype)
    shape = property(lambda self: self.host.shape)
    ndim = property(lambda self: self.host.ndim)
    is_cuda = property(lambda self: self.device.type == "cuda")

    def is_floating_point(self) -> bool:
        return self.host.dtype.kind == "f"

    def numpy(self, *, force: bool = False) -> Any:
        assert force or not self.is_cuda
        Array.traffic.arrays += self.is_cuda
        Array.traffic.entries += self.host.size
        return self.host.copy()

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


def _from_torch(tensor: Tensor) -> Array:
    with Device(tensor.device.index):
        return Array(tensor.host)


def fake_torch(stream: int) -> Any:
    """The module torch, whose current stream has this pointer."""
    module: Any = types.ModuleType("torch")
    module.Tensor = Tensor
    module.float16, module.float32, module.float64 = map(np.dtype, ("f2", "f4", "f8"))
    module.from_dlpack = lambda array: Tensor(array.host, f"cuda:{array.device.id}")
    module.cuda = types.SimpleNamespace(
        current_stream=lambda device: types.SimpleNamespace(cuda_stream=stream)
    )
    return module
