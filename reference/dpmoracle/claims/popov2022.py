"""The maximum-likelihood SDE solver [popov2022] and SDE-DPM-Solver++ [lu2022pp]: maps, variances and noise gains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddpm, optimal_mean
from ..sde_step import ml_sde_coefficients, ml_sde_step
from ..solvers.stochastic import sde_dpm_solver
from ..variance import optimal_variance_from_mmse
from .registry import Measurement, holds, refuted
from .roads import Bayes, relative, worst
from .world import STEPS, World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]


def as_printed(sch: Schedule, s: int, t: int, mmse: float, rate: float) -> tuple[float, float, float]:
    """κ*, ω*, σ*² letter by letter."""
    g_0s, g_0t, g_st = (np.sqrt(float(x)) for x in (sch.alpha_bar[s], sch.alpha_bar[t], sch.alpha(s, t)))
    free_s, free_t, free_st = (float(x) for x in (sch.beta_bar[s], sch.beta_bar[t], sch.beta(s, t)))
    mu, nu = g_st * free_s / free_t, g_0s * free_st / free_t
    kappa = nu * free_t / (g_0t * rate) - 1
    omega = (mu - 1) / rate + (1 + kappa) / free_t - 0.5
    return float(kappa), float(omega), float(free_s * free_st / free_t + nu**2 * mmse)


def _same_as_ddpm(coefficients: Callable[..., tuple[float, float, float]], world: World) -> Measurement:
    """The SDE step from the printed coefficients against E[x_s|x_t] and Var(x_s|x_t), for three noise rates."""
    sch, errors = world.schedule, {}
    rng = world.rng("popov.same-as-ddpm")
    x, score = rng.standard_normal((2, 5, 3))
    for s, t in STEPS:
        lam2, mmse = float(lambda2_ddpm(sch, s, t)), 0.37
        mean = optimal_mean(sch, s, t, x, score, lam2)
        size = np.abs(x).max() + float(sch.beta(s, t)) * np.abs(score).max()
        for rate in (float(sch.beta(s, t)), float(-np.log(sch.alpha(s, t))), 3.0):
            kappa, omega, sigma2 = coefficients(sch, s, t, mmse, rate)
            step = x + rate * ((0.5 + omega) * x + (1 + kappa) * score)
            off = np.abs(step - mean).max() / (size / np.sqrt(float(sch.alpha(s, t))))
            variance = relative(sigma2, float(optimal_variance_from_mmse(sch, s, t, mmse, lam2)))
            errors[f"(s, t) = ({s}, {t}), βh = {rate:.3g}"] = max(float(off), variance)
    error, where = worst(errors)
    return Measurement(error, f"mean and variance of a step, worst at {where}")


def _shipped_step(step: Callable[..., Array], world: World) -> Measurement:
    """x_s by the shipped step with injected noise: 0 gives the mean, a unit vector the standard deviation."""
    sch, errors = world.schedule, {}
    for name, q0 in _curved(world).items():
        for s, t in ((0, 1), (1, 2), (9, 10), (299, 300), (10, 100), (200, 500), (500, 1000)):
            a, sigma = (float(level) for level in sch.levels(t))
            bayes = Bayes.of(q0, a, sigma)
            seen = bayes.mass > 1e-12  # beyond, x is far outside and only the score's own digits are compared
            x = bayes.x[seen, None]
            score = ((a * bayes.mean(bayes.nodes) - bayes.x) / sigma**2)[seen, None]
            clean_variance = bayes.expect(bayes.variance(bayes.nodes))
            if clean_variance == 0:  # points at high SNR: the step has no deviation to measure by
                continue
            slope, shift, spare = _forward_posterior(sch, s, t)
            mean = slope * bayes.mean(bayes.nodes)[seen, None] + shift * x
            true = np.sqrt(spare + slope**2 * clean_variance)
            got = step(sch, s, t, x, score, clean_variance)
            gain = step(sch, s, t, x, score, clean_variance, np.ones_like(x)) - got
            off = max(float(np.abs(got - mean).max()), float(np.abs(gain - true).max())) / true
            errors[f"{name}, (s, t) = ({s}, {t})"] = off
    error, where = worst(errors)
    return Measurement(error, f"mean and noise gain over the deviation of the step, worst for {where}")


def _forward_posterior(sch: Schedule, s: int, t: int) -> tuple[float, float, float]:
    """Slopes by x_0 and x_t, and variance, of the Gaussian x_s | x_0, x_t, by its precision."""
    alpha, beta, free = float(sch.alpha(s, t)), float(sch.beta(s, t)), float(sch.beta_bar[s])
    if free == 0:
        return 1.0, 0.0, 0.0
    variance = 1 / (1 / free + alpha / beta)
    return (
        variance * float(np.sqrt(sch.alpha_bar[s])) / free,
        variance * float(np.sqrt(alpha)) / beta,
        variance,
    )


def _curved(world: World) -> dict[str, GaussianMixture]:
    """Those whose score is no multiple of x, so that κ and ω are told apart."""
    return {name: q0 for name, q0 in world.lines.items() if name != "gaussian"}


def _likelihood_loss(solver: Callable[..., tuple[float, float, float]], world: World) -> Measurement:
    """Nats of likelihood a step (κ, ω, σ²) loses to the best of all: least squares of x_s on (x_t, ∇log q_t)."""
    sch, errors = world.schedule, {}
    for name, q0 in _curved(world).items():
        for s, t in ((1, 2), (9, 10), (99, 100), (10, 100), (100, 200), (200, 500)):
            a, sigma = (float(level) for level in sch.levels(t))
            bayes = Bayes.of(q0, a, sigma)
            slope, shift, spare = _forward_posterior(sch, s, t)
            clean = bayes.mean(bayes.nodes)
            target = slope * clean + (shift - 1) * bayes.x  # E[x_s - x_t | x_t]
            basis = np.stack([bayes.x, (a * clean - bayes.x) / sigma**2], 1)
            root = np.sqrt(bayes.mass)
            scale = np.sqrt(bayes.mass @ np.square(basis))
            found = np.linalg.lstsq(root[:, None] * (basis / scale), root * target, rcond=1e-13)[0] / scale
            noise = spare + slope**2 * bayes.expect(bayes.variance(bayes.nodes))
            best = noise + bayes.expect(np.square(target - basis @ found))
            mmse = bayes.expect(bayes.variance(bayes.nodes))
            rate = float(sch.beta(s, t))
            kappa, omega, sigma2 = solver(sch, s, t, mmse, rate)
            given = rate * np.array([0.5 + omega, 1 + kappa])
            spent = noise + bayes.expect(np.square(target - basis @ given))
            loss = 0.5 * (np.log(sigma2 / best) + spent / sigma2 - 1)
            errors[f"{name}, (s, t) = ({s}, {t})"] = abs(float(loss)) if np.isfinite(loss) else np.inf
    error, where = worst(errors)
    return Measurement(error, f"nats a step, worst for {where}")


def _ddpm_as_sde(sch: Schedule, s: int, t: int, mmse: float, rate: float) -> tuple[float, float, float]:
    """κ, ω and σ² of the optimal DDPM step: (x_t + β∇log q)/sqrt(α), read off as drift."""
    root = float(np.sqrt(sch.alpha(s, t)))
    kappa, omega = float(sch.beta(s, t)) / (root * rate) - 1, (1 / root - 1) / rate - 0.5
    return kappa, omega, float(optimal_variance_from_mmse(sch, s, t, mmse, lambda2_ddpm(sch, s, t)))


def _euler(sch: Schedule, s: int, t: int, mmse: float, rate: float) -> tuple[float, float, float]:
    """Euler and Maruyama's step of the reverse SDE: κ = ω = 0, σ² = βh."""
    return 0.0, 0.0, rate


