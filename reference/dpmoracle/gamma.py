"""Monte Carlo estimates of Γ_t and V_t from samples and any callable: with errors, mergeable, storable.

All timesteps share the same (x_0, ε). The estimates at neighbouring timesteps then move together, and so does
the order that the trajectory program relies on (`monge_certificate`); independent noise breaks it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_count, check_finite, generator, offenders
from .errors import InvalidParameterError
from .moments import Moments
from .processes.schedule import Schedule
from .sampled import GammaEstimate, MmseEstimate, check_timesteps

__all__ = ["GammaEstimate", "MmseEstimate", "estimate_gamma", "estimate_mmse"]

Array = NDArray[np.float64]
Model = Callable[[Array, NDArray[np.int64]], Any]
Progress = Callable[[int, int], object]
Statistic = Callable[[Array, Array], Array]
_Kind = TypeVar("_Kind", GammaEstimate, MmseEstimate)

# Doubles held at once: noise (and each of a few arrays of its size), and samples of the statistic.
_NOISE, _SAMPLES = 2**20, 2**21


def estimate_gamma(
    score: Model,
    x0: ArrayLike,
    sch: Schedule,
    timesteps: ArrayLike | None = None,
    num_noise: int = 1,
    rng: np.random.Generator | int | None = None,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> GammaEstimate:
    r"""Score norm per dimension of any score, at all timesteps from the same (x_0, ε).

    .. math:: \hat\Gamma_t = \frac1M \sum_{m=1}^M \frac{\|s(x_t^{(m)}, t)\|^2}{d}, \quad
       x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{\bar\beta_t} \epsilon
       \qquad \text{[notes eq. (6); bao2022, eq. (8)]}

    score      : f(x (B, d) float64, t (B,) int64) -> (B, d), an array or a CPU tensor; also a network
    x0         : (M, d) independent draws of clean data
    sch        : the Schedule that noises them
    timesteps  : (T,) increasing, in 1..N; None is all of them
    num_noise  : ε per x_0. Samples of one x_0 are averaged before the standard error is taken
    rng        : Generator or seed; the draws do not depend on batch_size
    batch_size : most rows per call of `score`
    progress   : called as progress(done, total), in rows, after each call of `score`

    Raises InvalidParameterError, also where `score` returns a wrong shape or what is not finite.
    """
    settings = (x0, sch, timesteps, num_noise, rng, batch_size, progress)
    return _estimate("estimate_gamma", GammaEstimate, score, _score_norm, *settings)


def estimate_mmse(
    x0_model: Model,
    x0: ArrayLike,
    sch: Schedule,
    timesteps: ArrayLike | None = None,
    num_noise: int = 1,
    rng: np.random.Generator | int | None = None,
    *,
    batch_size: int | None = None,
    progress: Progress | None = None,
) -> MmseEstimate:
    r"""Mean squared error per dimension of any prediction of x_0 (the residual estimator of V).

    .. math:: \hat V_t = \frac1M \sum_{m=1}^M \frac{\|x_0^{(m)} - \hat x_0(x_t^{(m)}, t)\|^2}{d}

    x0_model : f(x (B, d) float64, t (B,) int64) -> (B, d), an array or a CPU tensor; also a network
    x0, sch, timesteps, num_noise, rng, batch_size, progress : as in `estimate_gamma`

    Raises InvalidParameterError, also where `x0_model` returns a wrong shape or what is not finite.
    """
    settings = (x0, sch, timesteps, num_noise, rng, batch_size, progress)
    return _estimate("estimate_mmse", MmseEstimate, x0_model, _residual, *settings)


def _score_norm(output: Array, x0: Array) -> Array:
    return np.asarray(np.einsum("md,md->m", output, output) / output.shape[1])


def _residual(output: Array, x0: Array) -> Array:
    return _score_norm(x0 - output, x0)


def _estimate(
    who: str,
    kind: type[_Kind],
    model: Model,
    statistic: Statistic,
    x0: ArrayLike,
    sch: Schedule,
    timesteps: ArrayLike | None,
    num_noise: int,
    rng: np.random.Generator | int | None,
    batch_size: int | None,
    progress: Progress | None,
) -> _Kind:
    """Check the arguments, sample, and put the moments into an estimate of `kind`."""
    if not callable(model):
        raise InvalidParameterError(
            f"{who}: the model must be a function f(x, t); got {type(model).__name__}"
        )
    steps = check_timesteps(who, timesteps, sch)
    clean = as_float(who, "x0", x0)
    if clean.ndim != 2 or clean.size == 0:
        raise InvalidParameterError(
            f"{who}: x0 must have shape (M, d), M and d >= 1; got {clean.shape}. Flatten images to vectors"
        )
    check_finite(who, "x0", clean)
    check_count(who, "num_noise", num_noise)
    rows = clean.size if batch_size is None else check_count(who, "batch_size", batch_size)
    random = generator(who, rng)
    a, sigma = sch.levels(steps)
    parts = _parts(who, model, statistic, clean, steps, a, sigma, num_noise, random, rows, progress)
    found = functools.reduce(operator.add, parts)
    return kind(found.mean, found.stderr, found.count, steps, sch, num_noise)


def _parts(
    who: str,
    model: Model,
    statistic: Statistic,
    x0: Array,
    steps: NDArray[np.int64],
    a: Array,
    sigma: Array,
    num_noise: int,
    rng: np.random.Generator,
    rows: int,
    progress: Progress | None,
) -> Iterator[Moments]:
    """Moments (T,) over blocks of x_0 of the mean over ε of `statistic(model(x_t, t), x_0)`.

    The ε of one x_0 share it, so only their mean counts as a sample.
    """
    (M, d), T = x0.shape, len(steps)
    done, total = 0, M * num_noise * T
    for some in _blocks(M, max(1, min(_NOISE // (num_noise * d), _SAMPLES // (num_noise * T)))):
        clean = np.repeat(x0[some], num_noise, axis=0)
        noise = rng.standard_normal(clean.shape)
        samples = np.empty((len(clean), T))
        for j, t in enumerate(steps):
            for at in _blocks(len(clean), rows):
                output = _predict(who, model, a[j] * clean[at] + sigma[j] * noise[at], int(t))
                with np.errstate(over="ignore"):  # reported below, with its timestep
                    samples[at, j] = statistic(output, clean[at])
                done += len(output)
                if progress is not None:
                    progress(done, total)
            if not np.isfinite(samples[:, j]).all():
                raise InvalidParameterError(
                    f"{who}: what the model returns at t = {t} is too large to square"
                )
        yield Moments.of(samples.reshape(-1, num_noise, T).mean(axis=1))


def _predict(who: str, model: Model, x: Array, t: int) -> Array:
    """model(x, t) as float64 (B, d), or an error that names t."""
    shape = x.shape
    output = model(x, np.full(len(x), t, dtype=np.int64))
    at = f"what the model returns at t = {t}"
    try:
        array = np.asarray(output)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"{who}: {at} must be an array that NumPy can read; got {type(output).__name__} ({error}). "
            "For torch return output.detach().cpu().double().numpy()"
        ) from error
    if array.shape != shape:
        raise InvalidParameterError(f"{who}: {at} must have shape {shape}, that of x; got {array.shape}")
    array = as_float(who, at, array)
    bad = ~np.isfinite(array)
    if bad.any():
        raise InvalidParameterError(
            f"{who}: {at} must be finite; {int(bad.any(axis=1).sum())} of {len(array)} samples are not, "
            f"the first entries at {offenders(bad)}"
        )
    return array


def _blocks(total: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, total, size))
