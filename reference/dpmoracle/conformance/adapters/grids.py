"""What a diffusers scheduler has laid out after set_timesteps, in our terms: levels (a, σ) and time values.

One function per family, each from the scheduler's public tables (sigmas, alphas_cumprod, timesteps), never from what
its `step` does: where the two disagree, the scheduler is at fault.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..law import Level

__all__ = ["FAMILIES", "Family", "Grid", "family_of"]

Array = NDArray[np.float64]
#: (output of the model, state, a, σ) -> what the scheduler calls the model's output
Convert = Callable[[Any, Any, float, float], Any]
Outputs = dict[str, tuple[str, Convert | None]]


@dataclass(frozen=True)
class Grid:
    """state : (n, 2) the (a, σ) of the sample before each call of the network, in the scheduler's own scaling
    times : (n,) the time value of each call
    scale : (n,) what scale_model_input should multiply the sample with
    nodes : (m+1, 2) where the sample stands between steps, x_T and x_end among them
    """

    state: Array
    times: Array
    scale: Array
    nodes: Array


@dataclass(frozen=True)
class Family:
    """A way of writing levels, shared by several schedulers.

    grid       : scheduler -> Grid, after set_timesteps
    time_level : scheduler -> (time value -> (a, σ) in the scaling of the sample)
    outputs    : scheduler -> {prediction_type: (our output type, conversion to the scheduler's or None)}
    """

    name: str
    grid: Callable[[Any], Grid]
    time_level: Callable[[Any], Callable[[float], Level]]
    outputs: Callable[[Any], Outputs]


def family_of(scheduler: Any) -> Family | None:
    """The family of a scheduler by what it carries, None where it is like none of them."""
    carries = partial(hasattr, scheduler)
    name = None
    if carries("alphas_cumprod"):
        name = "index" if not carries("sigmas") else "vp" if carries("_sigma_to_alpha_sigma_t") else "ve"
    elif carries("precondition_outputs"):
        name = "edm"
    elif carries("get_scalings_for_boundary_condition"):
        name = "consistency"
    elif carries("_alpha_cumprod"):
        name = "cosine"
    elif carries("ets"):
        name = "angle"
    elif type(scheduler).__name__ == "SCMScheduler":
        name = "trigflow"
    elif carries("sigmas"):
        name = "flow"
    return None if name is None else FAMILIES[name]


def _numpy(values: Any) -> Array:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)


def _vp(alpha_bar: Array) -> Array:
    return np.stack([np.sqrt(alpha_bar), np.sqrt(1.0 - alpha_bar)], axis=-1)


def _ve(sigma: Array) -> Array:
    return np.stack([np.ones_like(sigma), sigma], axis=-1)


def _rf(sigma: Array) -> Array:
    return np.stack([1.0 - sigma, sigma], axis=-1)


def _table(scheduler: Any) -> Callable[[float], float]:
    """σ/a by time value: between the timesteps of training log-linear, as diffusers' own _sigma_to_t has it; linear
    where it goes the other way, from timesteps to σ.
    """
    alpha_bar = _numpy(scheduler.alphas_cumprod)
    if not any(
        scheduler.config.get(f"use_{kind}_sigmas") for kind in ("karras", "exponential", "beta", "lu")
    ):
        with np.errstate(divide="ignore"):
            ratio = np.sqrt((1.0 - alpha_bar) / alpha_bar)
        return lambda t: float(np.interp(t, np.arange(len(ratio)), ratio))
    with np.errstate(divide="ignore"):
        log_ratio = 0.5 * (np.log(1.0 - alpha_bar) - np.log(alpha_bar))
    return lambda t: float(np.exp(np.interp(t, np.arange(len(log_ratio)), log_ratio)))


def _index_grid(scheduler: Any) -> Grid:
    """Schedulers that look ᾱ up by the timestep: DDIM, DDPM, PNDM, LCM and their kin."""
    alpha_bar = _numpy(scheduler.alphas_cumprod)
    times = _numpy(scheduler.timesteps)
    interleaved = hasattr(scheduler, "plms_timesteps")  # PNDM
    visited = _numpy(scheduler._timesteps)[::-1] if interleaved else times
    name = type(scheduler).__name__
    if name == "TCDScheduler":
        end = alpha_bar[0]
    elif name == "LCMScheduler":
        end = 1.0
    else:
        end = float(getattr(scheduler, "final_alpha_cumprod", 1.0))
    nodes = np.append(alpha_bar[visited.astype(int)], end)
    return Grid(_vp(alpha_bar[times.astype(int)]), times, np.ones_like(times), _vp(nodes))


def _index_time(scheduler: Any) -> Callable[[float], Level]:
    alpha_bar, ratio = _numpy(scheduler.alphas_cumprod), _table(scheduler)

    def level(t: float) -> Level:
        whole = float(t).is_integer() and 0 <= t < len(alpha_bar)
        bar = float(alpha_bar[int(t)]) if whole else 1.0 / (1.0 + ratio(t) ** 2)
        return float(np.sqrt(bar)), float(np.sqrt(1.0 - bar))

    return level


def _flows(scheduler: Any) -> bool:
    return bool(scheduler.config.get("use_flow_sigmas", False))


def _vp_grid(scheduler: Any) -> Grid:
    """Schedulers whose samples are variance preserving and whose grid is a list of σ/a: DPM-Solver, DEIS, UniPC."""
    ratio = _numpy(scheduler.sigmas)
    times = _numpy(scheduler.timesteps)
    nodes = _rf(ratio) if _flows(scheduler) else _vp(1.0 / (1.0 + ratio**2))
    if not _flows(scheduler):
        nodes[:, 1] = ratio * nodes[:, 0]  # 1 - a² would lose the digits of a small σ
    return Grid(nodes[: len(times)], times, np.ones_like(times), nodes)


def _vp_time(scheduler: Any) -> Callable[[float], Level]:
    if _flows(scheduler):
        return _flow_time(scheduler)
    return _index_time(scheduler)


def _ve_grid(scheduler: Any) -> Grid:
    """The k-diffusion kind, x = x_0 + σ ε: Euler, Heun, KDPM2, LMS and the ancestral ones."""
    sigmas, times = _numpy(scheduler.sigmas), _numpy(scheduler.timesteps)
    calls, nodes = sigmas[: len(times)].copy(), sigmas
    if scheduler.order == 2:  # two calls for each step, the second between the nodes or on the next
        nodes = np.append(sigmas[0], sigmas[1::2])[: (len(times) + 1) // 2 + 1]
        second = np.arange(1, len(times), 2)
        if hasattr(scheduler, "sigmas_up"):
            calls[second] = _numpy(scheduler.sigmas_interpol)[second - 1]
        elif hasattr(scheduler, "sigmas_interpol"):
            calls[second] = _numpy(scheduler.sigmas_interpol)[second]
        elif hasattr(scheduler, "noise_sampler_seed"):
            calls[second] = np.sqrt(sigmas[second - 1] * sigmas[second])
    return Grid(_ve(calls), times, 1.0 / np.sqrt(1.0 + calls**2), _ve(nodes))


def _ve_time(scheduler: Any) -> Callable[[float], Level]:
    if (
        scheduler.config.get("timestep_type") == "continuous"
        and scheduler.config.prediction_type == "v_prediction"
    ):
        return lambda t: (1.0, float(np.exp(4.0 * t)))
    ratio = _table(scheduler)
    return lambda t: (1.0, ratio(t))


def _edm_grid(scheduler: Any) -> Grid:
    sigmas, times = _numpy(scheduler.sigmas), _numpy(scheduler.timesteps)
    calls = sigmas[: len(times)]
    return Grid(_ve(calls), times, 1.0 / np.hypot(calls, scheduler.config.sigma_data), _ve(sigmas))


def _edm_time(scheduler: Any) -> Callable[[float], Level]:
    if type(scheduler).__name__ == "CosineDPMSolverMultistepScheduler":
        return lambda t: (1.0, float(np.tan(t * np.pi / 2)))
    return lambda t: (1.0, float(np.exp(4.0 * t)))


def _consistency_time(scheduler: Any) -> Callable[[float], Level]:
    return lambda t: (1.0, float(np.exp(t / 250.0)))


def _consistency_convert(scheduler: Any) -> Convert:
    """From the end of the flow to the network's F, with c_skip x + c_out F the state at σ_min, where it stops."""
    data, low = scheduler.config.sigma_data, scheduler.config.sigma_min

    def convert(x0: Any, x: Any, a: float, sigma: float) -> Any:
        stop = x0 + (low / sigma) * (x - x0)
        skip = data**2 / ((sigma - low) ** 2 + data**2)
        return (stop - skip * x) / max((sigma - low) * data / np.hypot(sigma, data), 1e-12)

    return convert


def _flow_grid(scheduler: Any) -> Grid:
    """Rectified flow, x = (1 - σ) x_0 + σ ε."""
    sigmas = nodes = _numpy(scheduler.sigmas)
    times = _numpy(scheduler.timesteps)[: len(sigmas) - 1]
    if scheduler.order == 2:
        nodes = np.append(sigmas[0], sigmas[1::2])[: (len(times) + 1) // 2 + 1]
    return Grid(_rf(sigmas[: len(times)]), times, np.ones_like(times), _rf(nodes))


def _dataward(scheduler: Any) -> bool:
    """Time runs from noise at 0 to data at 1, and the network gives the velocity towards the data."""
    return type(scheduler).__name__ == "MiniMaxH3Scheduler"


def _flow_time(scheduler: Any) -> Callable[[float], Level]:
    if _dataward(scheduler):
        return lambda t: (t, 1.0 - t)
    scale = float(scheduler.config.num_train_timesteps)
    return lambda t: (1.0 - t / scale, t / scale)


def _angle_grid(scheduler: Any) -> Grid:
    """IPNDM: a and σ are the sine and cosine of an angle, which it calls alphas and betas."""
    nodes = np.stack([_numpy(scheduler.alphas), _numpy(scheduler.betas)], axis=-1)
    times = _numpy(scheduler.timesteps)
    return Grid(nodes[: len(times)], times, np.ones_like(times), nodes)


def _angle_time(scheduler: Any) -> Callable[[float], Level]:
    return lambda t: (float(np.sin((1.0 - t) * np.pi / 2)), float(np.sin(t * np.pi / 2)))


def _cosine_grid(scheduler: Any) -> Grid:
    """Würstchen: ᾱ is a function of a real time in [0, 1]; the last time is where it ends, not a call."""
    nodes = _vp(_numpy(scheduler._alpha_cumprod(scheduler.timesteps, scheduler.timesteps.device)))
    nodes[-1, 1] = 0.0  # the noise of its last step is left out
    times = _numpy(scheduler.timesteps)[:-1]
    return Grid(nodes[:-1], times, np.ones_like(times), nodes)


def _cosine_time(scheduler: Any) -> Callable[[float], Level]:
    shift = float(scheduler.s)

    def squared_cosine(t: float) -> float:
        return float(np.cos((t + shift) / (1 + shift) * np.pi / 2) ** 2)

    def level(t: float) -> Level:
        bar = float(np.clip(squared_cosine(t) / squared_cosine(0.0), 0.0001, 0.9999))
        return float(np.sqrt(bar)), float(np.sqrt(1.0 - bar))

    return level


def _trig_grid(scheduler: Any) -> Grid:
    """sCM: x = cos(t) x_0 + sin(t) σ_data ε; the last time is where it ends, not a call."""
    angle = _numpy(scheduler.timesteps)
    nodes = np.stack([np.maximum(np.cos(angle), 0.0), scheduler.config.sigma_data * np.sin(angle)], axis=-1)
    return Grid(nodes[:-1], angle[:-1], np.ones(len(angle) - 1), nodes)


def _trig_time(scheduler: Any) -> Callable[[float], Level]:
    data = float(scheduler.config.sigma_data)
    return lambda t: (max(float(np.cos(t)), 0.0), data * float(np.sin(t)))


def _negated(out: Any, x: Any, a: float, sigma: float) -> Any:
    return -out


def _ve_velocity(out: Any, x: Any, a: float, sigma: float) -> Any:
    """v of the variance-preserving scaling from ε - σ x_0, the v at a = 1."""
    return out / np.hypot(1.0, sigma)


def _trig_output(x0: Any, x: Any, a: float, sigma: float) -> Any:
    return (a * x - x0) / np.sqrt(max(1.0 - a * a, 1e-300))


_EPS: Outputs = {"epsilon": ("eps", None), "sample": ("x0", None)}
_VP: Outputs = {**_EPS, "v_prediction": ("v", None), "flow_prediction": ("flow", None)}
_VE: Outputs = {**_EPS, "v_prediction": ("v", _ve_velocity)}
_EDM: Outputs = {"epsilon": ("edm", None), "v_prediction": ("edm", _negated)}


def _flow_outputs(scheduler: Any) -> Outputs:
    kind = ("flow", _negated if _dataward(scheduler) else None)
    return {"": kind, "flow_prediction": kind}


FAMILIES = {
    family.name: family
    for family in (
        Family("index", _index_grid, _index_time, lambda _: _VP),
        Family("vp", _vp_grid, _vp_time, lambda _: _VP),
        Family("ve", _ve_grid, _ve_time, lambda _: _VE),
        Family("edm", _edm_grid, _edm_time, lambda _: _EDM),
        Family("consistency", _edm_grid, _consistency_time, lambda s: {"": ("x0", _consistency_convert(s))}),
        Family("cosine", _cosine_grid, _cosine_time, lambda _: {"": ("eps", None)}),
        Family("angle", _angle_grid, _angle_time, lambda _: {"": ("v", None)}),
        Family("trigflow", _trig_grid, _trig_time, lambda _: {"trigflow": ("x0", _trig_output)}),
        Family("flow", _flow_grid, _flow_time, _flow_outputs),
    )
}
