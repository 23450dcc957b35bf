r"""Ancestral sampling and DDIM over any trajectory: the reverse chain, one step at a time.

A step goes from x_t to x_s = c x̂_0 + c_1 x_t + σ z, the mean of the forward posterior with the prediction x̂_0 in
place of x_0. λ² chooses the mean, σ² the noise; both are free, and DDIM is λ² = σ² = 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import to_numpy
from .checking import as_float, check_count, check_finite, generator, offenders
from .errors import InvalidParameterError
from .oracle import Oracle
from .processes.schedule import Schedule
from .reverse_step import (
    check_schedule,
    forward_posterior_mean,
    posterior_mean,
    read_step,
    read_step_lam2,
    read_vectors,
    refuse,
)
from .variance_rules import RULES, nodes_of, per_step, reverse_variances, step_lam2

__all__ = ["PREDICTIONS", "ancestral_step", "clean_prediction", "reverse_chain", "sample"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]
Predict = Callable[[Array, int], Array]

PREDICTIONS = ("eps", "x0", "v")


def sample(
    model: Any,
    sch: Schedule,
    trajectory: Any,
    num: int,
    rng: np.random.Generator | int | None = None,
    *,
    lam2: Any = "ddpm",
    variance: Any = "lam2",
    mmse: Any = None,
    clip: Any = None,
    predicts: str = "eps",
    d: int | None = None,
    x_T: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.floating[Any]]:
    r"""Samples (num, d) of the reverse chain of a trajectory, from x_{τ_K} ~ N(0, I) down to x_0.

    .. math:: x_{\tau_{k-1}} = \tilde\mu(x_{\tau_k}, \hat x_0(x_{\tau_k})) + \sigma_k z_k, \quad k = K, \dots, 2;
       \qquad x_0 = \hat x_0(x_{\tau_1}) \qquad \text{[notes eqs. (2), (9)]}

    The last step, from τ_1 to 0, is the mean alone: noise there would only blur the sample [bao2022].

    rng        : Generator or seed of x_T and the z
    model      : an Oracle on `sch`, or f(x (num, d) float64, t (num,) int64) -> (num, d)
    trajectory : Trajectory or (K,) increasing timesteps in 1..N, K >= 2; K calls of the model
    lam2       : "ddpm", "ddim" (0), a number or (K-1,), in [0, beta_bar_s]; η²β̃ is lambda2_ddim(sch, s, t, eta)
    variance   : a rule, "lam2" (the noise of the forward posterior: none for DDIM), "beta", "beta_tilde" or
                 "optimal", as in `reverse_variances`; or variances, a number or (K-1,), entry k that of the step
                 from timesteps[k+1] to timesteps[k]
    mmse       : (N+1,) V_t or an MmseEstimate, for "optimal"; an Oracle finds its own
    clip       : None, "bounds" or (a, b): bounds on the variance of a rule, as in `reverse_variances`
    predicts   : what f returns: "eps", "x0" or "v"; eps says nothing of x_0 where alpha_bar_t = 0
    d          : dimension, needed if model is a function and neither x_T nor noise is given
    x_T        : (num, d) where to start, in place of N(0, I)
    noise      : (K-1, num, d) the z, in place of fresh ones; entry k belongs to the step to timesteps[k]
    progress   : called as progress(done, K) after each call of the model
    Returns float64, or the floating dtype of x_T; computed in float64. Raises InvalidParameterError for wrong
    shapes, λ² out of range, an unknown rule, and where the model returns nan or inf, naming the timestep.
    """
    who = "sample"
    check_schedule(who, sch)
    nodes = nodes_of(who, trajectory, sch)
    count, random = check_count(who, "num", num), generator(who, rng)
    predict = _predictor(who, model, sch, predicts)
    values = step_lam2(who, sch, nodes, lam2)
    sigma2 = _variances(who, model, sch, nodes, values, variance, mmse, clip, random)
    x, dtype = _start(who, model, count, d, x_T, noise, random)
    fresh = _noise(who, noise, (len(nodes) - 1, *x.shape), random)
    chain = reverse_chain(predict, sch, nodes, x, values, sigma2, fresh)
    for done, (_, state) in enumerate(chain):
        x = state
        if progress is not None and done:
            progress(done, len(nodes))
    return x.astype(dtype)


def reverse_chain(
    predict: Predict,
    sch: Schedule,
    nodes: Steps,
    x: Array,
    lam2: Array,
    sigma2: Array,
    noise: Callable[[int], Array],
) -> Iterator[tuple[int, Array]]:
    """(t, x_t) from the noisiest node to (0, x_0); plain arrays.

    predict(x, t) -> E[x_0|x_t]; noise(k) -> z of the step to nodes[k]; lam2, sigma2 (K-1,) likewise by k
    """
    t = int(nodes[-1])
    yield t, x
    for k in range(len(nodes) - 2, -1, -1):
        s = int(nodes[k])
        x = posterior_mean(read_step("sample", sch, s, t), lam2[k], x, predict(x, t))
        if sigma2[k] > 0:
            x = x + np.sqrt(sigma2[k]) * noise(k)
        yield s, x
        t = s
    yield 0, predict(x, t)


def ancestral_step(
    sch: Schedule,
    s: int,
    t: int,
    x_t: ArrayLike,
    x0: ArrayLike,
    lam2: ArrayLike,
    sigma2: ArrayLike | None = None,
    noise: ArrayLike | None = None,
) -> NDArray[np.floating[Any]]:
    r"""One reverse step from t to s, with the noise given: μ̃_{s|t}(x_t, x̂_0) + σ z.

    sch            : the Schedule; s and t are integers, 0 <= s < t <= N
    x_t, x0, noise : (..., d); x0 is the prediction E[x_0|x_t] (`clean_prediction` makes it of eps or v)
    lam2           : (...,) in [0, beta_bar_s], shapes the mean
    sigma2         : (...,) >= 0, variance of the noise; None is lam2
    noise          : z, standard normal; None for the mean alone
    Returns (..., d) in the floating dtype of x_t and x0. Raises InvalidParameterError as
    `forward_posterior_mean` does, and for sigma2 < 0.
    """
    who = "ancestral_step"
    _, values = read_step_lam2(who, sch, s, t, lam2)
    mean = forward_posterior_mean(sch, s, t, x_t, x0, values)
    if noise is None:
        return mean
    variances = values if sigma2 is None else as_float(who, "sigma2", sigma2)
    refuse(who, "sigma2", variances, ~((variances >= 0) & np.isfinite(variances)), "must be finite and >= 0")
    wide, z, _ = read_vectors(who, variances.shape, mean=mean, noise=noise)
    return np.asarray(wide + np.sqrt(variances)[..., None] * z).astype(mean.dtype)


def clean_prediction(sch: Schedule, t: int, x_t: Array, output: Array, predicts: str) -> Array:
    r"""The prediction of x_0 that an output stands for; plain arrays (..., d), one t.

    .. math:: \hat x_0 = (x_t - \sqrt{\bar\beta_t}\,\hat\varepsilon)/\sqrt{\bar\alpha_t}
       = \sqrt{\bar\alpha_t}\,x_t - \sqrt{\bar\beta_t}\,\hat v
    """
    a, sigma = sch.levels(t)
    if predicts == "x0":
        return output
    return np.asarray((x_t - sigma * output) / a if predicts == "eps" else a * x_t - sigma * output)


def _predictor(who: str, model: Any, sch: Schedule, predicts: Any) -> Predict:
    """x̂_0(x, t) from an oracle or a checked function."""
    if isinstance(model, Oracle):
        if model.process != sch:
            raise InvalidParameterError(
                f"{who}: sch must be the schedule of the oracle, {model.process!r}; got {sch!r}"
            )
        return model.x0
    if not callable(model):
        raise InvalidParameterError(
            f"{who}: model must be an Oracle or a function f(x, t); got {type(model).__name__}"
        )
    if predicts not in PREDICTIONS:
        raise InvalidParameterError(
            f"{who}: predicts must be one of {', '.join(PREDICTIONS)}; got {predicts!r}"
        )

    def predict(x: Array, t: int) -> Array:
        if predicts == "eps" and sch.alpha_bar[t] == 0:
            raise InvalidParameterError(
                f"{who}: at t = {t} alpha_bar is 0 and eps says nothing of x_0. Give a model of x0 or v and say "
                'predicts="x0" or "v", or end the trajectory earlier'
            )
        output = as_float(
            who, f"the model's output at t = {t}", to_numpy(model(x.copy(), np.full(len(x), t)), who, "model")
        )
        if output.shape != x.shape:
            raise InvalidParameterError(
                f"{who}: the model must return the shape of x, {x.shape}; at t = {t} it returned {output.shape}"
            )
        bad = ~np.isfinite(output)
        if bad.any():
            raise InvalidParameterError(
                f"{who}: the model must return finite numbers; at t = {t} {int(bad.sum())} of {bad.size} are nan or "
                f"inf, at [row, column] {offenders(bad)}"
            )
        return clean_prediction(sch, t, x, output, predicts)

    return predict


def _variances(
    who: str,
    model: Any,
    sch: Schedule,
    nodes: Steps,
    lam2: Array,
    variance: Any,
    mmse: Any,
    clip: Any,
    rng: np.random.Generator,
) -> Array:
    """(K-1,) variances of a rule or of the caller's, each >= 0."""
    if isinstance(variance, str):
        if variance not in RULES:
            raise InvalidParameterError(
                f"{who}: variance must be one of {', '.join(RULES)}, or variances; got {variance!r}"
            )
        if variance == "optimal" and mmse is None and isinstance(model, Oracle):
            mmse = np.full(sch.N + 1, np.nan)
            mmse[nodes] = model.mmse(nodes, rng=rng).value
        sigma2 = reverse_variances(sch, nodes, variance, lam2=lam2, mmse=mmse, clip=clip)
    else:
        if clip is not None:
            raise InvalidParameterError(
                f"{who}: clip goes with a rule; clip variances of your own with clip_variance"
            )
        sigma2 = per_step(who, "variance", variance, len(nodes) - 1)
    bad = np.flatnonzero(sigma2 < 0)
    if bad.size:
        k = int(bad[0])
        raise InvalidParameterError(
            f"{who}: variance must be >= 0; it is {sigma2[k]:.6g} for the step from {nodes[k + 1]} to {nodes[k]}. An "
            'estimate with V < 0 gives such: clip="bounds" puts it back'
        )
    return sigma2


