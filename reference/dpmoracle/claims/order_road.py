"""Road to the order of a solver: the slope of its error against the exact flow map, on three mixtures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..solvers.order import STEPS, OrderFit, Yardstick
from .registry import Measurement
from .roads import worst
from .world import World

__all__ = ["ALLOWED", "CASES", "EXACT_FLOW", "Solver", "fit_order", "has_order"]

#: solver(model, x, nodes, prediction=...), with start= where exact starting values are handed over
Solver = Callable[..., Any]
CASES = (("d=1", "data"), ("d=2", "data"), ("d=10", "data"), ("d=1", "noise"))
ALLOWED = 0.25
EXACT_FLOW = "log error against log K, the exact flow map as truth"


def _yardstick(world: World, dimension: str) -> Yardstick:
    q0 = {
        "d=1": world.lines["three gaussians"],
        "d=2": world.planes["full d=2"],
        "d=10": world.planes["plane in d=10"],
    }[dimension]
    return Yardstick.of(q0, world.rng(f"lu2022.{dimension}"), samples=32)


def fit_order(
    solver: Solver, world: World, case: tuple[str, str], steps: Sequence[int], exact_start: int = 0
) -> OrderFit:
    dimension, prediction = case
    run = partial(solver, prediction=prediction)
    return _yardstick(world, dimension).measure(run, prediction, exact_start, steps)


def has_order(
    order: int,
    cases: Sequence[tuple[str, str]] = CASES,
    steps: Sequence[int] = STEPS,
    exact_start: int = 0,
    both_sides: bool = False,
    last: bool = False,
) -> Callable[[Solver, World], Measurement]:
    """How far the slope stays below `order` (or, with both_sides, lies from it), the worst of all cases.

    last : the slope between the last two K, for what holds in the limit
    The first case that refutes the order ends the search.
    """

    def check(solver: Solver, world: World) -> Measurement:
        shown, errors = [], {}
        for case in cases:
            fit = fit_order(solver, world, case, steps, exact_start)
            slope = fit.slopes[-1] if last else fit.slope
            where = "{}, {} prediction".format(*case)
            shown.append(f"{slope:.2f}")
            errors[where] = abs(slope - order) if both_sides else max(order - slope, 0.0)
            if not errors[where] <= ALLOWED:
                break
        error, where = worst(errors)
        grid = ", ".join(map(str, steps))
        return Measurement(error, f"slopes {', '.join(shown)} at K = {grid}; furthest at {where}")

    return check
