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


def _wrapper(code: str) -> str:
    lines = [f'#include "{HERE / "cuda_on_host.hpp"}"', code]
    for name, arguments in signatures(code).items():
        typed = ", ".join(f"{kind} {each}" for kind, each in arguments)
        names = ", ".join(each for _, each in arguments)
        lines.append(
            f'extern "C" void host_{name}(int gx, int gy, int bx, int by, {typed}) '
            f"{{ launch({{gx, gy, 1}}, {{bx, by, 1}}, {name}, {names}); }}"
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
    """An array that counts as CuPy's."""

    @property
    def device(self):
        return _Device(0)

    def get(self):
        return np.array(self)

    def set(self, host, stream):
        stream.queue.append(lambda: np.copyto(self, host))


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


def _as_device(make):
    return lambda *args, **kwargs: make(*args, **kwargs).view(OnDevice)


class _Device(contextlib.nullcontext):
    compute_capability = "90"

    def __init__(self, which: int):
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
    stand_in.__dict__.update({name: getattr(np, name) for name in np.__all__})
    stand_in.RawModule = compiled
    stand_in.asnumpy = lambda array: np.asarray(array).view(np.ndarray)
    stand_in.ndarray = OnDevice
    for name in ("empty", "full", "zeros", "asarray", "ascontiguousarray"):
        setattr(stand_in, name, _as_device(getattr(np, name)))
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
    ours = [name for name in sys.modules if name.startswith("dpmoracle_kernels.gpu")]
    kept = {name: sys.modules.pop(name, None) for name in (*ours, "cupy", "cupyx")}
    sys.modules |= {"cupy": stand_in, "cupyx": pinned}
    try:
        yield importlib.import_module("dpmoracle_kernels.gpu")
    finally:
        for name in [name for name in sys.modules if name.startswith("dpmoracle_kernels.gpu")]:
            del sys.modules[name]
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
