"""The notes, equation (10): what the KL of a trajectory is, and what it is not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..likelihood import trajectory_kl
from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddim, lambda2_ddpm
from ..trajectory import optimal_trajectory
from ..trajectory.dense import shortest_paths
from ..trajectory.grids import even_grid
from ..trajectory.step_cost import cost_matrix, path_cost
from ..variance import optimal_variance_from_mmse
from .registry import Measurement, holds, refuted
from .roads import Bayes, worst
from .world import STEPS, World

__all__ = ["CLAIMS", "gaussian_chain_kl", "stretched", "trajectories"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

_VARIANCES = np.array([0.05, 0.4, 2.5])
_NODES = 12


def stretched(sch: Schedule) -> Array:
    """(N+1,) V of N(0, diag(0.05, 0.4, 2.5)), by Gaussian conditioning in each direction."""
    a2, s2 = sch.alpha_bar[:, None], sch.beta_bar[:, None]
    return np.asarray((_VARIANCES * s2 / (a2 * _VARIANCES + s2)).mean(1))


def trajectories(sch: Schedule, v: Array, rng: np.random.Generator) -> list[Steps]:
    """The even grid, the optimum, and six random trajectories of as many nodes."""
    inner = [np.sort(rng.choice(np.arange(2, sch.N), _NODES - 2, replace=False)) for _ in range(6)]
    random = [np.concatenate([[1], nodes, [sch.N]]) for nodes in inner]
    return [even_grid(sch.N, _NODES), optimal_trajectory(sch.snr, v, _NODES).timesteps, *random]


def gaussian_chain_kl(sch: Schedule, nodes: Steps, variances: Array = _VARIANCES) -> float:
    """KL from q(x_0, x_τ1, ...) to the reverse chain with exact means and the best isotropic variances.

    Both joints are Gaussian and split into directions of x_0; the KL of each comes from its covariance matrices. In
    `nodes` a 0 puts x_0 into the chain.
    """
    alpha = sch.alpha_bar[nodes]
    share = np.sqrt(np.minimum.outer(alpha, alpha) / np.maximum.outer(alpha, alpha))  # sqrt(ᾱ_t/ᾱ_s), s < t
    joints = []
    for variance in variances:
        spread = alpha * variance + sch.beta_bar[nodes]
        joints.append(share * spread[np.minimum.outer(np.arange(len(nodes)), np.arange(len(nodes)))])
    q = np.stack(joints)
    now, then = np.diagonal(q, axis1=1, axis2=2), np.diagonal(q, 1, 1, 2)
    slopes = then / now[:, 1:]
    left = (now[:, :-1] - slopes * then).mean(0)  # Var(x_s|x_t), averaged over the directions
    total = 0.0
    for joint, slope in zip(q, slopes):
        build = np.eye(len(nodes))  # x = build @ (independent normals), noisiest last
        for k in range(len(nodes) - 2, -1, -1):
            build[k] = slope[k] * build[k + 1]
            build[k, k] += np.sqrt(left[k])
        ratio = np.linalg.solve(build, np.linalg.solve(build, joint).T)
        total += 0.5 * (np.trace(ratio) - len(nodes) - np.linalg.slogdet(ratio)[1])
    return float(total)


def _difference_is_constant(left_side: Callable[[Array], Array], world: World) -> Measurement:
    """Left side of (10) minus (d/2) ΣJ, over trajectories: the same number for all of them, or not."""
    sch = Schedule.linear(100, 1e-3, 0.2)
    v = stretched(sch)
    paths = trajectories(sch, v, world.rng("notes.10"))
    kl = np.array([gaussian_chain_kl(sch, np.insert(path, 0, 0)) for path in paths])
    costs = np.array([path_cost(sch.snr, v, path) for path in paths])
    c = left_side(kl) - 0.5 * len(_VARIANCES) * costs
    error = float(np.ptp(c))
    return Measurement(
        error, f"c runs from {c.min():.6g} to {c.max():.6g} nats over {len(paths)} trajectories"
    )


def _each(kl: Array) -> Array:
    """As corrected: the KL of each trajectory."""
    return kl


def _least(kl: Array) -> Array:
    """As printed: the least KL of all, on the left of what depends on the trajectory."""
    return np.full_like(kl, kl.min())


def _first_step_is_constant(chain: Callable[..., float], world: World) -> Measurement:
    """KL with x_0 minus KL without, over trajectories from τ_1 = 1, against ½ Σ log(mean w/w_k) of that step alone.

    w_k = Var(x_0|x_1) in direction k, by Gaussian conditioning; the best isotropic variance is their mean.
    """
    sch = Schedule.linear(100, 1e-3, 0.2)
    paths = trajectories(sch, stretched(sch), world.rng("notes.10"))
    steps = np.array([chain(sch, np.insert(path, 0, 0)) - chain(sch, path) for path in paths])
    w = _VARIANCES * sch.beta_bar[1] / (sch.alpha_bar[1] * _VARIANCES + sch.beta_bar[1])
    true = 0.5 * float(np.log(w.mean() / w).sum())
    error = float(np.abs(steps - true).max())
    return Measurement(
        error, f"{true:.6g} nats, missed by {error:.2g} at most over {len(paths)} trajectories"
    )


def _bounded_as_clusters_narrow(chain: Callable[[Oracle, Steps], float], world: World) -> Measurement:
    """Growth of the KL, per e-fold of the width, as two Gaussian clusters at ±1 narrow to points."""
    nodes, widths = np.array([300, 600, 1000]), np.array([1e-2, 1e-3, 1e-4])
    values = []
    for width in widths:
        law = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], np.full(2, width**2), "spherical")
        values.append(chain(world.oracle(law), nodes))
    growth = float(np.abs(np.diff(values) / np.diff(np.log(widths))).max())
    shown = ", ".join(f"{value:.2f}" for value in values)
    return Measurement(growth, f"{shown} nats at widths 1e-2, 1e-3, 1e-4: {growth:.3g} nats per e-fold")


def _kl_with_x0(orc: Oracle, nodes: Steps) -> float:
    return float(trajectory_kl(orc, nodes, include_x0=True).value)


def _finite_for_ddim(cost: Callable[..., float], world: World) -> Measurement:
    """Growth of J = log(σ*²/λ²), per e-fold of η, as λ² = η²β̃ goes to that of DDIM."""
    sch, errors = world.schedule, {}
    v = stretched(sch)
    for s, t in STEPS:
        high, low = (cost(sch, s, t, float(v[t]), lambda2_ddim(sch, s, t, eta)) for eta in (1e-4, 1e-8))
        errors[f"(s, t) = ({s}, {t})"] = abs(low - high) / math.log(1e4)
    error, where = worst(errors)
    return Measurement(error, f"J moves by {error:.3g} per e-fold of η, worst at {where}")


def _j_of_any_lam2(sch: Schedule, s: int, t: int, v: float, lam2: Array) -> float:
    return float(np.log(optimal_variance_from_mmse(sch, s, t, v, lam2) / lam2))


def _snr_form(cost: Callable[..., Array], world: World) -> Measurement:
    """J[s, t] against log(E Var(x_s|x_t)/β̃) with every moment by Bayes' rule in one dimension."""
    sch, errors = world.schedule, {}
    for name, q0 in world.lines.items():
        for s, t in STEPS:
            bayes = Bayes.of(q0, *(float(level) for level in sch.levels(t)))
            v = bayes.expect(bayes.variance(bayes.nodes))
            tilde = float(lambda2_ddpm(sch, s, t))
            # x_s given x_t and x_0 is the chain's Bayes posterior: its mean moves with x_0 by this much.
            pull = math.sqrt(sch.alpha_bar[s]) * float(sch.beta(s, t)) / float(sch.beta_bar[t])
            spread = tilde + bayes.expect(bayes.variance(pull * bayes.nodes))
            u = np.array([np.inf, sch.snr[s], sch.snr[t]])
            got = float(cost(u, np.array([0.0, 0.0, v]))[1, 2])
            true = math.log(spread / tilde)
            errors[f"{name}, (s, t) = ({s}, {t})"] = abs(got - true)
    error, where = worst(errors)
    return Measurement(error, f"|difference| of J, worst for {where}")


