"""Vectors of forward processes: what a schedule is at its timesteps, a process at its times, and time grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..solvers.grids import solver_nodes
from ..trajectory.grids import diffusers_grid, even_grid, quadratic_grid
from . import values
from .quantity import Quantity

__all__ = ["QUANTITIES"]

Inputs = Mapping[str, Mapping[str, Any]]

_PROCESSES: dict[str, dict[str, Any]] = {
    "vp_linear": {"kind": "vp_linear", "beta_min": 0.1, "beta_max": 20.0},
    "vp_cosine": {"kind": "vp_cosine", "s": 0.008, "t_max": 0.9946},
    "ve": {"kind": "ve", "sigma_min": 0.01, "sigma_max": 50.0},
    "edm": {"kind": "edm", "sigma_min": 0.002, "sigma_max": 80.0},
    "rectified_flow": {"kind": "rectified_flow"},
}


def _times(first: int) -> Callable[[], Inputs]:
    """Every schedule at the two ends and between, from timestep `first` on."""

    def cases() -> Inputs:
        found = {}
        for name, spec in values.SCHEDULES.items():
            N = values.schedule(spec).N
            times = {first, 1, 2, N // 4, N // 2, N - 1, N}
            found[name] = {"schedule": spec, "t": sorted(times)}
        return found

    return cases


def _skips() -> Inputs:
    found = {}
    for name, spec in values.SCHEDULES.items():
        N = values.schedule(spec).N
        pairs = [(0, 1), (1, 2), (1, N), (N - 1, N), (N // 4, N // 2), (0, N - 1)]
        found[name] = {"schedule": spec, "s": [s for s, _ in pairs], "t": [t for _, t in pairs]}
    return found


def _process_times() -> Inputs:
    return {
        name: {
            "process": spec,
            "t": [0.002, 1.0, 10.0, 80.0] if name == "edm" else [0.001, 0.1, 0.5, 0.9, 0.99],
        }
        for name, spec in _PROCESSES.items()
    }


def _half_log_snrs() -> Inputs:
    return {name: {"process": spec, "half_log_snr": [-3.0, -0.5, 1.25]} for name, spec in _PROCESSES.items()}


def _grids() -> Inputs:
    return {
        f"{N}-{K}": {"N": N, "K": K} for N, K in [(1000, 10), (1000, 25), (1000, 300), (4000, 7), (12, 12)]
    }


def _spacings() -> Inputs:
    cases = [
        (10, "linspace", 0),
        (10, "leading", 0),
        (10, "leading", 1),
        (7, "leading", 1),
        (10, "trailing", 0),
    ]
    return {
        f"1000-{K}-{spacing}-{offset}": {"N": 1000, "K": K, "spacing": spacing, "steps_offset": offset}
        for K, spacing, offset in [*cases, (7, "linspace", 0), (7, "trailing", 0), (61, "trailing", 0)]
    }


def _node_cases() -> Inputs:
    return {
        f"{name}-{grid}": {"process": _PROCESSES[name], "grid": grid, "K": 6, "t_start": start, "t_end": end}
        for name, start, end in [("vp_linear", 1.0, 0.01), ("vp_cosine", 0.99, 0.005), ("edm", 80.0, 0.002)]
        for grid in ("time", "lambda", "karras")
    }


_SCHEDULE = {"schedule": "its kind and parameters", "t": "(n,) timesteps"}


def _at_times(name: str, source: str, statement: str, expected: str, first: int = 0) -> Quantity:
    """An array attribute of Schedule, looked up at timesteps."""

    def compute(*, schedule: Any, t: Any) -> Any:
        array = getattr(values.schedule(schedule), name)
        return array[np.array(t) - (name == "betas")]  # betas[0] is β_1

    return Quantity(
        "beta" if name == "betas" else name,
        "schedule",
        source,
        statement,
        _SCHEDULE,
        expected,
        compute,
        _times(first),
    )


def _beta_skip(*, schedule: Any, s: Any, t: Any) -> Any:
    return values.schedule(schedule).beta(s, t)


def _process_levels(*, process: Any, t: Any) -> Any:
    return np.stack(values.process(process).levels(t), axis=-1)


def _process_inverse(*, process: Any, half_log_snr: Any) -> Any:
    return values.process(process).inverse(half_log_snr)


def _nodes(*, process: Any, **parts: Any) -> Any:
    return solver_nodes(values.process(process), **parts)


QUANTITIES = (
    _at_times(
        "betas",
        "ho2020, section 4; nichol2021, eq. (17); diffusers",
        "linear: even from beta_start (t = 1) to beta_end (t = N). scaled_linear: the square roots are even. sigmoid: "
        "beta_start + (beta_end - beta_start)/(1 + exp(-z)), z even from -6 to 6. cosine: min(1 - f(t)/f(t-1), "
        "max_beta), f(t) = cos((t/N + s)/(1 + s) π/2)². betas: as given.",
        "(n,) β_t",
        first=1,
    ),
    _at_times("alpha_bar", "ho2020, eq. (4)", "ᾱ_t = Π_{k=1..t} (1 - β_k), ᾱ_0 = 1", "(n,) ᾱ_t"),
    _at_times("beta_bar", "ho2020, eq. (4)", "β̄_t = 1 - ᾱ_t", "(n,) β̄_t"),
    _at_times("snr", "definition", "u_t = ᾱ_t/β̄_t", "(n,) u_t, inf at t = 0"),
    _at_times(
        "half_log_snr",
        "lu2022, section 2.2",
        "λ_t = log(sqrt(ᾱ_t)/sqrt(β̄_t)) = log(u_t)/2",
        "(n,) λ_t, inf at t = 0, -inf at zero terminal SNR",
    ),
    Quantity(
        "beta_skip",
        "schedule",
        "definition; notes eq. (9)",
        "β_{t|s} = 1 - ᾱ_t/ᾱ_s",
        {"schedule": "its kind and parameters", "s": "(n,) timesteps", "t": "(n,) timesteps, s < t"},
        "(n,) β_{t|s}",
        _beta_skip,
        _skips,
    ),
    Quantity(
        "process_levels",
        "schedule",
        "song2021, eqs. (31), (33); nichol2021, eq. (17); karras2022, table 1; liu2023",
        "x_t = a x_0 + σ ε. vp_linear: log a = -t² (beta_max - beta_min)/4 - t beta_min/2, σ = sqrt(1 - a²). "
        "vp_cosine: a = cos(y(t))/cos(y(0)), y = (t + s)/(1 + s) π/2, σ = sqrt(1 - a²). ve: a = 1, σ = sigma_min "
        "(sigma_max/sigma_min)^t. edm: a = 1, σ = t. rectified_flow: a = 1 - t, σ = t.",
        {"process": "its kind and parameters", "t": "(n,) times"},
        "(n, 2) levels [a, σ]",
        _process_levels,
        _process_times,
    ),
    Quantity(
        "process_inverse",
        "schedule",
        "lu2022, section 3.1",
        "the time t at which log(a(t)/σ(t)) is the given number",
        {"process": "its kind and parameters", "half_log_snr": "(n,) λ"},
        "(n,) t",
        _process_inverse,
        _half_log_snrs,
    ),
    Quantity(
        "even_grid",
        "schedule",
        "definition",
        "τ_k = 1 + (N - 1) k/(K - 1), rounded, halves to even, k = 0..K-1",
        {"N": "number of timesteps", "K": "number of nodes"},
        "(K,) timesteps, from 1 to N",
        even_grid,
        _grids,
        rtol=0.0,
    ),
    Quantity(
        "quadratic_grid",
        "schedule",
        "definition",
        "p_k = 1 + (N - 1) (k/(K - 1))², rounded, halves to even; then r_k = max_{j <= k} (p_j - j) + k and "
        "τ_k = min(r_k, N - (K - 1 - k)), which moves equal ones apart",
        {"N": "number of timesteps", "K": "number of nodes"},
        "(K,) timesteps, from 1 to N",
        quadratic_grid,
        _grids,
        rtol=0.0,
    ),
    Quantity(
        "diffusers_grid",
        "schedule",
        "lin2024, table 2; diffusers",
        "In our indices, diffusers' plus 1. linspace: 1 + round((N - 1) k/(K - 1)). leading: 1 + steps_offset + "
        "k (N // K). trailing: round(N (k + 1)/K). k = 0..K-1, halves round to even",
        {
            "N": "number of timesteps",
            "K": "number of nodes",
            "spacing": "linspace, leading or trailing",
            "steps_offset": "for leading",
        },
        "(K,) timesteps, increasing",
        diffusers_grid,
        _spacings,
        rtol=0.0,
    ),
    Quantity(
        "solver_nodes",
        "schedule",
        "lu2022, section 3.4; karras2022, eq. (5)",
        "K+1 levels from t_start to t_end. time: even in t. lambda: even in λ = log(a/σ). karras: even in "
        "(σ/a)^(1/7). λ is turned into a level by the process itself.",
        {
            "process": "its kind and parameters",
            "grid": "time, lambda or karras",
            "K": "number of steps",
            "t_start": "first time, the noisy end",
            "t_end": "last time",
        },
        "(K+1, 2) levels [a, σ], noisiest first",
        _nodes,
        _node_cases,
    ),
)
