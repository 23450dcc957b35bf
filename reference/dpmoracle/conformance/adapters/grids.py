"""What a diffusers scheduler has laid out after set_timesteps, in our terms: levels (a, σ) and time values.

One function per family, each from the scheduler's public tables (sigmas, alphas_cumprod, timesteps), never from what
its `step` does: where the two disagree, the scheduler is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .traits import library_name

__all__ = ["Grid", "angle", "as_numpy", "cosine", "edm", "flow", "flows", "index", "trig", "ve", "vp"]

Array = NDArray[np.float64]


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


def as_numpy(values: Any) -> Array:
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=np.float64)


def _vp(alpha_bar: Array) -> Array:
    return np.stack([np.sqrt(alpha_bar), np.sqrt(1.0 - alpha_bar)], axis=-1)


def _ve(sigma: Array) -> Array:
    return np.stack([np.ones_like(sigma), sigma], axis=-1)


def _rf(sigma: Array) -> Array:
    return np.stack([1.0 - sigma, sigma], axis=-1)


def index(scheduler: Any) -> Grid:
    """Schedulers that look ᾱ up by the timestep: DDIM, DDPM, PNDM, LCM and their kin."""
    alpha_bar = as_numpy(scheduler.alphas_cumprod)
    times = as_numpy(scheduler.timesteps)
    interleaved = hasattr(scheduler, "plms_timesteps")  # PNDM
    visited = as_numpy(scheduler._timesteps)[::-1] if interleaved else times
    name = library_name(type(scheduler))
    if name == "TCDScheduler":
        end = alpha_bar[0]
    elif name == "LCMScheduler":
        end = 1.0
    else:
        end = float(getattr(scheduler, "final_alpha_cumprod", 1.0))
    nodes = np.append(alpha_bar[visited.astype(int)], end)
    return Grid(_vp(alpha_bar[times.astype(int)]), times, np.ones_like(times), _vp(nodes))


def flows(scheduler: Any) -> bool:
    return bool(scheduler.config.get("use_flow_sigmas", False))


def vp(scheduler: Any) -> Grid:
    """Schedulers whose samples are variance preserving and whose grid is a list of σ/a: DPM-Solver, DEIS, UniPC."""
    ratio = as_numpy(scheduler.sigmas)
    times = as_numpy(scheduler.timesteps)
    nodes = _rf(ratio) if flows(scheduler) else _vp(1.0 / (1.0 + ratio**2))
    if not flows(scheduler):
        nodes[:, 1] = ratio * nodes[:, 0]  # 1 - a² would lose the digits of a small σ
    return Grid(nodes[: len(times)], times, np.ones_like(times), nodes)


def ve(scheduler: Any) -> Grid:
    """The k-diffusion kind, x = x_0 + σ ε: Euler, Heun, KDPM2, LMS and the ancestral ones."""
    sigmas, times = as_numpy(scheduler.sigmas), as_numpy(scheduler.timesteps)
    calls, nodes = sigmas[: len(times)].copy(), sigmas
    if scheduler.order == 2:  # two calls for each step, the second between the nodes or on the next
        nodes = np.append(sigmas[0], sigmas[1::2])[: (len(times) + 1) // 2 + 1]
        second = np.arange(1, len(times), 2)
        if hasattr(scheduler, "sigmas_up"):
            calls[second] = as_numpy(scheduler.sigmas_interpol)[second - 1]
        elif hasattr(scheduler, "sigmas_interpol"):
            calls[second] = as_numpy(scheduler.sigmas_interpol)[second]
        elif hasattr(scheduler, "noise_sampler_seed"):
            calls[second] = np.sqrt(sigmas[second - 1] * sigmas[second])
    return Grid(_ve(calls), times, 1.0 / np.sqrt(1.0 + calls**2), _ve(nodes))


def edm(scheduler: Any) -> Grid:
    sigmas, times = as_numpy(scheduler.sigmas), as_numpy(scheduler.timesteps)
    calls = sigmas[: len(times)]
    return Grid(_ve(calls), times, 1.0 / np.hypot(calls, scheduler.config.sigma_data), _ve(sigmas))


def flow(scheduler: Any) -> Grid:
    """Rectified flow, x = (1 - σ) x_0 + σ ε."""
    sigmas = nodes = as_numpy(scheduler.sigmas)
    times = as_numpy(scheduler.timesteps)[: len(sigmas) - 1]
    if scheduler.order == 2:
        nodes = np.append(sigmas[0], sigmas[1::2])[: (len(times) + 1) // 2 + 1]
    return Grid(_rf(sigmas[: len(times)]), times, np.ones_like(times), _rf(nodes))


def angle(scheduler: Any) -> Grid:
    """IPNDM: a and σ are the sine and cosine of an angle, which it calls alphas and betas."""
    nodes = np.stack([as_numpy(scheduler.alphas), as_numpy(scheduler.betas)], axis=-1)
    times = as_numpy(scheduler.timesteps)
    return Grid(nodes[: len(times)], times, np.ones_like(times), nodes)


def cosine(scheduler: Any) -> Grid:
    """Würstchen: ᾱ is a function of a real time in [0, 1]; the last time is where it ends, not a call."""
    nodes = _vp(as_numpy(scheduler._alpha_cumprod(scheduler.timesteps, scheduler.timesteps.device)))
    nodes[-1, 1] = 0.0  # the noise of its last step is left out
    times = as_numpy(scheduler.timesteps)[:-1]
    return Grid(nodes[:-1], times, np.ones_like(times), nodes)


def trig(scheduler: Any) -> Grid:
    """sCM: x = cos(t) x_0 + sin(t) σ_data ε; the last time is where it ends, not a call."""
    angle = as_numpy(scheduler.timesteps)
    nodes = np.stack([np.maximum(np.cos(angle), 0.0), scheduler.config.sigma_data * np.sin(angle)], axis=-1)
    return Grid(nodes[:-1], angle[:-1], np.ones(len(angle) - 1), nodes)
