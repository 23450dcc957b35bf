"""Which schedulers diffusers has, which of them can be checked, and in which configurations."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

from ...errors import require
from ..subject import Subject
from .diffusers import scheduler_subject
from .traits import settings

__all__ = ["SchedulerEntry", "diffusers_entries", "left_out", "placeholders", "schedulers"]

#: what no introspection tells
_REASONS = {
    "ConsistencyDecoderScheduler": "two fixed steps of one decoder",
    "DDIMInverseScheduler": "goes from data to noise",
    "DPMSolverMultistepInverseScheduler": "goes from data to noise",
    "HeliosDMDScheduler": "needs the noise and the levels of a distilled pipeline besides the sample",
    "PiflowScheduler": "its network returns a policy, not a prediction",
    "ScoreSdeVeScheduler": "no step(): a predictor and a corrector that its pipeline calls in turn",
}
_ASKED = {"self", "model_output", "timestep", "sample", "old_pred_original_sample", "timestep_back"}
_VARIANCES = ("fixed_small", "fixed_small_log", "fixed_large", "fixed_large_log", "learned", "learned_range")
_DISCRETE = ("mask_token_id", "num_vec_classes", "threshold", "entropy_bound", "corrector_k")


@dataclass(frozen=True)
class SchedulerEntry:
    """One scheduler in one configuration: `changes` are those from its defaults that are worth printing."""

    cls: Any
    changes: dict[str, Any] = field(default_factory=dict)
    step: dict[str, Any] = field(default_factory=dict)
    library: str = "diffusers"

    @property
    def name(self) -> str:
        return str(self.cls.__name__)

    @property
    def config(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {**self.changes, **self.step}

    def subject(self) -> Subject:
        """Clipping is off, unless the entry is about it."""
        return scheduler_subject(self.cls, {**_calm(self.cls), **self.changes}, self.step)


def _calm(cls: Any) -> dict[str, Any]:
    known = inspect.signature(cls.__init__).parameters
    calm: dict[str, Any] = {"clip_sample": False, "clip_denoised": False}
    if cls.__name__ == "HeliosScheduler":
        calm["stages"] = 1  # more stages are a pyramid of resolutions
    if cls.__name__ == "CosineDPMSolverMultistepScheduler":
        calm["sigma_min"] = 0.01  # its default, 0.3, ends with the mean of data that has so much noise
    return {name: value for name, value in calm.items() if name in known}


def schedulers() -> list[Any]:
    """Every scheduler class that this diffusers exports and that can be imported here, by name."""
    package = require("diffusers.schedulers", "peers", "check diffusers")
    base = require("diffusers.schedulers.scheduling_utils", "peers", "check diffusers").SchedulerMixin
    found = set()
    for name in dir(package):
        value = getattr(package, name, None)
        if inspect.isclass(value) and issubclass(value, base) and value is not base:
            found.add(value)
    return sorted(found, key=lambda cls: str(cls.__name__))


def left_out() -> dict[str, str]:
    """Scheduler -> why it is not checked."""
    found = {cls.__name__: why for cls in schedulers() if (why := _why_not(cls)) is not None}
    return dict(sorted({**found, **placeholders()}.items()))


def placeholders() -> dict[str, str]:
    """Scheduler -> what is not installed that it needs: diffusers exports a stub in its place."""
    package = require("diffusers.schedulers", "peers", "check diffusers")
    found = {}
    for name in dir(package):
        value = getattr(package, name, None)
        if type(value).__name__ == "DummyObject" and name.endswith("Scheduler"):
            wanted = [module for module in vars(value)["_backends"] if find_spec(module) is None]
            if "torch" in vars(value)["_backends"] and wanted:
                found[name] = f"needs {' and '.join(wanted)} (pip install {' '.join(wanted)})"
    return found


def _why_not(cls: Any) -> str | None:
    name = str(cls.__name__)
    if name in _REASONS:
        return _REASONS[name]
    wanted = inspect.signature(cls.__init__).parameters
    if any(key in wanted for key in _DISCRETE):
        return "samples tokens, not continuous data"
    if not hasattr(cls, "step") or not hasattr(cls, "set_timesteps"):
        return "has no set_timesteps and step"
    step = inspect.signature(cls.step).parameters.values()
    more = [
        p.name
        for p in step
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in _ASKED
    ]
    if more:
        return f"its step also needs {', '.join(more)}"
    needed = [
        p.name for p in wanted.values() if p.default is p.empty and p.name not in ("self", "args", "kwargs")
    ]
    if needed:
        return f"cannot be made without {', '.join(needed)}"
    return None


def diffusers_entries(quick: bool = False) -> list[SchedulerEntry]:
    """The schedulers that are checked, each in its defaults and, unless quick, in the configurations that matter."""
    found = []
    for cls in schedulers():
        if _why_not(cls) is None:
            entries = list(_configurations(cls))
            found += entries[:1] if quick else entries
    return found


def _configurations(cls: Any) -> Iterator[SchedulerEntry]:
    """The defaults, then one change at a time, and the pairs of changes that matter together."""
    full, step = settings(cls, {}), inspect.signature(cls.step).parameters
    distilled = (
        cls.__name__ == "TCDScheduler"
    )  # with η < 1 no one network is right for all the levels it asks for
    usual = {"eta": 1.0} if distilled else {}
    seen: list[dict[str, Any]] = []
    for changes in _changes(full):
        kept = {name: value for name, value in changes.items() if full.get(name, value) != value}
        refused = "variance_type" in kept and kept["variance_type"] not in _variance_types(cls)
        if set(changes) <= set(full) and kept not in seen and not refused:
            seen.append(kept)
            yield SchedulerEntry(cls, kept, usual)
    if "eta" in step and "timestep_back" not in step:  # CogVideoX's DPM-Solver takes η and makes no use of it
        for eta in (0.0,) if distilled else (0.5, 1.0):
            yield SchedulerEntry(cls, {}, {"eta": eta})


def _variance_types(cls: Any) -> tuple[str, ...]:
    """Of the chains; elsewhere a variance_type is that of a network whose variance is thrown away."""
    if cls.__name__ == "UnCLIPScheduler":
        return ("learned_range",)
    return _VARIANCES if cls.__name__ in ("DDPMScheduler", "DDPMParallelScheduler") else ()


def _zero(t: Any) -> float:
    """SA-Solver's τ for its ODE."""
    return 0.0