def _levels(world: World) -> list[tuple[tuple[float, float], ...]]:
    """Three nodes each (earlier, t, s), of all sizes of steps."""
    sch = world.schedule
    triples = ((1000, 900, 850), (500, 400, 350), (120, 100, 60), (12, 10, 9), (4, 3, 2), (1000, 500, 1))
    return [tuple((float(a), float(b)) for a, b in zip(*sch.levels(np.array(ts)))) for ts in triples]


def _sde_first(solver: Callable[..., Array], world: World) -> Measurement:
    """One step with a constant prediction: Bayes' x_s | x_0, x_t, whose mean and deviation are known."""
    sch, errors = world.schedule, {}
    x, clean = np.array([[0.7], [-1.1]]), np.array([[0.3], [0.9]])
    for s, t in STEPS:
        if s == 0:
            continue
        nodes = np.stack(sch.levels(np.array([t, s])), -1)
        slope, shift, variance = _forward_posterior(sch, s, t)
        quiet, loud = (
            solver(lambda *_: clean, x, nodes, 1, noise=z * np.ones((1, 2, 1))) for z in (0.0, 1.0)
        )
        off = (
            np.abs(quiet - (slope * clean + shift * x)).max(),
            np.abs(loud - quiet - np.sqrt(variance)).max(),
        )
        errors[f"(s, t) = ({s}, {t})"] = float(max(off) / np.sqrt(variance))
    error, where = worst(errors)
    return Measurement(error, f"mean and noise gain over the step's deviation, worst at {where}")


