"""JSON values and what they stand for: numbers with infinities, schedules, processes, mixtures, levels."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..processes.process import Process
from ..processes.schedule import Schedule

__all__ = [
    "MIXTURES",
    "SCHEDULES",
    "SPECIAL",
    "decode",
    "encode",
    "level",
    "mixture",
    "on_schedule",
    "oracle_at",
    "process",
    "schedule",
]

Array = NDArray[np.float64]
Spec = Mapping[str, Any]

#: what JSON has no number for
SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}

SCHEDULES: Mapping[str, dict[str, Any]] = {
    "linear": {"kind": "linear", "N": 1000, "beta_start": 1e-4, "beta_end": 2e-2},
    "scaled_linear": {"kind": "scaled_linear", "N": 1000, "beta_start": 0.00085, "beta_end": 0.012},
    "sigmoid": {"kind": "sigmoid", "N": 1000, "beta_start": 1e-4, "beta_end": 2e-2},
    "cosine": {"kind": "cosine", "N": 1000, "s": 0.008, "max_beta": 0.999},
    "zero_terminal": {"kind": "cosine", "N": 60, "s": 0.008, "max_beta": 1.0},
    "betas": {"kind": "betas", "betas": [0.01, 0.05, 0.2, 0.5, 0.9]},
}

MIXTURES: Mapping[str, dict[str, Any]] = {
    "line": {
        "weights": [0.2, 0.5, 0.3],
        "means": [[-1.6], [0.1], [1.3]],
        "covariances": [[0.09], [0.25], [0.04]],
        "covariance_type": "diag",
    },
    "plane": {
        "weights": [0.4, 0.6],
        "means": [[1.0, 0.2], [-0.8, -0.3]],
        "covariances": [[0.3, 0.1], [0.05, 0.4]],
        "covariance_type": "diag",
    },
    "points": {
        "weights": [0.25, 0.25, 0.5],
        "means": [[-1.0, 0.5], [1.0, 1.0], [0.25, -0.75]],
        "covariances": [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
        "covariance_type": "diag",
    },
    "tilted": {
        "weights": [0.4, 0.6],
        "means": [[1.0, 0.2], [-0.8, -0.3]],
        "covariances": [[[0.3, 0.1], [0.1, 0.2]], [[0.1, -0.05], [-0.05, 0.4]]],
        "covariance_type": "full",
    },
    "gaussian": {
        "weights": [1.0],
        "means": [[0.3, -0.2]],
        "covariances": [[0.5, 0.08]],
        "covariance_type": "diag",
    },
}


def encode(value: Any) -> Any:
    """Arrays and NumPy numbers as lists and plain numbers; infinities and nan by their names."""
    if isinstance(value, Mapping):
        return {key: encode(part) for key, part in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [encode(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def decode(value: Any) -> Any:
    """What `encode` made, with numbers for the names of infinities and nan."""
    if isinstance(value, dict):
        return {key: decode(part) for key, part in value.items()}
    if isinstance(value, list):
        return [decode(part) for part in value]
    return SPECIAL.get(value, value) if isinstance(value, str) else value


def schedule(spec: Spec) -> Schedule:
    """From its kind, a class method of Schedule, and the arguments of that."""
    parts = dict(spec)
    kind = parts.pop("kind")
    made: Schedule = getattr(Schedule, "from_betas" if kind == "betas" else kind)(**parts)
    return made


def on_schedule(function: Callable[..., Any]) -> Callable[..., Any]:
    """function(sch, ...) as a function of named JSON values, the spec of its schedule among them."""

    def compute(**given: Any) -> Any:
        return function(schedule(given.pop("schedule")), **given)

    return compute


def process(spec: Spec) -> Process:
    """From its kind, a class method of Process, and the arguments of that."""
    parts = dict(spec)
    made: Process = getattr(Process, parts.pop("kind"))(**parts)
    return made


def mixture(spec: Spec) -> GaussianMixture:
    return GaussianMixture(**spec)


def level(half_log_snr: float) -> list[float]:
    """[a, σ] of the variance-preserving level at λ, for inputs."""
    from ..solvers.path import vp_path

    return list(vp_path(half_log_snr))


@dataclass(frozen=True)
class _Level:
    """A process that stands still at one level; its times do not matter."""

    a: float
    sigma: float

    def check_times(self, t: Any, who: str) -> NDArray[Any]:
        return np.asarray(t)

    def levels(self, t: Any) -> tuple[Array, Array]:
        return np.full(np.shape(t), self.a), np.full(np.shape(t), self.sigma)


def oracle_at(spec: Spec, a: float, sigma: float) -> Oracle:
    """The oracle of a mixture at x = a x_0 + σ ε; any t will do."""
    return Oracle(mixture(spec), _Level(a, sigma))