def _start(
    who: str,
    model: Any,
    num: int,
    d: int | None,
    x_T: ArrayLike | None,
    noise: ArrayLike | None,
    rng: np.random.Generator,
) -> tuple[Array, np.dtype[Any]]:
    """x at the noisiest node (num, d) and the dtype of the result."""
    dtype: np.dtype[Any] = np.dtype(np.float64)
    if isinstance(model, Oracle):
        if d is not None and d != model.q0.d:
            raise InvalidParameterError(f"{who}: d is that of the oracle, {model.q0.d}; got {d!r}")
        d = model.q0.d
    elif d is None:
        given = next((np.shape(z) for z in (x_T, noise) if z is not None and np.ndim(z) > 0), None)
        if given is None:
            raise InvalidParameterError(
                f"{who}: d must be given, the dimension of x: a function does not tell it (or give x_T)"
            )
        d = given[-1]
    d = check_count(who, "d", d)
    if x_T is None:
        return rng.standard_normal((num, d)), dtype
    array = to_numpy(x_T, who, "x_T")
    if array.shape != (num, d):
        raise InvalidParameterError(f"{who}: x_T must have shape (num, d) = {(num, d)}; got {array.shape}")
    start = as_float(who, "x_T", array)
    check_finite(who, "x_T", start)
    return start, array.dtype if array.dtype in (np.float16, np.float32) else dtype


def _noise(
    who: str, noise: ArrayLike | None, shape: tuple[int, ...], rng: np.random.Generator
) -> Callable[[int], Array]:
    """z of the step to node k, fresh or as given."""
    if noise is None:
        return lambda k: rng.standard_normal(shape[1:])
    array = as_float(who, "noise", to_numpy(noise, who, "noise"))
    if array.shape != shape:
        raise InvalidParameterError(
            f"{who}: noise must have shape (K-1, num, d) = {shape}, one z for each step but the last; got {array.shape}"
        )
    check_finite(who, "noise", array)
    return lambda k: np.asarray(array[k])
