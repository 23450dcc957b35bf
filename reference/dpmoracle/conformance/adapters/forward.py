"""The forward side of a diffusers scheduler: noising, velocity, the scaling of the input, the start."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..law import Level
from ..subject import Forward
from .families import Family
from .runner import Runner

__all__ = ["forward_side"]

Array = NDArray[np.floating[Any]]


def forward_side(runner: Runner, scheduler: Any, family: Family) -> Forward | None:
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
