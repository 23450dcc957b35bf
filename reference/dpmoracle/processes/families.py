"""The formulas of the continuous processes: one row of a table of plain functions for each family.

They are written so that nothing cancels: sigma near t = 0 and a near the end keep all their digits.
Each takes (x, *parameters), x a float64 array, and computes elementwise; no validation but of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameterError

__all__ = ["FAMILIES", "Family"]

Array = NDArray[np.float64]


class Family(NamedTuple):
    """One kind of process, x_t = a(t) x_0 + sigma(t) eps."""

    parameters: tuple[str, ...]
    span: Callable[..., tuple[float, float]]  # parameters -> (t_min, t_max), or an error
    a: Callable[..., Array]
    sigma: Callable[..., Array]
    half_log_snr: Callable[..., Array]  # t -> lam = log(a / sigma)
    inverse: Callable[..., Array]  # lam -> t


def _require(holds: bool, who: str, what: str, got: tuple[float, ...]) -> None:
    if not holds:
        raise InvalidParameterError(f"Process.{who}: needs {what}; got {', '.join(f'{x:g}' for x in got)}")


# vp_linear


def _vp_linear_span(beta_min: float, beta_max: float) -> tuple[float, float]:
    _require(0.0 < beta_min <= beta_max, "vp_linear", "0 < beta_min <= beta_max", (beta_min, beta_max))
    return 0.0, 1.0


def _vp_linear_log_a(t: Array, beta_min: float, beta_max: float) -> Array:
    return -0.25 * t * (t * (beta_max - beta_min) + 2.0 * beta_min)


def _vp_linear_a(t: Array, beta_min: float, beta_max: float) -> Array:
    return np.exp(_vp_linear_log_a(t, beta_min, beta_max))


def _vp_linear_sigma(t: Array, beta_min: float, beta_max: float) -> Array:
    return np.sqrt(-np.expm1(2.0 * _vp_linear_log_a(t, beta_min, beta_max)))


def _vp_linear_half_log_snr(t: Array, beta_min: float, beta_max: float) -> Array:
    return _vp_linear_log_a(t, beta_min, beta_max) - np.log(_vp_linear_sigma(t, beta_min, beta_max))


def _vp_linear_inverse(lam: Array, beta_min: float, beta_max: float) -> Array:
    """The positive root of -2 log a(t) = log(1 + exp(-2 lam)), in the form that does not subtract."""
    w = np.logaddexp(0.0, -2.0 * lam)
    return 2.0 * w / (beta_min + np.sqrt(beta_min**2 + 2.0 * (beta_max - beta_min) * w))


# vp_cosine: y = pi/2 (t + s)/(1 + s), z = pi/2 - y, delta = y - y0


def _vp_cosine_span(s: float, t_max: float) -> tuple[float, float]:
    _require(s >= 0.0 and 0.0 < t_max <= 1.0, "vp_cosine", "s >= 0 and 0 < t_max <= 1", (s, t_max))
    return 0.0, t_max


def _vp_cosine_a(t: Array, s: float, t_max: float) -> Array:
    quarter = 0.5 * np.pi / (1.0 + s)
    return np.sin(quarter * (1.0 - t)) / math.sin(quarter)


def _vp_cosine_sigma(t: Array, s: float, t_max: float) -> Array:
    """sigma^2 = sin(y - y0) sin(y + y0) / cos^2 y0, with the smaller of y + y0 and its supplement."""
    quarter = 0.5 * np.pi / (1.0 + s)
    total = np.minimum(quarter * (t + 2.0 * s), quarter * (2.0 - t))
    return np.sqrt(np.sin(quarter * t)) * np.sqrt(np.sin(total)) / math.sin(quarter)


def _vp_cosine_half_log_snr(t: Array, s: float, t_max: float) -> Array:
    return np.log(_vp_cosine_a(t, s, t_max)) - np.log(_vp_cosine_sigma(t, s, t_max))


def _vp_cosine_inverse(lam: Array, s: float, t_max: float) -> Array:
    """t from delta = y - y0, whose sine and cosine are both sums of positive terms."""
    quarter = 0.5 * np.pi / (1.0 + s)
    cos_0, sin_0 = math.sin(quarter), math.sin(quarter * s)
    signal, noise = 1.0 / (1.0 + np.exp(-2.0 * lam)), 1.0 / (1.0 + np.exp(2.0 * lam))
    cos_y, sin_y = cos_0 * np.sqrt(signal), np.sqrt(sin_0**2 + cos_0**2 * noise)
    above = sin_y * cos_0 + cos_y * sin_0
    # At s = 0 and lam = inf both are 0, and so is delta.
    sin_delta = np.divide(cos_0**2 * noise, above, out=np.zeros_like(above), where=above > 0.0)
    return np.arctan2(sin_delta, cos_y * cos_0 + sin_y * sin_0) / quarter


# ve


def _ve_span(sigma_min: float, sigma_max: float) -> tuple[float, float]:
    _require(0.0 < sigma_min < sigma_max, "ve", "0 < sigma_min < sigma_max", (sigma_min, sigma_max))
    return 0.0, 1.0


def _ve_sigma(t: Array, sigma_min: float, sigma_max: float) -> Array:
    return sigma_min * (sigma_max / sigma_min) ** t


def _ve_half_log_snr(t: Array, sigma_min: float, sigma_max: float) -> Array:
    return -np.log(_ve_sigma(t, sigma_min, sigma_max))


def _ve_inverse(lam: Array, sigma_min: float, sigma_max: float) -> Array:
    return -(lam + math.log(sigma_min)) / math.log(sigma_max / sigma_min)


# edm


def _edm_span(sigma_min: float, sigma_max: float) -> tuple[float, float]:
    _require(0.0 <= sigma_min < sigma_max, "edm", "0 <= sigma_min < sigma_max", (sigma_min, sigma_max))
    return sigma_min, sigma_max


def _one(t: Array, *parameters: float) -> Array:
    return np.ones_like(t)[()]


def _time(t: Array, *parameters: float) -> Array:
    return np.positive(t)


def _edm_half_log_snr(t: Array, sigma_min: float, sigma_max: float) -> Array:
    return -np.log(t)


def _edm_inverse(lam: Array, sigma_min: float, sigma_max: float) -> Array:
    return np.exp(-lam)


# rectified_flow


def _flow_span() -> tuple[float, float]:
    return 0.0, 1.0


def _flow_a(t: Array) -> Array:
    return 1.0 - t


def _flow_half_log_snr(t: Array) -> Array:
    return np.log1p(-t) - np.log(t)


def _flow_inverse(lam: Array) -> Array:
    return 1.0 / (1.0 + np.exp(lam))


FAMILIES: Mapping[str, Family] = {
    "vp_linear": Family(
        parameters=("beta_min", "beta_max"),
        span=_vp_linear_span,
        a=_vp_linear_a,
        sigma=_vp_linear_sigma,
        half_log_snr=_vp_linear_half_log_snr,
        inverse=_vp_linear_inverse,
    ),
    "vp_cosine": Family(
        parameters=("s", "t_max"),
        span=_vp_cosine_span,
        a=_vp_cosine_a,
        sigma=_vp_cosine_sigma,
        half_log_snr=_vp_cosine_half_log_snr,
        inverse=_vp_cosine_inverse,
    ),
    "ve": Family(
        parameters=("sigma_min", "sigma_max"),
        span=_ve_span,
        a=_one,
        sigma=_ve_sigma,
        half_log_snr=_ve_half_log_snr,
        inverse=_ve_inverse,
    ),
    "edm": Family(
        parameters=("sigma_min", "sigma_max"),
        span=_edm_span,
        a=_one,
        sigma=_time,
        half_log_snr=_edm_half_log_snr,
        inverse=_edm_inverse,
    ),
    "rectified_flow": Family(
        parameters=(),
        span=_flow_span,
        a=_flow_a,
        sigma=_time,
        half_log_snr=_flow_half_log_snr,
        inverse=_flow_inverse,
    ),
}
