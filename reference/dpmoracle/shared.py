r"""V_t and Γ_t of a mixture with one shared isotropic covariance, for all levels from one set of products.

A sample is x_0 = y_c + p (p = τζ, zero for points), x_t = a x_0 + σε. With D_i = y_i - y_c, v = a²τ² + σ² and

    G_i = ½‖x_0 - y_i‖² - ½‖x_0 - y_c‖² = ½‖D_i‖² - ⟨p, D_i⟩,   E_i = ⟨ε, D_i⟩,

which do not depend on the level, the posterior weight of component i is proportional to

    w_i exp(-(a²/v) G_i + (aσ/v) E_i).

The exponent of the sample's own component is 0 and every other is at most ½(⟨ζ, e⟩² + ⟨ε, e⟩²), e the unit
vector along D_i: a few tens for normal ζ and ε, so nothing overflows and no pass for the maximum is needed.
Differences D_i are formed before they are squared: coincident components give exactly 0, near ones keep their
digits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import to_numpy
from .backends import PRECISIONS, REALS, device, pick, products, within
from .checking import as_float, check_count, check_finite, generator
from .errors import InvalidParameterError
from .estimate import Estimate
from .moments import Moments, blocks

__all__ = ["ESTIMATORS", "plain_seconds", "shared_mmse", "shared_moments", "shared_samples"]

Array = NDArray[np.float64]
Progress = Callable[[int, int], object]
ESTIMATORS = ("pair", "trace", "residual", "score", "gamma")

# Below this exponent the weight is no normal number: at most 1e-307 of the sample's own, counted as 0.
_UNDERFLOW = -708.0
# Doubles held at once: by the weights and by the differences (in cache), and by the sums over components.
_CACHED, _HELD = 2**17, 2**20
# Samples given to a kernel at once; it bounds its own temporaries, and its result is of this many rows.
_ROWS = 1024


def shared_mmse(
    weights: ArrayLike,
    means: ArrayLike,
    tau2: float,
    a: ArrayLike,
    sigma: ArrayLike,
    *,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    estimator: str = "trace",
    backend: str = "auto",
    precision: str = "float64",
    progress: Progress | None = None,
) -> Estimate:
    """V at levels a, sigma (T,) of the mixture of N(means[i], tau2 I), with one (x_0, ε) set for all levels.

    weights (C,) >= 0, not all 0, renormalised; means (C, d); tau2 >= 0; a >= 0 and sigma > 0. `estimator` is
    one of `ESTIMATORS`; "gamma" gives Γ in place of V. The error is one standard error. backend, precision and
    progress are as in `shared_moments`.
    """
    who = "shared_mmse"
    w, y = as_float(who, "weights", weights), as_float(who, "means", means)
    level_a, level_sigma = as_float(who, "a", a), as_float(who, "sigma", sigma)
    variance = as_float(who, "tau2", tau2)
    _check_shapes(who, w, y, variance, level_a, level_sigma)
    _check_range(who, "weights", w, 0.0)
    _check_range(who, "means", y, -np.inf)
    _check_range(who, "tau2", variance, 0.0)
    _check_range(who, "a", level_a, 0.0)
    _check_range(who, "sigma", level_sigma, np.nextafter(0.0, 1.0))
    if w.max() == 0:
        raise InvalidParameterError(f"{who}: some weight must be > 0; all {len(w)} are 0")
    count, random = check_count(who, "num_samples", num_samples), generator(who, rng)
    own = random.choice(len(w), size=count, p=w / w.sum())
    x0 = y[own] + math.sqrt(tau2) * random.standard_normal((count, y.shape[1]))
    noise = random.standard_normal(x0.shape)
    law = (w, y, float(tau2), level_a, level_sigma, estimator)
    found = shared_moments(x0, noise, own, *law, backend=backend, precision=precision, progress=progress)
    return found.estimate(estimator)


def _check_shapes(who: str, weights: Array, means: Array, tau2: Array, a: Array, sigma: Array) -> None:
    if means.ndim != 2 or means.size == 0 or weights.shape != means.shape[:1]:
        raise InvalidParameterError(
            f"{who}: weights must have shape (C,) and means (C, d); got {weights.shape} and {means.shape}"
        )
    if tau2.ndim:
        raise InvalidParameterError(f"{who}: tau2 must be a number, shared by all; got shape {tau2.shape}")
    if a.ndim != 1 or a.size == 0 or a.shape != sigma.shape:
        raise InvalidParameterError(
            f"{who}: a and sigma must have one shape (T,), T >= 1; got {a.shape} and {sigma.shape}"
        )


def _check_range(who: str, name: str, value: Array, least: float) -> None:
    check_finite(who, name, value)
    if (value < least).any():
        bound = ">= 0" if least == 0 else "> 0"
        raise InvalidParameterError(f"{who}: {name} must be {bound}; got {value.min()}")


def shared_moments(
    x0: Array,
    noise: Array,
    own: NDArray[np.int64],
    weights: Array,
    means: Array,
    tau2: float,
    a: Array,
    sigma: Array,
    estimator: str,
    *,
    backend: str = "auto",
    precision: str = "float64",
    progress: Progress | None = None,
) -> Moments:
    """Moments over M samples of `shared_samples`, at T levels, in bounded memory; arguments as there.

    backend   : "auto", "numpy", "numba" or "cupy"; "auto" takes Numba's kernel where plain code would take seconds
    precision : "float32" rounds the means, and the kernel then computes products and exponentials in float32 and
                sums in float64: 1e-6 of the scale of the data, so no digits of a V far below that; "tf32" is the same
                with products in tf32 on a GPU, 1e-3 of their terms
    progress  : called as progress(done, total), in samples
    """
    if estimator not in ESTIMATORS:
        raise InvalidParameterError(
            f"shared_moments: estimator must be one of {ESTIMATORS}; got {estimator!r}"
        )
    if precision not in PRECISIONS:
        raise InvalidParameterError(
            f"shared_moments: precision must be one of {PRECISIONS}; got {precision!r}"
        )
    if estimator == "score" and not np.all(a > 0):
        raise InvalidParameterError(
            f'shared_moments: the estimator "score" needs a > 0; a[{np.flatnonzero(a <= 0)[0]}] is 0, where '
            'the score says nothing about x_0. Use "pair" or "trace"'
        )
    means = means.astype(REALS[precision], copy=False)
    count, width = len(x0), means.shape[1] + 2
    samples = pick(
        "shared_samples", backend, shared_samples, seconds=plain_seconds(count, len(a), means, estimator)
    )
    if samples is shared_samples:
        levels = max(1, _HELD // width)
        rows = max(1, min(_HELD // (min(levels, len(a)) * width), _CACHED // (len(weights) * width)))
    else:
        levels, rows = _HELD, max(1, min(_ROWS, _HELD // len(a)))

    there = device("shared_moments", backend)
    with within(there, "shared_moments", x0), products(precision, there):
        law = (weights, means if there is None else there.settle(means), tau2)

        def block(some: slice, at: slice) -> Array:
            drawn = (x0[some], noise[some], own[some])
            return to_numpy(samples(*drawn, *law, a[at], sigma[at], estimator))

        return Moments.of_blocks(block, (count, len(a)), rows, levels, progress)


def plain_seconds(samples: int, levels: int, means: Array, estimator: str) -> float:
    """About what the plain function takes for M samples at T levels."""
    components, d = means.shape
    each = 6e-9 if estimator == "pair" else 6e-9 + 3e-10 * d
    return float(samples * levels * components * each)


def shared_samples(
    x0: Array,
    noise: Array,
    own: NDArray[np.int64],
    weights: Array,
    means: Array,
    tau2: float,
    a: Array,
    sigma: Array,
    estimator: str,
) -> Array:
    """(M, T) values whose mean over the samples is V_t, in units of x_0 squared ("gamma": Γ_t, of 1/x_t²).

    x0        : (M, d) drawn as means[own] + sqrt(tau2) ζ, ζ standard normal
    noise     : (M, d) standard normal ε, the same for all levels
    own       : (M,) component that each sample was drawn from; its weight is > 1e-280 of the largest
    weights   : (C,) >= 0, on any common scale; a component of weight 0 adds exactly 0
    means     : (C, d)
    tau2      : shared variance, 0 for points
    a, sigma  : (T,) levels, a >= 0 and a² tau2 + sigma² > 0; "score" needs a > 0
    estimator : "pair", "trace", "residual", "score", or "gamma", ‖s‖²/d

    "pair" and "trace" subtract terms no larger than ‖x_0 - E[x_0|x_t]‖², whose mean is V itself, x_0 being a
    draw from the posterior: rounding takes digits from rare samples, none from their mean. "score" loses them
    at low SNR by its nature.
    """
    level = _levels(a, sigma, tau2)
    centre = means[own]
    p = x0 - centre
    share = weights / weights.max()
    sums = np.zeros((len(x0), len(a), _columns(estimator, x0.shape[1])))
    for some in blocks(len(means), max(1, _CACHED // (x0.shape[1] + 2))):
        apart = means[some] - centre[:, None, :]
        along = apart @ np.stack([p, noise], axis=-1)
        squared = np.einsum("mcd,mcd->mc", apart, apart)
        products = np.stack([0.5 * squared - along[..., 0], along[..., 1]], axis=1)
        terms = np.empty((*squared.shape, sums.shape[2]))
        terms[..., 0] = 1.0
        if estimator == "pair":
            terms[..., 1:] = products.swapaxes(1, 2)
        else:
            terms[..., -x0.shape[1] :] = apart
            if estimator == "trace":
                terms[..., 1] = squared
        terms *= share[some, None]
        _add_weighted(sums, products, terms, level)
    averages = sums[..., 1:] / sums[..., :1]
    return _STATISTICS[estimator](averages, p, noise, level)


class _Levels(NamedTuple):
    """What the levels contribute, each (T,)."""

    a: Array
    sigma: Array
    total: Array  # v = a² τ² + σ², variance of x_t within a component
    distance: Array  # a²/v, what multiplies -G in the exponent
    noise: Array  # aσ/v, what multiplies E in the exponent
    shrink: Array  # σ²/v, what is left of x_0 - y_i in x_0 - m_i
    push: Array  # aτ²σ/v: x_0 - m_i = shrink (x_0 - y_i) - push ε
    within: Array  # τ²σ²/v, variance of x_0 given x_t and its component


def _levels(a: Array, sigma: Array, tau2: float) -> _Levels:
    v = a * a * tau2 + sigma * sigma
    return _Levels(
        a,
        sigma,
        v,
        a * a / v,
        a * sigma / v,
        sigma * sigma / v,
        a * sigma * tau2 / v,
        tau2 * sigma * sigma / v,
    )


def _columns(estimator: str, d: int) -> int:
    """Width of the sums: 1, then G and E for "pair", ‖D‖² and D for "trace", D for the others."""
    return {"pair": 3, "trace": d + 2}.get(estimator, d + 1)


def _add_weighted(sums: Array, products: Array, terms: Array, level: _Levels) -> None:
    """Add Σ_i exp(-distance G_i + noise E_i) terms_i to sums (M, T, F), over one block of components.

    products : (M, 2, C), G and E
    terms    : (M, C, F)
    """
    size = max(32, _CACHED // (products.shape[0] * products.shape[2]))
    for at in blocks(sums.shape[1], size):
        factors = np.stack([-level.distance[at], level.noise[at]], axis=-1)
        # What no level of this block can lift above the smallest number is left out: at high SNR nearly all.
        ends = np.stack([factors.min(0), factors.max(0)])[:, None, :, None]
        alive = ((ends * products).max(0).sum(1) > _UNDERFLOW).any(0)
        some = slice(None) if alive.all() else alive
        exponents = factors @ products[:, :, some]
        sums[:, at] += np.exp(exponents, out=exponents) @ terms[:, some]


def _norm2(x: Array) -> Array:
    return np.asarray(np.einsum("...d,...d->...", x, x))


def _pair(averages: Array, p: Array, noise: Array, level: _Levels) -> Array:
    """½ Σ_i w_i (Tr S_i + ‖x_0 - m_i‖²)/d, expanded about the own component by G and E."""
    d = p.shape[1]
    own = _norm2(p)[:, None] * level.shrink**2 + _norm2(noise)[:, None] * level.push**2
    own -= 2.0 * np.einsum("md,md->m", p, noise)[:, None] * (level.shrink * level.push)
    others = level.shrink**2 * averages[..., 0] + level.shrink * level.push * averages[..., 1]
    return np.asarray(0.5 * level.within + (0.5 * own + others) / d)


def _trace(averages: Array, p: Array, noise: Array, level: _Levels) -> Array:
    """Tr Cov(x_0|x_t)/d = τ²σ²/v + (σ²/v)² (Σ_i w_i ‖D_i‖² - ‖Σ_i w_i D_i‖²)/d."""
    spread = averages[..., 0] - _norm2(averages[..., 1:])
    return np.asarray(level.within + level.shrink**2 * spread / p.shape[1])


def _residual(averages: Array, p: Array, noise: Array, level: _Levels) -> Array:
    """‖x_0 - E[x_0|x_t]‖²/d."""
    off = level.shrink[:, None] * (p[:, None, :] - averages) - level.push[:, None] * noise[:, None, :]
    return np.asarray(_norm2(off) / p.shape[1])


def _gamma(averages: Array, p: Array, noise: Array, level: _Levels) -> Array:
    """‖s‖²/d, s = -(x_t - a Σ_i w_i y_i)/v."""
    off = level.a[:, None] * (p[:, None, :] - averages) + level.sigma[:, None] * noise[:, None, :]
    return np.asarray(_norm2(off / level.total[:, None]) / p.shape[1])


def _score(averages: Array, p: Array, noise: Array, level: _Levels) -> Array:
    """(σ²/a²)(1 - σ² ‖s‖²/d)."""
    gamma = _gamma(averages, p, noise, level)
    return np.asarray((level.sigma / level.a) ** 2 * (1.0 - level.sigma**2 * gamma))


_STATISTICS = {"pair": _pair, "trace": _trace, "residual": _residual, "gamma": _gamma, "score": _score}
