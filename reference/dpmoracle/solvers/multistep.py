"""Multistep DPM-Solver and DPM-Solver++, orders 2 and 3, and the common third-order form that is second order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from .checks import check_choice, check_nodes, check_order
from .coefficients import Level, Step, half_log_snr
from .history import Seen, march
from .network import Model, as_network
from .path import Path, vp_path

__all__ = ["MULTISTEP_FORMS", "dpm_multistep", "multistep"]

#: "paper" and "taylor" differ at order 2 by O(h^3) a step; "common" differs from both at order 3, by O(h^3) a step
MULTISTEP_FORMS = ("taylor", "paper", "common")


def dpm_multistep(
    model: Model,
    x: Any,
    nodes: ArrayLike,
    order: int = 3,
    prediction: str = "data",
    *,
    form: str = "taylor",
    start: Any = "singlestep",
    lower_end: bool = False,
    path: Path = vp_path,
) -> Any:
    r"""DPM-Solver++(kM) in data prediction [lu2022pp, section 4.2 and appendix B], and its twin for noise.

    One evaluation a step, after the start.

    model, nodes, prediction, path : as for `dpm_singlestep`
    order     : 1, 2 or 3
    form      : "taylor" is of its order; "paper" is the published order 2, (h φ_1/2) D_1 for (h φ_2) D_1, and at
                order 3 the same as "taylor"; "common" is the widely copied order 3 that takes the second divided
                difference h²f''/2 where h²f'' belongs, and is of order 2
    start     : "singlestep" (order - 1 steps of full order), "lower" (orders 1, 2, as usual: the error of the first
                step, O(h²), stays), or exact states (order - 1, *x.shape) at the nodes 1..order - 1
    lower_end : orders 2 and 1 at the end; the last node may then have σ = 0
    Returns x at the last node. With start="lower" and data prediction the first node may have a = 0.
    Raises InvalidParameterError for a wrong order, prediction, form or start, nodes that do not fall in noise or that
    it cannot leave or reach, and a model that returns another shape, nan or inf (with the level).
    """
    who = "dpm_multistep"
    order = check_order(who, order, (1, 2, 3))
    check_choice(who, "prediction", prediction)
    check_choice(who, "form", form, MULTISTEP_FORMS)
    levels = check_nodes(who, nodes)

    def predict(x: Any, seen: Sequence[Seen], s: Level) -> Any:
        return multistep(x, seen, s, prediction, form)

    return march(as_network(who, model), x, levels, order, prediction, predict, start, lower_end, path)


def multistep(x: Any, seen: Sequence[Seen], s: Level, prediction: str, form: str = "taylor") -> Any:
    """One step from the newest node in `seen` to level s, of order len(seen), by backward differences.

    With f(λ) at 0, -r_0 h, -(r_0 + r_1) h: the difference quotients give D_1 and D_2 = 2 (second divided difference).
    """
    step = Step.between(seen[0].level, s, prediction)
    base = step.keep * x + step.weight(1) * seen[0].f
    if len(seen) == 1:
        return base
    lam = [half_log_snr(node.level) for node in seen]
    r0 = (lam[0] - lam[1]) / step.h
    slope0 = (seen[0].f - seen[1].f) / r0
    if len(seen) == 2:
        return base + (0.5 * step.weight(1) if form == "paper" else step.weight(2)) * slope0
    r1 = (lam[1] - lam[2]) / step.h
    slope1 = (seen[1].f - seen[2].f) / r1
    bend = (slope0 - slope1) / (r0 + r1)
    return (
        base
        + step.weight(2) * (slope0 + r0 * bend)
        + step.weight(3) * (1.0 if form == "common" else 2.0) * bend
    )
