"""A sampler under test: one duty, `run`, and optional capabilities that open more checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidParameterError
from .model import OUTPUT_TYPES, Level, OracleModel

__all__ = ["Forward", "Noise", "Subject", "from_step"]

Array = NDArray[np.floating[Any]]
#: shape -> the next noise array of a run, in place of standard normal draws
Noise = Callable[[tuple[int, ...]], Array]


@dataclass(frozen=True)
class Forward:
    """The forward side of a scheduler, as functions of a step number i of its grid with K steps.

    add_noise    : (x0, eps, i, K) -> x             velocity    : (x0, eps, i, K) -> v, or None
    scale_input  : (x, i, K) -> what the network is given, and `input_level` (i, K) -> (a, σ) of that, or None
    init_sigma   : K -> factor of a standard normal start, or None
    """

    add_noise: Callable[[Array, Array, int, int], Array] | None = None
    velocity: Callable[[Array, Array, int, int], Array] | None = None
    scale_input: Callable[[Array, int, int], Array] | None = None
    input_level: Callable[[int, int], Level] | None = None
    init_sigma: Callable[[int], float] | None = None


@dataclass(frozen=True)
class Subject:
    """A sampler in one configuration. Arrays in and out are NumPy, (M, d), of the dtype named in `dtype`.

    run         : (model, x_T, K, noise) -> x_end, where model is called as model(x, a, sigma, time=None) with x at
                  level (a, sigma); noise is called with a shape for each draw, None leaves the draws to the subject
    ends        : K -> ((a, σ) of x_T, (a, σ) of x_end)
    output_type : what the model returns, one of OUTPUT_TYPES; sigma_data is of "edm"

    Capabilities, None or False where the subject lacks them:
    levels      : K -> (n+1, 2) the (a, σ) of every node that the state visits, noisiest first
    time_level  : time value -> the (a, σ) that a network trained with this sampler understands by it
    times       : K -> (n,) time values in the order of the calls
    order       : the order that it claims
    stochastic  : it draws noise             injects    : and takes it from `noise`
    step_law    : (i, K) -> (mean_scale, ...) of a stochastic step, see checks
    one_pass    : one evaluation per step, so that node i is evaluated once
    endpoint    : its model is a consistency function
    exact_start : (model, states, x, K, noise) -> x_end with exact states at the first nodes
    promoted    : () -> the same in float64
    asymptotic  : () -> the same on a grid whose λ is linear in the step, ending at the last σ > 0, for measuring orders
    predicting  : output type -> the same sampler fed by that output type
    forward     : the forward side
    """

    name: str
    run: Callable[[OracleModel, Array, int, Noise | None], Array]
    ends: Callable[[int], tuple[Level, Level]]
    output_type: str = "eps"
    config: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    sigma_data: float = 0.5
    levels: Callable[[int], Array] | None = None
    time_level: Callable[[float], Level] | None = None
    times: Callable[[int], Array] | None = None
    order: int | None = None
    stochastic: bool = False
    injects: bool = False
    endpoint: bool = False
    max_steps: int | None = None
    exact_start: Callable[..., Array] | None = None
    promoted: Callable[[], Subject] | None = None
    asymptotic: Callable[[], Subject] | None = None
    predicting: Mapping[str, Callable[[], Subject]] = field(default_factory=dict)
    forward: Forward | None = None

    def __post_init__(self) -> None:
        if self.output_type not in OUTPUT_TYPES:
            raise InvalidParameterError(
                f"Subject {self.name!r}: output_type must be one of {', '.join(OUTPUT_TYPES)}; got "
                f"{self.output_type!r}"
            )


def from_step(
    step: Callable[[Array, int, Array, Array | None], Array],
    levels: Callable[[int], ArrayLike],
    output_type: str,
    prepare: Callable[[int], Any] | None = None,
    *,
    name: str | None = None,
    order: int | None = None,
    stochastic: bool = False,
) -> Subject:
    """A subject from one step of your own sampler.

    step        : step(output, i, x, noise) -> x at node i + 1, for x at node i and the model's output there; noise
                  has the shape of x if the sampler is stochastic, else it is None
    levels      : K -> (K+1, 2) of (a, σ), noisiest first
    output_type : what the model returns: "eps", "x0", "v", "flow", "edm"
    prepare     : called with K before each run, to reset what the sampler remembers
    """
    raise NotImplementedError
