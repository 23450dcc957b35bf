"""A configured diffusers scheduler as a subject.

The loop is that of a diffusers pipeline: set_timesteps, then for every timestep scale_model_input, the network, step.
Each run starts from a fresh copy of the scheduler.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidParameterError, require
from ..law import Level
from ..model import OracleModel
from ..subject import Forward, Noise, Subject
from .asymptotic import even_in_lambda
from .grids import Family, Grid, family_of
from .patches import drawing, promoting
from .traits import Traits, traits_of

__all__ = ["from_diffusers", "scheduler_subject"]

Array = NDArray[np.floating[Any]]
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
    return _subject(_Runner(cls, dict(config), dict(step or {})), name or cls.__name__)


@dataclass(frozen=True)
class _Runner:
    """One configuration; `wide` runs it in float64, `even` on nodes even in λ."""

    cls: Any
    config: dict[str, Any]
    step: dict[str, Any] = field(default_factory=dict)
    wide: bool = False
    even: bool = False
    kept: dict[int, tuple[Any, Grid, int]] = field(default_factory=dict, compare=False)
    made: list[Any] = field(default_factory=list, compare=False)

    @property
    def torch(self) -> Any:
        return require("torch", "peers", _WHO)

    def within(self, noise: Noise | None = None) -> ExitStack:
        modules = {
            id(m): m for c in self.cls.__mro__ if (m := sys.modules.get(c.__module__)) is not None
        }.values()
        stack = ExitStack()
        stack.enter_context(promoting(modules, self.torch, self.wide))
        stack.enter_context(drawing(modules, self.torch, noise))
        return stack

    def but(self, **changes: Any) -> _Runner:
        return replace(self, kept={}, made=[], **changes)

    def make(self) -> Any:
        """A scheduler as __init__ leaves it; a copy, since some take half a second."""
        if not self.made:
            self.made.append(self.cls(**self.config))
        return copy.deepcopy(self.made[0])

    def laid_out(self, K: int) -> tuple[Any, Grid, int]:
        """(scheduler as set_timesteps leaves it, its grid, how many calls to make) for K steps; call it `within`."""
        if K not in self.kept:
            self.kept[K] = self._lay_out(K)
        scheduler, grid, calls = self.kept[K]
        return copy.deepcopy(scheduler), grid, calls

    def _lay_out(self, K: int) -> tuple[Any, Grid, int]:
        if self.even:
            scheduler, drop = even_in_lambda(self.cls, self.config, K, self.traits.one_call)
        else:
            scheduler, drop = self.make(), False
            wanted = inspect.signature(scheduler.set_timesteps).parameters
            more = {"intermediate_timesteps": None} if "intermediate_timesteps" in wanted else {}
            ends_too = self.cls.__name__ == "MiniMaxH3Scheduler"  # counts the end among its nodes
            scheduler.set_timesteps(K + ends_too, **more)
        grid = self.family(scheduler).grid(scheduler)
        nodes = grid.nodes[:-1] if drop else grid.nodes
        return scheduler, replace(grid, nodes=nodes), len(grid.times) - drop

    def family(self, scheduler: Any) -> Family:
        family = family_of(scheduler)
        if family is None:
            raise InvalidParameterError(
                f"{_WHO}: the scheduler must write its noise levels in a way that is known here; "
                f"{self.cls.__name__} has neither alphas_cumprod nor sigmas. Wrap it with from_step"
            )
        return family

    @property
    def traits(self) -> Traits:
        return traits_of(self.cls, self.config, self.step)

    def grid(self, K: int) -> Grid:
        with self.within():
            return self.laid_out(K)[1]

    def run(self, model: OracleModel, states: Array, K: int, noise: Noise | None) -> Array:
        """From noise to data as a pipeline does; states[i] takes the place of the sample at node i."""
        torch = self.torch
        dtype = np.float64 if self.wide else np.float32
        with self.within(noise), torch.no_grad():
            scheduler, grid, calls = self.laid_out(K)
            kind = self.family(scheduler).outputs(scheduler)[self.prediction(scheduler)][1]
            shape = (*states.shape[1:], 1, 1)  # some schedulers ask for images
            x = torch.from_numpy(states[0].astype(dtype)).reshape(shape)
            wanted = inspect.signature(scheduler.step).parameters
            memory: dict[str, Any] = {}
            for i in range(calls):
                if i < len(states):
                    x = torch.from_numpy(states[i].astype(dtype)).reshape(shape)
                    if i and hasattr(scheduler, "last_sample"):
                        scheduler.last_sample = (
                            None  # else a corrector goes back behind the state that is given
                        )
                t = scheduler.timesteps[i]
                given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
                level = (float(grid.state[i, 0]), float(grid.state[i, 1]))
                sample = (given / grid.scale[i]).to(x.dtype)
                rows = sample.reshape(states.shape[1:]).numpy()
                out = torch.from_numpy(model(rows, *level, time=float(grid.times[i]))).reshape(shape)
                if kind is not None:
                    out = kind(out, sample, *level).to(x.dtype)
                x = self._stepped(scheduler, wanted, out, i, x, memory)
            return np.array(x.reshape(states.shape[1:]).numpy().astype(dtype))

    def prediction(self, scheduler: Any) -> str:
        return str(scheduler.config.get("prediction_type", ""))

    def _stepped(
        self, scheduler: Any, wanted: Collection[str], out: Any, i: int, x: Any, memory: dict[str, Any]
    ) -> Any:
        """The sample after step i; what some schedulers want besides comes as their own pipelines give it."""
        times = scheduler.timesteps
        more = dict(self.step)
        t = times[i]
        if "prev_timestep" in wanted and i + 1 < len(times):
            more["prev_timestep"] = times[i + 1]
        if "old_pred_original_sample" in wanted:
            more["old_pred_original_sample"] = memory.get("old")
            more["timestep_back"] = times[i - 1] if i > 0 else None
        if self.family(scheduler).name == "cosine":
            t = t.expand(x.shape[0])
        stepped = scheduler.step(model_output=out, timestep=t, sample=x, return_dict=False, **more)
        memory["old"] = stepped[-1]
        return stepped[0]


def _subject(runner: _Runner, name: str) -> Subject:
    with runner.within():
        scheduler = runner.make()
        family = runner.family(scheduler)
        outputs = family.outputs(scheduler)
        prediction = runner.prediction(scheduler)
        time_level = family.time_level(scheduler) if not runner.even else None
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
        time_range=traits.time_range(scheduler) if time_level is not None else None,
        order=traits.order,
        stochastic=traits.stochastic,
        injects=traits.stochastic,
        law=traits.law,
        endpoint=traits.endpoint,
        clips=traits.clips,
        max_steps=traits.max_steps,
        exact_start=runner.run if traits.one_call and not traits.stochastic else None,
        promoted=None if runner.wide else lambda: _subject(runner.but(wide=True), name),
        asymptotic=_asymptotic(runner, name, traits),
        predicting={outputs[kind][0]: fed(kind) for kind in traits.predictions if kind in outputs},
        forward=None if runner.even else _forward(runner, scheduler, family),
    )


def _asymptotic(runner: _Runner, name: str, traits: Traits) -> Callable[[], Subject] | None:
    crowded = any(runner.config.get(name) for name in ("use_flow_sigmas", "use_beta_sigmas"))
    if runner.even or traits.order is None or crowded:
        return None  # these keep to spacings far from even in λ
    return lambda: _subject(runner.but(wide=True, even=True), name)


def _default(cls: Any, name: str) -> Any:
    found = inspect.signature(cls.__init__).parameters.get(name)
    return None if found is None or found.default is inspect.Parameter.empty else found.default


def _forward(runner: _Runner, scheduler: Any, family: Family) -> Forward | None:
    """add_noise and its like at the i-th time of the grid for K steps."""
    torch = runner.torch
    dtype = np.float64 if runner.wide else np.float32
    # flow sigmas start a rounding beside σ = 1; sCM leaves the factor sigma_data to its pipeline
    flows = bool(runner.config.get("use_flow_sigmas")) or family.name == "trigflow"
    calls_per_step = getattr(runner.cls, "order", 1)
    noising = (
        "add_noise"
        if hasattr(scheduler, "add_noise")
        else "scale_noise"
        if hasattr(scheduler, "scale_noise")
        else None
    )

    def tensor(x: Array) -> Any:
        return torch.from_numpy(np.asarray(x, dtype=dtype)).reshape(*x.shape, 1, 1)

    def plain(x: Any, like: Array) -> Array:
        return np.array(x.detach().reshape(like.shape).numpy())

    def at(i: int, K: int) -> tuple[Any, Any, Level, float]:
        """(scheduler, time, level, scale of the input) at the start of its i-th step."""
        made, grid, _ = runner.laid_out(K)
        place = i * calls_per_step
        row = grid.state[place]
        return made, made.timesteps[place], (float(row[0]), float(row[1])), float(grid.scale[place])

    def level(i: int, K: int) -> Level:
        with runner.within():
            return at(i, K)[2]

    def add_noise(x0: Array, eps: Array, i: int, K: int) -> Array:
        with runner.within():
            made, t, _, _ = at(i, K)
            if noising == "scale_noise":
                times = t if calls_per_step == 2 else t.expand(len(x0))
                return plain(made.scale_noise(tensor(x0), times, tensor(eps)), x0)
            return plain(made.add_noise(tensor(x0), tensor(eps), t.expand(len(x0))), x0)

    def velocity(x0: Array, eps: Array, i: int, K: int) -> Array:
        with runner.within():
            made, t, _, _ = at(i, K)
            return plain(made.get_velocity(tensor(x0), tensor(eps), t.expand(len(x0))), x0)

    def scale_input(x: Array, i: int, K: int) -> Array:
        with runner.within():
            made, t, _, _ = at(i, K)
            return plain(made.scale_model_input(tensor(x), t), x)

    def input_level(i: int, K: int) -> Level:
        with runner.within():
            _, _, (a, sigma), scale = at(i, K)
        return a * scale, sigma * scale

    def init_sigma(K: int) -> float:
        with runner.within():
            return float(at(0, K)[0].init_noise_sigma)

    return Forward(
        level=level,
        add_noise=add_noise if noising else None,
        velocity=velocity if hasattr(scheduler, "get_velocity") else None,
        scale_input=scale_input if hasattr(scheduler, "scale_model_input") else None,
        input_level=input_level if hasattr(scheduler, "scale_model_input") else None,
        init_sigma=init_sigma if hasattr(scheduler, "init_noise_sigma") and not flows else None,
    )
