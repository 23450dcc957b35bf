"""Vectors of what information costs: integrals of V, divergences, and steps with other covariances; in nats."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..covariance_cost import covariance_cost
from ..likelihood import kl_to_normal, snr_integral, trajectory_kl
from ..oracle import Oracle
from . import values
from .quantity import Quantity

__all__ = ["QUANTITIES"]

Inputs = Mapping[str, Mapping[str, Any]]

_SHORT = {"kind": "linear", "N": 12, "beta_start": 0.02, "beta_end": 0.6}
_PATH = [1, 4, 7, 12]


def _kls() -> Inputs:
    return {
        f"gaussian-{len(path)}": {
            "mixture": values.MIXTURES["gaussian"],
            "schedule": _SHORT,
            "timesteps": path,
        }
        for path in ([1, 12], _PATH, list(range(1, 13)))
    }


def _spans() -> Inputs:
    points = {
        "weights": [0.25, 0.75],
        "means": [[-1.0], [0.5]],
        "covariances": [[0.0], [0.0]],
        "covariance_type": "diag",
    }
    return {
        "gaussian": {"mixture": values.MIXTURES["gaussian"], "low": 0.1, "high": 5.0},
        "gaussian-from-zero": {"mixture": values.MIXTURES["gaussian"], "low": 0.0, "high": 100.0},
        "points-whole": {"mixture": points, "low": 0.0, "high": math.inf},
    }


def _levels() -> Inputs:
    found = {}
    for name in ("gaussian", "line"):
        for where, lam in (("clean", 1.5), ("noisy", -1.5)):
            a, sigma = values.level(lam)
            found[f"{name}-{where}"] = {"mixture": values.MIXTURES[name], "a": a, "sigma": sigma}
    return found


def _covariances() -> Inputs:
    cases = [("gaussian", kind) for kind in ("isotropic", "diagonal", "full")] + [("line", "state_full")]
    return {
        f"{name}-{kind}": {
            "mixture": values.MIXTURES[name],
            "schedule": _SHORT,
            "timesteps": _PATH,
            "covariance": kind,
        }
        for name, kind in cases
    }


def _trajectory_kl(*, mixture: Any, schedule: Any, timesteps: Any) -> Any:
    oracle = Oracle(values.mixture(mixture), values.schedule(schedule))
    return trajectory_kl(oracle, np.array(timesteps), method="exact").value


def _snr_integral(*, mixture: Any, low: float, high: float) -> Any:
    return snr_integral(values.mixture(mixture), low, high).value


def _kl_to_normal(*, mixture: Any, a: float, sigma: float) -> Any:
    return kl_to_normal(values.mixture(mixture).diffuse(a, sigma)).value


def _covariance_cost(*, mixture: Any, schedule: Any, timesteps: Any, covariance: str) -> Any:
    oracle = Oracle(values.mixture(mixture), values.schedule(schedule))
    return covariance_cost(oracle, covariance, timesteps, method="quadrature").cost.diagonal(1).sum()


_CHAIN = {
    "mixture": "the law of x_0",
    "schedule": "its kind and parameters",
    "timesteps": "(K,) increasing",
}

QUANTITIES = (
    Quantity(
        "trajectory_kl",
        "trajectory",
        "bao2022, Theorem 3, without x_0",
        "KL of the forward chain x_{τ_1}, ..., x_{τ_K} to the reverse chain that starts at N(0, I) and steps with "
        "N(E[x_s|x_t], σ*² I), λ² = β̃, σ*² as in optimal_variance",
        _CHAIN,
        "nats",
        _trajectory_kl,
        _kls,
        rtol=1e-9,
    ),
    Quantity(
        "snr_integral",
        "trajectory",
        "guo2005, I-MMSE",
        "∫ V du over the SNR u from low to high, V as in mmse: 2/d times mutual information, the least that Σ J can be",
        {"mixture": "the law of x_0", "low": "u", "high": "u, may be inf"},
        "nats times 2/d",
        _snr_integral,
        _spans,
        rtol=1e-8,
    ),
    Quantity(
        "kl_to_normal",
        "trajectory",
        "definition",
        "KL(q ‖ N(0, I)), q the law of a x_0 + σ ε: what starting from pure noise costs",
        {"mixture": "the law of x_0", "a": "a", "sigma": "σ"},
        "nats",
        _kl_to_normal,
        _levels,
        rtol=1e-8,
    ),
    Quantity(
        "covariance_cost",
        "trajectory",
        "bao2022extended; optimal covariances in SNR form",
        "Σ over the steps, Δu = u_s - u_t, C = Cov(x_0|x_t), of (1/d) times: d log(1 + E[Tr C/d] Δu) (isotropic), "
        "Σ_i log(1 + E[C_ii] Δu) (diagonal), log det(I + E[C] Δu) (full), E log det(I + C Δu) (state_full)",
        _CHAIN | {"covariance": "isotropic, diagonal, full or state_full"},
        "nats times 2/d",
        _covariance_cost,
        _covariances,
        rtol=1e-7,
    ),
)
