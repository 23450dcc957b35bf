"""Continuous forward processes, x_t = a(t) x_0 + sigma(t) eps, for real times t."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checking import as_float, check_finite
from ..errors import InvalidParameterError
from .families import FAMILIES

__all__ = ["Process"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Process:
    r"""A continuous forward process; build it with one of the class methods.

    name       : its family, a key of families.FAMILIES
    parameters : the numbers of the family, in the order of its class method
    t_min      : where the noisy times begin that samplers of this process use; 0 but for edm
    t_max      : the last time

    Times run from 0 to t_max. At t = 0 the data are clean (sigma = 0, half_log_snr = inf), but for ve, which
    starts at sigma_min. Every method raises InvalidParameterError for parameters that make no process of the family,
    and for times or half log-SNRs that are not finite or outside its range.
    """

    name: str
    parameters: tuple[float, ...]
    t_min: float = field(init=False)
    t_max: float = field(init=False)

    def __post_init__(self) -> None:
        if self.name not in FAMILIES:
            raise InvalidParameterError(
                f"Process: name must be one of {', '.join(FAMILIES)}; got {self.name!r}"
            )
        wanted = FAMILIES[self.name].parameters
        who = f"Process.{self.name}"
        values = as_float(who, "parameters", self.parameters)
        if values.shape != (len(wanted),):
            raise InvalidParameterError(
                f"{who}: takes {len(wanted)} numbers ({', '.join(wanted)}); got shape {values.shape}"
            )
        check_finite(who, f"parameters ({', '.join(wanted)})", values)
        numbers = tuple(float(value) for value in values)
        t_min, t_max = FAMILIES[self.name].span(*numbers)
        for key, value in (("parameters", numbers), ("t_min", t_min), ("t_max", t_max)):
            object.__setattr__(self, key, value)

    @classmethod
    def vp_linear(cls, beta_min: float = 0.1, beta_max: float = 20.0) -> Process:
        r"""Variance preserving, noise rate linear in time, t in [0, 1] [song2021, eq. (33)].

        .. math:: \log a(t) = -\tfrac14 t^2 (\beta_{\max} - \beta_{\min}) - \tfrac12 t \beta_{\min}
        """
        return cls("vp_linear", (beta_min, beta_max))

    @classmethod
    def vp_cosine(cls, s: float = 0.008, t_max: float = 0.9946) -> Process:
        r"""Variance preserving, :math:`a(t) = \cos y(t) / \cos y(0)` [nichol2021, eq. (17)].

        :math:`y(t) = \frac\pi2 \frac{t + s}{1 + s}`. The default t_max stops short of 1, where the signal
        vanishes, as in the code of DPM-Solver [lu2022]; t_max = 1 is allowed.
        """
        return cls("vp_cosine", (s, t_max))

    @classmethod
    def ve(cls, sigma_min: float = 0.01, sigma_max: float = 50.0) -> Process:
        r"""Variance exploding, a = 1, noise geometric in time, t in [0, 1] [song2021, eq. (31)].

        .. math:: \sigma(t) = \sigma_{\min} (\sigma_{\max} / \sigma_{\min})^t

        Never clean: sigma(0) = sigma_min.
        """
        return cls("ve", (sigma_min, sigma_max))

    @classmethod
    def edm(cls, sigma_min: float = 0.002, sigma_max: float = 80.0) -> Process:
        """Variance exploding with time as the noise level, a = 1, sigma(t) = t [karras2022, table 1].

        t_min = sigma_min is where its authors' grids begin; times from 0 to sigma_max are admitted.
        """
        return cls("edm", (sigma_min, sigma_max))

    @classmethod
    def rectified_flow(cls) -> Process:
        """Straight lines from data to noise, a = 1 - t, sigma = t, t in [0, 1] [liu2023]."""
        return cls("rectified_flow", ())

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Process:
        """The process whose `state()` this is; strings may come as 0-d arrays, as from an .npz."""
        who = "Process.from_state"
        missing = [key for key in ("kind", "name", "parameters") if key not in state]
        if missing:
            raise InvalidParameterError(f"{who}: state must have kind, name, parameters; {missing} missing")
        kind, name = (str(np.asarray(state[key])) for key in ("kind", "name"))
        if kind != "Process":
            raise InvalidParameterError(f"{who}: kind must be 'Process'; got {kind!r}")
        return cls(name, tuple(np.ravel(as_float(who, "parameters", state["parameters"]))))

    def state(self) -> dict[str, NDArray[Any] | str]:
        """What np.savez needs for `from_state` to give an equal process back."""
        return {
            "kind": "Process",
            "name": self.name,
            "parameters": np.array(self.parameters, dtype=np.float64),
        }

    def check_times(self, t: Any, who: str = "Process") -> Array:
        """Finite real times from 0 to t_max as float64, any shape."""
        times = as_float(who, "t", t)
        check_finite(who, "t", times)
        bad = (times < 0.0) | (times > self.t_max)
        if bad.any():
            worst = np.atleast_1d(times)[np.atleast_1d(bad)][0]
            raise InvalidParameterError(
                f"{who}: t must lie in [0, {self.t_max:g}] for {self.name}; got {worst}"
            )
        return times

    def a(self, t: ArrayLike) -> Array:
        """Scale of the signal at t, of the shape of t, in [0, 1]."""
        return FAMILIES[self.name].a(self.check_times(t, "Process.a"), *self.parameters)

    def sigma(self, t: ArrayLike) -> Array:
        """Scale of the noise at t, of the shape of t."""
        return FAMILIES[self.name].sigma(self.check_times(t, "Process.sigma"), *self.parameters)

    def levels(self, t: ArrayLike) -> tuple[Array, Array]:
        """(a, sigma) at t, each of the shape of t."""
        times = self.check_times(t, "Process.levels")
        family = FAMILIES[self.name]
        return family.a(times, *self.parameters), family.sigma(times, *self.parameters)

    def half_log_snr(self, t: ArrayLike) -> Array:
        r""":math:`\lambda_t = \log(a/\sigma)`, of the shape of t; inf where sigma = 0, -inf where a = 0."""
        times = self.check_times(t, "Process.half_log_snr")
        with np.errstate(divide="ignore"):
            return FAMILIES[self.name].half_log_snr(times, *self.parameters)

    def inverse(self, lam: ArrayLike) -> Array:
        """The time t with half_log_snr(t) = lam, of the shape of lam; inf where the process is clean at 0."""
        who = "Process.inverse"
        values = as_float(who, "lam", lam)
        low, high = (float(self.half_log_snr(t)) for t in (self.t_max, 0.0))
        # A lam that came from half_log_snr may lie a rounding outside; the time is then put back on the end.
        slack = [8.0 * np.spacing(max(1.0, abs(end))) if np.isfinite(end) else 0.0 for end in (low, high)]
        bad = ~((values >= low - slack[0]) & (values <= high + slack[1]))
        if bad.any():
            worst = np.atleast_1d(values)[np.atleast_1d(bad)][0]
            raise InvalidParameterError(
                f"{who}: lam must lie in [{low:.6g}, {high:.6g}] for {self.name}, the range of half_log_snr; "
                f"got {worst}"
            )
        with np.errstate(over="ignore"):  # exp(-2 lam) = inf is the right limit
            times = FAMILIES[self.name].inverse(values, *self.parameters)
        return np.clip(times, 0.0, self.t_max)
