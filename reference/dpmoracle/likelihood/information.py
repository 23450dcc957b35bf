r"""V of a mixture as a function of the SNR alone, and its integral: mutual information, twice and per dimension.

With u the SNR, dI(x_0; sqrt(u) x_0 + ε)/du = (d/2) V(u) [guo2005, I-MMSE]. The variable of integration is
y = log(1 + V(0) u): the integrand V (1 + V(0) u)/V(0) lies in [0, 1] for every distribution (a Gaussian of the same
variance is the hardest to estimate), is 1 for an isotropic Gaussian, and nothing special happens at u = 0. The fixed
rule beneath sampled V has `_reach` for V(0), because it cannot see where V changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count, generator
from ..errors import InvalidParameterError
from ..estimate import Estimate
from ..expectation import expected
from ..mixture import GaussianMixture
from ..moments import Moments
from ..snr_rules import clenshaw_curtis, snr_rule
from .draws import levels_at, trace_samples

__all__ = ["METHODS", "Information", "check_method", "gather", "snr_integral"]

Array = NDArray[np.float64]
METHODS = ("exact", "quadrature", "monte carlo")

_TOLERANCE = 1e-10  # of the integral
_GOOD = 1e-6  # a larger bound makes way for sampling, unless quadrature is asked for by name
_MANY = 16  # components up to which quadrature is tried unasked: its work grows with their cube


@dataclass(frozen=True, eq=False)
class Information:
    """V at some SNRs and its integral, found together so that the error of a sum of both is known.

    mmse           : (T,) V
    integral       : ∫ V du
    mmse_bound     : (T,) error bound; 0 where sampled
    integral_bound : error bound; 0 where sampled
    samples        : (M, T+1) per-sample values of V and, last, of the integral; None where nothing was sampled
    method         : one of METHODS
    """

    mmse: Array
    integral: float
    mmse_bound: Array
    integral_bound: float
    samples: Array | None
    method: str

    @property
    def mmse_error(self) -> Array:
        """(T,) bound, or one standard error, of each V."""
        return self.mmse_bound if self.samples is None else Moments.of(self.samples).stderr[:-1]

    @property
    def mmse_count(self) -> Array:
        """(T,) number of samples that carry each V; inf where nothing was sampled."""
        if self.samples is None:
            return np.full(self.mmse.shape, np.inf)
        return Moments.of(self.samples).effective_count[:-1]

    def error_of(self, mmse_weights: Array, integral_weight: float) -> float:
        """Bound, or one standard error, of a function with these derivatives by V (T,) and by the integral."""
        weights = np.append(mmse_weights, integral_weight)
        if self.samples is not None:
            return float(Moments.of(self.samples @ weights).stderr)
        return float(np.abs(weights) @ np.append(self.mmse_bound, self.integral_bound))

    def effective_count(self, mmse_weights: Array) -> float:
        """Samples that carry the part of such a function that adds most to its error; inf where none were drawn."""
        if self.samples is None:
            return np.inf
        parts = Moments.of(self.samples if mmse_weights.any() else self.samples[:, -1:])
        weights = np.append(np.abs(mmse_weights), 0.0) if mmse_weights.any() else np.ones(1)
        return float(parts.effective_count[int((weights * parts.stderr).argmax())])


def snr_integral(
    q0: GaussianMixture,
    low: float,
    high: float,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    *,
    method: str | None = None,
) -> Estimate:
    r"""Integral of V(u) = E Tr Cov(x_0|x)/d over the SNR u from low to high.

    .. math:: \int_{u_1}^{u_2} V\,du = \frac2d \bigl[I(x_0; x_{u_2}) - I(x_0; x_{u_1})\bigr] \le \sum J
       \qquad \text{[guo2005, I-MMSE]}

    q0        : the law of x_0
    low, high : 0 <= low <= high; high may be inf: then (d/2) ∫ is the mutual information that is left, log C for
                C equally likely distinct points from low = 0, and inf where a covariance is not zero
    method    : None chooses "exact" (one Gaussian), "quadrature" (at most 16 components, and d <= 2 or means that
                span at most two dimensions with one shared isotropic covariance), else "monte carlo", which
                alone uses num_samples and rng: one set of (x_0, ε) for all levels, drawn as in `draws.trace_samples`
    Returns an Estimate in nats times 2/d. Raises InvalidParameterError for limits that are not ordered.
    """
    who = "snr_integral"
    check_mixture(who, q0)
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    check_method(who, method)
    if not 0 <= low <= high or low == np.inf:
        raise InvalidParameterError(
            f"{who}: needs 0 <= low <= high, low finite; got low = {low!r}, high = {high!r}"
        )
    tail = 0.0
    if high == np.inf:
        used = q0.weights > 0
        if (q0.eigenvalues()[used] > 0).any():
            return Estimate(np.asarray(np.inf), np.asarray(0.0), "exact", np.asarray(np.inf))
        high, tail = _last_level(np.unique(q0.means[used], axis=0), low)
    found = gather(who, q0, np.empty(0), low, high, count, random, method)
    error = found.error_of(np.empty(0), 1.0) + tail / q0.d
    return Estimate(
        np.asarray(found.integral),
        np.asarray(error),
        found.method,
        np.asarray(found.effective_count(np.empty(0))),
    )


def gather(
    who: str,
    q0: GaussianMixture,
    u: Array,
    low: float,
    high: float,
    num_samples: int,
    rng: np.random.Generator,
    method: str | None,
) -> Information:
    """V at the SNRs u (T,) and its integral from low to high, by the best method that applies or the one named."""
    if int((q0.weights > 0).sum()) == 1 and method in (None, "exact"):
        return _gaussian(q0, u, low, high)
    if method == "exact":
        raise InvalidParameterError(
            f'{who}: method "exact" needs a single Gaussian; got {q0!r}. Leave method=None to have it chosen'
        )
    found = None
    if method == "quadrature" or (method is None and q0.n_components <= _MANY):
        try:
            found = _integrated(q0, u, low, high)
        except InvalidParameterError as error:  # a mixture, or a level, out of the reach of `expected`
            if method is not None:
                raise InvalidParameterError(
                    f'{who}: method "quadrature" does not reach {q0!r} at an SNR of up to '
                    f'{u.max(initial=high):.6g}; use method="monte carlo" ({error})'
                ) from None
    if found is not None and (method is not None or _worst_case(found, u.max(initial=high)) <= _GOOD):
        return found
    return _sampled(q0, u, low, high, num_samples, rng)


def _worst_case(found: Information, span: float) -> float:
    """Bound on the error of Σ log(1 + V Δu) - ∫ V du, whose slopes by V are at most 1/V and Δu <= span."""
    with np.errstate(divide="ignore"):
        slopes = np.minimum(1 / found.mmse, span)
    return found.error_of(slopes, 1.0)


def check_mixture(who: str, q0: object) -> None:
    """Distributions are known only as mixtures."""
    if not isinstance(q0, GaussianMixture):
        raise InvalidParameterError(
            f"{who}: q0 must be a GaussianMixture; got {type(q0).__name__}. Of an Oracle give orc.q0, "
            "of data GaussianMixture.from_points(Y)"
        )


def check_method(who: str, method: str | None) -> None:
    """None, or one of METHODS."""
    if method is not None and method not in METHODS:
        raise InvalidParameterError(
            f"{who}: method must be None or one of {', '.join(METHODS)}; got {method!r}"
        )


def _last_level(points: Array, low: float) -> tuple[float, float]:
    r"""(u, d times the integral of V beyond it) for distinct points, by the error of the nearest-point guess.

    .. math:: d\,V \le \max_i \sum_j D_{ij}^2 Q(D_{ij}\sqrt u/2), \quad
       \int_U^\infty D^2 Q(D \sqrt u/2)\,du \le 4 e^{-U D^2/8}
    """
    if len(points) == 1:
        return low, 0.0
    from scipy.spatial import cKDTree

    distances: Array = np.asarray(cKDTree(points).query(points, k=2)[0])
    nearest = float(distances[:, 1].min())
    high = max(low, 8 / nearest**2 * (np.log(4.0 * len(points)) + 37))  # e^-37 = 1e-16
    return float(high), float(4 * len(points) * np.exp(-high * nearest**2 / 8))


def _gaussian(q0: GaussianMixture, u: Array, low: float, high: float) -> Information:
    """V = mean 1/(1/e + u) over the eigenvalues e, and ∫ V = mean log((1 + e high)/(1 + e low))."""
    e = q0.eigenvalues()[int(q0.weights.argmax())]
    v: Array = (e / (1 + np.multiply.outer(u, e))).mean(-1)
    integral = float(np.log1p(e * (high - low) / (1 + e * low)).mean())
    return Information(v, integral, 4e-16 * v, 4e-16 * integral, None, "exact")


def _integrated(q0: GaussianMixture, u: Array, low: float, high: float) -> Information:
    """By quadrature over x within a level and over y between levels; raises where a level is out of reach."""
    unused = np.random.default_rng(0)
    start = q0.trace_cov() / q0.d

    def mmse_and_bound(at: Array) -> Array:
        found = expected(q0, *levels_at(at), "mmse", 2, unused, "quadrature")
        if not np.isfinite(found.error).all():
            raise InvalidParameterError("the bound is inf")
        return np.array([found.value, found.error])

    def over_y(y: float) -> Array:
        return np.asarray(mmse_and_bound(np.array([np.expm1(y) / start]))[:, 0] * (np.exp(y) / start))

    v, v_bound = mmse_and_bound(u)
    (total, bound), rule = np.zeros(2), 0.0
    if start > 0:
        y0, y1 = np.log1p(start * np.array([low, high]))
        (total, bound), rule = clenshaw_curtis(over_y, float(y0), float(y1), _TOLERANCE)
    return Information(v, float(total), v_bound, float(bound + rule), None, "quadrature")


def _sampled(
    q0: GaussianMixture, u: Array, low: float, high: float, num_samples: int, rng: np.random.Generator
) -> Information:
    """By Monte Carlo over (x_0, ε), the same for all levels; the rule between levels is exact beside that."""
    levels, weights = snr_rule(_reach(q0), low, high)
    samples = np.empty((num_samples, u.size + 1))
    done = 0
    for v in trace_samples(q0, np.append(u, levels), num_samples, rng):
        rows = slice(done, done + len(v))
        samples[rows, :-1] = v[:, : u.size]
        samples[rows, -1] = v[:, u.size :] @ weights
        done += len(v)
    mean = Moments.of(samples).mean
    return Information(mean[:-1], float(mean[-1]), np.zeros(u.size), 0.0, samples, "monte carlo")


def _reach(q0: GaussianMixture) -> float:
    """Largest variance along the way to any component: below an SNR of its inverse V is about V(0).

    V(0) itself will not do for a scale: rare components far away add little to it.
    """
    q = q0.support
    return float((np.square(q.means - q.mean()).sum(1) + q.eigenvalues().max(1)).max())
