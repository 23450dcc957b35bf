"""Optimal trajectories beside the even grid, from the file of `dpmoracle gamma`; and what of them is kept as JSON."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .errors import InvalidParameterError
from .estimate import Estimate
from .gamma_curve import GammaCurve
from .processes.schedule import Schedule
from .trajectory import Trajectory, evaluate_trajectory, optimal_trajectory
from .trajectory.estimated import clip_mmse, mmse_bounds
from .trajectory.grids import even_grid
from .trajectory.monge import MongeCertificate, monge_certificate
from .trajectory.step_cost import BOUND_RTOL, as_nodes, check_nodes, mmse_integral, name_steps

__all__ = [
    "Plan",
    "impossible_steps",
    "make_plan",
    "plan_json",
    "read_timesteps",
    "to_diffusers",
    "usable_mmse",
]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

_FORMAT, _VERSION = "dpmoracle.trajectory", 1


@dataclass(frozen=True, eq=False)
class Plan:
    """The best trajectory for each number of nodes, under one estimate of V.

    mmse     : (N+1,) the V that was used, clipped where the caller asked for it
    clipped  : the timesteps at which it differs from the estimate
    integral : of V du from u_N to u_1, in nats times 2/d; its error is no bound where the certificate fails
    best     : by K, the optimal trajectory
    even     : by K, the even grid
    """

    curve: GammaCurve
    mmse: Array
    clipped: Steps
    certificate: MongeCertificate
    integral: Estimate
    best: dict[int, Trajectory]
    even: dict[int, Trajectory]

    @property
    def sampling_error(self) -> float:
        """At most one standard error of ∫ V du from the samples: they are shared, so the errors of V add up."""
        stderr, u = self.curve.mmse_stderr, self.curve.schedule.snr
        return float((0.5 * (stderr[1:-1] + stderr[2:]) * -np.diff(u[1:])).sum())

    def excess(self, cost: float) -> float:
        """Nats per dimension that a trajectory costs more than any can avoid, ½ (Σ J - ∫ V du)."""
        return 0.5 * (cost - float(self.integral.value))


def impossible_steps(curve: GammaCurve) -> Steps:
    """The timesteps at which V is negative or above 1/u, which no distribution has."""
    low, high = mmse_bounds(curve.schedule.snr)
    v = curve.mmse
    return np.flatnonzero((v < low) | (v > high * (1 + BOUND_RTOL)))


def usable_mmse(curve: GammaCurve, clip: bool, who: str) -> Array:
    """V (N+1,) as some distribution may have it: as estimated, or with `clip` moved into the bounds of Theorem 2.

    Those for data in the range of these are used. Without `clip` an impossible V is refused, naming the timesteps.
    """
    bad = impossible_steps(curve)
    if clip:
        low, high = curve.data.range
        return clip_mmse(curve.mmse, mmse_bounds(curve.schedule.snr, (low, high) if low < high else None))
    if bad.size:
        raise InvalidParameterError(
            f"{who}: V must lie in [0, 1/u] as for every distribution; it does not at {name_steps(bad)} "
            f"(estimator {curve.estimator}, {curve.num_samples} samples). Estimate again with more samples or "
            "--estimator trace, or move V into the bounds on purpose with --clip"
        )
    return curve.mmse


def make_plan(
    curve: GammaCurve,
    node_counts: Sequence[int],
    clip: bool = False,
    who: str = "make_plan",
    backend: str = "auto",
) -> Plan:
    """The optimal trajectory and the even grid for every K of node_counts, each in 2..N.

    clip as in `usable_mmse`, backend as in `optimal_trajectory`
    """
    u, last = curve.schedule.snr, curve.schedule.N
    counts = [check_nodes(who, K, last) for K in dict.fromkeys(node_counts)]
    v = usable_mmse(curve, clip, who)
    return Plan(
        curve,
        v,
        np.flatnonzero(v != curve.mmse),
        monge_certificate(u, v),
        mmse_integral(u, v),
        {K: optimal_trajectory(u, v, K, backend) for K in counts},
        {K: evaluate_trajectory(u, v, even_grid(last, K), "even") for K in counts},
    )


def to_diffusers(timesteps: Steps) -> list[int]:
    """As diffusers' set_timesteps(timesteps=...) takes them: its index is t - 1, the noisiest comes first."""
    return [int(t) - 1 for t in timesteps[::-1]]


