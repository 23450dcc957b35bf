"""Information: joint Gaussians, entropies, closed forms and quadrature in one dimension."""

from __future__ import annotations

import itertools
from typing import Any

import mpmath as mp

from .formulas import Pair
from .oracle import law
from .schedules import alpha_bar, exact, snr


def chain_kl(mixture: Any, schedule: Any, timesteps: Any) -> Any:
    """KL of two joint Gaussians, axis by axis, from their covariance matrices."""
    spreads, means = exact(mixture["covariances"])[0], exact(mixture["means"])[0]
    K, bars = len(timesteps), [alpha_bar(schedule, t) for t in timesteps]
    steps = [Pair(p, q, None) for p, q in itertools.pairwise(bars)]
    shared = [mp.fsum(step.variance(v) for v in spreads) / len(spreads) for step in steps]
    total = mp.mpf(0)
    for spread, mean in zip(spreads, means):
        var = [q * spread + 1 - q for q in bars]
        forward = mp.matrix(K, K)
        for j in range(K):
            for k in range(K):
                low, high = min(j, k), max(j, k)
                forward[j, k] = mp.sqrt(bars[high] / bars[low]) * var[low]
        centre = mp.matrix([mp.sqrt(q) * mean for q in bars])
        # Reverse chain: x_K ~ N(0, 1), x_k = slope x_{k+1} + shift + noise, as x = M z + m.
        m, mixing = mp.matrix(K, 1), mp.matrix(K, K)
        mixing[K - 1, K - 1] = 1
        for k in reversed(range(K - 1)):
            slope = forward[k, k + 1] / var[k + 1]
            shift = centre[k] - slope * centre[k + 1]
            m[k] = slope * m[k + 1] + shift
            for j in range(K):
                mixing[k, j] = slope * mixing[k + 1, j]
            mixing[k, k] = mp.sqrt(shared[k])
        cov = mixing * mixing.T
        back = m - centre
        inverse = cov**-1
        trace = mp.fsum((inverse * forward)[k, k] for k in range(K))
        far = (back.T * inverse * back)[0]
        total += (trace + far - K + mp.log(mp.det(cov) / mp.det(forward))) / 2
    return total


def mutual_information(mixture: Any, low: float, high: float) -> Any:
    """2/d of what x tells of x_0: half log det(I + S u) for a Gaussian, the entropy of points that lie apart."""
    variances, weights = exact(mixture["covariances"]), exact(mixture["weights"])
    d = len(variances[0])
    if high == mp.inf:
        assert low == 0
        assert not any(itertools.chain(*variances))
        return -2 * mp.fsum(w * mp.log(w) for w in weights) / d
    return mp.fsum(mp.log((1 + s * high) / (1 + s * low)) for s in variances[0]) / d


def over_line(f: Any, mixture: Any, a: Any, sigma: Any) -> Any:
    """E f(x, law at x) in one dimension."""

    def integrand(x: Any) -> Any:
        q = law(mixture, a, sigma, [x])
        return mp.exp(q.log_prob()) * f(x, q)

    with mp.workdps(20):
        return mp.quad(integrand, list(range(-9, 10)))


def kl_to_normal(mixture: Any, a: float, sigma: float) -> Any:
    """By the definition in one dimension; a Gaussian is a product of such."""
    normal, total = mp.log(2 * mp.pi) / 2, mp.mpf(0)
    for axis in range(len(mixture["means"][0])):
        line = mixture | {name: [[row[axis]] for row in mixture[name]] for name in ("means", "covariances")}
        total += over_line(lambda x, q: q.log_prob() + x * x / 2 + normal, line, a, sigma)
    return total


def covariance_cost(mixture: Any, schedule: Any, timesteps: Any, covariance: str) -> Any:
    u = [snr(schedule, t) for t in timesteps]
    total = mp.mpf(0)
    for u_s, u_t, t in zip(u, u[1:], timesteps[1:]):
        gap, q = u_s - u_t, alpha_bar(schedule, t)
        if covariance == "state_full":
            total += over_line(
                lambda x, p, gap=gap: mp.log(1 + gap * p.covariance(0, 0)),
                mixture,
                mp.sqrt(q),
                mp.sqrt(1 - q),
            )
            continue
        left = [1 / (1 / s + u_t) for s in exact(mixture["covariances"])[0]]
        if covariance == "isotropic":
            left = [mp.fsum(left) / len(left)] * len(left)
        total += mp.log(mp.det(mp.eye(len(left)) + gap * mp.diag(left))) / len(left)
    return total


TRUTH = {
    "trajectory_kl": chain_kl,
    "snr_integral": mutual_information,
    "kl_to_normal": kl_to_normal,
    "covariance_cost": covariance_cost,
}
