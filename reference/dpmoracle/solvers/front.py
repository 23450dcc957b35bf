"""solve: any solver by name, on any process, for an oracle or a network."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidParameterError
from ..oracle import Oracle
from ..processes.process import Process
from ..processes.schedule import Schedule
from .adaptive import Adapted, dpm_adaptive
from .checks import check_choice, check_nodes
from .coefficients import Level, half_log_snr
from .ddim import ddim
from .deis import deis
from .grids import solver_nodes
from .heun import heun
from .multistep import dpm_multistep
from .network import ExactModel, Model, Network, name_level
from .path import path_of
from .singlestep import dpm_singlestep
from .unipc import unipc

__all__ = ["METHODS", "Solution", "solve"]

Array = NDArray[np.float64]

METHODS: dict[str, Callable[..., Any]] = {
    "ddim": ddim,
    "euler": ddim,
    "heun": heun,
    "singlestep": dpm_singlestep,
    "multistep": dpm_multistep,
    "unipc": unipc,
    "deis": deis,
    "adaptive": dpm_adaptive,
}


@dataclass(frozen=True)
class Solution:
    """What `solve` found.

    x           : at the last node            evaluations : of the network
    nodes       : (K+1, 2) levels (a, σ), those accepted for method="adaptive"
    """

    x: Any
    nodes: Array
    evaluations: int


def solve(
    model: Oracle | Model,
    x: Any,
    K: int | None = None,
    *,
    process: Process | Schedule | None = None,
    method: str = "multistep",
    prediction: str = "data",
    grid: str = "lambda",
    t_start: Any = None,
    t_end: Any = None,
    nodes: ArrayLike | None = None,
    **options: Any,
) -> Solution:
    r"""Carry x from noise to data by a named solver of the probability flow.

    model      : an Oracle, exact and of its own process, or model(x, a, sigma), which predicts what `prediction` says
    x          : (..., d) at the first node, any kind of array
    K          : steps; left out for method="adaptive" and where nodes are given
    process    : of a callable model: its levels are where it is evaluated
    method     : a key of METHODS; "euler" is "ddim", the same steps
    prediction : "data" or "noise"
    grid, t_start, t_end : as for `solver_nodes`; the default grid is even in λ, to the last σ > 0
    nodes      : (K+1, 2) levels of your own instead
    options    : keywords of the method, such as order, r1, r2, form, start, lower_end, variant, clock, rtol
    Raises InvalidParameterError for a wrong choice, an end that the solver cannot reach, and a model that returns
    nan or inf (with the time).
    """
    who = f"solve({method!r})"
    check_choice("solve", "method", method, tuple(METHODS))
    solver = METHODS[method]
    known = [
        name for name in inspect.signature(solver).parameters if name not in ("model", "x", "nodes", "path")
    ]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise InvalidParameterError(
            f"{who}: options must be among {', '.join(known)}; got {', '.join(unknown)}"
        )
    check_choice(who, "prediction", prediction)
    if not callable(model) and not isinstance(model, Oracle):
        raise InvalidParameterError(
            f"{who}: model must be an Oracle, or callable as model(x, a, sigma); got {type(model).__name__}"
        )
    exact = isinstance(model, Oracle)
    forward = model.process if isinstance(model, Oracle) else process
    if exact and process is not None and process != forward:
        raise InvalidParameterError(f"{who}: process must be left out for an Oracle, which has its own")
    if nodes is None:
        nodes = _grid(who, forward, K, method, grid, t_start, t_end)
    elif K is not None:
        raise InvalidParameterError(f"{who}: give K or nodes, not both; nodes have their own number of steps")
    levels = check_nodes(who, nodes)
    _check_range(who, forward, levels)
    net = Network(
        who, ExactModel(model.q0, prediction) if isinstance(model, Oracle) else model, _namer(forward)
    )
    if "path" in inspect.signature(solver).parameters and forward is not None:
        options["path"] = path_of(forward)
    found = solver(
        net, x if hasattr(x, "shape") else np.asarray(x), np.array(levels), prediction=prediction, **options
    )
    if isinstance(found, Adapted):
        return Solution(found.x, np.array(found.nodes), found.evaluations)
    return Solution(found, np.array(levels), net.evaluations)


def _grid(who: str, process: Any, K: int | None, method: str, grid: str, t_start: Any, t_end: Any) -> Array:
    if process is None:
        raise InvalidParameterError(f"{who}: needs process= for a callable model, or nodes=, to build a grid")
    if method == "adaptive":
        if K is not None:
            raise InvalidParameterError(
                f"{who}: K must be left out; the solver chooses its steps by atol and rtol"
            )
        K = 1
    if K is None:
        raise InvalidParameterError(f"{who}: needs K, the number of steps, or nodes")
    return solver_nodes(process, K, grid, t_start=t_start, t_end=t_end)


def _check_range(who: str, process: Any, levels: list[Level]) -> None:
    """Whether a Process has every level from the first node to the last; a solver asks for those between."""
    if not isinstance(process, Process):
        return
    low, high = (float(process.half_log_snr(t)) for t in (process.t_max, 0.0))
    first, last = half_log_snr(levels[0]), half_log_snr(levels[-1])
    if first < low - 1e-12 * abs(low) or last > high + 1e-12 * abs(high):
        raise InvalidParameterError(
            f"{who}: nodes must lie within the levels of {process.name}, half_log_snr from {low:.6g} to {high:.6g}; "
            f"they run from {first:.6g} to {last:.6g}. Choose others, or leave process out of a callable model"
        )


def _namer(process: Any) -> Callable[[Level], str]:
    """Levels as messages should name them: with the time, where there is one."""

    def name(level: Level) -> str:
        lam = half_log_snr(level)
        if isinstance(process, Schedule) and not np.isnan(lam):
            return f"t = {1 + int(np.abs(process.half_log_snr[1:] - lam).argmin())}, {name_level(level)}"
        if isinstance(process, Process):
            low, high = (float(process.half_log_snr(t)) for t in (process.t_max, 0.0))
            if low <= lam <= high:
                return f"t = {float(process.inverse(lam)):.6g}, {name_level(level)}"
        return name_level(level)

    return name
