r"""The reverse step from t to s: its free parameter λ² and its mean.

s < t, skipped or not. λ² = `lam2` is the variance of the forward posterior q(x_s|x_t, x_0), any number in
[0, β̄_s]: 0 is DDIM, `lambda2_ddpm` is DDPM. s, t and lam2 broadcast against each other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import to_numpy
from .checking import as_float, as_steps, check_finite, offenders
from .errors import InvalidParameterError
from .processes.schedule import Schedule

__all__ = [
    "Step",
    "broadcast",
    "check_schedule",
    "coefficient",
    "forward_posterior_mean",
    "lambda2_ddim",
    "lambda2_ddpm",
    "optimal_mean",
    "read_step",
    "read_step_lam2",
    "refuse",
    "refuse_no_signal",
    "reverse_coefficient",
]

Array = NDArray[np.float64]

# lambda2_ddpm <= β̄_s holds in exact arithmetic; from rounded β̄ and β_{t|s} it may stand a few ulps above.
LAM2_EXCESS = 4 * float(np.finfo(np.float64).eps)


class Step(NamedTuple):
    """The schedule's numbers for the step from t to s, each (...,); alpha, beta are α_{t|s}, β_{t|s}."""

    alpha_bar_s: Array
    beta_bar_s: Array
    alpha_bar_t: Array
    beta_bar_t: Array
    alpha: Array
    beta: Array


def lambda2_ddpm(sch: Schedule, s: ArrayLike, t: ArrayLike) -> Array:
    r"""λ² of DDPM: the variance β̃_{s|t} of q(x_s|x_t, x_0) when the forward process is Markov.

    .. math:: \tilde\beta_{s|t} = \frac{\bar\beta_s}{\bar\beta_t}\,\beta_{t|s}
       \qquad \text{[ho2020, eq. (7), skipped; notes, after eq. (1)]}

    sch  : the Schedule
    s, t : (...,) integers, 0 <= s < t <= N
    Returns (...,) in [0, beta_bar_s] up to 4 ulps; 0 at s = 0. Raises InvalidParameterError if s >= t.
    """
    return beta_tilde(read_step("lambda2_ddpm", sch, s, t))


def lambda2_ddim(sch: Schedule, s: ArrayLike, t: ArrayLike, eta: ArrayLike = 0.0) -> Array:
    r"""λ² of DDIM with noise level η: 0 for η = 0, that of DDPM for η = 1.

    .. math:: \lambda^2 = \eta^2 \tilde\beta_{s|t} \qquad \text{[song2021ddim, eq. (16)]}

    sch  : the Schedule
    s, t : (...,) integers, 0 <= s < t <= N
    eta  : (...,) in [0, 1]; a larger one can leave lam2 > beta_bar_s, so it is refused
    Returns (...,) in [0, beta_bar_s] up to 4 ulps. Raises InvalidParameterError if s >= t or eta is out of
    range.
    """
    who = "lambda2_ddim"
    step, noise = read_step(who, sch, s, t), as_float(who, "eta", eta)
    refuse(who, "eta", noise, ~((noise >= 0) & (noise <= 1)), "must lie in [0, 1] (0 is DDIM, 1 is DDPM)")
    noise, tilde = broadcast(who, eta=noise, step=beta_tilde(step))
    lam2: Array = noise**2 * tilde
    return lam2


def reverse_coefficient(sch: Schedule, s: ArrayLike, t: ArrayLike, lam2: ArrayLike) -> Array:
    r"""Weight c of x_0 in the forward posterior's mean; c² carries V_t into the optimal variance.

    .. math:: c_{s|t} = \sqrt{\bar\alpha_s} - \sqrt{\bar\beta_s - \lambda^2}\sqrt{\bar\alpha_t / \bar\beta_t}
       \qquad \text{[bao2022, Theorem 1]}

    Accurate to a few ulps also where the two roots cancel (neighbouring steps) and where α_{t|s} vanishes.

    sch  : the Schedule; s and t are integers, 0 <= s < t <= N
    lam2 : (...,) in [0, beta_bar_s]; as it nears the upper end c moves like sqrt(beta_bar_s - lam2)
    Returns (...,) in (0, 1]: 1 at s = 0; sqrt(alpha_bar_s) at lam2 = beta_bar_s and where alpha_bar_t = 0.
    Raises InvalidParameterError if s >= t or lam2 is out of range.
    """
    step, lam2 = read_step_lam2("reverse_coefficient", sch, s, t, lam2)
    return coefficient(step, lam2)


