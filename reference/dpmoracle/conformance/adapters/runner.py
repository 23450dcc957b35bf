"""One configuration of a diffusers scheduler, run from noise to data.

The loop is that of a diffusers pipeline: set_timesteps, then for every timestep scale_model_input, the network, step.
Each run starts from a fresh copy of the scheduler.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidParameterError, require
from ..law import StepLaw
from ..model import OracleModel
from ..subject import Noise
from .asymptotic import even_in_lambda
from .families import Family, family_of
from .grids import Grid
from .patches import drawing, promoting
from .traits import Traits, library_name, traits_of

__all__ = ["Runner"]

Array = NDArray[np.floating[Any]]
_WHO = "from_diffusers"


@dataclass(frozen=True)
class Runner:
    """One configuration; `wide` runs it in float64, `even` on nodes even in λ.

    fraction : that its network answers with where it answers with a variance too: of the way, in logarithms, from the
               smallest variance of a step to the largest
    """

    cls: Any
    config: dict[str, Any]
    step: dict[str, Any] = field(default_factory=dict)
    wide: bool = False
    even: bool = False
    fraction: float = 0.0
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

    def but(self, **changes: Any) -> Runner:
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
            ends_too = library_name(self.cls) == "MiniMaxH3Scheduler"  # counts the end among its nodes
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

    @cached_property
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
                        # else a corrector goes back behind the state that is given
                        scheduler.last_sample = None
                t = scheduler.timesteps[i]
                given = scheduler.scale_model_input(x, t) if hasattr(scheduler, "scale_model_input") else x
                level = (float(grid.state[i, 0]), float(grid.state[i, 1]))
                sample = (given / grid.scale[i]).to(x.dtype)
                rows = sample.reshape(states.shape[1:]).numpy()
                out = torch.from_numpy(model(rows, *level, time=float(grid.times[i]))).reshape(shape)
                if kind is not None:
                    out = kind(out, sample, *level).to(x.dtype)
                if self.traits.learned:
                    spread = self._spread(grid, i)
                    out = torch.cat([out, torch.full_like(out, spread)], dim=1)
                x = self._stepped(scheduler, wanted, out, i, x, memory)
            return np.array(x.reshape(states.shape[1:]).numpy().astype(dtype))

    @property
    def law(self) -> StepLaw | None:
        law = self.traits.law
        return replace(law, variance="range", fraction=self.fraction) if law and self.traits.learned else law

    def _spread(self, grid: Grid, i: int) -> float:
        """What a network says of the variance of step i: the variance itself, or a place from -1 to 1 in its range."""
        if self.config["variance_type"] == "learned_range":
            return 2.0 * self.fraction - 1.0
        t, s = ((float(a), float(sigma)) for a, sigma in grid.nodes[i : i + 2])
        return 0.0 if self.law is None else self.law.noise_variance(t, s)

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
