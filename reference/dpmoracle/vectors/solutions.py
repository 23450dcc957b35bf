"""Vectors of whole solutions of the probability flow, and of the reverse SDE, with the exact network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..solvers import ddim, deis, dpm_adaptive, dpm_multistep, dpm_singlestep, heun, unipc
from ..solvers.network import ExactModel
from ..solvers.stochastic import sde_dpm_solver
from . import values
from .quantity import Quantity
from .steps import INTEGRAL

__all__ = ["QUANTITIES"]

Inputs = Mapping[str, Mapping[str, Any]]

_START = [[1.4, -0.3], [-0.9, 0.8]]


def _solve(*, tail: bool = False, **options: Any) -> dict[str, Any]:
    """Steps even in λ on a² + σ² = 1; tail adds one to σ = 0."""
    nodes = [values.level(lam) for lam in np.linspace(-2.0, 2.0, 7)]
    return {
        "mixture": values.MIXTURES["plane"],
        "nodes": [*nodes, [1.0, 0.0]] if tail else nodes,
        "x": _START,
        **options,
    }


def _both(**options: Any) -> dict[str, dict[str, Any]]:
    return {prediction: _solve(prediction=prediction, **options) for prediction in ("data", "noise")}


def _orders(orders: tuple[int, ...], **options: Any) -> dict[str, dict[str, Any]]:
    return {
        f"{prediction}-{order}": given
        for order in orders
        for prediction, given in _both(order=order, **options).items()
    }


def _multistep_runs() -> Inputs:
    usual = {"form": "taylor", "start": "lower", "lower_end": False}
    found = _orders((2, 3), **usual)
    found |= {
        f"{label}-singlestep": given | {"start": "singlestep"}
        for label, given in _orders((3,), **usual).items()
    }
    found["data-2-paper"] = found["data-2"] | {"form": "paper"}
    found["data-3-to-zero"] = _solve(tail=True, prediction="data", order=3, **usual) | {"lower_end": True}
    return found


def _unipc_runs() -> Inputs:
    return {
        f"{label}-{variant}": given | {"variant": variant}
        for variant in ("bh1", "bh2")
        for label, given in _orders((1, 2, 3)).items()
    }


def _deis_runs() -> Inputs:
    return {
        f"{order}-{clock}": _solve(order=order, clock=clock, prediction="noise")
        for order in (2, 3)
        for clock in ("rho", "log_rho")
    }


def _sde_runs() -> Inputs:
    z = [
        [[round(0.37 * ((5 * k + 3 * i + 2 * j) % 7) - 1.1, 2) for j in range(2)] for i in range(2)]
        for k in range(6)
    ]
    return {f"{order}": _solve(order=order, form="taylor", noise=z) for order in (1, 2)}


def _adaptive_runs() -> Inputs:
    return {
        f"{prediction}-{order}": {
            "mixture": values.MIXTURES["line"],
            "nodes": [values.level(-2.0), values.level(2.0)],
            "x": [[0.4]],
            "prediction": prediction,
            "order": order,
            "atol": 0.0078,
            "rtol": 0.05,
            "h_init": 0.05,
        }
        for prediction in ("data", "noise")
        for order in (2, 3)
    }


def _solved(solver: Callable[..., Any], prediction: str) -> Callable[..., Any]:
    """The end of a solver with the exact network; `prediction` is that of solvers that know but one."""

    def compute(*, mixture: Any, nodes: Any, x: Any, **options: Any) -> Any:
        says = options.get("prediction", prediction)
        found = solver(ExactModel(values.mixture(mixture), says), np.array(x), nodes, **options)
        return getattr(found, "x", found)

    return compute


_SOLVE = {
    "mixture": "of which the network is the exact one",
    "nodes": "(K+1, 2) levels [a, σ], noisiest first",
    "x": "(n, d) at the first node",
}
_SAYS = {"prediction": "what the network says: data (x_0) or noise (ε)"}
_START_RULE = (
    "start lower: orders 1, 2, ... until there are nodes enough; start singlestep: order - 1 steps of "
    "singlestep_step of that order, form paper. lower_end: the last steps have orders ..., 2, 1"
)


def _solver(
    name: str,
    source: str,
    statement: str,
    solver: Callable[..., Any],
    options: Mapping[str, str],
    cases: Callable[[], Inputs],
    prediction: str = "",
) -> Quantity:
    return Quantity(
        name,
        "trajectory",
        source,
        statement,
        {**_SOLVE, **options},
        "(n, d) x at the last node",
        _solved(solver, prediction),
        cases,
        rtol=1e-9,
        atol=1e-9,
    )


QUANTITIES = (
    _solver("solve_ddim", "song2021ddim, eq. (12)", "ddim_step from node to node", ddim, _SAYS, _both),
    _solver(
        "solve_heun",
        "karras2022, algorithm 1",
        "heun_step from node to node; a last step to σ = 0 is ddim_step",
        heun,
        _SAYS,
        lambda: {"noise": _solve(prediction="noise"), "to-zero": _solve(tail=True, prediction="noise")},
    ),
    _solver(
        "solve_singlestep",
        "lu2022, algorithms 4, 5; lu2022pp",
        "singlestep_step from node to node, form paper, r1 = 1/2 (order 2) or 1/3, r2 = 2/3 (order 3)",
        dpm_singlestep,
        _SAYS | {"order": "2 or 3"},
        lambda: _orders((2, 3)),
    ),
    _solver(
        "solve_multistep",
        "lu2022pp, algorithm 2",
        f"multistep_step from node to node. {_START_RULE}",
        dpm_multistep,
        _SAYS
        | {
            "order": "2 or 3",
            "form": "taylor or paper",
            "start": "lower or singlestep",
            "lower_end": "true or false",
        },
        _multistep_runs,
    ),
    _solver(
        "solve_unipc",
        "zhao2023, algorithms 5 to 8",
        INTEGRAL
        + "unip_step from node to node, orders 1, 2, ... until there are nodes enough. On arrival at every node "
        "but the last x is corrected once f there is known: the step that led there is taken again, with "
        "E[polynomial through its outputs and the new one]; where its order was 1, with E[f_0] + (B/2)(f - f_0). The "
        "network is asked at the predicted x only.",
        unipc,
        _SAYS | {"order": "1, 2 or 3", "variant": "bh1 or bh2"},
        _unipc_runs,
    ),
    _solver(
        "solve_deis",
        "zhang2023, eq. (15)",
        "deis_step from node to node, orders 1, 2, ... until there are nodes enough",
        deis,
        _SAYS | {"order": "2 or 3", "clock": "rho or log_rho"},
        _deis_runs,
    ),
    _solver(
        "solve_sde_dpm",
        "lu2022pp, section 5",
        "sde_dpm_step from node to node; the first step has order 1",
        sde_dpm_solver,
        {"order": "1 or 2", "form": "taylor", "noise": "(K, n, d) z, entry i of step i"},
        _sde_runs,
        prediction="data",
    ),
    _solver(
        "solve_adaptive",
        "lu2022, appendix C",
        "From level to level on a² + σ² = 1, h at first h_init, cut to what is left of λ. Order 2: low = E[f], high = "
        "singlestep_step of order 2, paper, r1 = 1/2. Order 3: low = that with r1 = 1/3, high = singlestep_step of "
        "order 3, paper, r1 = 1/3, r2 = 2/3. E = rms of (low - high)/max(atol, rtol max(|low|, |previous low|)), where "
        "the previous low is that of the last step taken, at first x. E <= 1: x = high, else try again; in any case "
        "h <- 0.9 h E^(-1/order).",
        dpm_adaptive,
        _SAYS | {"order": "2 or 3", "atol": "atol", "rtol": "rtol", "h_init": "first h"},
        _adaptive_runs,
    ),
)
