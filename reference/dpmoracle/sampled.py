"""Γ_t and V_t as estimated from samples: values with errors that merge, save and load."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, as_steps, check_count, check_finite
from .errors import InvalidParameterError
from .moments import Moments
from .processes.schedule import Schedule
from .storage import read_npz, write_npz

__all__ = ["GammaEstimate", "MmseEstimate", "check_timesteps"]

Array = NDArray[np.float64]

_VERSION = 1
_PREFIX = "schedule_"
_FIELDS = ("stderr", "count", "timesteps", "num_noise", "method")


class _Sampled:
    """What both estimates share; `_quantity` names the field that holds the value."""

    _quantity: ClassVar[str]
    stderr: Array
    count: int
    timesteps: NDArray[np.int64]
    schedule: Schedule
    num_noise: int
    method: str

    def __post_init__(self) -> None:
        who = type(self).__name__
        timesteps = check_timesteps(who, self.timesteps, self.schedule)
        count, _ = check_count(who, "count", self.count), check_count(who, "num_noise", self.num_noise)
        value = as_float(who, self._quantity, getattr(self, self._quantity))
        stderr = as_float(who, "stderr", self.stderr)
        if value.shape != timesteps.shape or stderr.shape != timesteps.shape:
            raise InvalidParameterError(
                f"{who}: {self._quantity} and stderr must have the shape of timesteps, {timesteps.shape}; "
                f"got {value.shape} and {stderr.shape}"
            )
        check_finite(who, self._quantity, value)
        if count > 1:
            check_finite(who, "stderr", stderr)
            if (stderr < 0).any():
                raise InvalidParameterError(f"{who}: stderr must be >= 0; got {stderr.min()}")
        for name, array in ((self._quantity, value), ("stderr", stderr), ("timesteps", timesteps)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @property
    def moments(self) -> Moments:
        """The samples' moments, one sample per x_0."""
        return Moments.from_stderr(self.count, getattr(self, self._quantity), self.stderr)

    @property
    def effective_count(self) -> Array:
        """(T,) number of x_0 that carry the sum; below about 30 the standard error flatters."""
        return self.moments.effective_count

    def on_schedule(self) -> Array:
        """(N+1,) the values at their own indices, nan where nothing was estimated (index 0 among them)."""
        full = np.full(self.schedule.N + 1, np.nan)
        full[self.timesteps] = getattr(self, self._quantity)
        return full

    def __add__(self, other: Self) -> Self:
        """The estimate from both sets of samples, which must be independent; settings must be equal."""
        if type(other) is not type(self):
            return NotImplemented
        for name in ("schedule", "timesteps", "num_noise", "method"):
            mine, theirs = getattr(self, name), getattr(other, name)
            same = np.array_equal(mine, theirs) if name == "timesteps" else mine == theirs
            if not same:
                raise InvalidParameterError(
                    f"{type(self).__name__}: only estimates with equal settings can be added; "
                    f"{name} differs: {_short(mine)} and {_short(theirs)}"
                )
        both = self.moments + other.moments
        settings = (self.timesteps, self.schedule, self.num_noise, self.method)
        make: Any = type(self)
        merged: Self = make(both.mean, both.stderr, both.count, *settings)
        return merged

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as .npz at exactly `path`, whole or not at all."""
        arrays: dict[str, Any] = {"format": _kind(type(self)), "version": _VERSION}
        arrays |= {name: getattr(self, name) for name in (self._quantity, *_FIELDS)}
        arrays |= {_PREFIX + name: value for name, value in self.schedule.state().items()}
        write_npz(path, arrays, f"{type(self).__name__}.save")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote.

        Raises FileNotFoundError if there is no such file, InvalidParameterError if it is not whole.
        """
        who = f"{cls.__name__}.load"
        arrays = read_npz(path, who, (cls._quantity, *_FIELDS), kind=_kind(cls), version=_VERSION)
        state = {name.removeprefix(_PREFIX): x for name, x in arrays.items() if name.startswith(_PREFIX)}
        make: Any = cls
        try:
            loaded: Self = make(
                arrays[cls._quantity],
                arrays["stderr"],
                arrays["count"].item(),
                arrays["timesteps"],
                Schedule.from_state(state),
                arrays["num_noise"].item(),
                str(arrays["method"].item()),
            )
        except (ValueError, TypeError) as error:
            raise InvalidParameterError(
                f"{who}: {os.fspath(path)!r} must hold a whole {cls.__name__}; {error}"
            ) from error
        return loaded


