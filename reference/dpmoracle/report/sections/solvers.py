"""Every solver against the exact flow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ...claims.world import World
from ...solvers import ExactModel, ddim, deis, dpm_adaptive, dpm_multistep, dpm_singlestep, heun, unipc
from ...solvers.order import OrderFit, Yardstick
from ..figures.orders import order_figure
from ..page import Section

__all__ = ["solver_section"]

_STEPS = (10, 20, 40, 80, 160, 320)
_SAMPLES = 16
_TOLERANCES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5)
#: label -> (prediction, solver); all started as users start them
_SOLVERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "ddim": ("data", ddim),
    "heun": ("data", heun),
    "singlestep 2": ("noise", partial(dpm_singlestep, order=2)),
    "singlestep 3": ("noise", partial(dpm_singlestep, order=3)),
    "multistep 2": ("data", partial(dpm_multistep, order=2)),
    "multistep 3": ("data", partial(dpm_multistep, order=3)),
    "multistep 3, as copied widely": ("data", partial(dpm_multistep, order=3, form="common")),
    "unipc 1": ("data", partial(unipc, order=1)),
    "unipc 2": ("data", partial(unipc, order=2)),
    "unipc 3": ("data", partial(unipc, order=3)),
    "deis 2": ("noise", partial(deis, order=2)),
    "deis 3": ("noise", partial(deis, order=3)),
}


def solver_section(world: World) -> Section:
    """Error against function evaluations for every solver, with fitted slopes."""
    yardstick = Yardstick.of(world.lines["three gaussians"], world.rng("report.orders"), samples=_SAMPLES)
    fits = {
        label: yardstick.measure(partial(solver, prediction=prediction), prediction, steps=_STEPS)
        for label, (prediction, solver) in _SOLVERS.items()
    }
    fits |= {f"adaptive {order}": _adaptive(yardstick, order) for order in (2, 3)}
    first, last = yardstick.lam
    where = (
        f"{_SAMPLES} particles of a mixture of three Gaussians in one dimension, {_STEPS[0]} to {_STEPS[-1]} steps "
        f"even in λ from {first:g} to {last:g}, each solver with its usual start; the adaptive ones by rtol = atol "
        f"from {_TOLERANCES[0]:g} to {_TOLERANCES[-1]:g}"
    )
    return Section(
        "Orders of the solvers",
        text=(
            "The exact probability-flow map is the truth. UniPC of order p gains one order by its corrector; a first "
            "step of order 1, as DEIS and UniPC usually take, holds the order at 2, or at 3 with the corrector. The "
            "third-order multistep is third order only with the full second difference: the form that is copied "
            "widely halves it.",
        ),
        figures=(order_figure("orders", fits, where),),
    )


def _adaptive(yardstick: Yardstick, order: int) -> OrderFit:
    """An adaptive solver has a tolerance for a number of steps: its evaluations stand in their place."""
    model, ends = ExactModel(yardstick.q0, "noise"), yardstick.nodes(1)
    runs = [dpm_adaptive(model, yardstick.x, ends, order, atol=tol, rtol=tol) for tol in _TOLERANCES]
    counts = tuple(run.evaluations for run in runs)
    errors = tuple(float(np.sqrt(np.square(run.x - yardstick.end).mean())) for run in runs)
    return OrderFit(counts, errors, counts)
