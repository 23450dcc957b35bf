"""This library's own samplers as subjects: they are checked by the same checks as everybody's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddim, lambda2_ddpm
from ..sampler import clean_prediction, reverse_chain
from ..solvers import ddim, deis, dpm_multistep, dpm_singlestep, heun, solver_nodes, unipc, vp_path
from ..solvers.stochastic import sde_dpm_solver
from ..trajectory.grids import even_grid
from ..variance import optimal_variance_from_mmse
from .law import Level, StepLaw
from .model import OracleModel
from .subject import Noise, Subject

__all__ = ["ancestral", "even_nodes", "own_subjects", "sde_solver", "solver", "uneven_nodes"]

Array = NDArray[np.floating[Any]]
Nodes = Callable[[int], NDArray[np.float64]]


def own_subjects() -> Iterator[Subject]:
    """Every solver in each of its orders, and the chains of each variance."""
    yield solver(ddim, 1)
    yield solver(ddim, 1, prediction="noise")
    yield solver(heun, 2)
    for prediction in ("data", "noise"):
        for order in (2, 3):
            yield solver(partial(dpm_singlestep, order=order), order, prediction)
            yield solver(partial(dpm_multistep, order=order), order, prediction)
    for order in (1, 2, 3):
        yield solver(partial(unipc, order=order), order + 1)
    for order in (2, 3, 4):
        yield solver(partial(deis, order=order), order, "noise")
    for law in (
        StepLaw(),
        StepLaw(variance="beta"),
        StepLaw(variance="range"),
        StepLaw(variance="optimal"),
        StepLaw(0.5),
        StepLaw(0.0, "optimal"),
    ):
        yield ancestral(law)
    for order in (1, 2):
        yield sde_solver(order)


def solver(
    function: Callable[..., Any], order: int, prediction: str = "data", nodes: Nodes | None = None
) -> Subject:
    """A deterministic solver(model, x, nodes, prediction=...) of the order that it claims, in float64.

    nodes : K -> (K+1, 2) levels; by default even in time, on the linear schedule
    """
    where = _stock_nodes if nodes is None else nodes
    call = partial(function, prediction=prediction)
    plain = function.func if isinstance(function, partial) else function
    own_order = call.keywords.get("order", order)

    def run(model: OracleModel, x: Array, K: int, noise: Noise | None) -> Array:
        return np.asarray(call(model, x, where(K)))

    def exact_start(model: OracleModel, states: Array, K: int, noise: Noise | None) -> Array:
        return np.asarray(call(model, states[0], where(K), start=states[1:own_order]))

    return Subject(
        name=f"{plain.__name__}-{own_order}-{prediction}",
        run=run,
        ends=partial(_ends, where),
        output_type="x0" if prediction == "data" else "eps",
        levels=where,
        order=order,
        exact_start=exact_start if "start" in inspect.signature(plain).parameters and own_order > 1 else None,
        asymptotic=partial(solver, function, order, prediction, even_nodes),
        uneven=partial(solver, function, order, prediction, uneven_nodes),
    )


def ancestral(law: StepLaw, output_type: str = "eps", sch: Schedule | None = None) -> Subject:
    """The reverse chain over an even grid of timesteps, K evaluations: λ² by law.eta, σ² by law.variance."""
    schedule = Schedule.linear(1000) if sch is None else sch

    def run(model: OracleModel, x: Any, K: int, noise: Noise | None) -> Array:
        grid = even_grid(schedule.N, K)
        s, t = grid[:-1], grid[1:]
        lam2 = lambda2_ddpm(schedule, s, t) if law.eta == 1.0 else lambda2_ddim(schedule, s, t, law.eta)
        if law.variance == "optimal":
            sigma2 = optimal_variance_from_mmse(
                schedule, s, t, Oracle(model.q0, schedule).mmse(t).value, lam2
            )
        else:
            part = {"lam2": 0.0, "beta": 1.0, "range": law.fraction}[law.variance]
            sigma2 = schedule.beta(s, t) ** part * lam2 ** (1.0 - part)

        def predict(x: Any, t: int) -> Any:
            a, sigma = schedule.levels(t)
            output: Any = model(x, float(a), float(sigma), time=t)
            return clean_prediction(schedule, t, x, output, output_type)

        draw: Callable[..., Any] = np.random.default_rng().standard_normal if noise is None else noise
        chain = reverse_chain(predict, schedule, grid, x, lam2, sigma2, lambda k: draw(x.shape))
        *_, (_, end) = chain
        return end

    def time_level(time: float) -> Level:
        a, sigma = schedule.levels(round(time))
        return float(a), float(sigma)

    def levels(K: int) -> NDArray[np.float64]:
        return np.stack(schedule.levels(np.append(even_grid(schedule.N, K)[::-1], 0)), axis=1)

    return Subject(
        name=f"ancestral-eta{law.eta:g}-{law.variance}",
        run=run,
        ends=partial(_ends, levels),
        output_type=output_type,
        levels=levels,
        time_level=time_level,
        time_range=(1, schedule.N),
        stochastic=True,
        injects=True,
        law=law,
        learned=(lambda part: ancestral(replace(law, fraction=part), output_type, sch))
        if law.variance == "range"
        else None,
        max_steps=schedule.N,
        predicting={
            kind: partial(ancestral, law, kind, sch) for kind in ("eps", "x0", "v") if kind != output_type
        },
    )


def sde_solver(order: int) -> Subject:
    """SDE-DPM-Solver++ of order 1 or 2, on the linear schedule; its step of order 1 is DDPM's."""

    def run(model: OracleModel, x: Array, K: int, noise: Noise | None) -> Array:
        draw = np.random.default_rng().standard_normal if noise is None else noise
        z = np.array([draw(x.shape) for _ in range(K)])
        return sde_dpm_solver(model, x, _stock_nodes(K), order, noise=z)

    return Subject(
        name=f"sde_dpm_solver-{order}",
        run=run,
        ends=partial(_ends, _stock_nodes),
        output_type="x0",
        levels=_stock_nodes,
        stochastic=True,
        injects=True,
        law=StepLaw() if order == 1 else None,
    )


def even_nodes(K: int) -> NDArray[np.float64]:
    """(K+1, 2) even in λ, σ/a from 20 to 0.05, variance preserving."""
    return np.array([vp_path(lam) for lam in np.linspace(-np.log(20.0), np.log(20.0), K + 1).tolist()])


def uneven_nodes(K: int) -> NDArray[np.float64]:
    """The same with steps in λ that are alternately short and long, 1 to 2."""
    lam = np.append(0.0, np.cumsum(np.arange(K) % 2 + 1.0))
    return np.array([vp_path(one) for one in (np.log(20.0) * (2.0 * lam / lam[-1] - 1.0)).tolist()])


def _stock_nodes(K: int) -> NDArray[np.float64]:
    return solver_nodes(Schedule.linear(1000), K, "time")


def _ends(levels: Nodes, K: int) -> tuple[Level, Level]:
    first, *_, last = levels(K).tolist()
    return (first[0], first[1]), (last[0], last[1])
