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

    def __init__(self, folder: Path, code: str):
        self.types = signatures(code)
        name = hashlib.sha256(code.encode()).hexdigest()[:16]
        written, library = folder / f"{name}.cpp", folder / f"{name}.so"
        if not library.exists():
            written.write_text(_wrapper(code), encoding="utf-8")
            command = ["g++", "-std=c++20", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread"]
            subprocess.run([*command, "-o", str(library), str(written)], check=True)
        self.library = ctypes.CDLL(str(library))

    def get_function(self, name: str):
        call = getattr(self.library, f"host_{name}")
        kinds = [kind for kind, _ in self.types[name]]

        def run(grid, block, arguments):
            assert len(arguments) == len(kinds), (name, len(arguments), len(kinds))
            sizes = [ctypes.c_int((*extent, 1, 1)[axis]) for extent in (grid, block) for axis in (0, 1)]
            call(*sizes, *(_argument(value, kind) for value, kind in zip(arguments, kinds)))

        return run


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
    """dpmoracle_kernels.gpu on NumPy; change = (file, right, wrong) breaks one place of a .cu."""

    def compiled(code: str, options: tuple[str, ...] = ()) -> HostModule:
        if change is not None and code == (KERNELS / change[0]).read_text(encoding="utf-8"):
            assert code.count(change[1]) == 1, change
            code = code.replace(change[1], change[2])
        return HostModule(folder, code)

    stand_in = types.ModuleType("cupy")
    stand_in.__dict__.update({name: getattr(np, name) for name in np.__all__})
    stand_in.RawModule = compiled
    stand_in.asnumpy = np.asarray
    stand_in.ndarray = type("OnDevice", (np.ndarray,), {"device": _Device(0)})
    stand_in.cuda = types.SimpleNamespace(
        Device=_Device,
        runtime=types.SimpleNamespace(getDevice=lambda: 0, memGetInfo=lambda: (2**30, 2**31)),
        memory=types.SimpleNamespace(OutOfMemoryError=MemoryError),
    )
    ours = [name for name in sys.modules if name.startswith("dpmoracle_kernels.gpu")]
    kept = {name: sys.modules.pop(name, None) for name in (*ours, "cupy")}
    sys.modules["cupy"] = stand_in
    try:
        yield importlib.import_module("dpmoracle_kernels.gpu")
    finally:
        for name in [name for name in sys.modules if name.startswith("dpmoracle_kernels.gpu")]:
            del sys.modules[name]
        for name, module in kept.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