def _changes(full: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What may be set apart from the defaults; those with a name that a scheduler lacks are not for it."""
    low: dict[str, Any] = {"final_sigmas_type": "sigma_min"}
    velocity = {"prediction_type": "v_prediction"}
    third = {"solver_order": 3}
    yield {}
    for spacing in ("linspace", "leading", "trailing"):
        yield {"timestep_spacing": spacing}
    yield {"timestep_spacing": "leading", "steps_offset": 1}
    yield {"beta_schedule": "squaredcos_cap_v2"}
    yield {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", **velocity}
    for spacing in ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas"):
        yield {spacing: True}
        yield {spacing: True, **(low if "solver_order" not in full else {**low, **third})}
        if "final_sigmas_type" not in full:
            yield {spacing: True, **third}
    yield {"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2"}
    yield {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
    yield low
    for order in (1, 2, 3):
        yield {"solver_order": order}
        yield {"solver_order": order, **low}
        yield {"solver_order": order, "algorithm_type": "sde-dpmsolver++"}
        yield {"solver_order": order, "algorithm_type": "dpmsolver", **low}
        yield {"solver_order": order, "predict_x0": False, **low}
        for tau in ({}, {"tau_func": _zero}):
            yield {"predictor_order": order, "corrector_order": order, **tau}
    for order in (2, 3):
        yield {"solver_order": order, "solver_type": "heun"}
        yield {"solver_order": order, "solver_type": "bh1"}
    yield {"algorithm_type": "sde-dpmsolver", **low}
    yield {**third, "lower_order_final": False, **low}
    yield {"lower_order_final": not full.get("lower_order_final")}
    yield {"euler_at_final": True}
    for variance in _VARIANCES:
        yield {"variance_type": variance}
    yield {"interpolation_type": "log_linear"}
    yield {"timestep_type": "continuous", **velocity}
    yield {"set_alpha_to_one": not full.get("set_alpha_to_one", True)}
    yield {"skip_prk_steps": True}
    yield {"shift": 3.0}
    yield {"stochastic_sampling": True}
    yield {"sigma_schedule": "exponential"}
    yield {"scheduler_type": "euler"}
