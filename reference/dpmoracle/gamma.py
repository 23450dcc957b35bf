"""Monte Carlo estimates of Γ_t and V_t from samples and any callable: with errors, mergeable, storable.

All timesteps share the same (x_0, ε). The estimates at neighbouring timesteps then move together, and so does
the order that the trajectory program relies on (`monge_certificate`); independent noise breaks it.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import array_module, read, to_numpy
from .backends import device, lives_on_gpu, within
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
    backend: str = "auto",
) -> GammaEstimate:
    r"""Score norm per dimension of any score, at all timesteps from the same (x_0, ε).

    .. math:: \hat\Gamma_t = \frac1M \sum_{m=1}^M \frac{\|s(x_t^{(m)}, t)\|^2}{d}, \quad
       x_t = \sqrt{\bar\alpha_t} x_0 + \sqrt{\bar\beta_t} \epsilon
       \qquad \text{[notes eq. (6); bao2022, eq. (8)]}

    score      : f(x (B, d) float64, t (B,) int64) -> (B, d), an array or a CPU tensor; also a network
    x0         : (M, d) independent draws of clean data; if they live on a GPU, x and t are arrays of that kind there
    sch        : the Schedule that noises them
    timesteps  : (T,) increasing, in 1..N; None is all of them
    num_noise  : ε per x_0. Samples of one x_0 are averaged before the standard error is taken
    rng        : Generator or seed; the draws do not depend on batch_size
    batch_size : most rows per call of `score`
    progress   : called as progress(done, total), in rows, after each call of `score`
    backend    : "auto" and "cupy" leave an x0 on a GPU where it is; "cupy" moves one of the host there and gives
                 `score` CuPy arrays; else x and t are NumPy arrays. The noise is drawn on the host: it is the same

    Raises InvalidParameterError, also where `score` returns a wrong shape or what is not finite.
    """
    settings = (x0, sch, timesteps, num_noise, rng, batch_size, progress, backend)
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
    backend: str = "auto",
) -> MmseEstimate:
    r"""Mean squared error per dimension of any prediction of x_0 (the residual estimator of V).

    .. math:: \hat V_t = \frac1M \sum_{m=1}^M \frac{\|x_0^{(m)} - \hat x_0(x_t^{(m)}, t)\|^2}{d}

    x0_model : f(x (B, d) float64, t (B,) int64) -> (B, d), an array or a CPU tensor; also a network
    x0, sch, timesteps, num_noise, rng, batch_size, progress, backend : as in `estimate_gamma`

    Raises InvalidParameterError, also where `x0_model` returns a wrong shape or what is not finite.
    """
    settings = (x0, sch, timesteps, num_noise, rng, batch_size, progress, backend)
    return _estimate("estimate_mmse", MmseEstimate, x0_model, _residual, *settings)


def _score_norm(output: Array, x0: Array) -> Array:
    norms: Array = array_module(output).einsum("md,md->m", output, output) / output.shape[1]
    return norms


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
    backend: str,
) -> _Kind:
    """Check the arguments, sample, and put the moments into an estimate of `kind`."""
    if not callable(model):
        raise InvalidParameterError(
            f"{who}: the model must be a function f(x, t); got {type(model).__name__}"
        )
    steps = check_timesteps(who, timesteps, sch)
    there = device(who, backend, x0)
    with within(there, who, x0):
        clean = as_float(who, "x0", read(x0, who, "x0", there) if lives_on_gpu(x0) else x0, gpu=True)
        if clean.ndim != 2 or clean.size == 0:
            raise InvalidParameterError(
                f"{who}: x0 must have shape (M, d), M and d >= 1; got {clean.shape}. Flatten images to vectors"
            )
        check_finite(who, "x0", clean)
        check_count(who, "num_noise", num_noise)
        rows = clean.size if batch_size is None else check_count(who, "batch_size", batch_size)
        random = generator(who, rng)
        a, sigma = sch.levels(steps)
        asked = functools.partial(_predict, who, model)
        if there is not None:
            clean, asked = there.adopt(clean), functools.partial(_predict_on_gpu, who, model, there, x0)
        parts = _parts(who, asked, statistic, clean, steps, a, sigma, num_noise, random, rows, progress)
        found = functools.reduce(operator.add, parts)
    return kind(found.mean, found.stderr, found.count, steps, sch, num_noise)


def _parts(
    who: str,
    predict: Callable[[Array, int], Array],
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
    """Moments (T,) over blocks of x_0 of the mean over ε of `statistic(predict(x_t, t), x_0)`.

    The ε of one x_0 share it, so only their mean counts as a sample.
    """
    xp: Any = array_module(x0)
    (M, d), T = x0.shape, len(steps)
    done, total = 0, M * num_noise * T
    for some in _blocks(M, max(1, min(_NOISE // (num_noise * d), _SAMPLES // (num_noise * T)))):
        clean = xp.repeat(x0[some], num_noise, axis=0)
        noise = xp.asarray(rng.standard_normal(clean.shape))
        samples = xp.empty((len(clean), T))
        for j, t in enumerate(steps):
            for at in _blocks(len(clean), rows):
                output = predict(a[j] * clean[at] + sigma[j] * noise[at], int(t))
                with np.errstate(over="ignore"):  # reported below, with its timestep
                    samples[at, j] = statistic(output, clean[at])
                done += len(output)
                if progress is not None:
                    progress(done, total)
            if not xp.isfinite(samples[:, j]).all():
                raise InvalidParameterError(
                    f"{who}: what the model returns at t = {t} is too large to square"
                )
        yield Moments.of(to_numpy(samples.reshape(-1, num_noise, T).mean(axis=1)))


def _predict(who: str, model: Model, x: Array, t: int) -> Array:
    """model(x, t) as float64 (B, d), or an error that names t."""
    output = model(x, np.full(len(x), t, dtype=np.int64))
    try:
        array = np.asarray(output)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"{who}: {_answer(t)} must be an array that NumPy can read; got {type(output).__name__} ({error}). "
            "For torch return output.detach().cpu().double().numpy()"
        ) from error
    return _checked(who, array, x.shape, t)


def _predict_on_gpu(who: str, model: Model, there: ModuleType, kind: Any, x: Any, t: int) -> Any:
    """The same on CuPy arrays, for a model that takes and returns arrays on a GPU of the kind of `kind`, or CuPy's."""
    steps = array_module(x).full(len(x), t, dtype=np.int64)
    given = [there.release(part, kind) if lives_on_gpu(kind) else part for part in (x, steps)]
    output = model(*given)
    if not lives_on_gpu(output):
        raise InvalidParameterError(
            f"{who}: {_answer(t)} must be an array on the GPU, as x is; got {type(output).__name__}. Return what "
            "CuPy or torch computes there, or estimate with backend='numpy'"
        )
    return _checked(who, read(output, who, _answer(t), there), x.shape, t)


def _answer(t: int) -> str:
    return f"what the model returns at t = {t}"


def _checked(who: str, array: Array, shape: tuple[int, ...], t: int) -> Array:
    """As float64, finite and of that shape."""
    if array.shape != shape:
        raise InvalidParameterError(
            f"{who}: {_answer(t)} must have shape {shape}, that of x; got {array.shape}"
        )
    array = as_float(who, _answer(t), array, gpu=True)
    bad = ~array_module(array).isfinite(array)
    if bad.any():
        bad = to_numpy(bad)
        raise InvalidParameterError(
            f"{who}: {_answer(t)} must be finite; {int(bad.any(axis=1).sum())} of {len(array)} samples are not, "
            f"the first entries at {offenders(bad)}"
        )
    return array


def _blocks(total: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, total, size))
