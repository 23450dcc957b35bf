"""A diffusers scheduler on K steps even in λ = log(a/σ) that end at a σ > 0: where orders can be measured.

A scheduler with betas is rebuilt with trained betas whose λ is linear in the timestep, a whole number of them for
each step; one without is given the levels through its own setters.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .families import family_of
from .traits import library_name

__all__ = ["even_in_lambda"]

Array = NDArray[np.float64]
_LOW = 0.05  # σ/a where it ends
_HIGH = {True: 20.0, False: 2000.0}  # σ/a where it starts, by whether exact starting values can be given
_TIMESTEPS = 3840
_CALM: dict[str, Any] = {
    "lower_order_final": False, "euler_at_final": False, "steps_offset": 0, "rescale_betas_zero_snr": False,
    "timestep_spacing": "linspace", "final_sigmas_type": "sigma_min", "set_alpha_to_one": False, "shift": 1.0,
    "use_dynamic_shifting": False, "shift_terminal": None, "sigma_schedule": "exponential", "stages": 1,
}  # fmt: skip


def even_in_lambda(cls: Any, config: Mapping[str, Any], K: int, exact_start: bool) -> tuple[Any, bool]:
    """(scheduler with its timesteps set, whether its last call is to be left out: it goes to σ = 0 or stands still).

    A method that goes several steps at a time gets K rounded up to a whole number of them. What it does at its end
    on purpose (a lower order, a step to σ = 0) is turned off.
    """
    knows = inspect.signature(cls.__init__).parameters
    calm = {**config, **{name: value for name, value in _CALM.items() if name in knows}}
    if library_name(cls) == "DPMSolverSinglestepScheduler":
        order = int(calm.get("solver_order", 2))
        K = -(-K // order) * order
    ratios = np.geomspace(_HIGH[exact_start], _LOW, K + 1)
    if library_name(cls) == "IPNDMScheduler":
        calm["trained_betas"] = ratios / np.hypot(1.0, ratios)
        return _set(cls(**calm), K), False
    if "trained_betas" in knows:
        return _with_betas(cls, calm, K, _HIGH[exact_start])
    if "sigma_schedule" in knows:
        return _set(cls(**{**calm, "sigma_max": ratios[0], "sigma_min": ratios[-1]}), K + 1), True
    return _with_sigmas(cls(**calm), ratios / (1.0 + ratios)), True


def _with_betas(cls: Any, calm: dict[str, Any], K: int, high: float) -> tuple[Any, bool]:
    each = max(2, 2 * round(_TIMESTEPS / (2 * K)))
    if getattr(cls, "order", 1) == 2:  # KDPM2 spends K N on its interleaved times, in plain Python
        each = 2
    first = cls(**{**calm, **_betas(each * K + 1, high)})
    if family_of(first).name == "index":  # type: ignore[union-attr]
        # of its spacings, only in "leading" does each step end where the next one starts
        spaced: dict[str, Any] = {"timestep_spacing": "leading"} if "timestep_spacing" in calm else {}
        if "original_inference_steps" in first.config:  # TCD takes its timesteps from among so many
            spaced["original_inference_steps"] = each * (K + 1)
        return _set(cls(**{**calm, **_betas(each * (K + 1), high), **spaced}), K + 1), True
    before, last = map(float, _set(first, K).sigmas[-2:])
    if last > 0.0 and not np.isclose(before, last):
        return first, False
    return _set(cls(**{**calm, **_betas(each * K + 1, high)}), K + 1), True


def _with_sigmas(scheduler: Any, sigmas: Array) -> Any:
    """Rectified flow."""
    wanted = inspect.signature(scheduler.set_timesteps).parameters
    name = library_name(type(scheduler))
    if "sigmas" not in wanted:
        scheduler.sigma_max, scheduler.sigma_min = float(sigmas[0]), float(sigmas[-1])
        return _set(scheduler, len(sigmas))
    if name in ("LTXEulerAncestralRFScheduler", "MiniMaxH3Scheduler"):  # these want the last 0 as well
        scheduler.set_timesteps(sigmas=[*sigmas.tolist(), 0.0])
    else:
        scheduler.set_timesteps(len(sigmas), sigmas=sigmas)
    return scheduler


def _set(scheduler: Any, K: int) -> Any:
    scheduler.set_timesteps(K)
    return scheduler


def _betas(total: int, high: float) -> dict[str, Any]:
    """β_t = (r_t² - r_{t-1}²)/(1 + r_t²) for σ/a = r_t, geometric; without the cancellation of 1 - ᾱ_t/ᾱ_{t-1}."""
    ratio = np.geomspace(_LOW, high, total)
    steps = np.diff(ratio**2, prepend=0.0)
    return {"num_train_timesteps": total, "trained_betas": steps / (1.0 + ratio**2)}