def plan_json(plan: Plan, source: str) -> str:
    """A plan as strict JSON; null for what is not finite. `source` names the file that V came from."""
    curve = plan.curve
    d = curve.data.shape[1]

    def entry(path: Trajectory) -> dict[str, Any]:
        each = plan.excess(path.cost)
        return {
            "timesteps": path.timesteps.tolist(),
            "diffusers_timesteps": to_diffusers(path.timesteps),
            "cost": _finite(path.cost),
            "excess_nats_per_dimension": _finite(each),
            "excess_nats": _finite(d * each),
        }

    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "program": __version__,
        "gamma_file": source,
        "data": {"name": curve.data.name, "shape": list(curve.data.shape), "sha256": curve.data.sha256},
        "schedule": _schedule_record(curve.schedule),
        "certificate": {
            "holds": plan.certificate.holds,
            "margin": _finite(plan.certificate.margin),
            "violations": int(plan.certificate.where.size),
        },
        "mmse_integral": {
            "value": _finite(float(plan.integral.value)),
            "error": _finite(float(plan.integral.error)),
            "sampling_error": _finite(plan.sampling_error),
        },
        "clipped": plan.clipped.tolist(),
        "poor": curve.poor.tolist(),
        "trajectories": [
            {"K": K, "method": best.method, **entry(best), "even": entry(plan.even[K])}
            for K, best in plan.best.items()
        ],
    }
    spread = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    return re.sub(r"\[\n([\d,\s]*)\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", spread)


def read_timesteps(path: str | os.PathLike[str], schedule: Schedule, K: int | None, who: str) -> Steps:
    """The optimal timesteps for K in the JSON that `plan_json` made for the same schedule.

    K : None takes the only one there is
    Raises InvalidParameterError for a file that is missing, damaged, of another kind or another schedule.
    """
    shown = repr(os.fspath(path))
    wanted = f"{who}: {shown} must be the --json file of `dpmoracle trajectory`"
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InvalidParameterError(f"{wanted}; there is no such file") from error
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"{wanted}; it is damaged or of another kind ({error})") from error
    found = (content.get("format"), content.get("version")) if isinstance(content, dict) else (None, None)
    if found != (_FORMAT, _VERSION):
        raise InvalidParameterError(f"{wanted}, version {_VERSION}; its format and version are {found}")
    try:
        theirs = content["schedule"]
        offered = {entry["K"]: entry["timesteps"] for entry in content["trajectories"]}
        if theirs["sha256"] != _schedule_record(schedule)["sha256"]:
            raise InvalidParameterError(
                f"{who}: {shown} is for the schedule {theirs['name']}, N = {theirs['N']}; this run has "
                f"{schedule.name}, N = {schedule.N}. Give the same --schedule, or --gamma with its file"
            )
        chosen = next(iter(offered)) if K is None and len(offered) == 1 else K
        if chosen not in offered:
            raise InvalidParameterError(
                f"{who}: {shown} has trajectories for K = {', '.join(map(str, offered))}; "
                + ("choose one with -K" if K is None else f"got -K {K}")
            )
        return as_nodes(who, offered[chosen], schedule.N)
    except (KeyError, TypeError) as error:
        raise InvalidParameterError(f"{wanted}; a part of it is missing ({error!r})") from error


def _schedule_record(schedule: Schedule) -> dict[str, Any]:
    """Name and N for the reader; the hash of ᾱ decides whether another schedule is the same."""
    plain = np.ascontiguousarray(schedule.alpha_bar, dtype="<f8").tobytes()
    return {"name": schedule.name, "N": schedule.N, "sha256": hashlib.sha256(plain).hexdigest()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