def _finds_the_best_paths(cost: Callable[..., Array], world: World) -> Measurement:
    """What the best paths by another cost of each step lose in ΣJ, J = log(σ*²/λ²), for exact and for any other Γ."""
    sch, rng, errors = Schedule.linear(60, 1e-3, 0.3), world.rng("notes.10.first-term"), {}
    s, t = (index + 1 for index in np.triu_indices(sch.N, 1))
    lam2 = lambda2_ddpm(sch, s, t)
    for noise in (0.0, 0.1, 1.0):
        v = np.minimum(stretched(sch) * np.exp(noise * rng.standard_normal(sch.N + 1)), 1 / sch.snr)
        gamma = (1 - sch.snr[1:] * v[1:]) / sch.beta_bar[1:]
        theirs, ours = np.full((2, sch.N, sch.N), np.inf)
        theirs[s - 1, t - 1] = cost(sch, s, t, gamma[t - 1])
        ours[s - 1, t - 1] = np.log(optimal_variance_from_mmse(sch, s, t, v[t], lam2) / lam2)
        found, best = shortest_paths(theirs, 20), shortest_paths(ours, 20)
        for edges in (2, 5, 10, 20):
            path = found.path(edges)
            errors[f"{edges} steps, V off by {noise:g}"] = float(
                ours[path[:-1], path[1:]].sum() - best.costs[edges]
            )
    error, where = worst(errors)
    return Measurement(abs(error), f"lost in the sum of J, worst for {where}")


