"""Differential entropy of a mixture, and its KL divergence to N(0, I)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count, generator
from ..errors import InvalidParameterError
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..moments import Moments
from ..plane_integral import integrate, seen_in_the_plane
from ..posterior import Posterior
from .information import check_method, check_mixture

__all__ = ["add_estimates", "check_density", "entropy", "kl_to_normal"]

Array = NDArray[np.float64]

_LOG_2PI = float(np.log(2 * np.pi))
_GOOD = 1e-6  # a larger quadrature bound makes way for sampling, unless quadrature is asked for by name


def entropy(
    q: GaussianMixture,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    *,
    method: str | None = None,
) -> Estimate:
    r"""Differential entropy h = -E log q(x), in nats.

    method : None chooses "exact" (one Gaussian), "quadrature" (d <= 2, or means that span at most two dimensions
             with one shared isotropic covariance), else "monte carlo", which alone uses num_samples and rng
    Raises InvalidParameterError where a component has no density (add noise: q.diffuse(a, sigma)).
    """
    who = "entropy"
    check_density(who, q)
    check_method(who, method)
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    if _is_gaussian(q) and method in (None, "exact"):
        return _certain(0.5 * float(np.log(2 * np.pi * np.e * _own_eigenvalues(q)).sum()), "exact")
    plane = _in_the_plane(who, q, method)
    if plane is not None:
        inner, rest, tau2 = plane
        value, bound = _integral(who, inner, lambda p: -p.log_prob, method)
        if method is not None or bound <= _GOOD:
            value += 0.5 * rest * (1 + _LOG_2PI + np.log(tau2)) if rest else 0.0
            return _certain(value, "quadrature", bound)
    return _sampled_entropy(q, count, random)


def kl_to_normal(
    q: GaussianMixture,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    *,
    method: str | None = None,
) -> Estimate:
    r"""KL(q ‖ N(0, I)) in nats: what a chain pays for starting from pure noise, with q = q_N.

    num_samples, rng, method : as for `entropy`. Monte Carlo splits it at g, the Gaussian with the mean and covariance
        of q, as KL(q ‖ g) + KL(g ‖ N(0, I)): the second part is exact and the first nearly without noise at low SNR.
    Raises InvalidParameterError where a component has no density.
    """
    who = "kl_to_normal"
    check_density(who, q)
    check_method(who, method)
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    if _is_gaussian(q) and method in (None, "exact"):
        mean = q.means[int(q.weights.argmax())]
        return _certain(_gaussian_kl(_own_eigenvalues(q), mean), "exact")
    plane = _in_the_plane(who, q, method)
    if plane is not None:
        inner, rest, tau2 = plane
        value, bound = _integral(who, inner, _log_ratio_to_normal, method)
        if method is not None or bound <= _GOOD:
            # `inner` has its own origin: KL to N(0, I) moves with it by half the change of E‖x‖².
            shift = q.weights @ np.square(q.means).sum(1) - inner.weights @ np.square(inner.means).sum(1)
            return _certain(
                value + 0.5 * shift + _gaussian_kl(np.full(rest, tau2), np.zeros(rest)), "quadrature", bound
            )
    matched = _matched_gaussian(q)
    x = q.sample(count, random)
    found = Moments.of(q.log_prob(x) - matched.log_prob(x))
    exact = _gaussian_kl(_own_eigenvalues(matched), matched.means[0])
    return Estimate(exact + found.mean, found.stderr, "monte carlo", np.asarray(float(count)))


def check_density(who: str, q: GaussianMixture) -> None:
    """Entropies and densities of data points are not defined."""
    check_mixture(who, q)
    if q.is_singular:
        raise InvalidParameterError(
            f"{who}: not defined for data points or singular covariances, which have no density (the KL would be "
            "inf, the entropy -inf). Leave x_0 out, add noise with diffuse(a, sigma), or use elbo"
        )


def add_estimates(*parts: Estimate) -> Estimate:
    """The sum of independent scalars: bounds add, standard errors add in squares.

    The method is the weakest, the effective count that of the part with the largest error.
    """
    order = ("exact", "quadrature", "monte carlo")
    method = max((part.method for part in parts), key=order.index)
    bounds = sum(float(part.error) for part in parts if part.method != "monte carlo")
    spread = np.sqrt(sum(float(part.error) ** 2 for part in parts if part.method == "monte carlo"))
    return Estimate(
        np.asarray(sum(float(part.value) for part in parts)),
        np.asarray(bounds + spread),
        method,
        np.asarray(float(max(parts, key=lambda part: float(part.error)).effective_count)),
    )


def _certain(value: float, method: str, bound: float | None = None) -> Estimate:
    error = 4e-16 * abs(value) if bound is None else bound + 1e-15 * abs(value)
    return Estimate(np.asarray(float(value)), np.asarray(float(error)), method, np.asarray(np.inf))


def _is_gaussian(q: GaussianMixture) -> bool:
    return int((q.weights > 0).sum()) == 1


def _own_eigenvalues(q: GaussianMixture) -> Array:
    return np.asarray(q.eigenvalues()[int(q.weights.argmax())])


def _gaussian_kl(variances: Array, mean: Array) -> float:
    """KL of a Gaussian with these eigenvalues and this mean to N(0, I)."""
    away = variances - 1
    return 0.5 * float((away - np.log1p(away)).sum() + mean @ mean)


def _log_ratio_to_normal(p: Posterior) -> Array:
    """log q(x) - log N(x; 0, I), where the posterior mean is x itself: nothing is added to x."""
    x = p.mean
    return np.asarray(p.log_prob + 0.5 * (np.square(x).sum(-1) + x.shape[-1] * _LOG_2PI))


def _integral(
    who: str, q: GaussianMixture, statistic: Callable[[Posterior], Array], method: str | None
) -> tuple[float, float]:
    """E statistic over x ~ q and its bound; what quadrature cannot resolve is refused if it was asked for."""
    value, bound = integrate(q, statistic)
    if method is not None and not np.isfinite(bound):
        raise InvalidParameterError(
            f'{who}: method "quadrature" cannot resolve {q!r}: its components differ too much in width. '
            'Use method="monte carlo"'
        )
    return value, bound


def _in_the_plane(
    who: str, q: GaussianMixture, method: str | None
) -> tuple[GaussianMixture, int, float] | None:
    """What quadrature can be done on, if it may be; a method that does not apply is refused."""
    if method == "monte carlo":
        return None
    found = seen_in_the_plane(q, limited=method is None)
    if method == "exact" or (method == "quadrature" and found is None):
        raise InvalidParameterError(
            f'{who}: method "{method}" does not apply to {q!r}: "exact" needs one Gaussian, "quadrature" d <= 2, or '
            "one shared isotropic covariance and means that span at most two dimensions"
        )
    return found


def _sampled_entropy(q: GaussianMixture, num_samples: int, rng: np.random.Generator) -> Estimate:
    r"""The better of two exact splits of h, on the same samples: the one with the smaller standard error.

    h = h(g) - E log(q/g), g the Gaussian of the same moments; or, with the component c that x was drawn from,
    h = Σ w_i h_i + I(x; c), I = E log(r_c(x)/w_c) <= log C, r_c its responsibility.
    """
    matched = _matched_gaussian(q)
    x, own = q.sample_labelled(num_samples, rng)
    density, share = np.empty(num_samples), np.empty(num_samples)
    for block in q.blocks(num_samples):
        level = np.ones(len(x[block]))
        p = q.posterior(x[block], level, 0 * level)
        density[block], share[block] = p.log_prob, p.weights[np.arange(len(level)), own[block]]
    h_matched = 0.5 * float(np.log(2 * np.pi * np.e * _own_eigenvalues(matched)).sum())
    h_within = 0.5 * float(q.weights @ np.log(2 * np.pi * np.e * q.eigenvalues()).sum(1))
    splits = [
        (h_matched, Moments.of(matched.log_prob(x) - density)),
        (h_within, Moments.of(np.log(share / q.weights[own]))),
    ]
    exact, found = min(splits, key=lambda split: float(split[1].stderr))
    return Estimate(exact + found.mean, found.stderr, "monte carlo", np.asarray(float(num_samples)))


def _matched_gaussian(q: GaussianMixture) -> GaussianMixture:
    """The Gaussian with the mean and the covariance of q."""
    centred = q.means - q.mean()
    between = (q.weights[:, None] * centred).T @ centred
    given, w = q.covariances, q.weights
    if q.covariance_type == "spherical":
        within = float(w @ given) * np.eye(q.d)
    elif q.covariance_type == "diag":
        within = np.diag(w @ given)
    else:
        within = given if q.covariance_type == "tied" else np.tensordot(w, given, 1)
    return GaussianMixture([1.0], q.mean()[None], (between + within)[None], "full")
