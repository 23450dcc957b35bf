"""from_step: a subject made of one step of your own sampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InvalidParameterError
from ..solvers.checks import check_nodes
from .law import Level
from .model import OracleModel
from .subject import Noise, Subject

__all__ = ["from_step"]

Array = NDArray[np.floating[Any]]
_MADE_HERE = ("run", "ends", "output_type", "levels", "injects", "exact_start")


def from_step(
    step: Callable[[Array, int, Array, Array | None], ArrayLike],
    levels: Callable[[int], ArrayLike],
    output_type: str,
    prepare: Callable[[int], Any] | None = None,
    *,
    name: str | None = None,
    times: Callable[[int], ArrayLike] | None = None,
    **capabilities: Any,
) -> Subject:
    """A subject from one step of your own sampler, with one evaluation of the model at each node.

    step         : step(output, i, x, noise) -> x at node i + 1, from x at node i and the model's output there; all
                   (M, d). noise is standard normal if stochastic=True, else None
    levels       : K -> (K+1, 2) of (a, σ) with x = a x_0 + σ ε, noisiest first
    output_type  : what the model returns: "eps", "x0", "v" = a ε - σ x_0, "flow" = ε - x_0, or EDM's "edm"
    prepare      : called with K before each run, to reset what the sampler remembers
    times        : K -> (K,) time values that a network is given at the nodes, if you want those judged too
    capabilities : other fields of `Subject` that open more checks, such as order=2, stochastic=True, dtype="float32",
                   law=StepLaw(), time_level=..., and for the order asymptotic=lambda: the same with levels=even_nodes

    Raises InvalidParameterError for capabilities that Subject does not have; what is wrong with levels and steps is
    found in the first run.
    """
    known = [f.name for f in fields(Subject) if f.name not in (*_MADE_HERE, "name")]
    for given in capabilities:
        if given not in known:
            near = get_close_matches(given, known, n=1)
            raise InvalidParameterError(
                f"from_step: capabilities must be among {', '.join(known)}; got {given!r}"
                + (f". Did you mean {near[0]!r}?" if near else "")
            )
    called = str(name or getattr(step, "__name__", type(step).__name__))
    loop = _Loop(
        f"from_step({called})",
        step,
        levels,
        prepare,
        times,
        np.dtype(capabilities.get("dtype", "float64")),
        bool(capabilities.get("stochastic", False)),
    )
    return Subject(
        name=called,
        run=lambda model, x_T, K, noise: loop(model, x_T[None], K, noise),
        ends=loop.ends,
        output_type=output_type,
        levels=lambda K: np.array(loop.nodes(K)),
        injects=loop.stochastic,
        exact_start=loop,
        **capabilities,
    )


@dataclass(frozen=True)
class _Loop:
    """From noise to data by somebody's step, with everything that comes back checked."""

    who: str
    step: Callable[[Array, int, Array, Array | None], ArrayLike]
    levels: Callable[[int], ArrayLike]
    prepare: Callable[[int], Any] | None
    times: Callable[[int], ArrayLike] | None
    dtype: np.dtype[Any]
    stochastic: bool

    def nodes(self, K: int) -> list[Level]:
        found = check_nodes(f"{self.who}: levels({K})", self.levels(K))
        if len(found) != K + 1:
            raise InvalidParameterError(
                f"{self.who}: levels({K}) must have shape ({K + 1}, 2), a row of (a, sigma) for each node; it has "
                f"{len(found)} rows. Append the level at which the last step lands, such as (1, 0)"
            )
        return found

    def ends(self, K: int) -> tuple[Level, Level]:
        nodes = self.nodes(K)
        return nodes[0], nodes[-1]

    def __call__(self, model: OracleModel, states: Array, K: int, noise: Noise | None) -> Array:
        """x_end, with states[i] put in the place of x at node i."""
        nodes = self.nodes(K)
        if self.prepare is not None:
            self.prepare(K)
        times = self._times(K)
        draw = np.random.default_rng().standard_normal if noise is None else noise
        x: Array = states[0].astype(self.dtype)
        for i, (a, sigma) in enumerate(nodes[:-1]):
            if i < len(states):
                x = states[i].astype(self.dtype)
            output = model(x, a, sigma, time=times[i])
            fresh = np.asarray(draw(x.shape)).astype(self.dtype) if self.stochastic else None
            x = self._checked(self.step(output, i, x.copy(), fresh), x.shape, i, K)
        return x

    def _times(self, K: int) -> list[float] | list[None]:
        if self.times is None:
            return [None] * K
        times = np.asarray(self.times(K), dtype=np.float64)
        if times.shape != (K,):
            raise InvalidParameterError(
                f"{self.who}: times({K}) must have shape ({K},), one value for each call of the model; "
                f"got {times.shape}"
            )
        return [float(time) for time in times]

    def _checked(self, landed: Any, wanted: tuple[int, ...], i: int, K: int) -> Array:
        shape = getattr(landed, "shape", None)
        if shape != wanted:
            came = type(landed).__name__ if shape is None else f"shape {tuple(shape)}"
            raise InvalidParameterError(
                f"{self.who}: step must return x at node {i + 1}, an array {wanted}; with K = {K}, i = {i} it "
                f"returned {came}"
            )
        x: Array = np.asarray(landed, dtype=self.dtype)
        return x
