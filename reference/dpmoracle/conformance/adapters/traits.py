"""What a diffusers scheduler claims in a configuration: its order, its noise, its law, what its network must be."""

from __future__ import annotations

import inspect
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..law import StepLaw

__all__ = ["Traits", "library_name", "settings", "traits_of"]

_ENDPOINT = "CMStochasticIterativeScheduler", "FlowMatchLCMScheduler", "LCMScheduler", "SCMScheduler"
_NOISY = (
    "CogVideoXDPMScheduler", "CosineDPMSolverMultistepScheduler", "DPMSolverSDEScheduler",
    "EulerAncestralDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "SASolverScheduler",
)  # fmt: skip
_RESTS = (
    "set_alpha_to_one=False ends at timestep 0, where the last step starts: its evaluation is spent on nothing, unless "
    "steps_offset=1"
)
_DDPM = "DDPMScheduler", "DDPMParallelScheduler", "UnCLIPScheduler", "DDPMWuerstchenScheduler"


@dataclass(frozen=True)
class Traits:
    """order      : claimed by its documentation, None for a sampler that draws noise
    stochastic, law, exact_on_point, rests, endpoint, clips, max_steps : as in Subject
    learned    : its network answers with a variance too, in as many more channels
    one_call   : one evaluation for each step, so that the state at a node can be replaced
    predictions: prediction types that its signature admits
    """

    order: int | None
    stochastic: bool
    law: StepLaw | None
    learned: bool
    exact_on_point: bool
    rests: str | None
    endpoint: bool
    clips: float | None
    max_steps: int | None
    one_call: bool
    predictions: tuple[str, ...]

    def time_range(self, scheduler: Any) -> tuple[float, float] | None:
        """The time values that a network trained with it knows."""
        if scheduler.config.get("use_flow_sigmas"):
            return 0.0, float(scheduler.config.num_train_timesteps)
        if hasattr(scheduler, "alphas_cumprod") and scheduler.config.get("timestep_type") != "continuous":
            return 0.0, float(len(scheduler.alphas_cumprod) - 1)
        return None


def library_name(cls: Any) -> str:
    """Of the library's own class: somebody's subclass claims what that one does."""
    own = [str(base.__name__) for base in cls.__mro__ if base.__module__.startswith("diffusers.")]
    return own[0] if own else str(cls.__name__)


def settings(cls: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the defaults of __init__ filled in."""
    known = inspect.signature(cls.__init__).parameters.values()
    return {**{p.name: p.default for p in known if p.default is not p.empty}, **config}


def traits_of(cls: Any, config: Mapping[str, Any], step: Mapping[str, Any]) -> Traits:
    """What the scheduler claims, from its configuration, the arguments of its step, and its documentation."""
    name, full = library_name(cls), settings(cls, config)
    eta = float(step.get("eta", 0.0))
    law = _law(name, full, eta, step)
    endpoint = (
        name in _ENDPOINT or (name == "TCDScheduler" and eta > 0) or bool(full.get("stochastic_sampling"))
    )
    noisy = (
        endpoint
        or name in _NOISY
        or name in _DDPM
        or eta > 0
        or str(full.get("algorithm_type", "")).startswith("sde-")
        or (name == "LTXEulerAncestralRFScheduler" and full["eta"] > 0)
    )
    clips = None
    if full.get("clip_sample") or full.get("clip_denoised"):
        clips = float(full.get("clip_sample_range", 1.0))
    return Traits(
        order=None if noisy else _order(cls, full),
        stochastic=noisy,
        law=law,
        learned=name in _DDPM and str(full.get("variance_type")).startswith("learned"),
        exact_on_point=full.get("algorithm_type") != "sde-dpmsolver",
        rests=_RESTS if not full.get("set_alpha_to_one", True) else None,
        endpoint=endpoint,
        clips=clips,
        max_steps=_max_steps(name, full),
        one_call=getattr(cls, "order", 1) == 1
        and not name.startswith("DPMSolverSinglestep")
        and name != "PNDMScheduler",
        predictions=_predictions(cls, full),
    )


def _law(name: str, full: Mapping[str, Any], eta: float, step: Mapping[str, Any]) -> StepLaw | None:
    if name == "CMStochasticIterativeScheduler":
        return None  # its consistency function ends at σ_min, not at 0
    if name in _ENDPOINT or full.get("stochastic_sampling"):
        return StepLaw(math.inf)
    if name in _DDPM and name != "DDPMWuerstchenScheduler":  # which leaves its last noise out
        kind = str(full.get("variance_type", "fixed_small"))
        return StepLaw(1.0, "beta" if kind.startswith("fixed_large") else "lam2")
    if name == "EulerAncestralDiscreteScheduler":
        return StepLaw(1.0)
    if eta > 0 and "DDIM" in name:
        return StepLaw(eta)
    if full.get("algorithm_type") == "sde-dpmsolver++" and full.get("solver_order") == 1:
        return StepLaw(1.0)
    return None


def _order(cls: Any, full: Mapping[str, Any]) -> int:
    """The order that its documentation claims.

    UniPC's claims solver_order + 1, by its corrector, for the orders that it does not lower on its own; the smaller
    is asked for here. PNDM's paper proves second order, whatever the Runge-Kutta and multistep rules inside; IPNDM's
    documentation says fourth.
    """
    name = library_name(cls)
    if name == "PNDMScheduler":
        return 2
    if name == "IPNDMScheduler":
        return 4
    if name == "LMSDiscreteScheduler":
        return int(inspect.signature(cls.step).parameters["order"].default)
    if full.get("scheduler_type") == "euler":
        return 1
    return int(full.get("solver_order", full.get("predictor_order", getattr(cls, "order", 1))))


def _max_steps(name: str, full: Mapping[str, Any]) -> int | None:
    if name == "FlowMatchLCMScheduler" or "num_train_timesteps" not in full:
        return None
    if full.get("original_inference_steps"):
        return int(full["original_inference_steps"])
    return int(full["num_train_timesteps"])


def _predictions(cls: Any, full: Mapping[str, Any]) -> tuple[str, ...]:
    """The prediction types that the signature of __init__ names; without a Literal there, the usual three."""
    parameter = inspect.signature(cls.__init__).parameters.get("prediction_type")
    if parameter is None:
        return ()
    try:
        named = typing.get_args(typing.get_type_hints(cls.__init__)["prediction_type"])
    except (NameError, KeyError, TypeError):
        named = ()
    refused = {n for n in ("sample",) if f"not implemented yet: {n}" in inspect.getsource(cls)}
    if full.get("use_flow_sigmas"):  # the other types are defined for a² + σ² = 1
        return ()
    if full.get("rescale_betas_zero_snr"):  # where a = 0 a prediction of the noise says nothing
        refused.add("epsilon")
    usual = ("epsilon", "sample", "v_prediction")
    return tuple(n for n in named or usual if n not in {*refused, "flow_prediction"})