def forward_posterior_mean(
    sch: Schedule, s: ArrayLike, t: ArrayLike, x_t: ArrayLike, x0: ArrayLike, lam2: ArrayLike
) -> NDArray[np.floating[Any]]:
    r"""Mean of the forward posterior q(x_s|x_t, x_0) = N(μ̃, λ² I).

    .. math:: \tilde\mu_{s|t} = \sqrt{\bar\alpha_s}\,x_0 + \sqrt{\bar\beta_s - \lambda^2}\,
       \frac{x_t - \sqrt{\bar\alpha_t}\,x_0}{\sqrt{\bar\beta_t}} = c_{s|t}\,x_0 + c_1 x_t,
       \quad c_1 = \sqrt{(\bar\beta_s - \lambda^2)/\bar\beta_t} \qquad \text{[notes eq. (1), skipped]}

    sch     : the Schedule
    x_t, x0 : (..., d); s, t and lam2 broadcast against the leading axes
    lam2    : (...,) in [0, beta_bar_s]; near the upper end a rounding of lam2 shows in c_1 by its square root
    Returns (..., d), in the floating dtype of x_t and x0, computed in float64; integers give float64.
    Raises InvalidParameterError if s >= t, lam2 is out of range, shapes disagree, or x_t or x0 is not finite.
    """
    who = "forward_posterior_mean"
    step, lam2 = read_step_lam2(who, sch, s, t, lam2)
    noisy, clean, dtype = read_vectors(who, lam2.shape, x_t=x_t, x0=x0)
    return posterior_mean(step, lam2, noisy, clean).astype(dtype)


def optimal_mean(
    sch: Schedule, s: ArrayLike, t: ArrayLike, x_t: ArrayLike, score: ArrayLike, lam2: ArrayLike
) -> NDArray[np.floating[Any]]:
    r"""Mean of the best Gaussian reverse step from t to s, E[x_s|x_t], from the score by Tweedie's formula.

    .. math:: \mu^*_{s|t} = \tilde\mu_{s|t}\Bigl(x_t, \frac{1}{\sqrt{\bar\alpha_t}}
       \bigl(x_t + \bar\beta_t \nabla\log q_t(x_t)\bigr)\Bigr)
       \qquad \text{[bao2022, Theorem 1; notes eqs. (4), (9) with } \bar\alpha \text{ for } \alpha]

    sch        : the Schedule
    x_t, score : (..., d); s, t and lam2 broadcast against the leading axes
    lam2       : (...,) in [0, beta_bar_s]
    Returns (..., d), in the floating dtype of x_t and score. Raises InvalidParameterError as
    forward_posterior_mean does, and where alpha_bar_t = 0: there the score knows nothing of x_0.
    """
    who = "optimal_mean"
    step, lam2 = read_step_lam2(who, sch, s, t, lam2)
    refuse_no_signal(
        who, step.alpha_bar_t, "the score", "Give E[x_0] as x0 to forward_posterior_mean instead"
    )
    noisy, slope, dtype = read_vectors(who, lam2.shape, x_t=x_t, score=score)
    x0 = (noisy + step.beta_bar_t[..., None] * slope) / np.sqrt(step.alpha_bar_t)[..., None]
    return posterior_mean(step, lam2, noisy, x0).astype(dtype)


def beta_tilde(step: Step) -> Array:
    """β̃_{s|t}; the ratio comes first because β_{t|s} <= β̄_t, so no rounding lifts it far above β̄_s."""
    return step.beta_bar_s * (step.beta / step.beta_bar_t)


def coefficient(step: Step, lam2: Array) -> Array:
    r"""c = √ᾱ_s (1 - √r), r = (β̄_s - λ²) α_{t|s}/β̄_t, multiplied out by 1 + √r.

    1 - r = (β_{t|s} + α_{t|s} λ²)/β̄_t since β̄_t = α_{t|s} β̄_s + β_{t|s}: nothing positive is subtracted.
    """
    ratio = (step.beta_bar_s - lam2) * step.alpha / step.beta_bar_t
    return np.sqrt(step.alpha_bar_s) * (
        (step.beta + step.alpha * lam2) / (step.beta_bar_t * (1.0 + np.sqrt(ratio)))
    )


def posterior_mean(step: Step, lam2: Array, x_t: Array, x0: Array) -> Array:
    """c x_0 + c_1 x_t; the step's numbers (...,) against vectors (..., d)."""
    c1 = np.sqrt((step.beta_bar_s - lam2) / step.beta_bar_t)
    return coefficient(step, lam2)[..., None] * x0 + c1[..., None] * x_t


