"""The ways in which diffusers' schedulers write noise levels, and which of them a scheduler has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from . import grids, readings
from .grids import Grid
from .readings import Reading, Span
from .traits import library_name

__all__ = ["FAMILIES", "Family", "family_of"]

#: (output of the model, state, a, σ) -> what the scheduler calls the model's output
Convert = Callable[[Any, Any, float, float], Any]
Outputs = dict[str, tuple[str, Convert | None]]


@dataclass(frozen=True)
class Family:
    """A way of writing levels, shared by several schedulers.

    grid       : scheduler -> Grid, after set_timesteps
    time_level : scheduler -> (time value -> (a, σ) in the scaling of the sample)
    time_span  : scheduler -> (time value -> the two levels between which it may be read), None where it is exact
    outputs    : scheduler -> {prediction_type: (our output type, conversion to the scheduler's or None)}
    """

    name: str
    grid: Callable[[Any], Grid]
    time_level: Callable[[Any], Reading]
    outputs: Callable[[Any], Outputs]
    time_span: Callable[[Any], Span | None] = lambda scheduler: None


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
    elif library_name(type(scheduler)) == "SCMScheduler":
        name = "trigflow"
    elif carries("sigmas"):
        name = "flow"
    return None if name is None else FAMILIES[name]


def _consistency_convert(scheduler: Any) -> Convert:
    """From the end of the flow to the network's F, with c_skip x + c_out F the state at σ_min, where it stops."""
    data, low = scheduler.config.sigma_data, scheduler.config.sigma_min

    def convert(x0: Any, x: Any, a: float, sigma: float) -> Any:
        stop = x0 + (low / sigma) * (x - x0)
        skip = data**2 / ((sigma - low) ** 2 + data**2)
        return (stop - skip * x) / max((sigma - low) * data / np.hypot(sigma, data), 1e-12)

    return convert


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
    kind = ("flow", _negated if readings.dataward(scheduler) else None)
    return {"": kind, "flow_prediction": kind}


FAMILIES = {
    family.name: family
    for family in (
        Family("index", grids.index, readings.index, lambda _: _VP),
        Family("vp", grids.vp, readings.vp, lambda _: _VP),
        Family("ve", grids.ve, readings.ve, lambda _: _VE, readings.ve_span),
        Family("edm", grids.edm, readings.edm, lambda _: _EDM),
        Family(
            "consistency", grids.edm, readings.consistency, lambda s: {"": ("x0", _consistency_convert(s))}
        ),
        Family("cosine", grids.cosine, readings.cosine, lambda _: {"": ("eps", None)}),
        Family("angle", grids.angle, readings.angle, lambda _: {"": ("v", None)}),
        Family("trigflow", grids.trig, readings.trig, lambda _: {"trigflow": ("x0", _trig_output)}),
        Family("flow", grids.flow, readings.flow, _flow_outputs),
    )
}
