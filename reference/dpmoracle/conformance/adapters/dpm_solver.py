"""The official dpm_solver_pytorch.py as a subject. It is a file without a package: the user points to it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InvalidParameterError, require
from ..law import Level
from ..model import OracleModel
from ..runs import raised
from ..subject import Noise, Subject
from .patches import promoting

__all__ = ["from_dpm_solver", "load_dpm_solver"]

Array = NDArray[np.floating[Any]]
_WHO = "from_dpm_solver"
_NAME = "_dpmoracle_dpm_solver"
_HIGH, _LOW = 150.0, 0.05  # σ/a; it clips log(a/σ) at -5.1, that is σ/a at 164


def load_dpm_solver(path: str | Path) -> Any:
    """The module of a dpm_solver_pytorch.py; loading it runs it."""
    file = Path(path)
    if not file.is_file():
        raise InvalidParameterError(
            f"{_WHO}: {str(path)!r} is no file; give the path of dpm_solver_pytorch.py"
        )
    spec = importlib.util.spec_from_file_location(_NAME, file)
    if spec is None or spec.loader is None:
        raise InvalidParameterError(f"{_WHO}: {str(path)!r} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[_NAME]
        raise InvalidParameterError(f"{_WHO}: loading {str(path)!r} {raised(error)}") from error
    if not hasattr(module, "DPM_Solver"):
        raise InvalidParameterError(f"{_WHO}: {str(path)!r} has no DPM_Solver; is it dpm_solver_pytorch.py?")
    return module


def from_dpm_solver(
    module: ModuleType | str | Path,
    *,
    alphas_cumprod: ArrayLike | None = None,
    algorithm_type: str = "dpmsolver++",
    name: str | None = None,
    **options: Any,
) -> Subject:
    """A subject from the official DPM-Solver: the module, or the path of its file.

    alphas_cumprod : (N,) of the discrete schedule; None is the linear betas of 1000 timesteps
    options        : of DPM_Solver.sample, such as order=3, method="singlestep", skip_type="logSNR"
    """
    loaded = load_dpm_solver(module) if isinstance(module, (str, Path)) else module
    table = (
        np.cumprod(1.0 - np.linspace(1e-4, 2e-2, 1000))
        if alphas_cumprod is None
        else np.asarray(alphas_cumprod)
    )
    if options.get("method") == "adaptive":
        raise InvalidParameterError(
            f"{_WHO}: method='adaptive' chooses its own number of steps; no check covers that"
        )
    return _subject(_Solver(loaded, table.astype(np.float64), algorithm_type, options), name or "DPM_Solver")


@dataclass(frozen=True)
class _Solver:
    module: Any
    alphas_cumprod: NDArray[np.float64]
    algorithm_type: str
    options: Mapping[str, Any]
    wide: bool = False
    even: bool = False

    @property
    def torch(self) -> Any:
        return require("torch", "peers", _WHO)

    def schedule(self) -> Any:
        torch = self.torch
        dtype = torch.float64 if self.wide else torch.float32
        table = torch.tensor(self.alphas_cumprod, dtype=dtype)
        return self.module.NoiseScheduleVP("discrete", alphas_cumprod=table, dtype=dtype)

    def level(self, schedule: Any, t: Any) -> Level:
        return float(schedule.marginal_alpha(t)), float(schedule.marginal_std(t))

    def span(self, schedule: Any) -> tuple[float, float]:
        """(start, end) in its continuous time."""
        return float(self.options.get("t_start") or schedule.T), float(
            self.options.get("t_end") or 1.0 / schedule.total_N
        )

    def levels(self, K: int) -> NDArray[np.float64]:
        torch = self.torch
        with promoting([self.module], torch, self.wide):
            schedule = self.schedule()
            solver = self.module.DPM_Solver(None, schedule, algorithm_type=self.algorithm_type)
            skip = self.options.get("skip_type", "time_uniform")
            start, end = self.span(schedule)
            times = solver.get_time_steps(skip, start, end, K, "cpu")
            nodes = [self.level(schedule, t.reshape(1)) for t in times]
        return np.array([*nodes, (1.0, 0.0)] if self.options.get("denoise_to_zero") else nodes)

    def ends(self, K: int) -> tuple[Level, Level]:
        with promoting([self.module], self.torch, self.wide):
            schedule = self.schedule()
            start, end = (self.level(schedule, self.torch.tensor([t])) for t in self.span(schedule))
        return start, (1.0, 0.0) if self.options.get("denoise_to_zero") else end

    def steps(self, K: int) -> int:
        """K, or where orders are measured the next number of evaluations that lets its singlestep end in full order."""
        order = int(self.options.get("order", 2))
        if not self.even or self.multistep:
            return K
        return K + (-K) % 2 if order == 2 else K + (2 - K) % 3 if order == 3 else K

    @property
    def multistep(self) -> bool:
        return bool(self.options.get("method", "multistep") == "multistep")

    def run(self, model: OracleModel, x_T: Array, K: int, noise: Noise | None) -> Array:
        torch = self.torch
        shape = (*x_T.shape, 1, 1)
        with promoting([self.module], torch, self.wide), torch.no_grad():
            schedule = self.schedule()
            level: list[Level] = []

            def network(x: Any, t_input: Any) -> Any:
                out = model(x.reshape(x_T.shape).numpy(), *level[-1], time=float(t_input.reshape(-1)[0]))
                return torch.from_numpy(out).reshape(shape)

            wrapped = self.module.model_wrapper(network, schedule, model_type="noise")

            def predict(x: Any, t: Any) -> Any:
                level.append(self.level(schedule, t.reshape(-1)[:1]))
                return wrapped(x, t)

            solver = self.module.DPM_Solver(predict, schedule, algorithm_type=self.algorithm_type)
            x = torch.from_numpy(np.asarray(x_T)).to(torch.float64 if self.wide else torch.float32)
            x = solver.sample(x.reshape(shape), steps=self.steps(K), **self.options)
        return np.array(x.reshape(x_T.shape).numpy())

    def time_level(self, t: float) -> Level:
        """Networks of discrete schedules are given 1000 n/N for the n-th timestep, from 0."""
        return self.time_span(t)[0]

    def time_span(self, t: float) -> tuple[Level, Level]:
        """Between whole timesteps by log(σ/a), and by log a, as the solver's own schedule has it."""
        n, whole = t * len(self.alphas_cumprod) / 1000.0, np.arange(len(self.alphas_cumprod))
        log_a = 0.5 * np.log(self.alphas_cumprod)
        ratio = float(np.exp(np.interp(n, whole, 0.5 * np.log1p(-self.alphas_cumprod) - log_a)))
        by_log_a = float(np.interp(n, whole, log_a))
        norm = float(np.hypot(1.0, ratio))
        return (1.0 / norm, ratio / norm), (
            float(np.exp(by_log_a)),
            float(np.sqrt(-np.expm1(2.0 * by_log_a))),
        )

    def evenly(self) -> _Solver:
        """On nodes even in log(a/σ), without the lower orders at the end."""
        ratio = np.geomspace(_LOW, _HIGH, 4000)
        options = {
            **self.options,
            "skip_type": "logSNR",
            "lower_order_final": False,
            "denoise_to_zero": False,
        }
        return replace(self, alphas_cumprod=1.0 / (1.0 + ratio**2), options=options, wide=True, even=True)


def _subject(solver: _Solver, name: str) -> Subject:
    even = solver.even
    return Subject(
        name=name,
        run=solver.run,
        ends=solver.ends,
        output_type="eps",
        config={"algorithm_type": solver.algorithm_type, **solver.options},
        dtype="float64" if solver.wide else "float32",
        levels=solver.levels if solver.multistep else None,
        time_level=None if even else solver.time_level,
        time_span=None if even else solver.time_span,
        time_range=None if even else (0.0, 1000.0),
        order=int(solver.options.get("order", 2)),
        promoted=None if solver.wide else lambda: _subject(replace(solver, wide=True), name),
        asymptotic=None if even else lambda: _subject(solver.evenly(), name),
    )