@dataclass(frozen=True, eq=False)
class GammaEstimate(_Sampled):
    """Γ_t = E‖s(x_t, t)‖²/d, as estimated from samples.

    gamma     : (T,) in units of 1/x_t squared; unclipped, so beta_bar Γ > 1 can occur at low SNR
    stderr    : (T,) one standard error of it, over the x_0; nan for one x_0
    count     : number of independent x_0
    timesteps : (T,) increasing, in 1..N
    schedule  : the process that made x_t from x_0
    num_noise : number of ε per x_0
    method    : how it was found
    """

    _quantity: ClassVar[str] = "gamma"
    gamma: Array
    stderr: Array
    count: int
    timesteps: NDArray[np.int64]
    schedule: Schedule
    num_noise: int = 1
    method: str = "score norm"

    def mmse(self, terminal: float | None = None) -> MmseEstimate:
        r"""The score-norm estimate of V, with the same samples.

        .. math:: V_t = \frac{\bar\beta_t}{\bar\alpha_t} (1 - \bar\beta_t \Gamma_t)
           \qquad \text{[notes eqs. (6)-(7)]}

        terminal : V where alpha_bar is 0 (zero terminal SNR), that is Tr Cov(x_0)/d, which no score tells;
                   without it such a timestep raises InvalidParameterError

        V < 0 where beta_bar Γ > 1: not clipped here. At low SNR its error is far larger than that of the
        residual estimator, `estimate_mmse`.
        """
        alpha_bar, beta_bar = (x[self.timesteps] for x in (self.schedule.alpha_bar, self.schedule.beta_bar))
        blind = alpha_bar == 0
        if blind.any() and terminal is None:
            raise InvalidParameterError(
                f"GammaEstimate.mmse: alpha_bar must be > 0; it is 0 at t = {self.timesteps[blind][0]}, "
                "where the score says nothing of x_0. Give terminal = Tr Cov(x_0)/d, or use estimate_mmse"
            )
        factor = np.divide(beta_bar, alpha_bar, out=np.zeros_like(beta_bar), where=~blind)
        value = np.where(blind, 0.0 if terminal is None else terminal, factor * (1 - beta_bar * self.gamma))
        return MmseEstimate(
            value,
            factor * beta_bar * self.stderr,
            self.count,
            self.timesteps,
            self.schedule,
            self.num_noise,
            self.method,
        )


@dataclass(frozen=True, eq=False)
class MmseEstimate(_Sampled):
    """V_t = E‖x_0 - E[x_0|x_t]‖²/d, as estimated from samples.

    mmse : (T,) in units of x_0 squared; for an imperfect model the error of *its* mean, which is the variance
           that is optimal for that mean [bao2022b, Extended-Analytic-DPM]

    The other fields are as in GammaEstimate.
    """

    _quantity: ClassVar[str] = "mmse"
    mmse: Array
    stderr: Array
    count: int
    timesteps: NDArray[np.int64]
    schedule: Schedule
    num_noise: int = 1
    method: str = "residual"


def check_timesteps(who: str, timesteps: ArrayLike | None, sch: Schedule) -> NDArray[np.int64]:
    """(T,) int64 timesteps in 1..N, each once and increasing; None is all of them."""
    if not isinstance(sch, Schedule):
        raise InvalidParameterError(f"{who}: sch must be a Schedule; got {type(sch).__name__}")
    if timesteps is None:
        return np.arange(1, sch.N + 1)
    steps = as_steps(who, "timesteps", timesteps, 1, sch.N)
    if steps.ndim != 1 or steps.size == 0:
        raise InvalidParameterError(f"{who}: timesteps must have shape (T,), T >= 1; got {steps.shape}")
    back = np.flatnonzero(np.diff(steps) <= 0)
    if back.size:
        first = steps[back[0] : back[0] + 2]
        raise InvalidParameterError(
            f"{who}: timesteps must increase, each given once; got {first[0]} before {first[1]}. Sort them"
        )
    return steps


def _kind(cls: type) -> str:
    return f"dpmoracle.{cls.__name__}"


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{len(value)} timesteps {value[0]}..{value[-1]}"
    return repr(value)
