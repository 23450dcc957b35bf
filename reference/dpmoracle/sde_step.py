r"""The maximum-likelihood SDE solver of a VP diffusion: the optimal DDPM step, written as a step of an SDE solver."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_finite
from .processes.schedule import Schedule
from .reverse_step import Step, beta_tilde, broadcast, read_step, read_vectors, refuse, refuse_no_signal

__all__ = ["SdeCoefficients", "ml_sde_coefficients", "ml_sde_step"]

Array = NDArray[np.float64]


class SdeCoefficients(NamedTuple):
    """The three numbers of [popov2022, Theorem 1], each (...,): κ*, ω* (pure numbers) and σ*² (units of x squared)."""

    kappa: Array
    omega: Array
    sigma2: Array


def ml_sde_coefficients(
    sch: Schedule, s: ArrayLike, t: ArrayLike, mmse_t: ArrayLike, rate: ArrayLike | None = None
) -> SdeCoefficients:
    r"""κ*, ω* and σ*² of the SDE step from t to s that makes the forward path most likely.

    .. math:: \kappa^* = \frac{\nu(1 - \gamma_{0,t}^2)}{\gamma_{0,t}\beta h} - 1, \quad
       \omega^* = \frac{\mu - 1}{\beta h} + \frac{1 + \kappa^*}{1 - \gamma_{0,t}^2} - \frac12, \quad
       \sigma^{*2} = \frac{(1 - \gamma_{0,s}^2)(1 - \gamma_{s,t}^2)}{1 - \gamma_{0,t}^2} + \nu^2 V_t
       \qquad \text{[popov2022, Theorem 1]}

    with :math:`\gamma_{s,t} = \sqrt{\alpha_{t|s}}`, :math:`\mu = \gamma_{s,t}(1 - \gamma_{0,s}^2)/(1 - \gamma_{0,t}^2)`
    and :math:`\nu = \gamma_{0,s}(1 - \gamma_{s,t}^2)/(1 - \gamma_{0,t}^2)`. Computed as

    .. math:: (1 + \kappa^*)\beta h = \frac{\beta_{t|s}}{\sqrt{\alpha_{t|s}}}, \qquad
       (\tfrac12 + \omega^*)\beta h = \frac{1}{\sqrt{\alpha_{t|s}}} - 1,

    which the printed forms equal and in which nothing cancels but the -1 and -1/2 themselves.

    mmse_t : (...,) V_t >= 0
    rate   : (...,) βh > 0, noise rate times step; None is its integral over the step, -log α_{t|s}, for which
             κ* and ω* vanish as the step does. The step itself does not depend on it
    Raises InvalidParameterError if s >= t, mmse_t is negative or not finite, rate is not positive, or
    alpha_bar_t = 0: there the score knows nothing of x_0.
    """
    return _coefficients(*_read("ml_sde_coefficients", sch, s, t, mmse_t, rate))


def ml_sde_step(
    sch: Schedule,
    s: ArrayLike,
    t: ArrayLike,
    x_t: ArrayLike,
    score: ArrayLike,
    mmse_t: ArrayLike,
    noise: ArrayLike | None = None,
    rate: ArrayLike | None = None,
) -> NDArray[np.floating[Any]]:
    r"""One step of the maximum-likelihood SDE solver from t to s, with the noise given.

    .. math:: x_s = x_t + \beta h \bigl[(\tfrac12 + \omega^*) x_t + (1 + \kappa^*)\nabla\log q_t(x_t)\bigr]
       + \sigma^* \xi \qquad \text{[popov2022, eq. (9)]}

    sch        : the Schedule
    x_t, score : (..., d); s, t, mmse_t and rate broadcast against the leading axes
    noise      : ξ (..., d), standard normal; None for the mean alone
    rate       : as in `ml_sde_coefficients`
    Returns (..., d), in the floating dtype of x_t and score. Raises InvalidParameterError as there.
    """
    who = "ml_sde_step"
    step, mmse, h = _read(who, sch, s, t, mmse_t, rate)
    kappa, omega, sigma2 = _coefficients(step, mmse, h)
    x, slope, dtype = read_vectors(who, h.shape, x_t=x_t, score=score)
    x = x + h[..., None] * ((0.5 + omega)[..., None] * x + (1 + kappa)[..., None] * slope)
    if noise is not None:
        x, xi, _ = read_vectors(who, h.shape, x_t=x, noise=noise)
        x = x + np.sqrt(sigma2)[..., None] * xi
    return x.astype(dtype)


def _coefficients(step: Step, mmse: Array, rate: Array) -> SdeCoefficients:
    """The formulas of `ml_sde_coefficients`, on arrays of one shape."""
    root = np.sqrt(step.alpha)
    nu = np.sqrt(step.alpha_bar_s) * (step.beta / step.beta_bar_t)
    return SdeCoefficients(
        step.beta / (root * rate) - 1,
        step.beta / (root * (1 + root) * rate) - 0.5,
        beta_tilde(step) + nu**2 * mmse,
    )


def _integrated_rate(step: Step) -> Array:
    """-log α_{t|s}, from whichever of α and 1 - α is the smaller and so the more exact."""
    small = step.beta < 0.5
    return -np.where(small, np.log1p(-np.where(small, step.beta, 0.0)), np.log(step.alpha))


def _read(
    who: str, sch: Schedule, s: ArrayLike, t: ArrayLike, mmse_t: ArrayLike, rate: ArrayLike | None
) -> tuple[Step, Array, Array]:
    """The step, V_t and βh, checked and broadcast."""
    step = read_step(who, sch, s, t)
    refuse_no_signal(
        who,
        step.alpha_bar_t,
        "the score",
        "Start at an earlier t, or take the step in x_0 with ancestral_step",
    )
    mmse = as_float(who, "mmse_t", mmse_t)
    check_finite(who, "mmse_t", mmse)
    refuse(who, "mmse_t", mmse, mmse < 0, "must be >= 0, a mean squared error")
    h = _integrated_rate(step) if rate is None else as_float(who, "rate", rate)
    refuse(who, "rate", h, ~((h > 0) & np.isfinite(h)), "must be positive and finite, noise rate times step")
    mmse, h, *numbers = broadcast(who, mmse_t=mmse, rate=h, **step._asdict())
    return Step(*numbers), mmse, h
