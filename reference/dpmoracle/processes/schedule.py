"""Discrete variance-preserving processes: x_t = sqrt(alpha_bar_t) x_0 + sqrt(beta_bar_t) eps, t = 0..N.

One set of numbers is taken as exact, the betas or the alpha_bars as they are stored; everything else follows
from it without cancellation, so that it holds at SNR 1e12 as well as at 1e-12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checking import as_float, as_steps, check_count, check_finite, offenders
from ..errors import InvalidParameterError
from .cumulative import FADED, cosine_betas, from_alpha_bar, from_betas, log_ratio

__all__ = ["Schedule"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Schedule:
    r"""A discrete variance-preserving schedule; index 0 is clean data, a step goes from t down to s < t.

    Build it with one of the class methods. All arrays are float64 and read-only. Every method raises
    InvalidParameterError for numbers out of the ranges below, and for timesteps that are floats or outside 0..N.

    name          : a label, no part of equality
    given         : "betas" or "alpha_bar", which of the two is exact as stored
    values        : (N,) or (N+1,), those numbers
    betas         : (N,), betas[t-1] = :math:`\beta_t` in (0, 1); the last may be 1 (zero terminal SNR)
    alpha_bar     : (N+1,), :math:`\bar\alpha_t = \prod_{k \le t} (1 - \beta_k)`, decreasing from 1
    beta_bar      : (N+1,), :math:`\bar\beta_t = 1 - \bar\alpha_t`, to 1e-15 relative also where it is tiny
    log_alpha_bar : (N+1,), -inf where alpha_bar is 0 by zero terminal SNR
    snr           : (N+1,), :math:`u_t = \bar\alpha_t / \bar\beta_t`, inf at 0
    half_log_snr  : (N+1,), :math:`\frac12 \log u_t`, inf at 0, -inf at zero terminal SNR
    """

    name: str
    given: str
    values: Array
    betas: Array = field(init=False)
    alpha_bar: Array = field(init=False)
    beta_bar: Array = field(init=False)
    log_alpha_bar: Array = field(init=False)
    snr: Array = field(init=False)
    half_log_snr: Array = field(init=False)
    # What rounding cut from log_alpha_bar: alpha and beta over a short step are differences of long sums.
    _log_low: Array = field(init=False)

    def __post_init__(self) -> None:
        if self.given == "betas":
            values = _checked_betas("Schedule", self.values)
            derived = from_betas(values)
        elif self.given == "alpha_bar":
            values = _checked_alpha_bar("Schedule", self.values)
            derived = from_alpha_bar(values)
        else:
            raise InvalidParameterError(f"Schedule: given must be 'betas' or 'alpha_bar'; got {self.given!r}")
        with np.errstate(divide="ignore", over="ignore"):  # the infinities at the two ends are meant
            snr = derived["alpha_bar"] / derived["beta_bar"]
            half_log_snr = 0.5 * (derived["log_alpha_bar"] - np.log(derived["beta_bar"]))
        for key, array in {**derived, "values": values, "snr": snr, "half_log_snr": half_log_snr}.items():
            array.setflags(write=False)
            object.__setattr__(self, key, array)

    @classmethod
    def from_betas(cls, betas: ArrayLike, *, name: str = "betas") -> Schedule:
        """From (N,) betas, betas[0] = beta_1; each in (0, 1), only the last may be 1."""
        return cls(name, "betas", _checked_betas("Schedule.from_betas", betas))

    @classmethod
    def from_alpha_bar(cls, alpha_bar: ArrayLike, *, name: str = "alpha_bar") -> Schedule:
        """From (N+1,) alpha_bar: alpha_bar[0] is 1, each entry is below the one before, the last may be 0."""
        return cls(name, "alpha_bar", _checked_alpha_bar("Schedule.from_alpha_bar", alpha_bar))

    @classmethod
    def linear(cls, N: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2) -> Schedule:
        """Betas evenly spaced from beta_start to beta_end [ho2020, section 4]; not rescaled with N."""
        who = "Schedule.linear"
        low, high = _ends(who, beta_start, beta_end)
        return cls(f"linear({low:g}, {high:g})", "betas", np.linspace(low, high, check_count(who, "N", N)))

    @classmethod
    def scaled_linear(cls, N: int = 1000, beta_start: float = 0.00085, beta_end: float = 0.012) -> Schedule:
        """Betas whose square roots are evenly spaced (latent diffusion; diffusers' 'scaled_linear')."""
        who = "Schedule.scaled_linear"
        low, high = _ends(who, beta_start, beta_end)
        roots = np.linspace(math.sqrt(low), math.sqrt(high), check_count(who, "N", N))
        return cls(f"scaled_linear({low:g}, {high:g})", "betas", roots**2)

    @classmethod
    def sigmoid(cls, N: int = 1000, beta_start: float = 1e-4, beta_end: float = 2e-2) -> Schedule:
        """Betas beta_start + (beta_end - beta_start)/(1 + exp(-z)), z from -6 to 6 (diffusers)."""
        who = "Schedule.sigmoid"
        low, high = _ends(who, beta_start, beta_end)
        z = np.linspace(-6.0, 6.0, check_count(who, "N", N))
        return cls(f"sigmoid({low:g}, {high:g})", "betas", (high - low) / (1.0 + np.exp(-z)) + low)

    @classmethod
    def cosine(cls, N: int = 1000, s: float = 0.008, max_beta: float = 0.999) -> Schedule:
        r"""Product of clipped betas [nichol2021, eq. (17) and the clip below it].

        .. math:: \beta_t = \min\Bigl(1 - \frac{f(t)}{f(t-1)}, \beta_{\max}\Bigr), \quad
           f(t) = \cos^2\Bigl(\frac{t/N + s}{1 + s} \frac\pi2\Bigr)

        s >= 0, max_beta in (0, 1]; max_beta = 1 gives zero terminal SNR.
        """
        who = "Schedule.cosine"
        betas = cosine_betas(check_count(who, "N", N), _number(who, "s", s, 0.0, np.inf))
        limit = _number(who, "max_beta", max_beta, 0.0, 1.0)
        return cls(f"cosine(s={s:g}, max_beta={max_beta:g})", "betas", np.minimum(betas, limit))

    @classmethod
    def from_diffusers(cls, scheduler: Any, *, name: str | None = None) -> Schedule:
        """The training schedule of a diffusers scheduler (or of anything with `betas` or `alphas_cumprod`).

        The betas, float32 as a rule, are taken as exact. Where alphas_cumprod ends on another value than
        their product (some schedulers put 2^-24 for the zero of a zero terminal SNR), the last beta follows
        it; where the two differ elsewhere, InvalidParameterError asks which is meant; it is raised too where there
        is neither.
        """
        who = "Schedule.from_diffusers"
        label = name or f"diffusers {type(scheduler).__name__}"
        betas = _host(who, "betas", getattr(scheduler, "betas", None))
        products = _host(who, "alphas_cumprod", getattr(scheduler, "alphas_cumprod", None))
        if betas is None:
            if products is None:
                raise InvalidParameterError(
                    f"{who}: scheduler must have betas or alphas_cumprod; {type(scheduler).__name__} has "
                    "neither. Use Process.rectified_flow() for flow matching, Process.edm() for sigmas"
                )
            return cls(label, "alpha_bar", _checked_alpha_bar(who, np.insert(products, 0, 1.0, axis=-1)))
        schedule = cls(label, "betas", _checked_betas(who, betas))
        if products is None:
            return schedule
        if products.shape != betas.shape:
            raise InvalidParameterError(
                f"{who}: betas and alphas_cumprod must have one shape; got {betas.shape} and {products.shape}"
            )
        # float32 products drift by about N 2^-24, far less than any other schedule would differ by.
        differ = ~np.isclose(products, schedule.alpha_bar[1:], rtol=2e-7 * (betas.size + 10), atol=0.0)
        if differ[:-1].any():
            raise InvalidParameterError(
                f"{who}: alphas_cumprod must be the product of 1 - betas; it is not at {offenders(differ)}. "
                "Say which is meant: Schedule.from_betas, or Schedule.from_alpha_bar with a 1 put first"
            )
        if differ[-1]:
            betas = np.append(betas[:-1], 1.0 - products[-1] / schedule.alpha_bar[-2])
            schedule = cls(label, "betas", _checked_betas(who, betas))
        return schedule

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Schedule:
        """The schedule whose `state()` this is, exactly; strings may come as 0-d arrays, as from an .npz."""
        who = "Schedule.from_state"
        wanted = ("kind", "name", "given", "values")
        missing = [key for key in wanted if key not in state]
        if missing:
            raise InvalidParameterError(f"{who}: state must have {', '.join(wanted)}; {missing} missing")
        kind, name, given = (str(np.asarray(state[key])) for key in ("kind", "name", "given"))
        if kind != "Schedule":
            raise InvalidParameterError(f"{who}: kind must be 'Schedule'; got {kind!r}")
        return cls(name, given, as_float(who, "values", state["values"]))

    @property
    def N(self) -> int:
        """Number of steps; timesteps run 0..N."""
        return int(self.betas.size)

    def state(self) -> dict[str, NDArray[Any] | str]:
        """What np.savez needs for `from_state` to give this schedule back, bit for bit."""
        return {"kind": "Schedule", "name": self.name, "given": self.given, "values": self.values}

    def check_times(self, t: Any, who: str = "Schedule") -> NDArray[np.int64]:
        """Integer timesteps in 0..N, any shape; a float is an error, even a whole one."""
        return as_steps(who, "t", t, 0, self.N)

    def levels(self, t: Any) -> tuple[Array, Array]:
        r"""(a, sigma) = :math:`(\sqrt{\bar\alpha_t}, \sqrt{\bar\beta_t})`, of the shape of t."""
        t = self.check_times(t, "Schedule.levels")
        return np.sqrt(self.alpha_bar[t]), np.sqrt(self.beta_bar[t])

    def alpha(self, s: Any, t: Any) -> Array:
        r""":math:`\alpha_{t|s} = \bar\alpha_t / \bar\alpha_s` for 0 <= s < t <= N, which broadcast."""
        s, t = self._step("Schedule.alpha", s, t)
        return np.where(
            self.alpha_bar[t] > FADED,
            self.alpha_bar[t] / np.maximum(self.alpha_bar[s], FADED),
            np.exp(log_ratio(self.log_alpha_bar, self._log_low, s, t)),
        )[()]

    def beta(self, s: Any, t: Any) -> Array:
        r""":math:`\beta_{t|s} = 1 - \alpha_{t|s}` without cancellation, for 0 <= s < t <= N, which broadcast.

        Over one step it is the stored beta itself, from s = 0 it is beta_bar.
        """
        s, t = self._step("Schedule.beta", s, t)
        skipped = np.where(
            s == 0, self.beta_bar[t], -np.expm1(log_ratio(self.log_alpha_bar, self._log_low, s, t))
        )
        return np.where(t - s == 1, self.betas[t - 1], skipped)[()]

    def _step(self, who: str, s: Any, t: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        s, t = as_steps(who, "s", s, 0, self.N), as_steps(who, "t", t, 0, self.N)
        try:
            late = s >= t
        except ValueError:
            raise InvalidParameterError(
                f"{who}: s and t must broadcast against each other; got shapes {s.shape} and {t.shape}"
            ) from None
        if np.any(late):
            at_s, at_t = (int(np.broadcast_to(x, late.shape)[late][0]) for x in (s, t))
            raise InvalidParameterError(f"{who}: s must be below t; got s = {at_s}, t = {at_t}")
        return s, t

    def __eq__(self, other: object) -> bool:
        """Whether all numbers are the same; the name does not count."""
        if not isinstance(other, Schedule):
            return NotImplemented
        return np.array_equal(self.alpha_bar, other.alpha_bar) and np.array_equal(self.betas, other.betas)

    def __repr__(self) -> str:
        return f"<Schedule {self.name}, N={self.N}>"


def _checked_betas(who: str, betas: ArrayLike) -> Array:
    array = _vector(who, "betas", betas, 1)
    bad = ~((array > 0.0) & (array < 1.0))
    bad[-1] &= array[-1] != 1.0
    if bad.any():
        raise InvalidParameterError(
            f"{who}: betas must lie in (0, 1), only the last may be 1; "
            f"got {array[bad][0]} at index {offenders(bad)} (index 0 is beta_1)"
        )
    return array


def _checked_alpha_bar(who: str, alpha_bar: ArrayLike) -> Array:
    array = _vector(who, "alpha_bar", alpha_bar, 2)
    if array[0] != 1.0:
        raise InvalidParameterError(
            f"{who}: alpha_bar[0] must be 1 (index 0 is clean data); got {array[0]}. Put a 1 first"
        )
    bad = np.append(False, ~(np.diff(array) < 0.0))
    if bad.any():
        t = int(np.argmax(bad))
        raise InvalidParameterError(
            f"{who}: alpha_bar must decrease; alpha_bar[{t}] = {array[t]} is not below "
            f"alpha_bar[{t - 1}] = {array[t - 1]} ({int(bad.sum())} such entries)"
        )
    if array[-1] < 0.0:
        t = int(np.argmax(array < 0.0))
        raise InvalidParameterError(f"{who}: alpha_bar must lie in [0, 1]; got {array[t]} at index {t}")
    return array


def _vector(who: str, name: str, value: ArrayLike, least: int) -> Array:
    array = as_float(who, name, value)
    if array.ndim != 1 or array.size < least:
        raise InvalidParameterError(
            f"{who}: {name} must be one-dimensional with at least {least} entries; got shape {array.shape}"
        )
    check_finite(who, name, array)
    return array


def _number(who: str, name: str, value: float, low: float, high: float) -> float:
    number = as_float(who, name, value)
    if number.ndim or not np.isfinite(number) or not low <= number <= high:
        raise InvalidParameterError(f"{who}: {name} must be a number in [{low:g}, {high:g}]; got {value!r}")
    return float(number)


def _ends(who: str, beta_start: float, beta_end: float) -> tuple[float, float]:
    return _number(who, "beta_start", beta_start, 0.0, 1.0), _number(who, "beta_end", beta_end, 0.0, 1.0)


def _host(who: str, name: str, value: Any) -> Array | None:
    """An attribute of a scheduler as a float64 array; a torch tensor comes from its device first."""
    if value is None:
        return None
    if hasattr(value, "detach"):
        value = value.detach().cpu().double()
    return as_float(who, name, np.asarray(value))