def _sde_second(solver: Callable[..., Array], world: World) -> Measurement:
    r"""The last of two steps, for a prediction linear in λ, against variation of constants by quadrature.

    dx = [x dlogσ/dλ - x + 2a x̂_0] dλ + sqrt(2) σ dw, so x_s = (σ_s/σ_t)e^{-h} x_t + ∫ (σ_s/σ) e^{-(λ_s-λ)} (...)
    """
    errors = {}
    points, weights = np.polynomial.legendre.leggauss(60)
    for before, t, s in _levels(world):
        lam = [float(np.log(a / sigma)) for a, sigma in (before, t, s)]

        def model(x: Array, a: float, sigma: float) -> Array:
            return np.full_like(x, 0.4 + 0.3 * np.log(a / sigma))

        x = np.array([[0.8]])
        runs = [
            solver(model, x, [before, t, s], 2, noise=np.array(z)[:, None, None])
            for z in ((0, 0), (0, 1), (1, 0))
        ]
        first = solver(model, x, [before, t], 1, noise=np.zeros((1, 1, 1)))
        at = lam[1] + (lam[2] - lam[1]) * (points + 1) / 2
        rule = weights * (lam[2] - lam[1]) / 2
        decay = s[1] * np.exp(-2 * (lam[2] - at)) * np.exp(lam[2])  # a_s e^{-2(λ_s-λ)}
        pulled = 2 * float(rule @ (decay * (0.4 + 0.3 * at)))
        keep = s[1] / t[1] * np.exp(lam[1] - lam[2])
        deviation = s[1] * np.sqrt(2 * float(rule @ np.exp(-2 * (lam[2] - at))))
        early = float(runs[2][0, 0] - runs[0][0, 0]) - keep * _deviation(before, t)
        off = abs(float(runs[0][0, 0]) - (keep * float(first[0, 0]) + pulled))
        gain = abs(float(runs[1][0, 0] - runs[0][0, 0]) - deviation)
        errors[f"λ = {lam[0]:.3g}, {lam[1]:.3g}, {lam[2]:.3g}"] = max(off, gain, abs(early)) / deviation
    error, where = worst(errors)
    return Measurement(error, f"mean and noise gains over the step's deviation, worst at {where}")


def _deviation(t: tuple[float, float], s: tuple[float, float]) -> float:
    """Standard deviation that one step adds: σ_s² (1 - u_t/u_s)."""
    return float(s[1] * np.sqrt(1 - (t[0] * s[1] / (s[0] * t[1])) ** 2))


def _paper_form(*given: object, **named: object) -> Array:
    return sde_dpm_solver(*given, **named, form="paper")  # type: ignore[arg-type]


