"""What `check k-diffusion`, `check dpm-solver` and `check mymodule:my_sampler` go through."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ...errors import InvalidParameterError
from ..runs import raised
from ..subject import Subject
from .diffusers import from_diffusers
from .dpm_solver import from_dpm_solver, load_dpm_solver
from .k_diffusion import from_k_diffusion, sampling_module

__all__ = [
    "OwnEntry",
    "SamplerEntry",
    "SolverEntry",
    "k_diffusion_entries",
    "k_diffusion_left_out",
    "module_file",
    "own_entries",
    "solver_entries",
]

_WHO = "check"


@dataclass(frozen=True)
class SamplerEntry:
    """One sampling function of k-diffusion with its options; grid names the function that makes its sigmas."""

    name: str
    config: dict[str, Any] = field(default_factory=dict)
    grid: str | None = None
    library: str = "k-diffusion"

    def subject(self) -> Subject:
        module = sampling_module()
        sigmas = None
        if self.grid is not None:
            make = getattr(module, self.grid)
            ends = () if self.grid == "get_sigmas_vp" else (0.02, 80.0)
            sigmas = lambda K: make(K, *ends).numpy()  # noqa: E731
        return from_k_diffusion(getattr(module, self.name), sigmas, name=self.name, **self.config)


def k_diffusion_entries(quick: bool = False) -> list[SamplerEntry]:
    """Every sampler of k-diffusion that takes a number of steps, with noise and without."""
    found = []
    names = sorted(name for name in vars(sampling_module()) if name.startswith("sample_"))
    for name in names:
        if name in k_diffusion_left_out():
            continue
        wanted = inspect.signature(getattr(sampling_module(), name)).parameters
        found.append(SamplerEntry(name))
        if "eta" in wanted and name != "sample_dpm_fast":
            found.append(SamplerEntry(name, {"eta": 0.0}))
        if "solver_type" in wanted and not quick:
            found += [SamplerEntry(name, {"eta": eta, "solver_type": "heun"}) for eta in (0.0, 1.0)]
    if not quick:
        grids = ("get_sigmas_exponential", "get_sigmas_polyexponential", "get_sigmas_vp")
        found += [SamplerEntry("sample_euler", grid=grid) for grid in grids]
    return found


def k_diffusion_left_out() -> dict[str, str]:
    """Sampler -> why it is not checked."""
    return {"sample_dpm_adaptive": "chooses its own number of steps"}


@dataclass(frozen=True)
class SolverEntry:
    """The official DPM-Solver of one file with one set of options."""

    path: str
    config: dict[str, Any] = field(default_factory=dict)
    clipped: bool = False
    name: str = "DPM_Solver"
    library: str = "dpm-solver"

    def subject(self) -> Subject:
        table = None
        if self.clipped:
            t = np.arange(1001) / 1000
            cosine = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
            table = np.cumprod(1.0 - np.minimum(1.0 - cosine[1:] / cosine[:-1], 0.999))
        options = {name: value for name, value in self.config.items() if name != "schedule"}
        return from_dpm_solver(load_dpm_solver(self.path), alphas_cumprod=table, **options)


def solver_entries(path: str, quick: bool = False) -> list[SolverEntry]:
    """Orders, methods and algorithms; the cosine schedule, whose start it clips."""
    load_dpm_solver(path)
    found = [
        SolverEntry(path, {"algorithm_type": kind, "method": method, "order": order})
        for kind in ("dpmsolver++", "dpmsolver")
        for method in ("multistep", "singlestep")
        for order in (1, 2, 3)
    ]
    found.append(SolverEntry(path, {"order": 2, "schedule": "cosine"}, clipped=True))
    if not quick:
        found += [SolverEntry(path, {"order": 2, "skip_type": skip}) for skip in ("logSNR", "time_quadratic")]
        found += [SolverEntry(path, {"order": order, "solver_type": "taylor"}) for order in (2, 3)]
        found.append(SolverEntry(path, {"order": 2, "denoise_to_zero": True}))
    return found


@dataclass(frozen=True)
class OwnEntry:
    """MODULE:NAME, a Subject, a configured scheduler of diffusers, a function that returns one of them, or a list."""

    target: str
    place: int = 0
    among: int = 1
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The target; of one of several, with its place among them."""
        return self.target if self.among == 1 else f"{self.target}[{self.place}]"

    @property
    def library(self) -> str:
        return self.target.partition(":")[0].partition(".")[0]

    def subject(self) -> Subject:
        return _subjects(self.target)[self.place]


def own_entries(name: str) -> list[OwnEntry]:
    """Imports the module, which runs it."""
    made = _subjects(name)
    return [OwnEntry(name, i, len(made), dict(subject.config)) for i, subject in enumerate(made)]


def _subjects(name: str) -> list[Subject]:
    value = _named(name)
    if callable(value) and not isinstance(value, Subject) and not hasattr(value, "set_timesteps"):
        value = _trying(value, f"{name}()")
    made = list(value) if isinstance(value, (list, tuple)) or hasattr(value, "__next__") else [value]
    if not made:
        raise InvalidParameterError(f"{_WHO}: {name!r} gives no sampler at all; it came as an empty list")
    for one in made:
        if not isinstance(one, Subject) and not hasattr(one, "set_timesteps"):
            raise InvalidParameterError(
                f"{_WHO}: {name!r} must be a Subject, a configured scheduler of diffusers, a function without "
                f"arguments that returns one of them, or a list of them; got {type(one).__name__}"
            )
    return [one if isinstance(one, Subject) else from_diffusers(one) for one in made]


def _named(name: str) -> Any:
    """What MODULE:NAME stands for; imports MODULE."""
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise InvalidParameterError(
            f"{_WHO}: WHAT must be MODULE:NAME, such as mymodule:my_sampler; got {name!r}"
        )
    if module.endswith(".py") or os.sep in module or "/" in module:
        folder, dotted = _module_name(module)
        raise InvalidParameterError(
            f"{_WHO}: WHAT names a module, not its file; write {dotted}:{attribute}"
            + (f", in the folder {folder}" if folder else "")
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        value = _trying(partial(importlib.import_module, module), f"importing {module}")
    except InvalidParameterError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and cause.name == module.partition(".")[0]:
            raise InvalidParameterError(
                f"{_WHO}: {module!r} cannot be imported. Give diffusers, k-diffusion, dpm-solver, or MODULE:NAME of a "
                "module that lies here or is installed"
            ) from cause
        raise
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise InvalidParameterError(f"{_WHO}: {module!r} has no {attribute!r}")
        value = getattr(value, part)
    return value


def _module_name(path: str) -> tuple[str, str]:
    """'./lib/mine.py' -> ('', 'lib.mine'); of what does not lie below the current folder, its own folder and 'mine'."""
    path = os.path.normpath(path.removesuffix(".py"))
    if os.path.isabs(path) or path.startswith(os.pardir):
        return os.path.split(path)
    return "", path.replace(os.sep, ".")


def module_file(name: str) -> str | None:
    """The file of the imported module of MODULE:NAME, None for a namespace or an extension without one."""
    return getattr(sys.modules.get(name.partition(":")[0]), "__file__", None)


def _trying(function: Callable[[], Any], what: str) -> Any:
    """function(); what somebody's code raises is told in one line, and so is that it would end the program."""
    try:
        return function()
    except SystemExit as error:
        raise InvalidParameterError(f"{_WHO}: {what} {raised(error)}; it must not exit") from error
    except Exception as error:
        raise InvalidParameterError(f"{_WHO}: {what} {raised(error)}") from error
