"""The notes after (10): 'σ* can be estimated by Monte Carlo, so J is computable': what the estimate costs, in nats."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameterError
from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..trajectory import optimal_trajectory
from ..trajectory.estimated import clip_mmse, mmse_bounds, published_dp_trajectory
from ..trajectory.grids import even_grid
from ..trajectory.step_cost import path_cost
from .cloud import Cloud
from .registry import Claim, Measurement, holds, refuted
from .world import World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]
Planner = Callable[[Oracle, int, np.random.Generator], Steps]

_K, _RUNS = 10, 5
_FRESH = 600  # samples of the data for the V that judges: its noise moves costs, hardly which path is best
_LAWS = ("three gaussians", "plane in d=10")


def _mmse(orc: Oracle, sch: Schedule, method: str, count: int, rng: np.random.Generator) -> Array:
    found = orc.mmse(np.arange(1, sch.N + 1), num_samples=max(count, 2), rng=rng, method=method).value
    return np.insert(found, 0, 0.0)


def _planner(method: str) -> Planner:
    """The optimal trajectory for V̂ by this estimator, clipped into [0, 1/u] where it left it."""

    def plan(orc: Oracle, count: int, rng: np.random.Generator) -> Steps:
        sch = _schedule()
        v = _mmse(orc, sch, method, count, rng)
        return optimal_trajectory(sch.snr, clip_mmse(v, mmse_bounds(sch.snr)), _K).timesteps

    return plan


def _heuristic(orc: Oracle, count: int, rng: np.random.Generator) -> Steps:
    """The published code's way with Γ 'of poor estimation'; the even grid where that code stops."""
    sch = _schedule()
    try:
        return published_dp_trajectory(sch.snr, _mmse(orc, sch, "score", count, rng), _K)
    except InvalidParameterError:
        return even_grid(sch.N, _K)


def _schedule() -> Schedule:
    return Schedule.linear(100, 1e-3, 0.2)


def _losses(
    plan: Planner, orc: Oracle, v: Array, count: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Nats above the optimum under V: of the plan from `count` samples, its median over runs, and of the even grid."""
    sch = _schedule()
    best = optimal_trajectory(sch.snr, v, _K).cost
    runs = [path_cost(sch.snr, v, plan(orc, count, rng)) - best for _ in range(_RUNS)]
    even = path_cost(sch.snr, v, even_grid(sch.N, _K)) - best
    return 0.5 * orc.q0.d * float(np.median(runs)), 0.5 * orc.q0.d * even


def _regret(name: str, count: int, unit: str) -> Callable[[Planner, World], Measurement]:
    """What the plan loses under the exact V, in units of `unit`."""

    def check(plan: Planner, world: World) -> Measurement:
        sch, rng, errors, shown = _schedule(), world.rng(name), {}, []
        laws = {**world.lines, **world.planes}
        for law in _LAWS:
            orc = Oracle(laws[law], sch)
            lost, even = _losses(plan, orc, _mmse(orc, sch, "quadrature", 2, rng), count, rng)
            errors[law] = lost / even if unit == "even" else lost
            shown.append(f"{law} {lost:.2g} nats (even grid {even:.2g})")
        return Measurement(max(errors.values()), f"K = {_K}, lost: {', '.join(shown)}")

    return check


def _regret_on_data(plan: Planner, world: World) -> Measurement:
    """What the plan from 100 samples loses under a fresh V, over what it may lose.

    That is what the even grid loses, or 0.1 nats per dimension where that is more: where all trajectories cost much
    the same, and for far points in many dimensions, whose V falls so fast that 100 samples see its end badly.
    """
    sch, rng = _schedule(), world.rng("regret.data.trace.M100")
    cloud = Cloud.of(world, rng)
    orc = Oracle(GaussianMixture.from_points(cloud.points), sch)
    lost, even = _losses(plan, orc, _mmse(orc, sch, "trace", _FRESH, rng), 100, rng)
    return Measurement(
        max(lost, 0.0) / max(even, 0.1 * orc.q0.d),
        f"{cloud.label}, K = {_K}, lost: {lost:.2g} nats (even grid {even:.3g})",
    )


def _against_even(kind: Callable[..., Claim], method: str, count: int, share: float) -> Claim:
    name = f"regret.{method}.M{count}"
    return kind(
        id=name,
        source="notes after eq. (10)",
        statement=rf"\tau(\hat V),\ M={count},\ \text{{{method} estimator, loses under {share:g} of the even grid}}",
        road="the program and the cost of its path under V by quadrature, median of 5 runs",
        tolerance=share,
        formula=_planner(method),
        check=_regret(name, count, "even"),
    )


CLAIMS = (
    *(_against_even(holds, "trace", count, 1.0) for count in (10, 100, 1000)),
    *(_against_even(refuted, "score", count, 0.5) for count in (10, 100, 1000)),
    holds(
        id="regret.data.trace.M100",
        source="notes after eq. (10)",
        statement=r"\tau(\hat V),\ M=100,\ \text{trace estimator, on data, loses less than the even grid or }0.1\,d",
        road="the cost of its path under V from 600 other samples, median of 5 runs",
        tolerance=1.0,
        formula=_planner("trace"),
        check=_regret_on_data,
    ),
    refuted(
        id="regret.heuristic",
        source="published code of bao2022, M = 1000",
        statement=r"\tau(\hat\Gamma)\text{ with the rule for poor }\hat\Gamma\text{ is within 0.01 nats of the best}",
        road="the cost of its path under V by quadrature, median of 5 runs",
        tolerance=0.01,
        formula=_heuristic,
        check=_regret("regret.heuristic", 1000, "nats"),
    ),
)
