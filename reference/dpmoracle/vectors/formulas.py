"""Vectors of the formulas of a reverse step: λ², means, optimal variances, bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import variance
from ..sampler import clean_prediction
from ..sde_step import ml_sde_coefficients
from . import values
from .quantity import Cases, Quantity
from .values import on_schedule

__all__ = ["QUANTITIES"]

Inputs = Mapping[str, Mapping[str, Any]]

_STEPS = [
    *(("linear", s, t) for s, t in [(0, 1), (1, 2), (9, 10), (99, 100), (499, 500), (400, 500), (1, 1000)]),
    ("cosine", 300, 700),
    ("betas", 2, 4),
]
_RULES = {"ddim": 0.0, "eta": 0.5, "ddpm": 1.0}  # η
_X, _CLEAN, _SCORE = [0.7, -1.3, 0.2], [0.4, -0.9, -0.1], [-0.6, 1.1, -0.3]


def _curves(u: float, beta_bar: float) -> dict[str, float]:
    """V and Γ of isotropic Gaussian data of variance 0.8."""
    v = 0.8 / (1 + 0.8 * u)
    return {"mmse_t": v, "gamma_t": (1 - u * v) / beta_bar}


def _steps(*names: str, **more: Any) -> Cases:
    """Steps with the named inputs and `more`; under each rule for λ² where that, or η, is among them."""

    def cases() -> Inputs:
        found = {}
        for name, s, t in _STEPS:
            spec = values.SCHEDULES[name]
            sch = values.schedule(spec)
            offered: dict[str, Any] = {**_curves(float(sch.snr[t]), float(sch.beta_bar[t]))}
            for rule, eta in (_RULES if {"eta", "lam2"} & {*names} else {"": 0.0}).items():
                if s == 0 and eta > 0:
                    continue
                offered |= {"eta": eta, "lam2": variance.lambda2_ddim(sch, s, t, eta)}
                label = "-".join([name, rule, f"{s}-{t}"] if rule else [name, f"{s}-{t}"])
                found[label] = {
                    "schedule": spec,
                    "s": s,
                    "t": t,
                    **{key: offered[key] for key in names},
                    **more,
                }
        return found

    return cases


def _times() -> Inputs:
    """The ends of those steps, with Γ."""
    found = _steps("gamma_t")().items()
    return {
        f"{label.split('-')[0]}-{given['t']}": {key: given[key] for key in ("schedule", "t", "gamma_t")}
        for label, given in found
    }


def _clean(*, schedule: Any, t: int, x_t: Any, output: Any, predicts: str) -> Any:
    return clean_prediction(values.schedule(schedule), t, np.array(x_t), np.array(output), predicts)


def _last_steps() -> Inputs:
    return {
        "one-grey-level": {"y": 1.0, "data_range": [-1.0, 1.0], "levels": 256},
        "two-grey-levels": {"y": 2.0, "data_range": [-1.0, 1.0], "levels": 256},
        "unit-range": {"y": 1.5, "data_range": [0.0, 1.0], "levels": 65536},
    }


def _predictions() -> Inputs:
    return {
        f"linear-{predicts}-{t}": {
            "schedule": values.SCHEDULES["linear"],
            "t": t,
            "x_t": _X,
            "output": _SCORE,
            "predicts": predicts,
        }
        for predicts in ("eps", "v")
        for t in (1, 500, 999)
    }


_STEP = {"schedule": "its kind and parameters", "s": "timestep, s < t", "t": "timestep"}
_LAM2 = _STEP | {"lam2": "λ², in [0, β̄_s]: 0 is DDIM, β̃ is DDPM"}
_BAO = "bao2022, Theorem 1"

QUANTITIES = (
    Quantity(
        "lambda2_ddpm",
        "formula",
        "ho2020, eq. (7), skipped",
        "λ² = β̃_{s|t} = (β̄_s/β̄_t) β_{t|s}",
        _STEP,
        "variance of q(x_s|x_t, x_0)",
        on_schedule(variance.lambda2_ddpm),
        _steps(),
    ),
    Quantity(
        "lambda2_ddim",
        "formula",
        "song2021ddim, eq. (16)",
        "λ² = η² β̃_{s|t}",
        _STEP | {"eta": "η in [0, 1]"},
        "λ²",
        on_schedule(variance.lambda2_ddim),
        _steps("eta"),
    ),
    Quantity(
        "reverse_coefficient",
        "formula",
        _BAO,
        "c = sqrt(ᾱ_s) - sqrt(β̄_s - λ²) sqrt(ᾱ_t/β̄_t)",
        _LAM2,
        "c",
        on_schedule(variance.reverse_coefficient),
        _steps("lam2"),
    ),
    Quantity(
        "forward_posterior_mean",
        "formula",
        "notes eq. (1), skipped",
        "μ̃ = sqrt(ᾱ_s) x_0 + sqrt(β̄_s - λ²) (x_t - sqrt(ᾱ_t) x_0)/sqrt(β̄_t)",
        _LAM2 | {"x_t": "(d,)", "x0": "(d,)"},
        "(d,) mean of q(x_s|x_t, x_0)",
        on_schedule(variance.forward_posterior_mean),
        _steps("lam2", x_t=_X, x0=_CLEAN),
        atol=1e-10,
    ),
    Quantity(
        "optimal_mean",
        "formula",
        f"{_BAO}; notes eqs. (4), (9) with ᾱ for α",
        "μ* = μ̃(x_t, x_0) with x_0 = (x_t + β̄_t score)/sqrt(ᾱ_t)",
        _LAM2 | {"x_t": "(d,)", "score": "(d,) ∇log q_t(x_t)"},
        "(d,) E[x_s|x_t]",
        on_schedule(variance.optimal_mean),
        _steps("lam2", x_t=_X, score=_SCORE),
        atol=1e-10,
    ),
    Quantity(
        "mmse_from_gamma",
        "formula",
        "Tweedie's formula of second order",
        "V_t = (β̄_t/ᾱ_t)(1 - β̄_t Γ_t)",
        {"schedule": "its kind and parameters", "t": "timestep", "gamma_t": "Γ_t = E|score|²/d"},
        "V_t = E Tr Cov(x_0|x_t)/d",
        on_schedule(variance.mmse_from_gamma),
        _times,
    ),
    Quantity(
        "optimal_variance",
        "formula",
        f"{_BAO}; notes eq. (7)",
        "σ*² = λ² + (sqrt(β̄_t/α_{t|s}) - sqrt(β̄_s - λ²))² (1 - β̄_t Γ_t), α_{t|s} = ᾱ_t/ᾱ_s",
        _LAM2 | {"gamma_t": "Γ_t = E|score|²/d"},
        "σ*²",
        on_schedule(variance.optimal_variance),
        _steps("lam2", "gamma_t"),
    ),
    Quantity(
        "optimal_variance_from_mmse",
        "formula",
        f"{_BAO}, with V for Γ",
        "σ*² = λ² + c² V_t, c as in reverse_coefficient",
        _LAM2 | {"mmse_t": "V_t = E Tr Cov(x_0|x_t)/d"},
        "σ*²",
        on_schedule(variance.optimal_variance_from_mmse),
        _steps("lam2", "mmse_t"),
    ),
    Quantity(
        "variance_bounds",
        "formula",
        "bao2022, Theorem 2",
        "λ² <= σ*² <= λ² + c² min(β̄_t/ᾱ_t, ((b - a)/2)²)",
        _LAM2 | {"data_range": "[a, b], every coordinate of x_0 lies in it"},
        "[lower, upper]",
        on_schedule(variance.variance_bounds),
        _steps("lam2", data_range=[-1.0, 1.0]),
        atol=1e-14,
    ),
    Quantity(
        "last_step_bound",
        "formula",
        "bao2022, on clipping",
        "σ² <= (π/2) (y (b - a)/(levels - 1))², because E|σε| = σ sqrt(2/π)",
        {"y": "grey levels tolerated", "data_range": "[a, b], black and white", "levels": "of grey"},
        "the largest σ² of the last noisy step",
        variance.last_step_bound,
        _last_steps,
    ),
    Quantity(
        "clean_prediction",
        "formula",
        "ho2020, below eq. (15); salimans2022, section 4",
        "eps: x_0 = (x_t - sqrt(β̄_t) ε)/sqrt(ᾱ_t). v: x_0 = sqrt(ᾱ_t) x_t - sqrt(β̄_t) v",
        {
            "schedule": "its kind and parameters",
            "t": "timestep",
            "x_t": "(d,)",
            "output": "(d,) of the network",
            "predicts": "eps or v",
        },
        "(d,) the prediction of x_0",
        _clean,
        _predictions,
        atol=1e-10,
    ),
    Quantity(
        "ml_sde_coefficients",
        "formula",
        "popov2022, Theorem 1",
        "(1 + κ) r = β_{t|s}/sqrt(α_{t|s}), (1/2 + ω) r = 1/sqrt(α_{t|s}) - 1, σ² = β̃_{s|t} + ν² V_t, "
        "ν = sqrt(ᾱ_s) β_{t|s}/β̄_t",
        _STEP | {"mmse_t": "V_t", "rate": "r, noise rate times step"},
        "[κ, ω, σ²]",
        on_schedule(ml_sde_coefficients),
        _steps("mmse_t", rate=0.3),
    ),
)
