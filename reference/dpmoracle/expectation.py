"""V_t and Γ_t of a mixture at given levels: which method applies, and its error."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameterError
from .estimate import Estimate
from .mixture import GaussianMixture
from .moments import Moments
from .posterior import Posterior
from .quadrature import Projection, integrate, project
from .shared import shared_moments

__all__ = ["METHODS", "expected"]

Array = NDArray[np.float64]
METHODS = ("exact", "quadrature", "trace", "pair", "residual", "score")
_GOOD = (
    1e-9  # a quadrature bound above this share of the value makes way for sampling, unless asked for by name
)
_SAMPLES = 256  # samples carried through all levels at once


def expected(
    q0: GaussianMixture,
    a: Array,
    sigma: Array,
    quantity: str,
    num_samples: int,
    rng: np.random.Generator,
    method: str | None,
) -> Estimate:
    """V ("mmse") or Γ ("gamma") at levels a, sigma (T,).

    Levels without noise have closed forms: V = 0; Γ = inf where a covariance is singular, else it is the Fisher
    information and is found as at any other level.
    """
    projection = project(q0) if method in (None, "exact", "quadrature") else None
    if method == "exact" and not (_is_gaussian(q0) or (projection and projection.rank == 0)):
        raise InvalidParameterError(
            f'{quantity}: method "exact" needs a single Gaussian; this mixture has {q0.n_components} components. '
            "Leave method=None to have it chosen"
        )
    if method == "quadrature" and projection is None:
        raise InvalidParameterError(
            f'{quantity}: method "quadrature" needs d <= 2, or one shared isotropic covariance and means that span '
            f"at most two dimensions; got {q0!r}. Use a Monte Carlo method"
        )
    value, error = np.zeros(len(a)), np.zeros(len(a))
    count = np.full(len(a), np.inf)
    closed = sigma == 0
    if quantity == "gamma":
        value[closed] = np.inf
        if not q0.is_singular:
            closed = np.zeros(len(a), dtype=bool)
    todo = np.flatnonzero(~closed)
    if _is_gaussian(q0) and method in (None, "exact"):
        value[todo] = _gaussian(q0, a[todo], sigma[todo], quantity)
        error[todo] = 1e-15 * value[todo]
        return Estimate(value, error, "exact", count)
    if projection is not None:
        value[todo], error[todo] = _projected(projection, a[todo], sigma[todo], quantity)
        if method is not None or (error[todo] <= _GOOD * value[todo]).all():
            return Estimate(value, error, "exact" if projection.rank == 0 else "quadrature", count)
    if method is None:
        # ‖s‖² itself is the better route to Γ where there is a density; for points 1 - uV is, by far.
        method = "score" if quantity == "gamma" and not q0.is_singular else "trace"
    found = _sampled(q0, a[todo], sigma[todo], quantity, num_samples, rng, method)
    value[todo], error[todo], count[todo] = found.mean, found.stderr, found.effective_count
    if quantity == "gamma" and method != "score":
        u = np.square(a[todo] / sigma[todo])
        value[todo] = (1 - u * value[todo]) / np.square(sigma[todo])
        error[todo] *= u / np.square(sigma[todo])
    return Estimate(value, error, method, count)


def _is_gaussian(q0: GaussianMixture) -> bool:
    return int((q0.weights > 0).sum()) == 1


def _gaussian(q0: GaussianMixture, a: Array, sigma: Array, quantity: str) -> Array:
    """V = mean_k e_k σ²/(a² e_k + σ²) and Γ = mean_k 1/(a² e_k + σ²) over the eigenvalues of the covariance."""
    e = q0.eigenvalues()[int(q0.weights.argmax())]
    s2 = np.square(sigma)[:, None]
    v = np.square(a)[:, None] * e + s2
    return np.asarray(((e * s2 if quantity == "mmse" else 1.0) / v).mean(1))


def _projected(p: Projection, a: Array, sigma: Array, quantity: str) -> tuple[Array, Array]:
    """[r · quadrature in the span + (d - r) · closed form outside it] / d, and its bound."""
    total, error = np.zeros(len(a)), np.zeros(len(a))
    if p.rest > 0:
        s2 = np.square(sigma)
        total += p.rest * (p.tau2 * s2 if quantity == "mmse" else 1.0) / (np.square(a) * p.tau2 + s2)
    if p.inner is not None:
        statistic: Callable[[Posterior], Array] = _score_norm if quantity == "gamma" else Posterior.trace
        for k in range(len(a)):
            value, bound = integrate(p.inner, float(a[k]), float(sigma[k]), statistic)
            total[k] += value
            error[k] += bound
    d = p.rank + p.rest
    return total / d, error / d + 1e-15 * total / d


def _score_norm(p: Posterior) -> Array:
    return np.asarray(np.square(p.score).sum(-1))


def _sampled(
    q0: GaussianMixture,
    a: Array,
    sigma: Array,
    quantity: str,
    num_samples: int,
    rng: np.random.Generator,
    method: str,
) -> Moments:
    """Moments over samples of the statistic of `method`, at every level, with the same (x_0, ε) for all levels."""
    x0, own = q0.sample_labelled(num_samples, rng)
    noise = rng.standard_normal(x0.shape)
    statistic = "gamma" if (quantity, method) == ("gamma", "score") else method
    tau2 = q0.shared_variance
    if tau2 is not None:
        return shared_moments(x0, noise, own, q0.weights, q0.means, tau2, a, sigma, statistic)
    parts = [
        Moments.of(
            np.stack([_statistic(q0, x0[some], noise[some], *level, statistic) for level in zip(a, sigma)], 1)
        )
        for some in (slice(start, start + _SAMPLES) for start in range(0, num_samples, _SAMPLES))
    ]
    return reduce(add, parts)


def _statistic(q0: GaussianMixture, x0: Array, noise: Array, a: float, sigma: float, method: str) -> Array:
    """(M,) per-sample values whose mean is V (or Γ for "gamma") at one level; DESIGN section 4."""
    x = a * x0 + sigma * noise
    out = np.empty(len(x))
    for block in q0.blocks(len(x)):
        level = np.ones(len(x[block]))
        p = q0.posterior(x[block], a * level, sigma * level)
        if method == "trace":
            out[block] = p.trace()
        elif method == "residual":
            out[block] = np.square(x0[block] - p.mean).sum(-1)
        elif method == "pair":
            squares = np.square(x0[block][:, None, :] - p.mean[:, None, :] - p.offsets).sum(-1)
            within = p.spectrum.sum(-1) * (q0.d // p.spectrum.shape[-1])
            out[block] = 0.5 * (p.weights * (within + squares)).sum(-1)
        elif method == "gamma":
            out[block] = np.square(p.score).sum(-1)
        else:
            ratio = np.square(sigma / a)
            out[block] = ratio * (q0.d - sigma * sigma * np.square(p.score).sum(-1))
    return out / q0.d
