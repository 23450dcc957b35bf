"""The notes, equations (1) to (4): forward posterior, its special cases, the bound, and the optimal mean."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..processes.schedule import Schedule
from ..reverse_step import forward_posterior_mean, lambda2_ddim, lambda2_ddpm, optimal_mean
from .registry import Measurement, holds, refuted
from .roads import Bayes, relative, worst
from .world import STEPS, World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]


def _marginal(mean: Callable[..., Array], world: World) -> Measurement:
    """Integrate q(x_s|x_t, x_0) over q(x_t|x_0): the result must be N(sqrt(ᾱ_s) x_0, β̄_s), whatever λ² is."""
    sch, x0, errors = world.schedule, 0.7, {}
    z, w = np.polynomial.hermite_e.hermegauss(8)
    w = w / w.sum()
    for s, t in STEPS:
        (a_s, sigma_s), (a_t, sigma_t) = sch.levels(s), sch.levels(t)
        for share in (0.0, 0.3, 1.0):
            lam2 = share * sch.beta_bar[s]
            x_t = (a_t * x0 + sigma_t * z)[:, None]
            centre = mean(sch, s, t, x_t, np.full_like(x_t, x0), lam2)[:, 0]
            first = w @ centre
            second = lam2 + w @ np.square(centre - first)
            error = max(abs(first - a_s * x0) / sigma_s, relative(float(second), float(sigma_s**2)))
            errors[f"(s, t) = ({s}, {t}), λ² = {share:g} β̄_s"] = error
    error, where = worst(errors)
    return Measurement(error, f"mean and variance of x_s given x_0, worst at {where}")


def _bayes_variance(world: World) -> dict[tuple[int, int], float]:
    """Var(x_s | x_t, x_0) of the Markov chain by Bayes' rule on a grid of x_s; it depends on (s, t) alone."""
    sch, found = world.schedule, {}
    for s, t in STEPS:
        if s == 0:
            continue
        alpha, beta = sch.alpha(s, t), sch.beta(s, t)
        a_s, sigma_s = sch.levels(s)
        x0, x_t = 0.4, 0.4 * float(sch.levels(t)[0]) + 0.3
        width = 1 / np.sqrt(alpha / beta + 1 / sigma_s**2)
        centre = a_s * x0
        # The grid needs only to hold the posterior: start at the prior's centre and walk with the likelihood's pull.
        centre += width**2 * np.sqrt(alpha) / beta * (x_t - np.sqrt(alpha) * centre)
        x_s = centre + width * np.linspace(-12, 12, 193)
        log = -0.5 * np.square(x_t - np.sqrt(alpha) * x_s) / beta - 0.5 * np.square(
            (x_s - a_s * x0) / sigma_s
        )
        p = np.exp(log - log.max())
        p /= p.sum()
        found[s, t] = float(p @ np.square(x_s - p @ x_s))
    return found


def _ddpm_is_markov(lam2: Callable[..., Array], world: World) -> Measurement:
    errors = {
        f"(s, t) = ({s}, {t})": relative(float(lam2(world.schedule, s, t)), true)
        for (s, t), true in _bayes_variance(world).items()
    }
    error, where = worst(errors)
    return Measurement(error, f"λ² against Var(x_s|x_t, x_0), worst at {where}")


def _lambda_read_as_deviation(sch: Schedule, s: int, t: int) -> Array:
    """As printed: λ_n, whose square is the variance in (1), is β̄_{n-1}β_n/β̄_n itself."""
    return np.square(lambda2_ddpm(sch, s, t))


def _ddim_keeps_noise(lam2: Callable[..., Array], world: World) -> Measurement:
    """With the λ² of DDIM, x_s is a function of (x_t, x_0): the point with the same ε at level s."""
    sch, errors = world.schedule, {}
    x0, eps = 0.7, -1.3
    for s, t in STEPS:
        (a_s, sigma_s), (a_t, sigma_t) = sch.levels(s), sch.levels(t)
        variance = float(lam2(sch, s, t))
        x_t = np.array([a_t * x0 + sigma_t * eps])
        landed = forward_posterior_mean(sch, s, t, x_t, np.array([x0]), variance)[0]
        off = abs(landed - (a_s * x0 + sigma_s * eps)) / sigma_s
        errors[f"(s, t) = ({s}, {t})"] = float(off + variance / sigma_s**2)
    error, where = worst(errors)
    return Measurement(error, f"distance to a_s x_0 + σ_s ε, in σ_s, worst at {where}")


def _ddpm_variances(pair: Callable[..., tuple[float, float]], world: World) -> Measurement:
    """β is the optimal variance for standard normal data, β̃ for a point: Var(x_s|x_t) by Gaussian conditioning."""
    sch, errors = world.schedule, {}
    for s, t in ((t - 1, t) for t in (2, 10, 100, 500, 1000)):
        largest, smallest = pair(sch, t)
        for name, got, tau2 in (("β", largest, 1.0), ("β̃", smallest, 0.0)):
            a_s, sigma_s = sch.levels(s)
            prior = float(a_s**2 * tau2 + sigma_s**2)
            true = prior * sch.beta(s, t) / (sch.alpha(s, t) * prior + sch.beta(s, t))
            errors[f"{name} at t = {t}"] = relative(got, float(true))
    error, where = worst(errors)
    return Measurement(error, f"against Var(x_s|x_t) of N(0, 1) and of a point, worst for {where}")


