"""One reverse step: everything is Gaussian, so everything is conditioning."""

from __future__ import annotations

from typing import Any

import mpmath as mp

from .schedules import DIGITS, alpha_bar, exact


class Pair:
    """x_s and x_t as a x_0 + σ ε whose noises are so correlated that Var(x_s|x_t, x_0) = λ²."""

    def __init__(self, p: Any, q: Any, lam2: Any | None) -> None:
        """p, q : ᾱ at s and t; lam2 None is that of the Markov chain, by Bayes' rule."""
        self.a_s, self.a_t, self.sigma_s, self.sigma_t = (mp.sqrt(v) for v in (p, q, 1 - p, 1 - q))
        if lam2 is None:
            alpha = q / p
            lam2 = 1 / (1 / (1 - p) + alpha / (1 - alpha)) if p < 1 else mp.mpf(0)
        self.lam2 = mp.mpf(lam2)
        self.rho = mp.sqrt(1 - self.lam2 / (1 - p)) if p < 1 else mp.mpf(1)

    def mean(self, x: Any, x0: Any) -> Any:
        """E[x_s|x_t = x, x_0 = x0]: a_s x_0 plus the regression of one noise on the other."""
        return self.a_s * x0 + self.rho * self.sigma_s / self.sigma_t * (x - self.a_t * x0)

    def variance(self, spread: Any) -> Any:
        """Var(x_s|x_t) for data of variance `spread`."""
        cov = self.a_s * self.a_t * spread + self.rho * self.sigma_s * self.sigma_t
        return self.a_s**2 * spread + self.sigma_s**2 - cov**2 / (self.a_t**2 * spread + self.sigma_t**2)

    def spread(self, mmse: Any) -> Any:
        """The variance of Gaussian data of which x_t leaves the variance `mmse`."""
        return 1 / (1 / mp.mpf(mmse) - self.a_t**2 / self.sigma_t**2)

    def at_mmse(self, mmse: Any) -> Any:
        return self.variance(self.spread(mmse))


def pair(schedule: dict[str, Any], s: int, t: int, lam2: Any = None) -> Pair:
    return Pair(alpha_bar(schedule, s), alpha_bar(schedule, t), lam2)


def tilde(schedule: dict[str, Any], s: int, t: int) -> Any:
    return pair(schedule, s, t).lam2


def gaussian_with(q: Any, gamma: Any) -> Any:
    """The variance of Gaussian data whose score at ᾱ = q has the mean square `gamma`."""
    return (1 / mp.mpf(gamma) - (1 - q)) / q


def optimal_variance(schedule: Any, s: int, t: int, lam2: Any, gamma_t: Any) -> Any:
    return pair(schedule, s, t, lam2).variance(gaussian_with(alpha_bar(schedule, t), gamma_t))


def mmse_from_gamma(schedule: Any, t: int, gamma_t: Any) -> Any:
    q = alpha_bar(schedule, t)
    return 1 / (1 / gaussian_with(q, gamma_t) + q / (1 - q))


def coefficient(schedule: Any, s: int, t: int, lam2: Any) -> Any:
    p = pair(schedule, s, t, lam2)
    return p.mean(0, 1) - p.mean(0, 0)


def optimal_mean(schedule: Any, s: int, t: int, lam2: Any, x_t: Any, score: Any) -> Any:
    """By the noise, not by x_0: a_s x_0 + ρ σ_s ε is the mean."""
    p = pair(schedule, s, t, lam2)
    found = []
    for x, slope in zip(exact(x_t), exact(score)):
        eps = -p.sigma_t * slope
        found.append(p.a_s * (x - p.sigma_t * eps) / p.a_t + p.rho * p.sigma_s * eps)
    return found


def bounds(schedule: Any, s: int, t: int, lam2: Any, data_range: Any) -> Any:
    """A point mass below; above, data of huge variance, or half of it at either end of the range."""
    with mp.workdps(3 * DIGITS):
        p = pair(schedule, s, t, lam2)
        ends = [p.mean(0, x) for x in data_range]
        widest = p.variance(mp.mpf(10) ** DIGITS)
        return [p.variance(mp.mpf(0)), min(widest, p.lam2 + ((ends[1] - ends[0]) / 2) ** 2)]


def last_step(y: float, data_range: Any, levels: int) -> Any:
    mean = mp.quad(lambda z: z * mp.npdf(z), [0, 2, 5, 12]) * 2
    return (y * mp.mpf(data_range[1] - data_range[0]) / (levels - 1) / mean) ** 2


def clean(schedule: Any, t: int, x_t: Any, output: Any, predicts: str) -> Any:
    """Solve for the x_0 that goes with x_t and the output."""
    a, sigma = mp.sqrt(alpha_bar(schedule, t)), mp.sqrt(1 - alpha_bar(schedule, t))
    rows = mp.matrix([[a, sigma], [0, 1] if predicts == "eps" else [-sigma, a]])
    return [mp.lu_solve(rows, mp.matrix([x, out]))[0] for x, out in zip(exact(x_t), exact(output))]


def ml_sde(schedule: Any, s: int, t: int, mmse_t: Any, rate: Any) -> Any:
    """As printed in the paper, with γ_{s,t}, μ and ν."""
    p, rate = pair(schedule, s, t), mp.mpf(rate)
    g_0s, g_0t = p.a_s, p.a_t
    g_st = g_0t / g_0s
    mu, nu = g_st * (1 - g_0s**2) / (1 - g_0t**2), g_0s * (1 - g_st**2) / (1 - g_0t**2)
    kappa = nu * (1 - g_0t**2) / (g_0t * rate) - 1
    return [kappa, (mu - 1) / rate + (1 + kappa) / (1 - g_0t**2) - mp.mpf(1) / 2, p.at_mmse(mmse_t)]


TRUTH = {
    "lambda2_ddpm": tilde,
    "lambda2_ddim": lambda schedule, s, t, eta: mp.mpf(eta) ** 2 * tilde(schedule, s, t),
    "reverse_coefficient": coefficient,
    "forward_posterior_mean": lambda schedule, s, t, lam2, x_t, x0: [
        pair(schedule, s, t, lam2).mean(x, c) for x, c in zip(exact(x_t), exact(x0))
    ],
    "optimal_mean": optimal_mean,
    "mmse_from_gamma": mmse_from_gamma,
    "optimal_variance": optimal_variance,
    "optimal_variance_from_mmse": lambda schedule, s, t, lam2, mmse_t: pair(schedule, s, t, lam2).at_mmse(
        mmse_t
    ),
    "variance_bounds": bounds,
    "last_step_bound": last_step,
    "clean_prediction": clean,
    "ml_sde_coefficients": ml_sde,
}
