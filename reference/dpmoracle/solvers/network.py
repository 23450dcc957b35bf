"""The network that a solver sees: a user's callable or the exact oracle, counted and checked at every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import array_module, foreign_or_gpu
from ..errors import InvalidParameterError
from ..mixture import GaussianMixture
from .coefficients import Level, half_log_snr

__all__ = ["Counted", "ExactModel", "Model", "Network", "as_network", "name_level", "predict"]

Array = NDArray[np.float64]
#: model(x, a, sigma) predicts ε or x_0, of the shape of x, for x = a x_0 + sigma ε
Model = Callable[[Any, float, float], Any]


@dataclass(frozen=True)
class ExactModel:
    """The exact network of a mixture: E[x_0|x] for prediction "data", E[ε|x] for "noise"; x is (..., d).

    backend : as of an Oracle; "numpy" gives the same bits on every machine
    """

    q0: GaussianMixture
    prediction: str
    backend: str = "numpy"

    @foreign_or_gpu
    def __call__(self, x: Any, a: float, sigma: float) -> Any:
        flat, _ = self.q0.rows("ExactModel", x)
        level = array_module(flat).ones(len(flat))
        rows = flat, a * level, sigma * level, self.backend
        found = self.q0.moments(*rows)[0] if self.prediction == "data" else -sigma * self.q0.density(*rows)[1]
        return found.reshape(x.shape)


def predict(q0: GaussianMixture, prediction: str, x: Array, a: float, sigma: float) -> Array:
    """The same for plain rows x (B, d), nothing validated."""
    p = q0.posterior(x, np.full(len(x), a), np.full(len(x), sigma))
    return p.mean if prediction == "data" else -sigma * p.score


@dataclass
class Counted:
    """A model as it is, with its calls counted."""

    model: Model
    evaluations: int = 0

    def __call__(self, x: Any, a: float, sigma: float) -> Any:
        self.evaluations += 1
        return self.model(x, a, sigma)


@dataclass
class Network:
    """A model that refuses to answer nonsense, and counts.

    who         : the solver, for messages
    when        : what to call a level in a message
    evaluations : calls so far
    """

    who: str
    model: Model
    when: Callable[[Level], str]
    evaluations: int = 0

    def __call__(self, x: Any, level: Level) -> Any:
        """The prediction at a level (a, σ); raises InvalidParameterError where it has another shape or a nan."""
        out = self.model(x, *level)
        self.evaluations += 1
        if getattr(out, "shape", None) != x.shape:
            raise InvalidParameterError(
                f"{self.who}: the model must return an array of the shape of x, {tuple(x.shape)}; it returned "
                f"{tuple(out.shape) if hasattr(out, 'shape') else type(out).__name__} at {self.when(level)}"
            )
        if 0 not in x.shape and not np.isfinite(float(abs(out).max())):
            raise InvalidParameterError(
                f"{self.who}: the model must return finite numbers; it returned nan or inf at {self.when(level)}, "
                f"in evaluation {self.evaluations}. Look at the model there, or at x before it: it may have "
                "diverged at a larger time"
            )
        return out


def as_network(who: str, model: Any) -> Network:
    """`model` itself if it is a Network already, else a fresh one around it."""
    if isinstance(model, Network):
        return model
    if not callable(model):
        raise InvalidParameterError(
            f"{who}: model must be callable as model(x, a, sigma); got {type(model).__name__}. "
            "For an Oracle use solve(oracle, ...) or ExactModel(oracle.q0, prediction)"
        )
    return Network(who, model, name_level)


def name_level(level: Level) -> str:
    a, sigma = level
    return f"(a, sigma) = ({a:.6g}, {sigma:.6g}), half_log_snr {half_log_snr(level):.6g}"