_SDE = r"x_s=x_t+\beta_th[(\tfrac12+\omega)x_t+(1+\kappa)\nabla\log q_t]+\sigma\xi"
CLAIMS = (
    holds(
        id="popov.same-as-ddpm",
        source="popov2022 Theorem 1",
        statement=_SDE
        + r"\ \text{with}\ \kappa^*,\omega^*,\sigma^*\ \text{is the optimal DDPM step, for every}\ \beta_th",
        road="Analytic-DPM's optimal step, mean and variance",
        tolerance=2e-12,
        formula=as_printed,
        check=_same_as_ddpm,
    ),
    holds(
        id="popov.step",
        source="popov2022 Theorem 1, as `ml_sde_step` computes it",
        statement=_SDE + r"=E[x_s|x_t]+\sqrt{E\operatorname{Var}(x_s|x_t)}\,\xi",
        road="E[x_0|x_t] by direct summation over the prior and the precision of x_s|x_0,x_t",
        tolerance=1e-9,
        formula=ml_sde_step,
        check=_shipped_step,
    ),
    holds(
        id="popov.coefficients",
        source="popov2022 Theorem 1, as `ml_sde_coefficients` computes it",
        statement=r"(1+\kappa^*)\beta h=\beta_{t|s}/\sqrt{\alpha_{t|s}},"
        r"\ (\tfrac12+\omega^*)\beta h=1/\sqrt{\alpha_{t|s}}-1",
        road="Analytic-DPM's optimal step, mean and variance",
        tolerance=2e-12,
        formula=ml_sde_coefficients,
        check=_same_as_ddpm,
    ),
    holds(
        id="notes.opening",
        source="notes, opening sentence; popov2022 Theorem 1",
        statement=r"\text{DDPM with }\sigma^{*2}\ \text{maximises}\ E\log p(x_s|x_t)"
        r"\ \text{over}\ \kappa,\omega,\sigma",
        road="least squares of x_s on (x_t, score) over brute-force posteriors",
        tolerance=1e-9,
        formula=_ddpm_as_sde,
        check=_likelihood_loss,
    ),
    refuted(
        id="popov.euler",
        source="song2021, the reverse SDE by Euler and Maruyama",
        statement=r"\kappa=\omega=0,\ \sigma^2=\beta_th\ \text{is as likely as any other}",
        road="least squares of x_s on (x_t, score) over brute-force posteriors",
        tolerance=1e-9,
        formula=_euler,
        check=_likelihood_loss,
    ),
    holds(
        id="lu2022pp.sde.1",
        source="lu2022pp, SDE-DPM-Solver++1",
        statement=r"x_s=\tfrac{\sigma_s}{\sigma_t}e^{-h}x_t+a_s(1-e^{-2h})\hat x_0+\sigma_s\sqrt{1-e^{-2h}}z"
        r"\ \text{is DDPM with }\tilde\beta",
        road="Bayes' rule for x_s given (x_0, x_t), noise injected",
        tolerance=1e-9,
        formula=sde_dpm_solver,
        check=_sde_first,
    ),
    holds(
        id="lu2022pp.sde.2",
        source="lu2022pp, SDE-DPM-Solver++(2M), with the exact integral",
        statement=r"\hat x_0\ \text{linear in}\ \lambda\Rightarrow\text{mean and noise gain of a step are exact}",
        road="variation of constants and the Itô isometry by Gauss-Legendre quadrature, noise injected",
        tolerance=1e-9,
        formula=sde_dpm_solver,
        check=_sde_second,
    ),
    refuted(
        id="lu2022pp.sde.2.paper",
        source="lu2022pp, SDE-DPM-Solver++(2M), as published",
        statement=r"\hat x_0\ \text{linear in}\ \lambda\Rightarrow\text{mean and noise gain of a step are exact}",
        road="variation of constants and the Itô isometry by Gauss-Legendre quadrature, noise injected",
        tolerance=1e-9,
        formula=_paper_form,
        check=_sde_second,
    ),
)
