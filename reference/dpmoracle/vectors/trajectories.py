"""Vectors of whole trajectories: which timesteps are best, what they cost, and where the reverse chain ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..oracle import Oracle
from ..sampler import reverse_chain
from ..trajectory import monge_certificate, optimal_trajectory, path_cost
from ..variance import lambda2_ddim, optimal_variance_from_mmse
from . import values
from .quantity import Quantity

__all__ = ["QUANTITIES", "chain"]

Inputs = Mapping[str, Mapping[str, Any]]

_SHORT = {"kind": "linear", "N": 12, "beta_start": 0.02, "beta_end": 0.6}
_LONG = {"kind": "linear", "N": 60, "beta_start": 0.001, "beta_end": 0.2}
_START = [[1.4, -0.3], [-0.9, 0.8]]
_NOISE = [[[0.3, -1.1], [0.8, 0.1]], [[-0.7, 0.4], [1.5, -0.2]], [[0.9, 0.6], [-0.3, -1.4]]]


def _curve(spec: Mapping[str, Any]) -> dict[str, Any]:
    sch = values.schedule(spec)
    oracle = Oracle(values.mixture(values.MIXTURES["line"]), sch)
    return {"snr": sch.snr, "mmse": oracle.mmse(np.arange(sch.N + 1), method="quadrature").value}


def _costs() -> Inputs:
    short, long = _curve(_SHORT), _curve(_LONG)
    return {
        "12-all": short | {"timesteps": list(range(1, 13))},
        "12-four": short | {"timesteps": [1, 4, 7, 12]},
        "60-five": long | {"timesteps": [1, 9, 20, 41, 60]},
    }


def _best() -> Inputs:
    short, long = _curve(_SHORT), _curve(_LONG)
    return {f"12-{K}": short | {"K": K} for K in (2, 4, 6)} | {
        f"60-{K}": long | {"K": K} for K in (5, 10, 25)
    }


def _curves() -> Inputs:
    short = _curve(_SHORT)
    wavy = short["mmse"] * (1 + 0.2 * (-1.0) ** np.arange(13))
    return {"12": short, "60": _curve(_LONG), "12-not-monge": short | {"mmse": wavy}}


def _chains() -> Inputs:
    sch = values.schedule(values.SCHEDULES["linear"])
    nodes = [1, 150, 400, 1000]
    found = {
        name: {
            "mixture": values.MIXTURES["plane"],
            "schedule": values.SCHEDULES["linear"],
            "timesteps": nodes,
            "eta": eta,
            "mmse": None,
            "x_T": _START,
            "noise": _NOISE,
        }
        for name, eta in (("ddim", 0.0), ("half", 0.5), ("ddpm", 1.0))
    }
    v = Oracle(values.mixture(values.MIXTURES["plane"]), sch).mmse(nodes, method="quadrature").value
    return found | {"optimal": found["ddpm"] | {"mmse": v}}


def chain(
    *,
    mixture: Any,
    schedule: Any,
    timesteps: Any,
    eta: float,
    mmse: Any,
    x_T: Any,
    noise: Any,
    shift: int = 0,
) -> Any:
    """States from x_T down to x_0; `shift` misplaces the time that the network is asked about."""
    sch = values.schedule(schedule)
    oracle = Oracle(values.mixture(mixture), sch)
    nodes = np.array(timesteps)
    lam2 = lambda2_ddim(sch, nodes[:-1], nodes[1:], eta)
    sigma2 = lam2
    if mmse is not None:
        sigma2 = optimal_variance_from_mmse(sch, nodes[:-1], nodes[1:], np.array(mmse)[1:], lam2)
    states = reverse_chain(
        lambda x, t: oracle.x0(x, t + shift),
        sch,
        nodes,
        np.array(x_T),
        lam2,
        sigma2,
        lambda k: np.array(noise[k]),
    )
    return np.array([x for _, x in states])


def _optimal(*, snr: Any, mmse: Any, K: int) -> Any:
    return optimal_trajectory(snr, mmse, K, method="dense").timesteps


def _margin(*, snr: Any, mmse: Any) -> float:
    return monge_certificate(snr, mmse).margin


_CURVE = {
    "snr": "(N+1,) u_t, entry 0 is not used",
    "mmse": "(N+1,) V_t, entry 0 is not used",
}
QUANTITIES = (
    Quantity(
        "trajectory_cost",
        "trajectory",
        "notes eq. (10), bao2022, for λ² = β̃",
        "Σ J over the steps, J(s, t) = log(σ*²/β̃) = log(1 + V_t (u_s - u_t))",
        _CURVE | {"timesteps": "(K,) increasing from 1 to N"},
        "sum of J: nats times 2/d",
        path_cost,
        _costs,
    ),
    Quantity(
        "optimal_trajectory",
        "trajectory",
        "notes eq. (10); bao2022, section 4",
        "the timesteps 1 = τ_1 < ... < τ_K = N that minimise Σ J (here the best is unique)",
        _CURVE | {"K": "number of timesteps"},
        "(K,) timesteps, increasing",
        _optimal,
        _best,
        rtol=0.0,
    ),
    Quantity(
        "monge_margin",
        "trajectory",
        "guo2011; the cost J is Monge exactly when g does not increase",
        "min over t = 2..N-1 of (g_t - g_{t+1})/max(|g_t|, |g_{t+1}|, u_t), g = 1/V - u",
        _CURVE,
        "the margin; >= 0 up to rounding for the V of any distribution",
        _margin,
        _curves,
        rtol=1e-8,
        atol=1e-9,
    ),
    Quantity(
        "ancestral_chain",
        "trajectory",
        "notes eqs. (2), (9); song2021ddim, eq. (12)",
        "ancestral_step from τ_K down to τ_1 with the exact prediction of x_0, λ² = η² β̃, σ² = λ², or λ² + c² V_t "
        "where mmse is given; then x_0 = E[x_0|x_{τ_1}], no noise",
        {
            "mixture": "of which the network is the exact one",
            "schedule": "its kind and parameters",
            "timesteps": "(K,) increasing",
            "eta": "η",
            "mmse": "(K,) V at the timesteps, or null",
            "x_T": "(n, d) at τ_K",
            "noise": "(K-1, n, d) z; entry k of the step that ends at timesteps[k]",
        },
        "(K+1, n, d) x at τ_K, ..., τ_1, 0",
        chain,
        _chains,
        rtol=1e-9,
        atol=1e-9,
    ),
)