def _variances(sch: Schedule, t: int) -> tuple[float, float]:
    return float(sch.betas[t - 1]), float(lambda2_ddpm(sch, t - 1, t))


def _variances_read_as_deviations(sch: Schedule, t: int) -> tuple[float, float]:
    largest, smallest = _variances(sch, t)
    return largest**2, smallest**2


def _bound_minus_kl(terms: Callable[..., list[float]], world: World) -> Measurement:
    """L_vb - KL(q(x_0:N) || p(x_0:N)) for Gaussian data and N = 4: the same for every reverse chain.

    KL of the two joint Gaussians is formed from their full covariance matrices, L_vb from its terms.
    """
    sch = Schedule.from_betas([0.1, 0.2, 0.35, 0.6])
    rng, tau2 = world.rng("notes.3"), 0.49
    gaps = []
    for _ in range(6):
        slopes, variances = rng.uniform(0.5, 1.2, sch.N), rng.uniform(0.05, 0.8, sch.N)
        gaps.append(sum(terms(sch, tau2, slopes, variances)) - _joint_kl(sch, tau2, slopes, variances))
    entropy = 0.5 * np.log(2 * np.pi * np.e * tau2)
    error = max(abs(gap - entropy) for gap in gaps)
    return Measurement(float(error), f"L_vb - KL over 6 random chains against H(q_0) = {entropy:.6f} nats")


def _joint_kl(sch: Schedule, tau2: float, slopes: Array, variances: Array) -> float:
    n = sch.N + 1
    q = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            low, high = min(i, j), max(i, j)
            spread = sch.alpha_bar[low] * tau2 + sch.beta_bar[low]
            q[i, j] = spread * np.sqrt(sch.alpha_bar[high] / sch.alpha_bar[low])
    # x_N = ξ_N, x_{k-1} = slope_k x_k + sqrt(variance_k) ξ_k: x = B ξ.
    b = np.zeros((n, n))
    b[-1, -1] = 1.0
    for k in range(sch.N, 0, -1):
        b[k - 1] = slopes[k - 1] * b[k]
        b[k - 1, k - 1] += np.sqrt(variances[k - 1])
    p = b @ b.T
    ratio = np.linalg.solve(p, q)
    return float(0.5 * (np.trace(ratio) - n - np.linalg.slogdet(ratio)[1]))


def _bound_terms(sch: Schedule, tau2: float, slopes: Array, variances: Array) -> list[float]:
    """L_vb = E_q[-log p(x_0|x_1)] + Σ E KL(q(x_{n-1}|x_n, x_0) || p(x_{n-1}|x_n)) + E KL(q(x_N|x_0) || p(x_N))."""
    last = sch.N
    terms = [0.5 * (sch.alpha_bar[last] * tau2 - np.log(sch.beta_bar[last]) + sch.beta_bar[last] - 1)]
    for n in range(2, last + 1):
        lam2 = float(lambda2_ddpm(sch, n - 1, n))
        c1 = np.sqrt((sch.beta_bar[n - 1] - lam2) / sch.beta_bar[n])
        # (μ̃ - slope x_n) = k x_0 + m ε with x_n = sqrt(ᾱ_n) x_0 + sqrt(β̄_n) ε
        k = np.sqrt(sch.alpha_bar[n - 1]) - slopes[n - 1] * np.sqrt(sch.alpha_bar[n])
        m = (c1 - slopes[n - 1]) * np.sqrt(sch.beta_bar[n])
        off = (k**2 * tau2 + m**2) / variances[n - 1]
        terms.append(0.5 * (np.log(variances[n - 1] / lam2) + lam2 / variances[n - 1] - 1 + off))
    miss = (1 - slopes[0] * np.sqrt(sch.alpha_bar[1])) ** 2 * tau2 + slopes[0] ** 2 * sch.beta_bar[1]
    terms.append(0.5 * (np.log(2 * np.pi * variances[0]) + miss / variances[0]))
    return [float(term) for term in terms]


def check_mean(mean: Callable[..., Array], world: World) -> Measurement:
    """μ*(x_t) from the exact score against E[μ̃(x_t, x_0) | x_t] by brute force, in standard deviations of x_s."""
    sch, errors = world.schedule, {}
    for name, q0 in world.lines.items():
        for s, t in STEPS:
            a, sigma = (float(level) for level in sch.levels(t))
            bayes = Bayes.of(q0, a, sigma)
            x = bayes.x[:, None]
            clean = bayes.mean(bayes.nodes)[:, None]
            score = world.oracle(q0).score(x, t)
            for lam2 in (0.0, float(lambda2_ddpm(sch, s, t))):
                off = mean(sch, s, t, x, score, lam2) - forward_posterior_mean(sch, s, t, x, clean, lam2)
                rms = np.sqrt(bayes.expect(np.square(off[:, 0])) / sch.beta_bar[s])
                errors[f"{name}, (s, t) = ({s}, {t})"] = float(rms)
    error, where = worst(errors)
    return Measurement(error, f"root mean square difference in sqrt(β̄_s), worst for {where}")