def check_schedule(who: str, sch: Any) -> None:
    """These formulas take integer timesteps, so a Process will not do."""
    if not isinstance(sch, Schedule):
        raise InvalidParameterError(f"{who}: sch must be a Schedule; got {type(sch).__name__}")


def read_step(who: str, sch: Schedule, s: ArrayLike, t: ArrayLike) -> Step:
    """Check s < t in 0..N and look up the step."""
    check_schedule(who, sch)
    s, t = broadcast(who, s=as_steps(who, "s", s, 0, sch.N), t=as_steps(who, "t", t, 0, sch.N))
    bad = s >= t
    if bad.any():
        first = np.flatnonzero(bad)[0]
        where = f" at {offenders(bad)}" if bad.ndim else ""
        raise InvalidParameterError(
            f"{who}: a step goes from t down to s < t; got s = {s.flat[first]}, t = {t.flat[first]}{where}"
        )
    return Step(
        sch.alpha_bar[s], sch.beta_bar[s], sch.alpha_bar[t], sch.beta_bar[t], sch.alpha(s, t), sch.beta(s, t)
    )


def read_step_lam2(
    who: str, sch: Schedule, s: ArrayLike, t: ArrayLike, lam2: ArrayLike
) -> tuple[Step, Array]:
    """The step and λ², broadcast together; a rounding excess of up to 4 ulps over β̄_s is taken as β̄_s."""
    step = read_step(who, sch, s, t)
    value, *numbers = broadcast(who, lam2=as_float(who, "lam2", lam2), **step._asdict())
    step = Step(*numbers)
    limit = step.beta_bar_s
    bad = ~((value >= 0) & (value <= limit * (1 + LAM2_EXCESS)))
    if bad.any():
        first = np.flatnonzero(bad)[0]
        where = f", at {offenders(bad)}" if bad.ndim else ""
        raise InvalidParameterError(
            f"{who}: lam2 must lie in [0, beta_bar_s] = [0, {limit.flat[first]:.17g}]; "
            f"got {value.flat[first]:.17g}{where}. lambda2_ddpm and lambda2_ddim give admissible values; "
            "beta_{t|s} in general is not one"
        )
    return step, np.minimum(value, limit)


def read_vectors(
    who: str, lead: tuple[int, ...], **named: ArrayLike
) -> tuple[Array, Array, np.dtype[np.floating[Any]]]:
    """Two arrays (..., d) with one d, finite, as float64, and the dtype that the result takes."""
    values, dtypes = [], []
    for name, given in named.items():
        array = to_numpy(given, who, name)
        value = as_float(who, name, array)
        check_finite(who, name, value)
        values.append(value)
        dtypes.append(array.dtype if array.dtype in (np.float16, np.float32) else np.dtype(np.float64))
    (one, x), (two, y) = zip(named, values)
    if x.ndim == 0 or y.ndim == 0 or x.shape[-1] != y.shape[-1]:
        raise InvalidParameterError(
            f"{who}: {one} and {two} must be (..., d) with one d; got {x.shape} and {y.shape}"
        )
    try:
        np.broadcast_shapes(lead, x.shape[:-1], y.shape[:-1])
    except ValueError:
        raise InvalidParameterError(
            f"{who}: s, t, lam2 {lead} must broadcast against the leading axes of {one} {x.shape} and "
            f"{two} {y.shape}. For one timestep per row give s and t the shape (batch,)"
        ) from None
    return x, y, np.result_type(*dtypes)


def broadcast(who: str, **named: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The arrays in one shape, or an error that lists their shapes."""
    try:
        return np.broadcast_arrays(*named.values())
    except ValueError:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in named.items() if value.shape)
        raise InvalidParameterError(f"{who}: arguments must broadcast together; got {shapes}") from None


def refuse(who: str, name: str, value: Array, bad: NDArray[np.bool_], requirement: str) -> None:
    """Raise if any entry is bad, and show the first one."""
    if bad.any():
        where = f" at {offenders(bad)}" if bad.ndim else ""
        raise InvalidParameterError(f"{who}: {name} {requirement}; got {np.atleast_1d(value[bad])[0]}{where}")


def refuse_no_signal(who: str, alpha_bar_t: Array, name: str, advice: str) -> None:
    """At zero terminal SNR x_t is pure noise: neither score nor Γ depends on the data."""
    ended = np.asarray(alpha_bar_t == 0)
    if ended.any():
        where = f", here at {offenders(ended)}," if ended.ndim else ""
        raise InvalidParameterError(
            f"{who}: alpha_bar_t must be positive; where it is 0{where} {name} is that of pure noise, "
            f"whatever the data. {advice}"
        )
