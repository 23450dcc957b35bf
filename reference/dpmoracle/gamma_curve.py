"""Γ_t and V_t of a data set at every timestep, with what they were made from: the file of `dpmoracle gamma`."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .checking import check_count, check_finite
from .errors import InvalidParameterError
from .moments import Moments
from .processes.schedule import Schedule
from .shared import ESTIMATORS as _STATISTICS
from .storage import read_npz, write_npz

__all__ = ["ESTIMATORS", "TRUSTED", "DataRecord", "GammaCurve"]

Array = NDArray[np.float64]

ESTIMATORS = tuple(name for name in _STATISTICS if name != "gamma")

#: Effective count below which a few rare samples decide the value and its standard error flatters.
TRUSTED = 30

_FORMAT, _VERSION = "dpmoracle.gamma", 1
_PREFIX = "schedule_"
_CURVES = ("gamma", "mmse", "gamma_stderr", "mmse_stderr", "effective_count")
_SETTINGS = ("estimator", "num_samples", "batch_size", "seed", "program")
_DATA = ("name", "shape", "sha256", "range")


@dataclass(frozen=True)
class DataRecord:
    """What is kept of a data set (C, d): enough to tell whether another one is the same.

    name   : for the reader, no part of equality
    sha256 : of the float64 values in row order
    range  : smallest and largest coordinate, in units of x_0
    """

    name: str
    shape: tuple[int, int]
    sha256: str
    range: tuple[float, float]

    @classmethod
    def of(cls, points: Array, name: str) -> DataRecord:
        plain = np.ascontiguousarray(points, dtype="<f8")
        ends = float(plain.min()), float(plain.max())
        return cls(name, (plain.shape[0], plain.shape[1]), hashlib.sha256(plain.tobytes()).hexdigest(), ends)

    def same_as(self, other: DataRecord) -> bool:
        return (self.shape, self.sha256) == (other.shape, other.sha256)

    def __str__(self) -> str:
        return f"{self.name} ({self.shape[0]} x {self.shape[1]})"


@dataclass(frozen=True, eq=False)
class GammaCurve:
    """Estimates at the timesteps 0..N, all from the same (x_0, ε); index 0 is clean data, known exactly.

    mmse            : (N+1,) V_t, in units of x_0 squared; unclipped, so a noisy estimate may be negative
    gamma           : (N+1,) Γ_t = (1 - u_t V_t)/beta_bar_t, in units of 1/x_t squared; inf at 0
    mmse_stderr     : (N+1,) one standard error of V_t
    gamma_stderr    : (N+1,) one standard error of Γ_t
    effective_count : (N+1,) number of samples that carry V_t; inf at 0. Below TRUSTED a few decide
    num_samples     : number of (x_0, ε)
    program         : version of dpmoracle that computed it
    """

    mmse: Array
    gamma: Array
    mmse_stderr: Array
    gamma_stderr: Array
    effective_count: Array
    schedule: Schedule
    data: DataRecord
    estimator: str
    num_samples: int
    batch_size: int
    seed: int
    program: str = __version__

    def __post_init__(self) -> None:
        who, size = type(self).__name__, self.schedule.N + 1
        for name in _CURVES:
            curve = np.array(getattr(self, name), dtype=np.float64)
            if curve.shape != (size,):
                raise InvalidParameterError(
                    f"{who}: {name} must have shape (N+1,) = ({size},), as the schedule has; got {curve.shape}"
                )
            check_finite(who, f"{name}[1:]", curve[1:])
            curve.setflags(write=False)
            object.__setattr__(self, name, curve)
        for name, least in (("num_samples", 2), ("batch_size", 1), ("seed", 0)):
            check_count(who, name, getattr(self, name), low=least)
        if self.estimator not in ESTIMATORS:
            raise InvalidParameterError(
                f"{who}: estimator must be one of {', '.join(ESTIMATORS)}; got {self.estimator!r}"
            )

    @classmethod
    def from_moments(
        cls,
        found: Moments,
        schedule: Schedule,
        data: DataRecord,
        *,
        estimator: str,
        batch_size: int,
        seed: int,
    ) -> GammaCurve:
        r"""From the moments of V over the timesteps 1..N.

        .. math:: \Gamma_t = (1 - u_t V_t) / \bar\beta_t \qquad \text{[Tweedie's second order, traced]}
        """
        u, beta_bar = schedule.snr[1:], schedule.beta_bar[1:]
        mean, stderr = found.mean, found.stderr
        return cls(
            mmse=np.insert(mean, 0, 0.0),
            gamma=np.insert((1 - u * mean) / beta_bar, 0, np.inf),
            mmse_stderr=np.insert(stderr, 0, 0.0),
            gamma_stderr=np.insert(u * stderr / beta_bar, 0, 0.0),
            effective_count=np.insert(found.effective_count, 0, np.inf),
            schedule=schedule,
            data=data,
            num_samples=found.count,
            estimator=estimator,
            batch_size=batch_size,
            seed=seed,
        )

    @property
    def poor(self) -> NDArray[np.int64]:
        """The timesteps whose effective count is too small to trust the standard error."""
        return np.flatnonzero(self.effective_count < TRUSTED)

    def save(self, path: str | os.PathLike[str], who: str = "GammaCurve.save") -> None:
        """Write as .npz at exactly `path`, whole or not at all.

        Its arrays are the fields by name, timesteps = 0..N, those of the data as data_name, data_shape,
        data_sha256 and data_range, those of Schedule.state() after "schedule_", format and version.
        """
        arrays: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
        arrays["timesteps"] = np.arange(self.schedule.N + 1)
        arrays |= {name: getattr(self, name) for name in (*_CURVES, *_SETTINGS)}
        arrays |= {f"data_{name}": getattr(self.data, name) for name in _DATA}
        arrays |= {_PREFIX + name: value for name, value in self.schedule.state().items()}
        write_npz(path, arrays, who)

    @classmethod
    def load(cls, path: str | os.PathLike[str], who: str = "GammaCurve.load") -> GammaCurve:
        """Read what `save` wrote.

        Raises FileNotFoundError if there is no such file, InvalidParameterError if it is not whole, of another
        kind or version, or if its arrays do not fit together.
        """
        required = (*_CURVES, *_SETTINGS, *(f"data_{name}" for name in _DATA))
        try:
            plain: dict[str, Any] = {**read_npz(path, who, required, kind=_FORMAT, version=_VERSION)}
        except InvalidParameterError as error:
            raise InvalidParameterError(
                f"{error}. `dpmoracle gamma DATA -o FILE` writes such a file"
            ) from error
        state = {name.removeprefix(_PREFIX): x for name, x in plain.items() if name.startswith(_PREFIX)}
        try:
            rows, columns = (int(x) for x in plain["data_shape"])
            low, high = (float(x) for x in plain["data_range"])
            name, sha256 = str(plain["data_name"]), str(plain["data_sha256"])
            curves = {curve: plain[curve] for curve in _CURVES}
            return cls(
                **curves,
                schedule=Schedule.from_state(state),
                data=DataRecord(name, (rows, columns), sha256, (low, high)),
                estimator=str(plain["estimator"]),
                num_samples=plain["num_samples"].item(),
                batch_size=plain["batch_size"].item(),
                seed=plain["seed"].item(),
                program=str(plain["program"]),
            )
        except (ValueError, TypeError) as error:
            raise InvalidParameterError(
                f"{who}: {os.fspath(path)!r} must be a whole file of `dpmoracle gamma`; {error}"
            ) from error