def _first_term(sch: Schedule, s: Steps, t: Steps, gamma_t: Array) -> Array:
    """log(1 - β_{t|s} Γ_t); Σ log(u_s/u_t), the rest of ΣJ, telescopes."""
    return np.log1p(-sch.beta(s, t) * gamma_t)


def _claim(make: Callable[..., Any], name: str, source: str, **parts: Any) -> Any:
    return make(id=f"notes.10.{name}", source=f"notes eq. (10), {source}", **parts)


_JOINT = "KL of the joint Gaussians, from their covariance matrices"
CLAIMS = (
    _claim(
        refuted,
        "printed",
        "as printed",
        statement=r"\min_\tau D_{KL}=\tfrac d2\sum_{k=2}^K J(\tau_{k-1},\tau_k)+c",
        road=_JOINT,
        tolerance=1e-9,
        formula=_least,
        check=_difference_is_constant,
    ),
    _claim(
        holds,
        "corrected",
        "as corrected",
        statement=r"D_{KL}(\tau)=\tfrac d2\sum_{k=2}^K J(\tau_{k-1},\tau_k)+c\ \text{for every }\tau",
        road=_JOINT,
        tolerance=1e-9,
        formula=_each,
        check=_difference_is_constant,
    ),
    _claim(
        holds,
        "first-step",
        "the sum from k = 2",
        statement=r"D_{KL}(x_0,x_{\tau_1},\dots)-D_{KL}(x_{\tau_1},\dots)\ \text{depends on }\tau_1=1\text{ alone}",
        road="the KL of the step to x_0 alone, in closed form",
        tolerance=1e-9,
        formula=gaussian_chain_kl,
        check=_first_step_is_constant,
    ),
    _claim(
        refuted,
        "finite-data",
        "for data points",
        statement=r"D_{KL}(q(x_0,x_{\tau_1},\dots)\|p^*)\ \text{stays finite as the data become points}",
        road="clusters that narrow, by quadrature",
        tolerance=0.01,
        formula=_kl_with_x0,
        check=_bounded_as_clusters_narrow,
    ),
    _claim(
        refuted,
        "ddim",
        "for DDIM",
        statement=r"J(s,t)=\log(\sigma^{*2}_{s|t}/\lambda^2_{s|t})\ \text{is a number at }\lambda^2=0",
        road="the limit η → 0 of λ² = η²β̃",
        tolerance=0.01,
        formula=_j_of_any_lam2,
        check=_finite_for_ddim,
    ),
    _claim(
        holds,
        "first-term",
        "as the published code minimises it",
        statement=r"\sum_k\log(1-\beta_{\tau_k|\tau_{k-1}}\Gamma_{\tau_k})\ \text{alone has the best paths of }\sum J",
        road="the program on J = log(σ*²/λ²), from V",
        tolerance=1e-9,
        formula=_first_term,
        check=_finds_the_best_paths,
    ),
    _claim(
        holds,
        "snr-form",
        "J in SNR form",
        statement=r"J(s,t)=\log(\sigma^{*2}/\tilde\beta_{s|t})=\log(1+V_t(u_s-u_t))",
        road="Var(x_s|x_t) by direct summation over the prior",
        tolerance=1e-9,
        formula=cost_matrix,
        check=_snr_form,
    ),
)
