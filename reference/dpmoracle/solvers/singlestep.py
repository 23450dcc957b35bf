"""Singlestep DPM-Solver and DPM-Solver++, orders 1 to 3: each step stands alone."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ..errors import InvalidParameterError
from .checks import check_choice, check_ends, check_fraction, check_nodes, check_order, order_plan
from .coefficients import Level, Step, half_log_snr, phi
from .network import Model, Network, as_network
from .path import Path, vp_path

__all__ = ["FORMS", "LOWER_END", "R1", "combine", "dpm_singlestep", "singlestep", "skew", "stages"]

LOWER_END = ", or pass lower_end=True, which ends with a step of order 1"

FORMS = ("paper", "taylor")
#: the first intermediate point of each order in the papers, as a share of h
R1 = {1: 1.0, 2: 1 / 2, 3: 1 / 3}


def dpm_singlestep(
    model: Model,
    x: Any,
    nodes: ArrayLike,
    order: int = 3,
    prediction: str = "data",
    *,
    r1: float | None = None,
    r2: float = 2 / 3,
    form: str = "paper",
    lower_end: bool = False,
    path: Path = vp_path,
) -> Any:
    r"""DPM-Solver-k [lu2022, algorithms 1, 4, 5] and DPM-Solver++ [lu2022pp], `order` evaluations a step.

    model      : model(x, a, sigma) predicts x_0 ("data", DPM-Solver++) or ε ("noise", DPM-Solver)
    nodes      : (K+1, 2) of (a, σ), noisiest first, 0 < a and 0 < σ throughout
    order      : 1, 2 or 3; 1 is DDIM
    r1, r2     : in (0, 1], the intermediate points λ_t + r h; r1 = 1/2 for order 2, 1/3 for order 3, and r1 < r2
    form       : "paper", continued to r2 != 2/3 by the family of [hochbruck2005]; "taylor" differs by O(h^order), and
                 for order 3 needs r2 = 2/3. (Published code takes any r2 in both forms: its order is then 2.)
    lower_end  : take orders 2 and 1 at the end; the last node may then have σ = 0
    path       : the levels of intermediate points; the default is variance preserving
    Returns x at the last node. Raises InvalidParameterError as `dpm_multistep` does, and for r1, r2 out of range.
    """
    who = "dpm_singlestep"
    order = check_order(who, order, (1, 2, 3))
    check_choice(who, "prediction", prediction)
    check_choice(who, "form", form, FORMS)
    first = None if r1 is None else check_fraction(who, "r1", r1)
    second = check_fraction(who, "r2", r2)
    if order == 3:
        _check_points(who, R1[3] if first is None else first, second, form)
    levels = check_nodes(who, nodes)
    plan = order_plan(len(levels) - 1, order, lower_end=lower_end)
    noise = plan[0] == 1 and prediction == "data"
    check_ends(who, levels, noise, plan[-1] == 1, data_way=LOWER_END)
    net = as_network(who, model)
    for i, k in enumerate(plan):
        f = net(x, levels[i])
        r = R1[k] if first is None or k < order else first
        x = singlestep(net, x, levels[i], levels[i + 1], f, k, prediction, path, r, second, form)
    return x


def _check_points(who: str, r1: float, r2: float, form: str) -> None:
    if not r1 < r2:
        raise InvalidParameterError(f"{who}: r1 must be below r2; got r1 = {r1}, r2 = {r2}")
    if form == "taylor" and abs(r2 - 2 / 3) > 1e-12:
        raise InvalidParameterError(
            f"{who}: form 'taylor' of order 3 needs r2 = 2/3, its order is 2 for any other; got r2 = {r2}. "
            "Use form='paper'"
        )
    if abs(r1 - 2 / 3) < 1e-3:
        raise InvalidParameterError(
            f"{who}: order 3 needs r1 away from 2/3, where its coefficients are infinite; got r1 = {r1}"
        )


def singlestep(
    net: Network,
    x: Any,
    t: Level,
    s: Level,
    f: Any,
    order: int,
    prediction: str,
    path: Path,
    r1: float,
    r2: float = 2 / 3,
    form: str = "paper",
) -> Any:
    """One step from level t, where the network said f, to level s; order - 1 further evaluations."""
    step = Step.between(t, s, prediction)
    slopes = stages(net, x, t, f, step.h, order, prediction, path, r1, r2)
    return combine(step, x, f, slopes, r1, r2, form)


def stages(
    net: Network,
    x: Any,
    t: Level,
    f: Any,
    h: float,
    order: int,
    prediction: str,
    path: Path,
    r1: float,
    r2: float,
) -> list[Any]:
    """The order - 1 slopes (f(λ_t + r h) - f)/r, the second evaluated with the help of the first."""
    slopes: list[Any] = []
    for r in (r1, r2)[: order - 1]:
        middle = path(half_log_snr(t) + r * h)
        part = Step.between(t, middle, prediction)
        inner = part.keep * x + part.weight(1) * f
        if slopes:  # D_1 over r h is r times D_1 over h; the second term vanishes at r2 = 2/3
            extra = part.gain * h * skew(r1, r2) * r1**2 * phi(2, r1 * part.z / r2)
            inner = inner + (part.weight(2) * r + extra) * slopes[0]
        slopes.append((net(inner, middle) - f) / r)
    return slopes


def skew(r1: float, r2: float) -> float:
    """γ of the third-order family [hochbruck2005, eq. (5.8)]: the first slope, which is only known to O(h), counts γ.

    0 at r2 = 2/3, the choice of the papers.
    """
    return r2 * (3.0 * r2 - 2.0) / (r1 * (2.0 - 3.0 * r1))


def combine(step: Step, x: Any, f: Any, slopes: list[Any], r1: float, r2: float, form: str) -> Any:
    """x at the end of `step`, of order len(slopes) + 1."""
    base = step.keep * x + step.weight(1) * f
    if not slopes:
        return base
    if len(slopes) == 1:
        return base + (0.5 * step.weight(1) if form == "paper" else step.weight(2)) * slopes[0]
    if form == "paper":
        share = skew(r1, r2) * r1
        return base + (step.weight(2) / (share + r2)) * (share * slopes[0] + r2 * slopes[1])
    bend = (slopes[1] - slopes[0]) / (r2 - r1)
    return base + step.weight(2) * (slopes[0] - r1 * bend) + step.weight(3) * 2.0 * bend