def _mean_with_one_step_alpha(sch: Schedule, s: int, t: int, x_t: Array, score: Array, lam2: float) -> Array:
    """As printed: x_0 predicted with 1/sqrt(α_t)."""
    x0 = (x_t + sch.beta_bar[t] * score) / np.sqrt(1 - sch.betas[t - 1])
    return np.asarray(forward_posterior_mean(sch, s, t, x_t, x0, lam2))


_DEVIATION = r"q(x_{n-1}|x_n,x_0)=N(\tilde\mu_n,\lambda_n^2 I)"
CLAIMS = (
    holds(
        id="notes.1.marginal",
        source="notes eq. (1)",
        statement=r"\int q(x_s|x_t,x_0)\,q(x_t|x_0)\,dx_t = N(\sqrt{\bar\alpha_s}x_0,\bar\beta_s I)\ \forall\lambda^2",
        road="Gauss-Hermite integration over x_t",
        tolerance=1e-12,
        formula=forward_posterior_mean,
        check=_marginal,
    ),
    refuted(
        id="notes.1.ddpm.printed",
        source="notes after eq. (1), as printed",
        statement=_DEVIATION + r",\ \text{DDPM: }\lambda_n=\bar\beta_{n-1}\beta_n/\bar\beta_n",
        road="Bayes' rule of the Markov chain on a grid of x_s",
        tolerance=1e-9,
        formula=_lambda_read_as_deviation,
        check=_ddpm_is_markov,
    ),
    holds(
        id="notes.1.ddpm.corrected",
        source="notes after eq. (1), as corrected",
        statement=_DEVIATION + r",\ \text{DDPM: }\lambda_n^2=\bar\beta_{n-1}\beta_n/\bar\beta_n",
        road="Bayes' rule of the Markov chain on a grid of x_s",
        tolerance=1e-9,
        formula=lambda2_ddpm,
        check=_ddpm_is_markov,
    ),
    holds(
        id="notes.1.ddim",
        source="notes after eq. (1); song2021ddim",
        statement=r"\lambda^2=0:\ x_s=\sqrt{\bar\alpha_s}x_0+\sqrt{\bar\beta_s}\,\varepsilon(x_t,x_0)",
        road="the pair (x_0, ε) that x_t was made of",
        tolerance=1e-10,
        formula=lambda2_ddim,
        check=_ddim_keeps_noise,
    ),
    refuted(
        id="notes.2.ddpm.printed",
        source="notes after eq. (2), as printed",
        statement=r"p(x_{n-1}|x_n)=N(\mu_n,\sigma_n^2I),\ \text{DDPM: }\sigma_n\in\{\beta_n,\tilde\beta_n\}",
        road="Gaussian conditioning for the two laws at which each is optimal (ho2020)",
        tolerance=1e-12,
        formula=_variances_read_as_deviations,
        check=_ddpm_variances,
    ),
    holds(
        id="notes.2.ddpm.corrected",
        source="notes after eq. (2), as corrected",
        statement=r"p(x_{n-1}|x_n)=N(\mu_n,\sigma_n^2I),\ \text{DDPM: }\sigma_n^2\in\{\beta_n,\tilde\beta_n\}",
        road="Gaussian conditioning for the two laws at which each is optimal (ho2020)",
        tolerance=1e-12,
        formula=_variances,
        check=_ddpm_variances,
    ),
    holds(
        id="notes.3",
        source="notes eq. (3)",
        statement=r"L_{\mathrm{vb}}-D_{KL}(q(x_{0:N})\|p(x_{0:N}))=H(q_0)\ \text{for every }p",
        road="determinants of the joint Gaussians, N = 4",
        tolerance=1e-11,
        formula=_bound_terms,
        check=_bound_minus_kl,
    ),
    refuted(
        id="notes.4.printed",
        source="notes eq. (4), as printed",
        statement=r"\mu_n^*=\tilde\mu_n\bigl(x_n,\tfrac{1}{\sqrt{\alpha_n}}(x_n+\bar\beta_n\nabla\log q_n)\bigr)",
        road="E[x_0|x_t] by direct summation over the prior",
        tolerance=1e-9,
        formula=_mean_with_one_step_alpha,
        check=check_mean,
    ),
    holds(
        id="notes.4.corrected",
        source="notes eq. (4), as corrected; bao2022 Theorem 1",
        statement=r"\mu_n^*=\tilde\mu_n\bigl(x_n,\tfrac{1}{\sqrt{\bar\alpha_n}}(x_n+\bar\beta_n\nabla\log q_n)\bigr)",
        road="E[x_0|x_t] by direct summation over the prior",
        tolerance=1e-9,
        formula=optimal_mean,
        check=check_mean,
    ),
)
