"""Which level (a, σ) a network trained with a diffusers scheduler understands by a time value, by family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..law import Level
from .grids import as_numpy, flows
from .traits import library_name

__all__ = ["angle", "consistency", "cosine", "dataward", "edm", "flow", "index", "trig", "ve", "vp"]

Reading = Callable[[float], Level]
Span = Callable[[float], tuple[Level, Level]]


def _ratios(scheduler: Any) -> NDArray[np.float64]:
    """(N,) σ/a of the timesteps of training."""
    alpha_bar = as_numpy(scheduler.alphas_cumprod)
    with np.errstate(divide="ignore"):
        return np.sqrt((1.0 - alpha_bar) / alpha_bar)


def _linear(ratios: NDArray[np.float64], t: float) -> float:
    return float(np.interp(t, np.arange(len(ratios)), ratios))


def index(scheduler: Any) -> Reading:
    alpha_bar, ratios = as_numpy(scheduler.alphas_cumprod), _ratios(scheduler)

    def level(t: float) -> Level:
        whole = float(t).is_integer() and 0 <= t < len(alpha_bar)
        bar = float(alpha_bar[int(t)]) if whole else 1.0 / (1.0 + _linear(ratios, t) ** 2)
        return float(np.sqrt(bar)), float(np.sqrt(1.0 - bar))

    return level


def vp(scheduler: Any) -> Reading:
    if flows(scheduler):
        return flow(scheduler)
    return index(scheduler)


def _by_log_sigma(scheduler: Any) -> bool:
    return bool(
        scheduler.config.get("timestep_type") == "continuous"
        and scheduler.config.prediction_type == "v_prediction"
    )


def ve(scheduler: Any) -> Reading:
    if _by_log_sigma(scheduler):
        return lambda t: (1.0, float(np.exp(4.0 * t)))
    ratios = _ratios(scheduler)
    return lambda t: (1.0, _linear(ratios, t))


def ve_span(scheduler: Any) -> Span | None:
    """Between whole timesteps, where no network was trained: these schedulers go from timesteps to σ linearly in σ,
    and back, for the points between their nodes, linearly in log σ.
    """
    if _by_log_sigma(scheduler):
        return None
    ratios = _ratios(scheduler)
    with np.errstate(divide="ignore"):
        logs = np.log(ratios)
    return lambda t: ((1.0, float(np.exp(_linear(logs, t)))), (1.0, _linear(ratios, t)))


def edm(scheduler: Any) -> Reading:
    if library_name(type(scheduler)) == "CosineDPMSolverMultistepScheduler":
        return lambda t: (1.0, float(np.tan(t * np.pi / 2)))
    return lambda t: (1.0, float(np.exp(4.0 * t)))


def consistency(scheduler: Any) -> Reading:
    return lambda t: (1.0, float(np.exp(t / 250.0)))


def dataward(scheduler: Any) -> bool:
    """Time runs from noise at 0 to data at 1, and the network gives the velocity towards the data."""
    return library_name(type(scheduler)) == "MiniMaxH3Scheduler"


def flow(scheduler: Any) -> Reading:
    if dataward(scheduler):
        return lambda t: (t, 1.0 - t)
    scale = float(scheduler.config.num_train_timesteps)
    return lambda t: (1.0 - t / scale, t / scale)


def angle(scheduler: Any) -> Reading:
    return lambda t: (float(np.sin((1.0 - t) * np.pi / 2)), float(np.sin(t * np.pi / 2)))


def cosine(scheduler: Any) -> Reading:
    shift = float(scheduler.s)

    def squared_cosine(t: float) -> float:
        return float(np.cos((t + shift) / (1 + shift) * np.pi / 2) ** 2)

    def level(t: float) -> Level:
        bar = float(np.clip(squared_cosine(t) / squared_cosine(0.0), 0.0001, 0.9999))
        return float(np.sqrt(bar)), float(np.sqrt(1.0 - bar))

    return level


def trig(scheduler: Any) -> Reading:
    data = float(scheduler.config.sigma_data)
    return lambda t: (max(float(np.cos(t)), 0.0), data * float(np.sin(t)))
