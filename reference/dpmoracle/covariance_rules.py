r"""Reverse covariances beyond one isotropic constant.

With C = E[(x_0 - x̂_0)(x_0 - x̂_0)ᵀ | x_t], the step's best covariance is λ² I + c² C, and of C only its mean over
x_t if the covariance may not depend on x_t. C is Cov(x_0|x_t) for the exact mean, Cov(x_0|x_t) + δδᵀ for
x̂_0 = E[x_0|x_t] + δ(x_t) [bao2022extended, Theorems 1 and 2].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import to_numpy
from .checking import as_float, check_finite
from .errors import InvalidParameterError
from .oracle import Oracle
from .processes.schedule import Schedule
from .reverse_step import coefficient, read_step_lam2

__all__ = ["npr_variance", "optimal_covariance", "residual_covariance", "sn_variance"]

Array = NDArray[np.float64]

_FORMS = ("diag", "full")


def optimal_covariance(
    sch: Schedule, s: ArrayLike, t: ArrayLike, residual: ArrayLike, lam2: ArrayLike, form: str = "diag"
) -> Array:
    r"""The best covariance of the Gaussian reverse step from t to s, λ² I + c² C.

    residual : C: (..., d) its diagonal for form "diag", (..., d, d) for "full"; as `residual_covariance` gives it
    lam2     : (...,) in [0, beta_bar_s]; s, t and lam2 broadcast against the leading axes
    Returns the shape of residual. Raises InvalidParameterError as `optimal_variance_from_mmse`.
    """
    who = "optimal_covariance"
    _check_form(who, form)
    step, values = read_step_lam2(who, sch, s, t, lam2)
    c2 = coefficient(step, values) ** 2
    matrix = as_float(who, "residual", residual)
    check_finite(who, "residual", matrix)
    if matrix.ndim < 1 + (form == "full") or (form == "full" and matrix.shape[-1] != matrix.shape[-2]):
        raise InvalidParameterError(
            f'{who}: residual must be {"(..., d, d)" if form == "full" else "(..., d)"} for form "{form}"; '
            f"got {matrix.shape}"
        )
    if form == "diag":
        return np.asarray(values[..., None] + c2[..., None] * matrix)
    return np.asarray(values[..., None, None] * np.eye(matrix.shape[-1]) + c2[..., None, None] * matrix)


def residual_covariance(orc: Oracle, x: ArrayLike, t: Any, x0: ArrayLike, form: str = "diag") -> Array:
    r"""C = E[(x_0 - x̂_0)(x_0 - x̂_0)ᵀ | x_t = x] for any prediction x̂_0, exactly.

    .. math:: C = \operatorname{Cov}(x_0|x_t) + \delta\delta^\top, \quad \delta = \hat x_0 - E[x_0|x_t]

    x, x0 : (..., d)     form : "diag" (..., d) or "full" (..., d, d)
    Raises InvalidParameterError for another form, for x and x0 of different shapes, and as `Oracle.x0` does.
    """
    who = "residual_covariance"
    _check_form(who, form)
    flat, lead = orc.q0.rows(who, to_numpy(x, who, "x"))
    guess, other = orc.q0.rows(who, to_numpy(x0, who, "x0"))
    if other != lead:
        raise InvalidParameterError(f"{who}: x and x0 must have one shape; got {lead} and {other} before d")
    rows = flat.reshape(*lead, -1)
    off = guess.reshape(*lead, -1) - orc.x0(rows, t)
    exact = np.asarray(orc.posterior_cov(rows, t, form=form))
    return np.asarray(exact + (np.square(off) if form == "diag" else off[..., :, None] * off[..., None, :]))


def sn_variance(sch: Schedule, t: ArrayLike, second_moment: ArrayLike, eps: ArrayLike) -> Array:
    r"""Diagonal of Cov(x_0|x_t) from the squared-noise network, h = E[ε²|x_t]; right for the exact ε̂ only.

    .. math:: \frac{\bar\beta_t}{\bar\alpha_t}\,(h(x_t) - \hat\varepsilon(x_t)^2)
       \qquad \text{[bao2022extended, Theorem 1; SN-DDPM]}

    second_moment, eps : (..., d); t broadcasts against the leading axes
    Returns (..., d), negative where eps² > h; not clipped here. Raises InvalidParameterError where alpha_bar_t = 0.
    """
    ratio = _noise_to_signal("sn_variance", sch, t)
    h, mean = (as_float("sn_variance", n, v) for n, v in (("second_moment", second_moment), ("eps", eps)))
    return np.asarray(ratio[..., None] * (h - np.square(mean)))


def npr_variance(sch: Schedule, t: ArrayLike, residual: ArrayLike) -> Array:
    r"""Diagonal of C from the noise-residual network, g = E[(ε - ε̂)²|x_t]; right for any ε̂.

    .. math:: \frac{\bar\beta_t}{\bar\alpha_t}\,g(x_t) \qquad \text{[bao2022extended, Theorem 2; NPR-DDPM]}

    residual : (..., d); t broadcasts against the leading axes
    Returns (..., d). Raises InvalidParameterError where alpha_bar_t = 0.
    """
    ratio = _noise_to_signal("npr_variance", sch, t)
    return np.asarray(ratio[..., None] * as_float("npr_variance", "residual", residual))


def _noise_to_signal(who: str, sch: Schedule, t: ArrayLike) -> Array:
    """β̄/ᾱ, where there is signal."""
    steps = sch.check_times(t, who)
    if (sch.alpha_bar[steps] == 0).any():
        raise InvalidParameterError(f"{who}: t must have alpha_bar > 0; ε says nothing of x_0 where it is 0")
    return np.asarray(sch.beta_bar[steps] / sch.alpha_bar[steps])


def _check_form(who: str, form: Any) -> None:
    if not isinstance(form, str) or form not in _FORMS:
        raise InvalidParameterError(f"{who}: form must be one of {', '.join(_FORMS)}; got {form!r}")
