"""The reverse kernel of a mixture is a mixture: Bayes' rule, other λ² as a pairwise law, and where that ends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddim, lambda2_ddpm
from .conditioning import component_covariances
from .registry import Measurement, holds, refuted
from .roads import mean_given_both, worst
from .world import World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]
Kernel = Callable[[Oracle, Array, int, int, float], GaussianMixture]
_STEPS = ((1, 2), (9, 10), (10, 100), (99, 100), (100, 500), (1, 1000), (999, 1000))
_DRAWS = 8
_TRIPLES = 40


def _kernel(oracle: Oracle, x_t: Array, s: int, t: int, lam2: float) -> GaussianMixture:
    return oracle.reverse(x_t, s, t, lam2)


def _markov_kernel(oracle: Oracle, x_t: Array, s: int, t: int) -> GaussianMixture:
    return oracle.reverse(x_t, s, t)


def _log_normal(x: Array, mean: Array, covariance: Array) -> Array:
    """(B,) log density at x (B, d)."""
    off = x - mean
    distance = np.einsum("bj,bj->b", off, np.linalg.solve(covariance, off.T).T)
    return np.asarray(-0.5 * (distance + np.linalg.slogdet(2 * np.pi * covariance)[1]))


def _log_law(q0: GaussianMixture, sch: Schedule, t: int, x: Array) -> Array:
    """(B,) log q_t at x (B, d), component by component."""
    a, sigma = (float(level) for level in sch.levels(t))
    spreads = a * a * component_covariances(q0) + sigma * sigma * np.eye(q0.d)
    logs = [np.log(w) + _log_normal(x, a * m, cov) for w, m, cov in zip(q0.weights, q0.means, spreads)]
    return np.asarray(np.logaddexp.reduce(logs, axis=0))


def _draw(
    q0: GaussianMixture, sch: Schedule, s: int, t: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """x_s (B, d) and x_t (B, d) of the Markov chain."""
    a_s, sigma_s = (float(level) for level in sch.levels(s))
    x_s = a_s * q0.sample(_DRAWS, rng) + sigma_s * rng.standard_normal((_DRAWS, q0.d))
    fresh = rng.standard_normal(x_s.shape)
    return x_s, np.sqrt(sch.alpha(s, t)) * x_s + np.sqrt(sch.beta(s, t)) * fresh


def _bayes(kernel: Callable[..., GaussianMixture], world: World) -> Measurement:
    """log q(x_s|x_t) at draws of (x_s, x_t), against q(x_t|x_s) q(x_s)/q(x_t)."""
    sch, rng, errors = world.schedule, world.rng("reverse.bayes"), {}
    for name, q0 in {**world.lines, **world.planes}.items():
        for s, t in _STEPS:
            x_s, x_t = _draw(q0, sch, s, t, rng)
            alpha, beta = float(sch.alpha(s, t)), float(sch.beta(s, t))
            forward = -0.5 * np.square(x_t - np.sqrt(alpha) * x_s).sum(1) / beta
            forward -= 0.5 * q0.d * np.log(2 * np.pi * beta)
            true = forward + _log_law(q0, sch, s, x_s) - _log_law(q0, sch, t, x_t)
            got = [kernel(world.oracle(q0), y, s, t).log_prob(x[None]) for x, y in zip(x_s, x_t)]
            errors[f"{name}, (s, t) = ({s}, {t})"] = _largest(np.concatenate(got) - true)
    error, where = worst(errors)
    return Measurement(error, f"log density at {_DRAWS * len(errors)} pairs, worst for {where}")


def _pairwise(kernel: Kernel, world: World) -> Measurement:
    """log q(x_s|x_t) for λ² from near DDIM to β̄_s, against the density of (x_s, x_t) over that of x_t.

    Within a component the pair is Gaussian: Cov(x_s, x_t) = a_s a_t S + sqrt(β̄_s - λ²) σ_t I.
    """
    sch, rng, errors = world.schedule, world.rng("reverse.pairwise"), {}
    for name, q0 in {**world.lines, **world.planes}.items():
        for s, t in _STEPS:
            x_s, x_t = _draw(q0, sch, s, t, rng)
            for choice, lam2 in _admissible(sch, s, t).items():
                true = _log_pair(q0, sch, s, t, x_s, x_t, lam2) - _log_law(q0, sch, t, x_t)
                got = [kernel(world.oracle(q0), y, s, t, lam2).log_prob(x[None]) for x, y in zip(x_s, x_t)]
                # A pair far from this law has |log density| in the hundreds, and its rounding with it.
                errors[f"{name}, (s, t) = ({s}, {t}), {choice}"] = _largest(
                    (np.concatenate(got) - true) / (1 + np.abs(true))
                )
    error, where = worst(errors)
    return Measurement(error, f"log density at {_DRAWS * len(errors)} pairs, worst for {where}")


def _admissible(sch: Schedule, s: int, t: int) -> dict[str, float]:
    """λ² > 0, since points at λ² = 0 leave x_s no density; below β̄_s, where c_1 = 0 moves like a root of rounding."""
    return {
        "η = 0.2": float(lambda2_ddim(sch, s, t, 0.2)),
        "η = 0.8": float(lambda2_ddim(sch, s, t, 0.8)),
        "λ² = 0.9 β̄_s": 0.9 * float(sch.beta_bar[s]),
    }


def _log_pair(
    q0: GaussianMixture, sch: Schedule, s: int, t: int, x_s: Array, x_t: Array, lam2: float
) -> Array:
    """(B,) log density of (x_s, x_t), as 2d-dimensional Gaussians."""
    (a_s, sigma_s), (a_t, sigma_t) = ((float(v) for v in sch.levels(k)) for k in (s, t))
    eye, both = np.eye(q0.d), np.concatenate([x_s, x_t], axis=1)
    shared = np.sqrt(float(sch.beta_bar[s]) - lam2) * sigma_t
    logs = []
    for w, m, cov in zip(q0.weights, q0.means, component_covariances(q0)):
        cross = a_s * a_t * cov + shared * eye
        joint = np.block([[a_s**2 * cov + sigma_s**2 * eye, cross], [cross, a_t**2 * cov + sigma_t**2 * eye]])
        logs.append(np.log(w) + _log_normal(both, np.concatenate([a_s * m, a_t * m]), joint))
    return np.asarray(np.logaddexp.reduce(logs, axis=0))


def _largest(off: Array) -> float:
    size = float(np.abs(off).max())
    return size if np.isfinite(size) else np.inf


def _marginal(kernel: Kernel, world: World) -> Measurement:
    """∫ q(x_s|x_t) q(x_t) dx_t on the grid of x_t, against q(x_s): it knows nothing of how x_s and x_t are coupled."""
    sch, errors = world.schedule, {}
    for name, q0 in world.lines.items():
        for s, t in ((100, 500), (300, 500)):
            x_t = np.arange(-8.0, 8.0, 0.2)[:, None]  # the rule is exact to rounding for kernels this smooth
            mass = 0.2 * np.exp(_log_law(q0, sch, t, x_t))
            x_s = np.linspace(-2, 2, 9)[:, None]
            true = np.exp(_log_law(q0, sch, s, x_s))
            for choice, share in (("λ² = 0.5 β̄_s", 0.5), ("λ² = 0.9 β̄_s", 0.9)):
                lam2, total = share * float(sch.beta_bar[s]), np.zeros(len(x_s))
                for x, p in zip(x_t, mass):
                    total += p * np.exp(kernel(world.oracle(q0), x, s, t, lam2).log_prob(x_s))
                errors[f"{name}, (s, t) = ({s}, {t}), {choice}"] = _largest((total - true) / true.max())
    error, where = worst(errors)
    return Measurement(error, f"density of x_s relative to its maximum, worst for {where}")


def _joint(lam2: Callable[..., Array], world: World) -> Measurement:
    """E|q(x_r|x_s) q(x_s|x_t) q(x_t)/q(x_r, x_s, x_t) - 1| over draws of the joint law, twice the total variation.

    The joint law is eq. (1) of the notes, summed over x_0: q(x_t|x_0) q(x_s|x_t, x_0) q(x_r|x_s, x_0).
    """
    sch, rng, errors = world.schedule, world.rng("reverse.joint"), {}
    for name, q0 in world.lines.items():
        for r, s, t in ((50, 200, 600), (100, 300, 500), (199, 200, 201)):
            late, early = float(lam2(sch, s, t)), float(lam2(sch, r, s))
            x0 = q0.sample(_TRIPLES, rng)
            a, sigma = (float(level) for level in sch.levels(t))
            x_t = a * x0 + sigma * rng.standard_normal(x0.shape)
            x_s = mean_given_both(sch, s, t, x_t, x0, late) + np.sqrt(late) * rng.standard_normal(x0.shape)
            x_r = mean_given_both(sch, r, s, x_s, x0, early) + np.sqrt(early) * rng.standard_normal(x0.shape)
            true = _log_triple(q0, sch, (r, s, t), (x_r, x_s, x_t), (early, late))
            oracle = world.oracle(q0)
            chain = _log_law(q0, sch, t, x_t)
            for i in range(len(x0)):
                chain[i] += oracle.reverse(x_t[i], s, t, late).log_prob(x_s[i : i + 1])[0]
                chain[i] += oracle.reverse(x_s[i], r, s, early).log_prob(x_r[i : i + 1])[0]
            error = float(np.abs(np.expm1(chain - true)).mean())
            errors[f"{name}, (r, s, t) = ({r}, {s}, {t})"] = error if np.isfinite(error) else np.inf
    error, where = worst(errors)
    shown = ", ".join(f"{case}: {value:.2g}" for case, value in errors.items() if "100" in case)
    return Measurement(error, f"E|product/joint - 1| over {_TRIPLES} draws, worst for {where} ({shown})")


def _log_triple(
    q0: GaussianMixture,
    sch: Schedule,
    times: tuple[int, int, int],
    states: tuple[Array, Array, Array],
    lam2: tuple[float, float],
) -> Array:
    """(B,) log q(x_r, x_s, x_t): given a component, all three and x_0 are one Gaussian vector built step by step."""
    r, s, t = times
    (a, sigma), x = (float(level) for level in sch.levels(t)), np.concatenate(states, axis=1)
    late = _coefficients(sch, s, t, lam2[1])
    early = _coefficients(sch, r, s, lam2[0])
    logs = []
    for w, m, cov in zip(q0.weights, q0.means[:, 0], component_covariances(q0)[:, 0, 0]):
        # Rows: x_r, x_s, x_t. Columns: mean of x_0, its own deviation, ε of x_t, ξ of x_s, ξ of x_r.
        x_t = np.array([a, sigma, 0.0, 0.0])
        x_s = late[1] * x_t + np.array([late[0], 0.0, np.sqrt(lam2[1]), 0.0])
        x_r = early[1] * x_s + np.array([early[0], 0.0, 0.0, np.sqrt(lam2[0])])
        rows = np.stack([x_r, x_s, x_t])
        joint = rows @ np.diag([cov, 1.0, 1.0, 1.0]) @ rows.T
        logs.append(np.log(w) + _log_normal(x, rows[:, 0] * m, joint))
    return np.asarray(np.logaddexp.reduce(logs, axis=0))


def _coefficients(sch: Schedule, s: int, t: int, lam2: float) -> tuple[float, float]:
    """What x_0 and x_t contribute to E[x_s | x_t, x_0]."""
    zero, one = np.zeros(1), np.ones(1)
    return (
        float(mean_given_both(sch, s, t, zero, one, lam2)[0]),
        float(mean_given_both(sch, s, t, one, zero, lam2)[0]),
    )


def _half(sch: Schedule, s: int, t: int) -> Array:
    return lambda2_ddim(sch, s, t, 0.5)


_MIXTURE = r"q(x_s|x_t)=\sum_i r_i(x_t)\,N\bigl(c\,m_i(x_t)+c_1x_t,\ c^2S_i+\lambda^2I\bigr)"
_FACTORS = r"q(x_r,x_s,x_t)=q(x_r|x_s)\,q(x_s|x_t)\,q(x_t)"
CLAIMS = (
    holds(
        id="reverse.bayes",
        source="derived here",
        statement=_MIXTURE + r",\ \lambda^2=\tilde\beta:\ =q(x_t|x_s)q(x_s)/q(x_t)",
        road="Bayes' rule with the forward step of the chain, pointwise, d = 1, 2, 10",
        tolerance=1e-9,
        formula=_markov_kernel,
        check=_bayes,
    ),
    holds(
        id="reverse.pairwise",
        source="derived here",
        statement=_MIXTURE + r"\text{ for every }\lambda^2\in(0,\bar\beta_s]",
        road="joint density of (x_s, x_t), 2d-dimensional Gaussians, over that of x_t",
        tolerance=5e-8,  # measured 7e-10 at (1, 1000): the road's joint covariance is near singular there
        formula=_kernel,
        check=_pairwise,
    ),
    holds(
        id="reverse.marginal",
        source="song2021ddim, Lemma 1; derived here",
        statement=r"\int q(x_s|x_t)\,q(x_t)\,dx_t=q(x_s)\ \forall\lambda^2",
        road="sum over a grid of x_t",
        tolerance=1e-9,
        formula=_kernel,
        check=_marginal,
    ),
    holds(
        id="reverse.joint.ddpm",
        source="derived here",
        statement=r"\lambda^2=\tilde\beta:\ " + _FACTORS,
        road="the joint Gaussian of (x_r, x_s, x_t) within each component",
        tolerance=1e-9,
        formula=lambda2_ddpm,
        check=_joint,
    ),
    refuted(
        id="reverse.joint.other",
        source="derived here, as one might read song2021ddim",
        statement=r"\lambda^2=\tilde\beta/4:\ " + _FACTORS,
        road="the joint Gaussian of (x_r, x_s, x_t) within each component",
        tolerance=1e-9,
        formula=_half,
        check=_joint,
    ),
)
