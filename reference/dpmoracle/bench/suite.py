"""The benchmarks by name, and a run of those that a pattern picks."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import InvalidParameterError, require
from .limits import Limits
from .machine import cores, describe, on_threads
from .results import Result, Run

__all__ = ["BENCHMARKS", "Setting", "find", "run"]

Progress = Callable[[int, int, str], None]

#: name -> (module of this package, what it measures); the module's function of the last part of the name yields Results
BENCHMARKS: dict[str, tuple[str, str]] = {
    "trajectory.one": ("trajectories", "one trajectory at N = 1000, against the official program"),
    "trajectory.every": ("trajectories", "the trajectories of all K at N = 1000, against the official table"),
    "trajectory.any_v": ("trajectories", "one trajectory under a V that no certificate covers"),
    "trajectory.growth": (
        "trajectories",
        "one trajectory from N = 1e3 to 1e6, and the exponent of its growth",
    ),
    "trajectory.matrix": ("trajectories", "shortest paths of a general cost matrix"),
    "moments.images": ("moments", "V of 50,000 image patches at all timesteps, against a softmax at each"),
    "moments.images_gemm": ("moments", "the same with 1000 samples, as a share of its matrix products"),
    "moments.data": ("moments", "V of the digits at all timesteps, against a softmax at each"),
    "moments.reduction": ("moments", "the sums of exponentials alone, against the same sums by others"),
    "moments.exponentials": ("moments", "exponentials that are summed, against exponentials alone, one core"),
    "moments.features": ("moments", "V of full covariances at all timesteps, against scores at each"),
    "scores.batch": ("scores", "scores of 100,000 points in 2 and in 64 dimensions"),
}


@dataclass(frozen=True)
class Setting:
    """What a benchmark may ask for.

    quick        : small sizes and few turns, to see that it runs; figures mean nothing
    analytic_dpm : a checkout of the official code
    """

    quick: bool = False
    analytic_dpm: Path | None = None
    threads: int = field(default_factory=cores)
    seed: int = 0
    limits: Limits = field(default_factory=Limits)

    def turns(self, count: int) -> int:
        return 2 if self.quick else count


def find(only: str | None) -> list[str]:
    """The names that match a pattern such as 'trajectory.*', all for None."""
    names = [name for name in BENCHMARKS if only is None or fnmatchcase(name, only)]
    if not names:
        raise InvalidParameterError(
            f"--only: no benchmark matches {only!r}; there are {', '.join(BENCHMARKS)}"
        )
    return names


def run(only: str | None, setting: Setting, progress: Progress = lambda done, total, what: None) -> Run:
    """Every benchmark that matches, one after the other; the kernels of Numba must be there."""
    require("numba", "numba", "dpmoracle bench")
    names = find(only)
    results: dict[str, list[Result]] = {}
    with on_threads(setting.threads):
        load = describe()["load"]
        for i, name in enumerate(names):
            progress(i, len(names), name)
            results[name] = list(_function(name)(setting))
        progress(len(names), len(names), "")
        machine = {**describe(), "load": load}  # as it was before; threads of all that has been loaded
    settings = {"quick": setting.quick, "threads": setting.threads, "seed": setting.seed}
    return Run(machine, settings, setting.limits.measured(), results)


def _function(name: str) -> Callable[[Setting], Iterator[Result]]:
    module = importlib.import_module(f".{BENCHMARKS[name][0]}", __package__)
    function: Callable[[Setting], Iterator[Result]] = getattr(module, name.rpartition(".")[2])
    return function
