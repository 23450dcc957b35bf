"""`python benchmarks/gpu.py`: the CuPy kernels beside torch, torch.compile, JAX and the limits of the device."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..backends import DeviceError
from ..errors import MissingExtraError, require
from .gpu_limits import DeviceLimits, describe_device
from .gpu_work import PARTS, DeviceSetting
from .machine import describe
from .results import Run
from .tables import markdown, text

__all__ = ["main"]

_WHO = "benchmarks/gpu.py"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the parts that fit into the time, keeping what each finds; 0, 1 if one was not measured, 2 for wrong use."""
    given = _options(arguments)
    os.environ.setdefault(
        "XLA_PYTHON_CLIENT_PREALLOCATE", "false"
    )  # JAX would take three quarters of the memory
    try:
        require("cupy", "gpu", _WHO)
        require("dpmoracle_kernels.gpu.cuda", "gpu", _WHO).require_device(_WHO)
    except (MissingExtraError, DeviceError) as error:
        print(error, file=sys.stderr)
        return 2
    setting = DeviceSetting(given.quick, seed=given.seed, device=DeviceLimits(given.quick))
    names = [name for name in PARTS if fnmatchcase(name, given.only)]
    if not names:
        print(f"{_WHO}: no part matches --only {given.only!r}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    run = _measure(names, setting, 60 * given.minutes, given.to)
    print(text(run), end="")
    for name, reason in run.settings["not measured"].items():
        print(f"not measured: {name}: {reason}")
    return 1 if run.settings["not measured"] else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_WHO, description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="small sizes, to see that all runs; figures mean nothing"
    )
    parser.add_argument("--only", default="*", metavar="GLOB", help=f"parts: {', '.join(PARTS)}")
    parser.add_argument(
        "--minutes", type=float, default=6, help="no part begins that would not fit in these (6)"
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same inputs")
    parser.add_argument(
        "--to",
        type=Path,
        default=Path("benchmarks/results"),
        metavar="FOLDER",
        help="where gpu-DEVICE.json and gpu-DEVICE.md go (benchmarks/results)",
    )
    return parser.parse_args(arguments)


def _measure(names: list[str], setting: DeviceSetting, seconds: float, folder: Path) -> Run:
    started = time.monotonic()
    before = describe_device()
    missing: dict[str, str] = {}
    settings: dict[str, Any] = {"quick": setting.quick, "seed": setting.seed, "not measured": missing}
    run = Run({**describe(), "device": before}, settings, {}, {})
    for name in names:
        function, needed = PARTS[name]
        left = seconds - (time.monotonic() - started)
        if left < needed and not setting.quick:
            missing[name] = f"{left:.0f} s were left, and it may take {needed}; give more --minutes"
            continue
        found = run.results[name] = []
        try:
            for result in function(setting):
                found.append(result)
                done = time.monotonic() - started
                print(f"{done:4.0f} s  {name}: {result.work}", file=sys.stderr, flush=True)
        except Exception as error:  # one part must not cost the figures of the others
            missing[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
        settings["seconds"] = time.monotonic() - started
        run.limits.update(setting.device.measured())
        run.machine.update({**describe(), "load": run.machine["load"]})
        run.machine["device"]["after"] = describe_device()["now"]
        _keep(run, folder, before["name"])
    return run


def _keep(run: Run, folder: Path, device: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    name = "gpu-" + re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    (folder / f"{name}.json").write_text(run.dumps(), encoding="utf-8")
    (folder / f"{name}.md").write_text(markdown(run), encoding="utf-8")
