"""The order of a solver, measured against the exact flow map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count, generator
from ..errors import InvalidParameterError
from ..flow import flow_levels
from ..mixture import GaussianMixture
from .network import Counted, predict
from .path import vp_path

__all__ = ["STEPS", "OrderFit", "Yardstick", "measure_order"]

Array = NDArray[np.float64]

STEPS = (160, 320, 640)
#: λ of the first and last level. In the noise before, steps cost no error, and would hide how a solver starts.
LAM = (-1.0, 2.0)
_EXACT = 1e-12
#: solver(model, x, nodes) -> x at the last node, or with exact starting values solver(model, x, nodes, start=states)
Solver = Callable[..., Any]


@dataclass(frozen=True)
class OrderFit:
    """Errors at growing numbers of steps, and the slope of log error against log steps.

    steps       : K of each run                  errors : root mean square distance to the exact flow
    evaluations : of the network, of each run    slope  : minus the least-squares slope; the order, in the limit
    """

    steps: tuple[int, ...]
    errors: tuple[float, ...]
    evaluations: tuple[int, ...]

    @property
    def slope(self) -> float:
        return float(-np.polyfit(np.log(self.steps), np.log(self.errors), 1)[0])

    @property
    def slopes(self) -> tuple[float, ...]:
        """From each number of steps to the next."""
        return tuple((-np.diff(np.log(self.errors)) / np.diff(np.log(self.steps))).tolist())


@dataclass(frozen=True)
class Yardstick:
    """Exact endpoints to measure solvers by: variance preserving, λ linear in time, float64.

    x   : (M, d) drawn at the first level        end : (M, d) where the exact flow carries it
    lam : λ of the first and of the last level, where σ > 0 still
    """

    q0: GaussianMixture
    lam: tuple[float, float]
    x: Array
    end: Array

    @classmethod
    def of(
        cls,
        q0: GaussianMixture,
        rng: np.random.Generator | int | None = 0,
        samples: int = 64,
        lam: tuple[float, float] = LAM,
    ) -> Yardstick:
        """For a mixture, with `samples` starting points drawn from its law at the first level."""
        who = "Yardstick"
        check_count(who, "samples", samples)
        if not lam[0] < lam[1]:
            raise InvalidParameterError(f"{who}: lam must rise, from noise to data; got {lam}")
        first, last = vp_path(lam[0]), vp_path(lam[1])
        x = q0.diffuse(*first).sample(samples, generator(who, rng))
        return cls(q0, lam, x, flow_levels(q0, x, np.array(first), np.array(last), _EXACT))

    def nodes(self, K: int) -> Array:
        """(K+1, 2) levels, even in λ."""
        return np.array([vp_path(lam) for lam in np.linspace(*self.lam, K + 1).tolist()])

    def states(self, nodes: Array, count: int) -> Array:
        """(count, M, d) the exact flow at nodes 1..count."""
        found = [self.x]
        for start, end in pairwise(nodes[: count + 1]):
            found.append(flow_levels(self.q0, found[-1], start, end, _EXACT))
        return np.reshape(found[1:], (count, *self.x.shape))

    def measure(
        self,
        solver: Solver,
        prediction: str = "data",
        exact_start: int = 0,
        steps: Sequence[int] = STEPS,
    ) -> OrderFit:
        """Run solver(model, x, nodes) at each number of steps; see `measure_order`."""
        errors, counts = [], []
        for K in steps:
            nodes = self.nodes(check_count("measure_order", "steps", K))
            net = Counted(partial(predict, self.q0, prediction))
            given = {"start": self.states(nodes, exact_start)} if exact_start else {}
            landed = solver(net, self.x, nodes, **given)
            errors.append(float(np.sqrt(np.square(landed - self.end).mean())))
            counts.append(net.evaluations)
        return OrderFit(tuple(steps), tuple(errors), tuple(counts))


def measure_order(
    solver: Solver,
    q0: GaussianMixture,
    prediction: str = "data",
    *,
    exact_start: int = 0,
    steps: Sequence[int] = STEPS,
    rng: np.random.Generator | int | None = 0,
) -> OrderFit:
    """The order of solver(model, x, nodes) -> x on a mixture, on a grid even in λ, in float64.

    solver      : any function with the arguments of `dpm_multistep`; model predicts what `prediction` says
    exact_start : states of the exact flow, at nodes 1..exact_start, handed over as start=; a multistep method of order
                  p takes p - 1, and then shows its own order. 0 measures the solver as users start it.
    steps       : numbers of steps K, of which the slope is taken
    q0, rng     : the mixture, and the Generator or seed that draws where its samples start
    Raises InvalidParameterError for steps that are no whole numbers >= 1, and what the solver raises.
    """
    return Yardstick.of(q0, rng).measure(solver, prediction, exact_start, steps)
