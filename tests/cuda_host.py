"""The GPU kernels on a machine without a GPU: their own sources, built for the host, under a stand-in for CuPy.

`hosted()` puts a module named cupy into sys.modules whose arrays are NumPy's, and whose RawModule compiles the .cu text
with g++ through cuda_on_host.hpp, so that the Python that launches and the code that runs are both the shipped ones.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
KERNELS = HERE.parent / "kernels" / "dpmoracle_kernels" / "gpu"
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed")

_SIGNATURE = re.compile(r'extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\(([^)]*)\)', re.S)
_SCALARS = {
    "int": ctypes.c_int,
    "long long": ctypes.c_longlong,
    "float": ctypes.c_float,
    "double": ctypes.c_double,
}


def signatures(code: str) -> dict[str, list[tuple[str, str]]]:
    """kernel -> (type, name) of each argument, read from the source."""
    found = {}
    for name, arguments in _SIGNATURE.findall(code):
        pairs = (re.fullmatch(r"\s*(.*?)\s*(\w+)\s*", argument, re.S) for argument in arguments.split(","))
        found[name] = [(pair[1], pair[2]) for pair in pairs if pair is not None]
    return found


def meets(code: str, name: str) -> bool:
    """Whether the threads of a block of that kernel wait for each other, in it or in what it may call."""
    bodies = {
        found: code[at.end() :].split("\n}\n")[0] for at in _SIGNATURE.finditer(code) for found in [at[1]]
    }
    elsewhere = code.count("__syncthreads") - sum(body.count("__syncthreads") for body in bodies.values())
    return elsewhere > 0 or "__syncthreads" in bodies[name]


def _wrapper(code: str) -> str:
    lines = [f'#include "{HERE / "cuda_on_host.hpp"}"', code]
    for name, arguments in signatures(code).items():
        typed = ", ".join(f"{kind} {each}" for kind, each in arguments)
        names = ", ".join(each for _, each in arguments)
        how = "launch" if meets(code, name) else "launch_apart"
        lines.append(
            f'extern "C" void host_{name}(int gx, int gy, int bx, int by, {typed}) '
            f"{{ {how}({{gx, gy, 1}}, {{bx, by, 1}}, {name}, {names}); }}"
        )
    return "\n".join(lines)


class HostModule:
    """What cupy.RawModule is to a device."""

    def __init__(self, folder: Path, code: str, real: str):
        self.types = {
            name: [re.sub(r"\bREAL\b", real, kind) for kind, _ in arguments]
            for name, arguments in signatures(code).items()
        }
        name = hashlib.sha256((real + code).encode()).hexdigest()[:16]
        written, library = folder / f"{name}.cpp", folder / f"{name}.so"
        if not library.exists():
            written.write_text(_wrapper(code), encoding="utf-8")
            command = ["g++", "-std=c++20", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread"]
            subprocess.run([*command, f"-DREAL={real}", "-o", str(library), str(written)], check=True)
        self.library = ctypes.CDLL(str(library))

    def get_function(self, name: str):
        call = getattr(self.library, f"host_{name}")
        kinds = self.types[name]

        def run(grid, block, arguments):
            assert len(arguments) == len(kinds), (name, len(arguments), len(kinds))
            sizes = [ctypes.c_int((*extent, 1, 1)[axis]) for extent in (grid, block) for axis in (0, 1)]
            call(*sizes, *(_argument(value, kind) for value, kind in zip(arguments, kinds)))

        return run


class OnDevice(np.ndarray):
    """An array that counts as CuPy's, and as there meets no NumPy array of any dimension."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        _refuse_host(ufunc.__name__, (*inputs, *(out or ())))
        if ufunc is np.matmul and Products.kind == Products.COMPUTE_TYPE_TF32:
            inputs = tuple(to_tf32(value) if value.dtype == np.float32 else value for value in inputs)
        plain = [value.view(np.ndarray) if isinstance(value, OnDevice) else value for value in inputs]
        if out is not None:
            kwargs["out"] = tuple(value.view(np.ndarray) for value in out)
        found = getattr(ufunc, method)(*plain, **kwargs)
        return out[0] if out is not None else _on_device(found)

    @property
    def device(self):
        return _Device(0)

    def get(self):
        return np.array(self)

    def set(self, host, stream):
        stream.queue.append(lambda: np.copyto(self, host))


