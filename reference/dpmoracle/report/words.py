"""What is said of a result in words, the same on a terminal and on a page: what to be wary of, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..gamma_curve import TRUSTED, GammaCurve

if TYPE_CHECKING:
    from ..plan import Plan

__all__ = ["curve_remarks", "even_is_as_good", "excess", "plan_remarks", "step_ranges"]

#: differences of costs below it, relative, are rounding: on Gaussian data and on one point all trajectories tie
_ROUNDING = 1e-13


def step_ranges(steps: NDArray[np.int64], limit: int = 4) -> str:
    """'97 timesteps (1..85, 90 and 11 more)'."""
    runs: list[list[int]] = []
    for t in steps.tolist():
        if runs and t == runs[-1][1] + 1:
            runs[-1][1] = t
        else:
            runs.append([t, t])
    shown = ", ".join(str(a) if a == b else f"{a}..{b}" for a, b in runs[:limit])
    rest = sum(b - a + 1 for a, b in runs[limit:])
    more = f" and {rest} more" if rest else ""
    return f"{steps.size} timestep{'s' if steps.size != 1 else ''} ({shown}{more})"


def curve_remarks(curve: GammaCurve) -> list[str]:
    """Where an estimate of V rests on too little, and where it cannot be one."""
    told = []
    poor, negative = curve.poor, np.flatnonzero(curve.mmse < 0)
    if not curve.mmse.any():
        told.append("V is 0 at every timestep, as for data that are one point.")
    elif poor.size:
        area = np.abs(curve.mmse[2:]) * -np.diff(curve.schedule.snr[1:])
        share = area[poor[poor > 1] - 2].sum() / area.sum() if area.any() else 0.0
        carried = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
        told.append(
            f"Warning: the effective count is below {TRUSTED} at {step_ranges(poor)} of {curve.schedule.N}, with "
            f"{carried} of the integral of V over the SNR. A few rare samples decide V there, and its standard error "
            "flatters. More samples (-M) help."
        )
    if negative.size:
        told.append(
            f"Warning: V is negative at {step_ranges(negative)}, which no distribution has. Use --estimator trace or "
            "pair, or more samples."
        )
    return told


def excess(plan: Plan, cost: float) -> float:
    """Plan.excess, and 0 where it is rounding."""
    each = plan.excess(cost)
    return each if abs(each) > _ROUNDING * cost else 0.0


def even_is_as_good(plan: Plan, K: int) -> bool:
    """Whether the even grid is another path than the optimal one and costs the same, up to rounding."""
    best, even = plan.best[K], plan.even[K]
    return even.cost - best.cost <= _ROUNDING * even.cost and bool((even.timesteps != best.timesteps).any())


def plan_remarks(plan: Plan) -> list[str]:
    """Whether J is Monge for this V; and what in V the trajectories should not be trusted to rest on."""
    if not plan.mmse.any():
        told = [
            "V is 0 at every timestep, as for data that are one point: no step costs anything, and every trajectory is "
            "as good as any other."
        ]
    elif plan.certificate.holds:
        told = ["The certificate holds: J is Monge, the fast programs are exact for this V."]
    else:
        told = [
            f"The certificate fails at {step_ranges(plan.certificate.where)}, so V is not exact: the trajectories are "
            "still the best for this V, found by a search that does not need it; the error of the integral is no bound."
        ]
    if plan.curve.poor.size and plan.mmse.any():
        told.append(f"V rests on a few rare samples at {step_ranges(plan.curve.poor)}.")
    if plan.clipped.size:
        told.append(
            f"V was clipped at {step_ranges(plan.clipped)}; where it became 0, steps look free and draw the "
            "trajectory there. A better estimate is worth more."
        )
    return told
