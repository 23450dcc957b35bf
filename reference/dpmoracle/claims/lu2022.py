"""DPM-Solver and DPM-Solver++ (lu2022, lu2022pp): what order each solver has, against the exact flow map."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from ..reverse_step import forward_posterior_mean
from ..solvers import ddim, dpm_multistep, dpm_singlestep
from ..solvers.coefficients import Level, Step, half_log_snr
from ..solvers.path import vp_path
from .order_road import ALLOWED, CASES, EXACT_FLOW, Solver, fit_order, has_order
from .registry import Measurement, holds, refuted
from .roads import worst
from .world import STEPS as STEP_PAIRS
from .world import World

__all__ = ["CLAIMS"]

_SHORT = (80, 160, 320)
_TWO = (("d=1", "data"), ("d=2", "noise"))
_NOISE = (("d=1", "noise"), ("d=2", "noise"), ("d=10", "noise"))


def _step_independent(family: Sequence[Solver], world: World) -> Measurement:
    """The largest slope of log error against log steps: 0 if the size of the steps did not matter."""
    slopes = [fit_order(solver, world, _NOISE[0], _SHORT).slope for solver in family]
    shown = ", ".join(f"{slope:.2f}" for slope in slopes)
    return Measurement(float(np.abs(slopes).max()), f"slopes {shown} of orders 1, 2, 3 at K = 80, 160, 320")


def _is_ddim(solver: Solver, world: World) -> Measurement:
    """One step against (1) of the notes with λ² = 0, in units of 2^-52 of the largest terms."""
    sch, errors = world.schedule, {}
    x = world.rng("lu2022.ddim").standard_normal((64, 3))
    f = np.tanh(x[:, ::-1] + 0.3)
    for s, t in STEP_PAIRS:
        levels = np.stack(sch.levels(np.array([t, s])), axis=-1)
        (a_t, sigma_t), (a_s, sigma_s) = levels
        for prediction in ("data", "noise"):
            x0 = f if prediction == "data" else (x - sigma_t * f) / a_t
            eps = (x - a_t * f) / sigma_t if prediction == "data" else f
            got = solver(lambda x, a, sigma: f, x, levels, prediction=prediction)
            off = np.abs(got - forward_posterior_mean(sch, s, t, x, x0, 0.0))
            known = np.abs(x / a_t) if prediction == "noise" else np.abs(x / sigma_t)
            scale = a_s * (np.abs(x0) + known) + sigma_s * (np.abs(eps) + known)
            errors[f"(s, t) = ({s}, {t}), {prediction}"] = float((off / scale).max()) * 2.0**52
    error, where = worst(errors)
    return Measurement(error, f"units in the last place, worst at {where}")


def published_singlestep3(
    model: Any, x: Any, nodes: Any, prediction: str, r1: float = 1 / 3, r2: float = 1 / 2, form: str = "paper"
) -> Any:
    """Order 3 as published code takes it for any r1, r2: only right where r2 = 2/3."""
    levels: list[Level] = [(float(a), float(sigma)) for a, sigma in nodes]
    for t, s in pairwise(levels):
        step, f = Step.between(t, s, prediction), model(x, *t)
        slopes: list[Any] = []
        for r in (r1, r2):
            middle = vp_path(half_log_snr(t) + r * step.h)
            part = Step.between(t, middle, prediction)
            inner = part.keep * x + part.weight(1) * f
            inner = inner + part.weight(2) * (r * slopes[0]) if slopes else inner
            slopes.append((model(inner, *middle) - f) / r)
        x = step.keep * x + step.weight(1) * f
        if form == "paper":
            x = x + step.weight(2) * slopes[1]
        else:
            bend = (slopes[1] - slopes[0]) / (r2 - r1)
            x = x + step.weight(2) * (slopes[0] - r1 * bend) + step.weight(3) * 2.0 * bend
    return x


CLAIMS = (
    holds(
        id="lu2022.ddim",
        source="lu2022 section 4.1",
        statement=r"\text{DPM-Solver-1 is DDIM with }\eta=0",
        road="eq. (1) of the notes with λ² = 0",
        tolerance=8.0,
        formula=partial(dpm_singlestep, order=1),
        check=_is_ddim,
    ),
    *(
        holds(
            id=f"lu2022.order.{order}",
            source="lu2022 Theorem 3.2",
            statement=rf"\text{{DPM-Solver-}}{order}:\ \|x_K-x(\lambda_K)\|=O(h^{order})",
            road=EXACT_FLOW,
            tolerance=ALLOWED,
            formula=partial(dpm_singlestep, order=order),
            check=has_order(order, _NOISE),
        )
        for order in (1, 2, 3)
    ),
    refuted(
        id="lu2022.order.3.any-r2.paper",
        source="published code of lu2022, singlestep 3, solver_type 'dpmsolver', any r2",
        statement=r"x_s=\dots+\tfrac{1}{r_2}W_2(f_2-f):\ O(h^3)\ \text{for }r_2=\tfrac12",
        road=EXACT_FLOW,
        tolerance=ALLOWED,
        formula=published_singlestep3,
        check=has_order(3, CASES[:1]),
    ),
    refuted(
        id="lu2022.order.3.any-r2.taylor",
        source="published code of lu2022, singlestep 3, solver_type 'taylor', any r2",
        statement=r"x_s=\dots+W_2D_1+W_3D_2\ \text{from }f,f_1,f_2:\ O(h^3)\ \text{for }r_2=\tfrac12",
        road=EXACT_FLOW,
        tolerance=ALLOWED,
        formula=partial(published_singlestep3, form="taylor"),
        check=has_order(3, CASES[:1]),
    ),
    holds(
        id="lu2022.order.3.any-r2.corrected",
        source="hochbruck2005 eq. (5.8)",
        statement=r"W_2\frac{\gamma(f_1-f)+(f_2-f)}{\gamma r_1+r_2},\ \gamma=\frac{r_2(3r_2-2)}{r_1(2-3r_1)}:\ O(h^3)",
        road=EXACT_FLOW,
        tolerance=ALLOWED,
        formula=partial(dpm_singlestep, order=3, r1=1 / 3, r2=1 / 2),
        check=has_order(3, _TWO),
    ),
    holds(
        id="lu2022pp.multistep.2",
        source="lu2022pp algorithm 2",
        statement=r"\text{DPM-Solver++(2M)}:\ O(h^2)",
        road=EXACT_FLOW,
        tolerance=ALLOWED,
        formula=partial(dpm_multistep, order=2, form="paper"),
        check=has_order(2, exact_start=1),
    ),
    refuted(
        id="lu2022pp.multistep.3.common",
        source="published code of lu2022pp, copied widely",
        statement=r"\dots+W_2D_1+W_3\tfrac{h^2f''}{2}:\ O(h^3)",
        road=EXACT_FLOW + ", exact starting values",
        tolerance=ALLOWED,
        formula=partial(dpm_multistep, order=3, form="common"),
        check=has_order(3, exact_start=2),
    ),
    holds(
        id="lu2022pp.multistep.3.common.second",
        source="published code of lu2022pp, copied widely",
        statement=r"\dots+W_2D_1+W_3\tfrac{h^2f''}{2}:\ \text{order }2,\text{ no more}",
        road=EXACT_FLOW + ", exact starting values",
        tolerance=0.12,
        formula=partial(dpm_multistep, order=3, form="common"),
        check=has_order(2, _TWO, exact_start=2, both_sides=True),
    ),
    holds(
        id="lu2022pp.multistep.3.corrected",
        source="lu2022pp, as corrected",
        statement=r"\dots+W_2D_1+W_3h^2f'':\ O(h^3)",
        road=EXACT_FLOW + ", exact starting values",
        tolerance=0.06,
        formula=partial(dpm_multistep, order=3),
        check=has_order(3, exact_start=2, both_sides=True),
    ),
    holds(
        id="lu2022pp.multistep.3.users-start",
        source="lu2022pp, as corrected, started with two steps of singlestep order 3",
        statement=r"\dots+W_2D_1+W_3h^2f'':\ O(h^3)",
        road=EXACT_FLOW,
        tolerance=0.06,
        formula=partial(dpm_multistep, order=3),
        check=has_order(3, _TWO, both_sides=True),
    ),
    holds(
        id="lu2022pp.multistep.3.order-1-start",
        source="lu2022pp algorithm, as corrected, with its usual start",
        statement=r"\text{a first step of order 1 leaves }O(h^2)",
        road=EXACT_FLOW,
        tolerance=0.12,
        formula=partial(dpm_multistep, order=3, start="lower"),
        check=has_order(2, _TWO, both_sides=True, last=True),
    ),
    refuted(
        id="notes.solver.step-size",
        source="notes, closing text",
        statement=r"\text{the error of DPM-Solver does not depend on the step size}",
        road=EXACT_FLOW,
        tolerance=ALLOWED,
        formula=(ddim, partial(dpm_singlestep, order=2), partial(dpm_singlestep, order=3)),
        check=_step_independent,
    ),
)