def to_tf32(values):
    """float32 rounded to the 10 bits after the point that tensor cores keep, to nearest, ties away from zero."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32).view(type(values))


class Products(types.ModuleType):
    """cupy._core._routines_linalg, as far as the type of products goes."""

    COMPUTE_TYPE_DEFAULT, COMPUTE_TYPE_TF32 = 1, 7
    kind = 1

    @classmethod
    def get_compute_type(cls, dtype):
        assert np.dtype(dtype) == np.float32
        return cls.kind

    @classmethod
    def set_compute_type(cls, dtype, kind):
        assert np.dtype(dtype) == np.float32
        Products.kind = kind


def _refuse_host(name: str, values) -> None:
    if any(isinstance(v, np.ndarray) and not isinstance(v, OnDevice) and v.ndim for v in values):
        raise TypeError(f"{name}: Unsupported type <class 'numpy.ndarray'>")


def _on_device(found):
    if isinstance(found, tuple):
        return tuple(_on_device(value) for value in found)
    return found.view(OnDevice) if isinstance(found, np.ndarray) else found


class Stream:
    """Copies wait until something waits for them, so that a forgotten wait shows as old numbers."""

    def __init__(self, non_blocking: bool = False):
        self.queue: list = []

    def record(self):
        return Event(self, list(self.queue))

    def wait_event(self, event):
        event.synchronize()


class Event:
    def __init__(self, stream: Stream, work: list):
        self.stream, self.work = stream, work

    def synchronize(self):
        for task in self.work:
            if task in self.stream.queue:
                self.stream.queue.remove(task)
                task()


def _device_only(function):
    """A function of NumPy as CuPy has it: on its own arrays alone."""
    if not callable(function) or isinstance(function, type | np.ufunc):
        return function

    def run(*args, **kwargs):
        listed = [value for arg in args for value in (arg if isinstance(arg, list | tuple) else [arg])]
        _refuse_host(function.__name__, listed)
        return _on_device(function(*args, **kwargs))

    return run


class _Device(contextlib.nullcontext):
    compute_capability = "90"

    def __init__(self, which: int = 0):
        super().__init__()
        self.id = which


def _argument(value, kind: str):
    if isinstance(value, np.ndarray):
        assert value.flags.c_contiguous
        assert kind.endswith("*"), kind
        expected = {"double": np.float64, "float": np.float32, "int": np.int32, "long long": np.int64}
        base = kind.replace("const", "").replace("__restrict__", "").replace("*", "").strip()
        assert value.dtype == expected[base], (kind, value.dtype)
        return ctypes.c_void_p(value.ctypes.data)
    assert not isinstance(value, int), "a Python int is 64 bits wide on a device; pass np.int32"
    return _SCALARS[kind](value.item())


@contextlib.contextmanager
def hosted(folder: Path, change: tuple[str, str, str] | None = None) -> Iterator[types.ModuleType]:
    """dpmoracle_kernels.gpu on NumPy; change = (file, right, wrong) breaks one place of a .cu.

    The option -DREAL=type is kept; the host's compiler knows no other.
    """

    def compiled(code: str, options: tuple[str, ...] = ()) -> HostModule:
        if change is not None and code == (KERNELS / change[0]).read_text(encoding="utf-8"):
            assert code.count(change[1]) == 1, change
            code = code.replace(change[1], change[2])
        named = [option.removeprefix("-DREAL=") for option in options if option.startswith("-DREAL=")]
        return HostModule(folder, code, named[0] if named else "double")

    stand_in = types.ModuleType("cupy")
    stand_in.__dict__.update({name: _device_only(getattr(np, name)) for name in np.__all__})
    stand_in.RawModule = compiled
    stand_in.asnumpy = lambda array: np.asarray(array).view(np.ndarray)
    stand_in.ndarray = OnDevice
    stand_in.asarray = lambda *args, **kwargs: np.asarray(*args, **kwargs).view(OnDevice)
    computing = Stream()
    stand_in.get_default_memory_pool = lambda: types.SimpleNamespace(free_bytes=lambda: 0)
    stand_in.cuda = types.SimpleNamespace(
        Device=_Device,
        Stream=Stream,
        get_current_stream=lambda: computing,
        runtime=types.SimpleNamespace(
            getDevice=lambda: 0,
            getDeviceCount=lambda: 1,
            memGetInfo=lambda: (2**30, 2**31),
            CUDARuntimeError=RuntimeError,
        ),
        memory=types.SimpleNamespace(OutOfMemoryError=MemoryError),
    )
    pinned = types.ModuleType("cupyx")
    pinned.empty_pinned = np.empty
    core, linalg = types.ModuleType("cupy._core"), Products("cupy._core._routines_linalg")
    core._routines_linalg = linalg
    modules = {"cupy": stand_in, "cupyx": pinned, "cupy._core": core, linalg.__name__: linalg}
    ours = [name for name in sys.modules if name.startswith("dpmoracle_kernels.gpu")]
    kept = {name: sys.modules.pop(name, None) for name in (*ours, *modules)}
    sys.modules |= modules
    try:
        yield importlib.import_module("dpmoracle_kernels.gpu")
    finally:
        for name in [name for name in sys.modules if name.startswith("dpmoracle_kernels.gpu")]:
            del sys.modules[name]
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
