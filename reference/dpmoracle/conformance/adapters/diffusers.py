"""A configured diffusers scheduler as a subject."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidParameterError
from ..law import Level
from ..subject import Subject
from .forward import forward_side
from .runner import Runner
from .traits import Traits

__all__ = ["from_diffusers", "scheduler_subject"]

_WHO = "from_diffusers"


def from_diffusers(
    scheduler: Any, *, step: Mapping[str, Any] | None = None, name: str | None = None
) -> Subject:
    """A subject from a configured scheduler of diffusers; only its class and configuration are used.

    step : more arguments of its step(), such as {"eta": 1.0}

    Raises InvalidParameterError for a scheduler that does not sample continuous data, or whose way of writing noise
    levels is none that this adapter knows.
    """
    if not hasattr(scheduler, "config") or not hasattr(type(scheduler), "from_config"):
        raise InvalidParameterError(
            f"{_WHO}: scheduler must be a configured scheduler of diffusers, such as DDIMScheduler(); got "
            f"{type(scheduler).__name__}"
        )
    config = {k: v for k, v in dict(scheduler.config).items() if not k.startswith("_")}
    return scheduler_subject(type(scheduler), config, dict(step or {}), name)


def scheduler_subject(
    cls: Any, config: Mapping[str, Any], step: Mapping[str, Any] | None = None, name: str | None = None
) -> Subject:
    """A subject from a scheduler's class and the arguments of its __init__ and step."""
    return _subject(Runner(cls, dict(config), dict(step or {})), name or cls.__name__)


def _subject(runner: Runner, name: str) -> Subject:
    with runner.within():
        scheduler = runner.make()
        family = runner.family(scheduler)
        outputs = family.outputs(scheduler)
        prediction = runner.prediction(scheduler)
        time_level = family.time_level(scheduler) if not runner.even else None
        time_span = family.time_span(scheduler) if not runner.even else None
    if prediction not in outputs:
        raise InvalidParameterError(
            f"{_WHO}: prediction_type of {name} must be one of {', '.join(outputs)}; got {prediction!r}"
        )
    traits = runner.traits

    def levels(K: int) -> NDArray[np.float64]:
        return runner.grid(K).nodes

    def ends(K: int) -> tuple[Level, Level]:
        nodes = levels(K)
        return (float(nodes[0, 0]), float(nodes[0, 1])), (float(nodes[-1, 0]), float(nodes[-1, 1]))

    def fed(kind: str) -> Callable[[], Subject]:
        return lambda: _subject(
            runner.but(config={**runner.config, "prediction_type": kind}, wide=True), name
        )

    return Subject(
        name=name,
        run=lambda model, x_T, K, noise: runner.run(model, x_T[None], K, noise),
        ends=ends,
        output_type=outputs[prediction][0],
        config={**runner.config, **runner.step},
        dtype="float64" if runner.wide else "float32",
        sigma_data=float(runner.config.get("sigma_data", _default(runner.cls, "sigma_data") or 0.5)),
        levels=levels,
        time_level=time_level,
        time_span=time_span,
        time_range=traits.time_range(scheduler) if time_level is not None else None,
        order=traits.order,
        stochastic=traits.stochastic,
        injects=traits.stochastic,
        law=runner.law,
        learned=_learned(runner, name) if traits.learned else None,
        exact_on_point=traits.exact_on_point,
        rests=traits.rests,
        endpoint=traits.endpoint,
        clips=traits.clips,
        max_steps=traits.max_steps,
        exact_start=runner.run if traits.one_call and not traits.stochastic else None,
        promoted=None if runner.wide else lambda: _subject(runner.but(wide=True), name),
        asymptotic=_asymptotic(runner, name, traits),
        predicting={outputs[kind][0]: fed(kind) for kind in traits.predictions if kind in outputs},
        forward=None if runner.even else forward_side(runner, scheduler, family),
    )


def _learned(runner: Runner, name: str) -> Callable[[float], Subject]:
    return lambda fraction: _subject(runner.but(fraction=fraction, wide=True), name)


def _asymptotic(runner: Runner, name: str, traits: Traits) -> Callable[[], Subject] | None:
    crowded = any(runner.config.get(name) for name in ("use_flow_sigmas", "use_beta_sigmas"))
    if runner.even or traits.order is None or crowded:
        return None  # these keep to spacings far from even in λ
    return lambda: _subject(runner.but(wide=True, even=True), name)


def _default(cls: Any, name: str) -> Any:
    found = inspect.signature(cls.__init__).parameters.get(name)
    return None if found is None or found.default is inspect.Parameter.empty else found.default
