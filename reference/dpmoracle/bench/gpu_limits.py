"""What a GPU can do, measured: products, exponentials, compared sums and bytes per second; and which GPU it is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from .limits import best

__all__ = ["DeviceLimits", "describe_device", "synchronized"]

# As in limits.cu.
_THREADS, _CHAINS, _PAIRS = 256, 8, 32


@dataclass(frozen=True)
class DeviceLimits:
    """The limits of this run, each measured when it is first asked for, in units per second.

    quick : sizes at which nothing is measured, to see that it runs
    """

    quick: bool = False
    turns: int = 5

    @cached_property
    def gemm64(self) -> float:
        return self._gemm(np.float64)

    @cached_property
    def gemm32(self) -> float:
        return self._gemm(np.float32)

    @cached_property
    def tf32(self) -> float:
        return self._gemm(np.float32, tf32=True)

    @cached_property
    def exp64(self) -> float:
        return self._exponentials("double", np.float64)

    @cached_property
    def exp32(self) -> float:
        return self._exponentials("float", np.float32)

    @cached_property
    def compare64(self) -> float:
        import cupy

        seed = cupy.asarray(np.random.default_rng(0).random(_THREADS))
        return self._counted("add_compare", "double", np.float64, _PAIRS, (seed,))

    @cached_property
    def copy(self) -> float:
        import cupy

        source = cupy.zeros(2**8 if self.quick else 2**29)
        target = cupy.empty_like(source)
        return float(2 * source.nbytes) / self._best(partial(cupy.copyto, target, source))

    @cached_property
    def upload(self) -> float:
        import cupy
        import cupyx

        source = cupyx.empty_pinned(2**8 if self.quick else 2**27)
        source[:] = 1.0
        target, stream = cupy.empty(source.shape), cupy.cuda.get_current_stream()
        return float(source.nbytes) / self._best(lambda: target.set(source, stream=stream))

    def measured(self) -> dict[str, float]:
        """Those that were asked for, by name, in the units of their names."""
        names = {
            "gemm64": "float64 product, GFLOP/s",
            "gemm32": "float32 product, GFLOP/s",
            "tf32": "float32 product in tf32, GFLOP/s",
            "exp64": "float64 exp2, 1e9/s",
            "exp32": "float32 exp2, 1e9/s",
            "compare64": "float64 sums that are compared, 1e9/s",
            "copy": "copy within the device, read and written, GB/s",
            "upload": "copy from pinned memory of the host, GB/s",
        }
        return {text: vars(self)[name] / 1e9 for name, text in names.items() if name in vars(self)}

    def _gemm(self, dtype: Any, tf32: bool = False) -> float:
        import cupy

        from dpmoracle_kernels import gpu

        size = 32 if self.quick else 8192
        rng = np.random.default_rng(0)
        a, b = (cupy.asarray(rng.standard_normal((size, size), dtype=dtype)) for _ in range(2))
        with gpu.tf32() if tf32 else nullcontext():
            return 2.0 * size**3 / self._best(lambda: a @ b)

    def _exponentials(self, real: str, dtype: Any) -> float:
        return self._counted("exponentials", real, dtype, _CHAINS, ())

    def _counted(self, kernel: str, real: str, dtype: Any, each: int, given: tuple[Any, ...]) -> float:
        """Operations per second of a kernel that does `each` in a thread and round."""
        import cupy

        from dpmoracle_kernels.gpu.cuda import source

        blocks = 1 if self.quick else 16 * cupy.cuda.Device().attributes["MultiProcessorCount"]
        rounds = 2 if self.quick else 4096
        out = cupy.empty(blocks * _THREADS, dtype=dtype)
        launch = source("limits", real).get_function(kernel)
        args = (*given, out, np.int32(rounds))
        return float(blocks * _THREADS * each * rounds) / self._best(
            lambda: launch((blocks,), (_THREADS,), args)
        )

    def _best(self, call: Callable[[], Any]) -> float:
        return best(synchronized(call), 1 if self.quick else self.turns, 0.0 if self.quick else 5e-3)


def synchronized(call: Callable[[], Any]) -> Callable[[], Any]:
    """`call`, and the wait until the device has done it, on every stream."""
    import cupy

    def done() -> Any:
        found = call()
        cupy.cuda.Device().synchronize()
        return found

    return done


def describe_device() -> dict[str, Any]:
    """Name, versions, memory, and what nvidia-smi says of clocks and power now."""
    import cupy

    runtime = cupy.cuda.runtime
    name = runtime.getDeviceProperties(runtime.getDevice())["name"]
    return {
        "name": name.decode() if isinstance(name, bytes) else name,
        "compute capability": cupy.cuda.Device().compute_capability,
        "memory": runtime.memGetInfo()[1],
        "cupy": cupy.__version__,
        "CUDA of CuPy": runtime.runtimeGetVersion(),
        "CUDA of the driver": runtime.driverGetVersion(),
        "now": _smi(),
    }


def _smi() -> dict[str, str]:
    asked = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,temperature.gpu,power.draw,power.limit"
    if shutil.which("nvidia-smi") is None:
        return {"nvidia-smi": "not found"}
    command = ["nvidia-smi", f"--query-gpu={asked}", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode != 0:
        return {"nvidia-smi": done.stderr.strip() or "failed"}
    return dict(zip(asked.split(","), (part.strip() for part in done.stdout.splitlines()[0].split(","))))
