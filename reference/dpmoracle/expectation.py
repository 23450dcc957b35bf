"""V_t and Γ_t of a mixture at given levels: which method applies, and its error."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import array_module, to_numpy
from .backends import REALS, device, pick, products, within
from .errors import InvalidParameterError
from .estimate import Estimate
from .features import pair_samples
from .mixture import GaussianMixture
from .moments import Moments
from .projection import project
from .quadrature import between
from .shared import Progress, shared_moments

__all__ = ["METHODS", "expected"]

Array = NDArray[np.float64]
METHODS = ("exact", "quadrature", "trace", "pair", "residual", "score")
_GOOD = 1e-8  # a quadrature bound above this share of the value makes way for sampling
_MANY = 16  # components up to which quadrature is tried unasked: its work grows with their cube
_ROUNDING = 2e-15
_TINY = 2.3e-308  # what underflow may have lost
_SAMPLES = 256  # samples carried through all levels at once
_HELD = 2**21  # float64 numbers of one array over components, samples and levels


def expected(
    q0: GaussianMixture,
    a: Array,
    sigma: Array,
    quantity: str,
    num_samples: int,
    rng: np.random.Generator,
    method: str | None,
    backend: str = "auto",
    precision: str = "float64",
    progress: Progress | None = None,
) -> Estimate:
    """V ("mmse") or Γ ("gamma") at levels a, sigma (T,); backend, precision and progress as in `shared_moments`.

    Levels without noise have closed forms: V = 0; Γ = inf where a covariance is singular, else it is the Fisher
    information and is found as at any other level.
    """
    q = q0.support
    closed = (sigma == 0) & (quantity == "mmse" or q.is_singular)
    value = np.where(closed, 0.0 if quantity == "mmse" else np.inf, 0.0)
    error, count = np.zeros(len(a)), np.full(len(a), np.inf)
    todo = np.flatnonzero(~closed)
    if method == "exact" and not _is_gaussian(q):
        raise InvalidParameterError(
            f'Oracle.{quantity}: method "exact" needs a single Gaussian; got {q0!r}. '
            "Leave method=None to have it chosen"
        )
    if _is_gaussian(q) and method in (None, "exact"):
        value[todo] = [_within(q, *level, quantity) / q.d for level in zip(a[todo], sigma[todo])]
        error[todo] = _ROUNDING * value[todo]
        return Estimate(value, error, "exact", count)
    if method == "quadrature" or (method is None and q.n_components <= _MANY):
        value[todo], error[todo] = _integrated(q, a[todo], sigma[todo], quantity)
        bad = error > _GOOD * value + _TINY
        if not bad.any():
            return Estimate(value, error, "quadrature", count)
        if method is not None:
            raise InvalidParameterError(_out_of_reach(q, quantity, int(bad.sum())))
    if method is None:
        # ‖s‖² itself is the better route to Γ where there is a density; for points 1 - uV is, by far.
        method = "score" if quantity == "gamma" and not q.is_singular else "trace"
    if method == "score" and quantity == "mmse" and (a[todo] == 0).any():
        raise InvalidParameterError(
            'Oracle.mmse: method "score" needs a > 0 (some signal); where a = 0 the score knows nothing of x_0. '
            'Use "trace"'
        )
    statistic = "gamma" if (quantity, method) == ("gamma", "score") else method
    found = _sampled(q, a[todo], sigma[todo], statistic, num_samples, rng, backend, precision, progress)
    value[todo], error[todo], count[todo] = found.mean, found.stderr, found.effective_count
    if quantity == "gamma" and method != "score":
        u = np.square(a[todo] / sigma[todo])
        value[todo] = (1 - u * value[todo]) / np.square(sigma[todo])
        error[todo] *= u / np.square(sigma[todo])
    return Estimate(value, error, method, count)


def _is_gaussian(q: GaussianMixture) -> bool:
    same = q.shared_variance is not None and (q.means == q.means[0]).all()
    return q.n_components == 1 or bool(same)


def _within(q: GaussianMixture, a: float, sigma: float, quantity: str) -> float:
    """Σ_i w_i Tr(σ² S_i P_i), the part of d V within the components, or Σ_i w_i Tr(P_i) for d Γ."""
    e, s2 = q.eigenvalues(), sigma * sigma
    v = a * a * e + s2
    return float(q.weights @ ((e * s2 if quantity == "mmse" else 1.0) / v).sum(1))


def _integrated(q: GaussianMixture, a: Array, sigma: Array, quantity: str) -> tuple[Array, Array]:
    """V or Γ and its bound: what is closed within the components, and between them by quadrature; inf bound if not."""
    inner = project(q)
    if inner is None:
        return np.zeros(len(a)), np.full(len(a), np.inf)
    sign = 1 if quantity == "mmse" else -1
    total, error = np.zeros(len(a)), np.zeros(len(a))
    for k, level in enumerate(zip(a.tolist(), sigma.tolist())):
        within = _within(q, *level, quantity)
        spread, bound = between(inner, *level, quantity, sign * within)
        total[k], error[k] = within + sign * spread, bound + _ROUNDING * within
    return total / q.d, error / q.d + _TINY


def _out_of_reach(q: GaussianMixture, quantity: str, levels: int) -> str:
    if project(q) is None:
        return (
            f'Oracle.{quantity}: method "quadrature" needs d <= 2, or one shared isotropic covariance and means that '
            f"span at most two dimensions; got {q!r}. Use a Monte Carlo method"
        )
    return (
        f'Oracle.{quantity}: method "quadrature" cannot reach 8 digits at {levels} of the levels, where the '
        "components' widths differ too much. Use a Monte Carlo method"
    )


def _sampled(
    q0: GaussianMixture,
    a: Array,
    sigma: Array,
    statistic: str,
    num_samples: int,
    rng: np.random.Generator,
    backend: str,
    precision: str,
    progress: Progress | None,
) -> Moments:
    """Moments over samples of a statistic at every level, with the same (x_0, ε) for all levels."""
    x0, own = q0.sample_labelled(num_samples, rng)
    noise = rng.standard_normal(x0.shape)
    tau2 = q0.shared_variance
    if tau2 is not None:
        law = (q0.weights, q0.means, tau2, a, sigma, statistic)
        return shared_moments(x0, noise, own, *law, backend=backend, precision=precision, progress=progress)
    shape, who = (num_samples, len(a)), "Oracle.mmse"
    there = device(who, backend)
    with within(there, who, x0), products(precision, there):
        if there is not None:
            x0, noise = there.adopt(x0), there.adopt(noise)
        if statistic == "pair":
            samples, rows, columns = _paired(q0, shape, backend, precision, array_module(x0))
        else:
            rows, columns = _SAMPLES, len(a)

            def samples(clean: Array, noise: Array, a: Array, sigma: Array) -> Array:
                each = [_statistic(q0, clean, noise, *level, statistic, backend) for level in zip(a, sigma)]
                return np.stack(each, 1)

        return Moments.of_blocks(
            lambda some, at: samples(x0[some], noise[some], a[at], sigma[at]), shape, rows, columns, progress
        )


def _paired(
    q0: GaussianMixture, shape: tuple[int, int], backend: str, precision: str, xp: Any
) -> tuple[Callable[[Array, Array, Array, Array], Array], int, int]:
    """The pair estimator (x_0, ε, a, σ) -> (M, T), with how many samples and levels it is given at once."""
    log_weights, means, spectrum, basis = q0.parts(xp)
    seconds = 1e-9 * math.prod(shape) * means.size
    samples = pick("pair_samples", backend, pair_samples, seconds=seconds)
    law = (log_weights, means.astype(REALS[precision]), spectrum, basis)
    columns = max(1, _HELD // len(means))
    rows = max(1, columns // shape[1])
    return (lambda x0, noise, a, s: to_numpy(samples(x0, noise, *law, a, s))), rows, columns


def _statistic(
    q0: GaussianMixture, x0: Array, noise: Array, a: float, sigma: float, method: str, backend: str
) -> Array:
    """(M,) per-sample values whose mean is V (or Γ for "gamma") at one level."""
    level = array_module(x0).ones(len(x0))
    rows = (a * x0 + sigma * noise, a * level, sigma * level, backend)
    if method in ("trace", "residual"):
        mean, trace = q0.moments(*rows)
        found = trace if method == "trace" else np.square(x0 - mean).sum(-1)
    else:
        found = np.square(q0.density(*rows)[1]).sum(-1)
        if method == "score":
            found = np.square(sigma / a) * (q0.d - sigma * sigma * found)
    return to_numpy(found) / q0.d
