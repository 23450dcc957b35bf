"""Vectors of single solver steps; multistep methods get what the network said at the nodes before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..sampler import ancestral_step
from ..sde_step import ml_sde_step
from ..solvers import ddim, deis, dpm_singlestep, heun, unipc
from ..solvers.history import Seen
from ..solvers.multistep import multistep
from ..solvers.network import ExactModel
from ..solvers.stochastic import sde_step_parts
from ..variance import lambda2_ddim
from . import values
from .quantity import Quantity
from .values import on_schedule

__all__ = ["INTEGRAL", "QUANTITIES"]

Inputs = Mapping[str, Mapping[str, Any]]

#: λ of the nodes before, newest first, unevenly apart, and of the end of the step
_HISTORY, _END = [0.1, -0.4, -1.1, -1.5], 0.8
_X, _NOISE = [0.6, -1.1], [-0.4, 1.2]
_OUTPUTS = [[0.45, -0.8], [0.2, -0.5], [-0.1, -0.65], [0.05, -0.2]]


def _history(order: int, **more: Any) -> dict[str, Any]:
    return {
        "levels": [values.level(lam) for lam in _HISTORY[:order]],
        "outputs": _OUTPUTS[:order],
        "end": values.level(_END),
        "x": _X,
        **more,
    }


def _multistep_cases() -> Inputs:
    found = {}
    for prediction in ("data", "noise"):
        for order, form in [(1, "taylor"), (2, "taylor"), (2, "paper"), (3, "taylor")]:
            found[f"{prediction}-{order}-{form}"] = _history(order, prediction=prediction, form=form)
    return found


def _unip_cases() -> Inputs:
    return {
        f"{prediction}-{order}-{variant}": _history(order, prediction=prediction, variant=variant)
        for prediction in ("data", "noise")
        for order, variant in [(2, "bh1"), (2, "bh2"), (3, "bh2")]
    }


def _deis_cases() -> Inputs:
    return {
        f"{order}-{clock}": _history(order, clock=clock)
        for order in (2, 3, 4)
        for clock in ("rho", "log_rho")
    }


def _sde_cases() -> Inputs:
    return {
        f"{order}-{form}": _history(order, form=form, noise=_NOISE)
        for order, form in [(1, "taylor"), (2, "taylor"), (2, "paper")]
    }


def _ddim_cases() -> Inputs:
    found = {}
    for prediction in ("data", "noise"):
        ends = {"vp": (values.level(-0.5), values.level(0.7)), "edm": ([1.0, 10.0], [1.0, 4.0])}
        ends["last"] = (values.level(1.0), [1.0, 0.0])
        for name, (start, end) in ends.items():
            found[f"{prediction}-{name}"] = {
                "prediction": prediction,
                "start": start,
                "end": end,
                "x": _X,
                "output": _OUTPUTS[0],
            }
    return found


def _between() -> dict[str, Any]:
    return {
        "mixture": values.MIXTURES["plane"],
        "start": values.level(-0.5),
        "end": values.level(0.7),
        "x": _X,
    }


def _heun_cases() -> Inputs:
    return {"vp": _between(), "edm": _between() | {"start": [1.0, 10.0], "end": [1.0, 4.0]}}


def _singlestep_cases() -> Inputs:
    points = {2: (0.5, None), 3: (1 / 3, 2 / 3)}
    return {
        f"{prediction}-{order}-{form}": _between()
        | {
            "prediction": prediction,
            "order": order,
            "form": form,
            "r1": points[order][0],
            "r2": points[order][1],
        }
        for prediction in ("data", "noise")
        for order in points
        for form in ("paper", "taylor")
    }


def _chain_cases() -> Inputs:
    spec = values.SCHEDULES["linear"]
    sch = values.schedule(spec)
    found = {}
    for s, t in [(499, 500), (200, 600), (0, 1)]:
        for name, eta, more in [("ddim", 0.0, 0.0), ("ddpm", 1.0, 0.0), ("wider", 1.0, 0.05)]:
            if s == 0 and name != "ddim":
                continue
            lam2 = float(lambda2_ddim(sch, s, t, eta))
            found[f"{name}-{s}-{t}"] = {
                "schedule": spec,
                "s": s,
                "t": t,
                "x_t": _X,
                "x0": _OUTPUTS[0],
                "lam2": lam2,
                "sigma2": lam2 + more,
                "noise": _NOISE,
            }
    return found


def _ml_cases() -> Inputs:
    return {
        f"{s}-{t}": {
            "schedule": values.SCHEDULES["linear"],
            "s": s,
            "t": t,
            "x_t": _X,
            "score": [-0.5, 0.9],
            "mmse_t": 0.2,
            "noise": _NOISE,
        }
        for s, t in [(499, 500), (200, 600)]
    }


def _multistep(*, levels: Any, outputs: Any, end: Any, x: Any, prediction: str, form: str) -> Any:
    seen = [Seen(tuple(level), np.array(f)) for level, f in zip(levels, outputs)]
    return multistep(np.array(x), seen, tuple(end), prediction, form)


def _last_step(solver: Any, levels: Any, outputs: Any, end: Any, x: Any, **options: Any) -> Any:
    """The last step of a multistep solver, whose network is a table and whose state at every node is x."""
    table = {tuple(level): np.array(f) for level, f in zip(levels, outputs)}
    order = len(levels)
    states = np.array([x] * (order - 1))
    nodes = [*reversed(levels), end]
    return solver(
        lambda x, a, sigma: table[a, sigma], np.array(x), nodes, order=order, start=states, **options
    )


def _unip(*, prediction: str, variant: str, **history: Any) -> Any:
    return _last_step(unipc, **history, prediction=prediction, variant=variant, corrector=False)


def _deis(*, clock: str, **history: Any) -> Any:
    return _last_step(deis, **history, clock=clock)


def _sde(*, levels: Any, outputs: Any, end: Any, x: Any, noise: Any, form: str) -> Any:
    keep, weights, gain = sde_step_parts([tuple(level) for level in levels], tuple(end), form)
    return keep * np.array(x) + np.array(weights) @ np.array(outputs) + gain * np.array(noise)


def _ddim(*, prediction: str, start: Any, end: Any, x: Any, output: Any) -> Any:
    return ddim(lambda x, a, sigma: np.array(output), np.array(x), [start, end], prediction)


def _heun(*, mixture: Any, start: Any, end: Any, x: Any) -> Any:
    return heun(ExactModel(values.mixture(mixture), "noise"), np.array(x), [start, end], "noise")


def _singlestep(
    *, mixture: Any, start: Any, end: Any, x: Any, prediction: str, order: int, form: str, r1: float, r2: Any
) -> Any:
    model = ExactModel(values.mixture(mixture), prediction)
    r2 = 2 / 3 if r2 is None else r2
    return dpm_singlestep(model, np.array(x), [start, end], order, prediction, r1=r1, r2=r2, form=form)


#: what every exponential integrator is, for a polynomial p in place of the network
INTEGRAL = (
    "With λ = log(a/σ), t the start and s the end: E[p] = (σ_s/σ_t) x + σ_s ∫ e^λ p(λ) dλ (data, p stands for x_0), "
    "E[p] = (a_s/a_t) x - a_s ∫ e^(-λ) p(λ) dλ (noise, p stands for ε), from λ_t to λ_s; W = σ_s ∫ e^λ dλ or "
    "-a_s ∫ e^(-λ) dλ; h = λ_s - λ_t. "
)
_PREDICTION = {"prediction": "what the network says: data (x_0) or noise (ε)"}
_SEEN = {
    "levels": "(k, 2) [a, σ] of the last nodes, newest first; the first is where x is",
    "outputs": "(k, d) what the network said there",
    "end": "[a, σ]",
    "x": "(d,)",
}
_SPAN = {"start": "[a, σ]", "end": "[a, σ]", "x": "(d,) at start"}
_MODEL = {"mixture": "of which the network is the exact one"}
_DPM = {"schedule": "its kind and parameters", "s": "timestep, s < t", "t": "timestep", "x_t": "(d,)"}
_AT_END = "(d,) x at end"


def _step(
    name: str, source: str, statement: str, inputs: Mapping[str, str], compute: Any, cases: Any
) -> Quantity:
    return Quantity(name, "step", source, statement, inputs, _AT_END, compute, cases, atol=1e-10)


QUANTITIES = (
    _step(
        "ancestral_step",
        "notes eqs. (1), (2); ho2020, algorithm 2; song2021ddim, eq. (12)",
        "x_s = sqrt(ᾱ_s) x_0 + sqrt(β̄_s - λ²) (x_t - sqrt(ᾱ_t) x_0)/sqrt(β̄_t) + sqrt(σ²) z",
        _DPM | {"x0": "(d,) prediction of x_0", "lam2": "λ²", "sigma2": "σ², a variance", "noise": "(d,) z"},
        on_schedule(ancestral_step),
        _chain_cases,
    ),
    _step(
        "ml_sde_step",
        "popov2022, eq. (9)",
        "x_s = x_t + r [(1/2 + ω) x_t + (1 + κ) score] + sqrt(σ²) z, κ, ω, σ² as in ml_sde_coefficients, for any r",
        _DPM | {"score": "(d,) ∇log q_t(x_t)", "mmse_t": "V_t", "noise": "(d,) z"},
        on_schedule(ml_sde_step),
        _ml_cases,
    ),
    _step(
        "ddim_step",
        "song2021ddim, eq. (12); lu2022, section 4.1",
        "x_s = a_s x_0 + σ_s ε, with x_t = a_t x_0 + σ_t ε",
        _PREDICTION | _SPAN | {"output": "(d,) of the network at start"},
        _ddim,
        _ddim_cases,
    ),
    _step(
        "heun_step",
        "karras2022, algorithm 1",
        "y = x/a, ρ = σ/a, Δ = ρ_s - ρ_t: y_s = y + Δ (e + e')/2, e = ε(y, ρ_t), e' = ε(y + Δ e, ρ_s)",
        _MODEL | _SPAN,
        _heun,
        _heun_cases,
    ),
    _step(
        "singlestep_step",
        "lu2022, algorithms 4, 5; lu2022pp, section 4",
        INTEGRAL
        + "f = network at t; f_1 = network at λ_t + r1 h, a² + σ² = 1, at the x of E[f] up to there. Order 2: taylor "
        "E[line through f, f_1]; paper E[f] + (W/2)(f_1 - f)/r1. Order 3: f_2 = network at λ_t + r2 h at the x of "
        "E[line through f, f_1] up to there; paper E[line through f, f_2]; taylor E[parabola through f, f_1, f_2].",
        _MODEL
        | _PREDICTION
        | _SPAN
        | {"order": "2 or 3", "form": "paper or taylor", "r1": "r1", "r2": "r2, null for order 2"},
        _singlestep,
        _singlestep_cases,
    ),
    _step(
        "multistep_step",
        "lu2022pp, section 4.2 and appendix B",
        INTEGRAL
        + "taylor: E[polynomial through all outputs]. paper, order 2: E[f_0] + (W/2) h (f_0 - f_1)/(λ_0 - λ_1)",
        _PREDICTION | _SEEN | {"form": "taylor or paper"},
        _multistep,
        _multistep_cases,
    ),
    _step(
        "unip_step",
        "zhao2023, algorithm 6",
        INTEGRAL
        + "Order 3: E[polynomial through all outputs]. Order 2: E[f_0] + (B/2) h (f_0 - f_1)/(λ_0 - λ_1), "
        "B = W for bh2, a_s h (data) or -σ_s h (noise) for bh1",
        _PREDICTION | _SEEN | {"variant": "bh1 or bh2"},
        _unip,
        _unip_cases,
    ),
    _step(
        "deis_step",
        "zhang2023, eq. (15)",
        "x_s = (a_s/a_t) x + a_s ∫ p dρ, ρ = σ/a from ρ_t to ρ_s, p the polynomial in ρ (rho) or log ρ (log_rho) "
        "through all outputs, which are ε",
        _SEEN | {"clock": "rho or log_rho"},
        _deis,
        _deis_cases,
    ),
    _step(
        "sde_dpm_step",
        "lu2022pp, section 5 and appendix A",
        "h = λ_s - λ_t: x_s = (σ_s/σ_t) e^(-h) x + 2 a_s ∫ e^(-2(λ_s - λ)) p(λ) dλ + σ_s sqrt(1 - e^(-2h)) z. taylor: "
        "p the polynomial through the outputs, which are x_0. paper, order 2: the integral for p = f_0, plus "
        "a_s ((1 - e^(-2h))/2) h (f_0 - f_1)/(λ_0 - λ_1)",
        _SEEN | {"noise": "(d,) z", "form": "taylor or paper"},
        _sde,
        _sde_cases,
    ),
)
