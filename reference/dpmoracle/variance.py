r"""The variance that is optimal for a reverse step, its bounds, and clipping to them.

The optimal variance stands here in two forms that agree in exact arithmetic: `optimal_variance_from_mmse`
(from V_t, no cancellation) and `optimal_variance` (from the score norm Γ_t, as in the paper). Neither clips.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, as_steps, check_count, check_finite
from .errors import InvalidParameterError
from .processes.schedule import Schedule
from .reverse_step import (
    Array,
    broadcast,
    check_schedule,
    coefficient,
    forward_posterior_mean,
    lambda2_ddim,
    lambda2_ddpm,
    optimal_mean,
    read_step_lam2,
    refuse,
    refuse_no_signal,
    reverse_coefficient,
)

__all__ = [
    "clip_variance",
    "forward_posterior_mean",
    "lambda2_ddim",
    "lambda2_ddpm",
    "last_step_bound",
    "mmse_from_gamma",
    "optimal_mean",
    "optimal_variance",
    "optimal_variance_from_mmse",
    "reverse_coefficient",
    "variance_bounds",
]


def mmse_from_gamma(sch: Schedule, t: ArrayLike, gamma_t: ArrayLike) -> Array:
    r"""V_t = E Tr Cov(x_0|x_t)/d from the score norm Γ_t = E‖∇log q_t(x_t)‖²/d.

    .. math:: V_t = \frac{\bar\beta_t}{\bar\alpha_t}\,(1 - \bar\beta_t\Gamma_t)
       \qquad \text{[Tweedie's second order, traced]}

    Where β̄Γ → 1 (low signal) the bracket is ill-conditioned: a relative error ε of Γ_t becomes
    ε β̄Γ/(1 - β̄Γ) in V_t. No arithmetic mends that; it is why V_t is the better thing to estimate.

    sch     : the Schedule
    t       : (...,) integers in 0..N
    gamma_t : (...,) in [0, 1/beta_bar_t]; an estimate above gives V < 0, not clipped here. inf at t = 0 only
    Returns (...,), units of x_0 squared; 0 at t = 0. Raises InvalidParameterError if t is out of range,
    gamma_t is nan, or alpha_bar_t = 0: there Γ = 1 whatever the data, and V = Tr Cov(x_0)/d.
    """
    who = "mmse_from_gamma"
    check_schedule(who, sch)
    steps, gamma = _read_gamma(who, as_steps(who, "t", t, 0, sch.N), gamma_t)
    a, b = sch.alpha_bar[steps], sch.beta_bar[steps]
    refuse_no_signal(who, a, "gamma_t", "Take V_t = Tr Cov(x_0)/d from the data")
    return mmse(a, b, np.where(steps > 0, gamma, 0.0))


def optimal_variance(sch: Schedule, s: ArrayLike, t: ArrayLike, gamma_t: ArrayLike, lam2: ArrayLike) -> Array:
    r"""Variance of the best isotropic Gaussian reverse step from t to s, given the score norm.

    .. math:: \sigma^{*2}_{s|t} = \lambda^2 + \Bigl(\sqrt{\bar\beta_t/\alpha_{t|s}}
       - \sqrt{\bar\beta_s - \lambda^2}\Bigr)^2 (1 - \bar\beta_t\Gamma_t) = \lambda^2 + c_{s|t}^2 V_t
       \qquad \text{[bao2022, Theorem 1; notes eqs. (5), (7), (9)]}

    The last factor is ill-conditioned as in `mmse_from_gamma`; a step with β_{t|s} << β̄_t hardly feels it.

    gamma_t : (...,) in [0, 1/beta_bar_t]; an estimate outside is not clipped here
    lam2    : (...,) in [0, beta_bar_s]; 0 is DDIM, lambda2_ddpm(sch, s, t) is DDPM
    Returns (...,), units of x squared; below lam2, even negative, where gamma_t > 1/beta_bar_t.
    Raises InvalidParameterError if s >= t, lam2 is out of range, gamma_t is not finite, or alpha_bar_t = 0
    (there the form is inf * 0: use optimal_variance_from_mmse).
    """
    who = "optimal_variance"
    step, lam2 = read_step_lam2(who, sch, s, t, lam2)
    _, gamma = _read_gamma(who, as_steps(who, "t", t, 0, sch.N), gamma_t)
    refuse_no_signal(
        who, step.alpha_bar_t, "gamma_t", "Use optimal_variance_from_mmse with V_t = Tr Cov(x_0)/d"
    )
    a, b, c, gamma, lam2 = broadcast(
        who, a=step.alpha_bar_t, b=step.beta_bar_t, step=coefficient(step, lam2), gamma_t=gamma, lam2=lam2
    )
    return lam2 + c**2 * mmse(a, b, gamma)


def optimal_variance_from_mmse(
    sch: Schedule, s: ArrayLike, t: ArrayLike, mmse_t: ArrayLike, lam2: ArrayLike
) -> Array:
    r"""Variance of the best isotropic Gaussian reverse step from t to s, given V_t = E Tr Cov(x_0|x_t)/d.

    .. math:: \sigma^{*2}_{s|t} = \lambda^2 + c_{s|t}^2 V_t
       \qquad \text{[bao2022, Theorem 1, with } V \text{ for } \Gamma]

    Only positive numbers are added, so no digit of V_t is lost, and alpha_bar_t = 0 is an ordinary case.

    mmse_t : (...,) in [0, beta_bar_t/alpha_bar_t]; an estimate outside is not clipped here
    lam2   : (...,) in [0, beta_bar_s]; 0 is DDIM, lambda2_ddpm(sch, s, t) is DDPM
    Returns (...,), units of x squared. Raises InvalidParameterError if s >= t, lam2 is out of range, or
    mmse_t is not finite.
    """
    who = "optimal_variance_from_mmse"
    step, lam2 = read_step_lam2(who, sch, s, t, lam2)
    value = as_float(who, "mmse_t", mmse_t)
    check_finite(who, "mmse_t", value)
    c, value, lam2 = broadcast(who, step=coefficient(step, lam2), mmse_t=value, lam2=lam2)
    return lam2 + c**2 * value


def variance_bounds(
    sch: Schedule,
    s: ArrayLike,
    t: ArrayLike,
    lam2: ArrayLike,
    data_range: tuple[float, float] | None = None,
) -> tuple[Array, Array]:
    r"""Bounds on the optimal variance that hold for any data, or for any data in a box.

    .. math:: \lambda^2 \le \sigma^{*2}_{s|t} \le \lambda^2 + c_{s|t}^2 \min\Bigl(
       \frac{\bar\beta_t}{\bar\alpha_t}, \bigl(\tfrac{b - a}{2}\bigr)^2\Bigr)
       \qquad \text{[bao2022, Theorem 2; } c\sqrt{\bar\beta_t/\bar\alpha_t} = \sqrt{\bar\beta_t/\alpha_{t|s}}
       - \sqrt{\bar\beta_s - \lambda^2}]

    The lower bound is attained by a point mass only, the first upper bound by no distribution.

    sch        : the Schedule; s and t are integers, 0 <= s < t <= N
    lam2       : (...,) in [0, beta_bar_s]
    data_range : (a, b) with every coordinate of x_0 in [a, b], for example (-1, 1); None knows of no box
    Returns (lower, upper), each (...,), units of x squared; without data_range upper is inf where
    alpha_bar_t = 0. Raises InvalidParameterError if s >= t, lam2 or data_range is out of range.
    """
    who = "variance_bounds"
    step, lam2 = read_step_lam2(who, sch, s, t, lam2)
    widest = np.inf if data_range is None else _half_width(who, data_range)
    c = coefficient(step, lam2)
    with np.errstate(
        divide="ignore", over="ignore"
    ):  # inf is the answer at alpha_bar_t = 0, and for a vast box
        return lam2, lam2 + np.minimum(c**2 * (step.beta_bar_t / step.alpha_bar_t), (c * widest) ** 2)


def clip_variance(sigma2: ArrayLike, bounds: tuple[ArrayLike, ArrayLike]) -> Array:
    """An estimated variance moved to the nearest value that the bounds allow.

    sigma2 : (...,) estimate, may be negative
    bounds : (lower, upper), as `variance_bounds` returns them, broadcast against sigma2; upper may be inf
    Returns (...,). Raises InvalidParameterError if anything is nan or lower > upper.
    """
    who = "clip_variance"
    try:
        low, high = bounds
    except (TypeError, ValueError):
        raise InvalidParameterError(f"{who}: bounds must be a pair (lower, upper); got {bounds!r}") from None
    value, lower, upper = broadcast(
        who,
        sigma2=as_float(who, "sigma2", sigma2),
        lower=as_float(who, "lower", low),
        upper=as_float(who, "upper", high),
    )
    for name, array in (("sigma2", value), ("lower", lower), ("upper", upper)):
        refuse(who, name, array, np.isnan(array), "must not be nan: a clipped nan would pass for a number")
    refuse(who, "lower", lower, lower > upper, "must not exceed upper")
    clipped: Array = np.clip(value, lower, upper)
    return clipped


def last_step_bound(y: float, data_range: tuple[float, float] = (-1.0, 1.0), levels: int = 256) -> float:
    r"""Bound on the variance of the last noisy step, so that its noise stays below y grey levels on average.

    .. math:: E|\sigma\varepsilon| = \sigma\sqrt{2/\pi} \le y\,\frac{b - a}{\text{levels} - 1}
       \;\Rightarrow\; \sigma^2 \le \frac{\pi}{2}\Bigl(y\,\frac{b - a}{\text{levels} - 1}\Bigr)^2
       \qquad \text{[bao2022, on clipping; } y \in \{1, 2\}, \text{ pixels in } [-1, 1]: 2y/255]

    The rule is stated for the standard deviation; this is its square, ready for `clip_variance`. It belongs
    to the step from the second node to the first; the step to x_0 returns the mean and adds no noise. It is
    a rule for pictures, not a bound on the truth: it may lie below the lower bound lam2.

    y          : grey levels tolerated, > 0
    data_range : (a, b), the values of the darkest and the brightest pixel
    levels     : number of grey levels, >= 2
    Returns the variance, units of x squared. Raises InvalidParameterError if an argument is out of range.
    """
    who = "last_step_bound"
    tolerated = as_float(who, "y", y)
    if tolerated.ndim or not 0 < tolerated < np.inf:
        raise InvalidParameterError(f"{who}: y must be one positive number of grey levels; got {y!r}")
    noise = (
        2.0 * float(tolerated) * _half_width(who, data_range) / (check_count(who, "levels", levels, 2) - 1)
    )
    return (
        math.pi / 2 * noise * noise
    )  # inf beyond the largest float, where noise**2 would be an OverflowError


def mmse(alpha_bar_t: Array, beta_bar_t: Array, gamma: Array) -> Array:
    """(β̄/ᾱ)(1 - β̄Γ), the bracket as ᾱ + β̄(1 - Γ): so ᾱ survives where β̄ rounds to 1 and Γ is near 1."""
    return beta_bar_t * ((alpha_bar_t + beta_bar_t * (1.0 - gamma)) / alpha_bar_t)


def _read_gamma(who: str, t: NDArray[np.int64], gamma_t: ArrayLike) -> tuple[NDArray[np.int64], Array]:
    """t and Γ_t, broadcast; Γ_0 is inf for data without a density, every later Γ is finite."""
    t, gamma = broadcast(who, t=t, gamma_t=as_float(who, "gamma_t", gamma_t))
    refuse(who, "gamma_t", gamma, np.isnan(gamma), "must not be nan. Estimate it again with more samples")
    bad = np.isinf(gamma) & ((t > 0) | (gamma < 0))
    refuse(who, "gamma_t", gamma, bad, "must be finite (only gamma_0 may be +inf)")
    return t, gamma


def _half_width(who: str, data_range: tuple[float, float]) -> float:
    """(b - a)/2 of a box side (a, b); finite for every (a, b)."""
    ends = as_float(who, "data_range", data_range)
    if ends.shape != (2,) or not np.all(np.isfinite(ends)) or ends[0] > ends[1]:
        raise InvalidParameterError(
            f"{who}: data_range must be (a, b), finite, a <= b, such as (-1, 1); got {data_range!r}"
        )
    return float(0.5 * ends[1] - 0.5 * ends[0])
