"""A sampler under test: one duty, `run`, and optional capabilities that open more checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameterError
from .law import Level, StepLaw
from .model import OUTPUT_TYPES, OracleModel

__all__ = ["DTYPES", "Forward", "Noise", "Subject"]

Array = NDArray[np.floating[Any]]
#: shape -> the noise of one draw; a run calls it once for each draw, in order
Noise = Callable[[tuple[int, ...]], Array]

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Forward:
    """The forward side of a scheduler; i is the position in its own list of times for K steps, from 0.

    level       : (i, K) -> the (a, σ) that the scheduler means there
    add_noise   : (x0, eps, i, K) -> x             velocity : (x0, eps, i, K) -> v
                  = (a eps - σ x0)/sqrt(a² + σ²), that of the variance-preserving scaling
    scale_input : (x, i, K) -> what the network is given for x at that level
    input_level : (i, K) -> (a, σ) of what the network is given, in the scaling that it was trained for
    init_sigma  : K -> the factor of the standard normal start
    """

    level: Callable[[int, int], Level]
    add_noise: Callable[[Array, Array, int, int], Array] | None = None
    velocity: Callable[[Array, Array, int, int], Array] | None = None
    scale_input: Callable[[Array, int, int], Array] | None = None
    input_level: Callable[[int, int], Level] | None = None
    init_sigma: Callable[[int], float] | None = None


@dataclass(frozen=True, repr=False)
class Subject:
    """A sampler in one configuration. Arrays in and out are NumPy, (M, d), of the dtype named in `dtype`, for any d.

    run         : (model, x_T, K, noise) -> x_end. The model is called as model(x, a, sigma, time=None) with x at
                  level (a, σ) and answers with the shape and dtype of x; noise is called with a shape for each draw,
                  None leaves the draws to the subject. Every run starts afresh: nothing is remembered between runs
    ends        : K -> ((a, σ) of x_T, (a, σ) of x_end)
    output_type : what the model returns, one of OUTPUT_TYPES; sigma_data is that of "edm"
    config      : what to print of its configuration

    Capabilities, None or False where the subject lacks them:

    levels      : K -> (n+1, 2) the (a, σ) of the nodes, noisiest first, x_T and x_end among them; not the points
                  between nodes where a method also evaluates
    time_level  : time value -> the (a, σ) that a network trained with this sampler understands by it, in the scaling
                  of its levels; between two whole times it interpolates
    time_span   : time value -> the two levels between which it may be read, where nothing decides that: between two
                  whole timesteps there was no training, and σ or log σ may be what is interpolated
    time_range  : (smallest, largest) time value that such a network knows
    order       : the order that it claims, of a deterministic sampler
    stochastic  : it draws noise             injects : and takes it from `noise`, standard normal
    law         : of one of its stochastic steps; None for a sampler of several evaluations or with a memory, which
                  must still leave the law of a single data point exact, unless exact_on_point is False
    learned     : fraction in [0, 1] -> the same sampler (in float64 if it can), for a network that answers with a
                  variance of its steps as well: that fraction of the way, in logarithms, from λ² to "beta"
    exact_on_point : so it does; not so a step of an SDE that takes ε̂ for constant, which the noise that it adds moves
    rests       : why its last step ends where it starts on purpose; that is a note then and no fault
    endpoint    : its model is a consistency function, x -> the end of the flow
    clips       : bound of its clipping of x̂_0, a design choice: what that disturbs becomes a note
    max_steps   : the largest K that it admits: with timesteps of training, their number N
    exact_start : (model, states, K, noise) -> x_end, as run, but at node i the state is replaced by states[i] before
                  the model is asked, for every i < len(states); states[0] is x_T
    promoted    : () -> the same in float64
    asymptotic  : () -> the same in float64 on nodes even in λ = log(a/σ), from about σ/a = 20 to the last σ > 0 near
                  0.05 (from σ/a = 2000 where exact_start is missing: a first step of low order then costs nothing)
    uneven      : the same on nodes whose steps in λ are alternately short and long, 1 to 2, between the same levels;
                  for methods that claim their order on uneven steps
    predicting  : output type -> () -> the same sampler (in float64 if it can) for a network of that output type
    forward     : the forward side
    """

    name: str
    run: Callable[[OracleModel, Array, int, Noise | None], Array]
    ends: Callable[[int], tuple[Level, Level]]
    output_type: str = "eps"
    config: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    sigma_data: float = 0.5
    levels: Callable[[int], NDArray[np.float64]] | None = None
    time_level: Callable[[float], Level] | None = None
    time_span: Callable[[float], tuple[Level, Level]] | None = None
    time_range: tuple[float, float] | None = None
    order: int | None = None
    stochastic: bool = False
    injects: bool = False
    law: StepLaw | None = None
    learned: Callable[[float], Subject] | None = None
    exact_on_point: bool = True
    rests: str | None = None
    endpoint: bool = False
    clips: float | None = None
    max_steps: int | None = None
    exact_start: Callable[[OracleModel, Array, int, Noise | None], Array] | None = None
    promoted: Callable[[], Subject] | None = None
    asymptotic: Callable[[], Subject] | None = None
    uneven: Callable[[], Subject] | None = None
    predicting: Mapping[str, Callable[[], Subject]] = field(default_factory=dict)
    forward: Forward | None = None

    def __repr__(self) -> str:
        return f"Subject({self.name!r})"

    def __post_init__(self) -> None:
        for name, value, allowed in (
            ("output_type", self.output_type, OUTPUT_TYPES),
            ("dtype", self.dtype, DTYPES),
        ):
            if value not in allowed:
                raise InvalidParameterError(
                    f"Subject {self.name!r}: {name} must be one of {', '.join(allowed)}; got {value!r}"
                )
        if self.order is not None and self.stochastic:
            raise InvalidParameterError(
                f"Subject {self.name!r}: order is that of a deterministic sampler, and stochastic=True; drop one"
            )
