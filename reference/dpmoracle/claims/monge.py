"""Derived here: J is Monge, the certificate says when, and what follows for the optimal costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddim
from ..trajectory.dense import shortest_paths
from ..trajectory.monge import monge_certificate, monge_defect
from ..trajectory.step_cost import cost_matrix
from ..variance import optimal_variance_from_mmse
from .notes_trajectory import gaussian_chain_kl, stretched, trajectories
from .registry import Measurement, holds, refuted
from .roads import Bayes, worst
from .world import World

__all__ = ["CLAIMS", "exact_curves", "short_schedule"]

Array = NDArray[np.float64]
_STEPS = 60


def short_schedule() -> Schedule:
    return Schedule.linear(_STEPS, 1e-3, 0.3)


def exact_curves(world: World) -> dict[str, Array]:
    """(N+1,) V of each line, by Bayes' rule in one dimension, and of a stretched Gaussian by conditioning."""
    sch = short_schedule()
    curves = {"stretched gaussian": stretched(sch)}
    for name, q0 in world.lines.items():
        laws = [Bayes.of(q0, *(float(level) for level in sch.levels(t))) for t in range(1, sch.N + 1)]
        curves[name] = np.array([0.0, *(law.expect(law.variance(law.nodes)) for law in laws)])
    return curves


def _no_quadruple_violates(cost: Callable[[Schedule, Array], Array], world: World) -> Measurement:
    """Largest J(s,t) + J(s',t') - J(s,t') - J(s',t) over all neighbours, for exact V."""
    sch = short_schedule()
    defects = {name: monge_defect(cost(sch, v)[1:, 1:]) for name, v in exact_curves(world).items()}
    defect, where = worst(defects)
    return Measurement(max(defect, 0.0), f"largest violation {defect:.3g}, for {where}")


def _ddpm_cost(sch: Schedule, v: Array) -> Array:
    return cost_matrix(sch.snr, v)


def _eta_cost(eta: float) -> Callable[[Schedule, Array], Array]:
    """J = log(σ*²/λ²) with λ² = η²β̃."""

    def cost(sch: Schedule, v: Array) -> Array:
        full = np.full((sch.N + 1, sch.N + 1), np.inf)
        s, t = np.triu_indices(sch.N + 1, 1)
        s, t = s[s > 0], t[s > 0]
        lam2 = lambda2_ddim(sch, s, t, eta)
        full[s, t] = np.log(optimal_variance_from_mmse(sch, s, t, v[t], lam2) / lam2)
        return full

    return cost


def _says_the_same(certificate: Callable[[Array, Array], bool], world: World) -> Measurement:
    """Share of noisy V on which the O(N) certificate and the search of all quadruples disagree.

    The quadruples include the empty step J(t, t) = 0. A violation below 1e-12 is rounding for both.
    """
    sch, rng = short_schedule(), world.rng("traj.certificate")
    wrong, held, runs = 0, 0, 60
    for v in exact_curves(world).values():
        for strength in np.geomspace(1e-6, 0.3, runs):
            noisy = np.minimum(v * np.exp(strength * rng.standard_normal(v.shape)), 1 / sch.snr)
            if rng.random() < 0.5:  # half of them sorted back into exact order: g falls again
                g = np.sort(1 / noisy[1:] - sch.snr[1:])[::-1]
                noisy[1:] = 1 / (g + sch.snr[1:])
            said = certificate(sch.snr, noisy)
            held += said
            wrong += said != (_brute_defect(sch.snr, noisy) <= 1e-10)
    total = runs * len(world.lines) + runs
    return Measurement(wrong / total, f"{wrong} of {total} noisy curves judged otherwise; {held} hold")


def _brute_defect(u: Array, v: Array) -> float:
    """Largest violation over the nodes 1..N, the empty steps J(t, t) = 0 included."""
    j = np.triu(np.log1p(np.triu(u[1:, None] - u[None, 1:], 1) * v[None, 1:]))
    defect = j[:-1, :-1] + j[1:, 1:] - j[:-1, 1:] - np.triu(j[1:, :-1])
    return float(defect[np.triu_indices(len(defect), 1)].max())


def _second_differences(cost: Callable[[Schedule, Array], Array], world: World) -> Measurement:
    """Optimal cost of K - 1 edges by the dense program: how far below zero its second difference falls."""
    sch, errors = short_schedule(), {}
    for name, v in exact_curves(world).items():
        best = shortest_paths(cost(sch, v)[1:, 1:], sch.N - 1).costs[1:]
        errors[name] = float(np.maximum(-np.diff(best, 2), 0.0).max())
    error, where = worst(errors)
    return Measurement(error, f"second differences of C(n) fall to -{error:.2g}, for {where}")


def _falls_along_a_layer(cost: Callable[[Schedule, Array], Array], world: World) -> Measurement:
    """Least cost from 1 to s in k edges, every k and s by the recursion itself: its largest fall from s to s + 1."""
    sch, errors = short_schedule(), {}
    for name, v in exact_curves(world).items():
        j = cost(sch, v)[1:, 1:]
        layer, falls = np.where(np.arange(sch.N) == 0, 0.0, np.inf), [0.0]
        for _ in range(sch.N - 1):
            layer = (layer[:, None] + j).min(0)
            reached = layer[np.isfinite(layer)]
            falls.append(float(np.maximum(-np.diff(reached), 0.0).max(initial=0.0)))
        errors[name] = max(falls)
    error, where = worst(errors)
    return Measurement(error, f"log E_k[s] falls by {error:.2g}, for {where}")


def _ties(variances: Callable[[], Array], world: World) -> Measurement:
    """Spread of the exact KL over trajectories of Gaussian data with these variances."""
    sch = short_schedule()
    paths = trajectories(sch, stretched(sch), world.rng("traj.gaussian"))
    kl = np.array([gaussian_chain_kl(sch, path, variances()) for path in paths])
    return Measurement(float(np.ptp(kl)), f"KL from {kl.min():.6g} to {kl.max():.6g} nats over {len(paths)}")


def _isotropic() -> Array:
    return np.full(3, 0.4)


_BRUTE = "all neighbouring quadruples, V by Bayes' rule"
_MONGE = r"J(s,t)+J(s',t')\le J(s,t')+J(s',t),\ s\le s'<t\le t'"
CLAIMS = (
    holds(
        id="traj.monge",
        source="derived here, for eq. (10)",
        statement=_MONGE + r"\text{ for the exact }V",
        road=_BRUTE,
        tolerance=1e-11,
        formula=_ddpm_cost,
        check=_no_quadruple_violates,
    ),
    *(
        refuted(
            id=f"traj.monge.eta-{eta:g}",
            source="derived here, for eq. (10)",
            statement=_MONGE + rf"\text{{ also for }}\lambda^2=\eta^2\tilde\beta,\ \eta={eta:g}",
            road=_BRUTE,
            tolerance=1e-11,
            formula=_eta_cost(eta),
            check=_no_quadruple_violates,
        )
        for eta in (0.2, 0.5, 0.8)
    ),
    holds(
        id="traj.certificate",
        source="derived here, for eq. (10)",
        statement=r"J\text{ is Monge}\iff g(t)=1/V_t-u_t\text{ does not increase}",
        road="all neighbouring quadruples, 240 noisy V",
        tolerance=0.0,
        formula=lambda u, v: monge_certificate(u, v).holds,
        check=_says_the_same,
    ),
    holds(
        id="traj.convex",
        source="derived here, for eq. (10)",
        statement=r"\min_\tau\sum J\text{ is convex in }K",
        road="the dense program for every K, V by Bayes' rule",
        tolerance=1e-11,
        formula=_ddpm_cost,
        check=_second_differences,
    ),
    holds(
        id="traj.slopes",
        source="derived here, for eq. (10)",
        statement=r"E_k[s]=\min_\tau e^{\sum J}\text{ from 1 to }s\text{ rises with }s\text{ in every layer }k",
        road="the recursion over every step, V by Bayes' rule",
        tolerance=1e-11,
        formula=_ddpm_cost,
        check=_falls_along_a_layer,
    ),
    holds(
        id="traj.gaussian",
        source="derived here, for eq. (10)",
        statement=r"x_0\text{ isotropic Gaussian}\Rightarrow\text{every trajectory costs the same}",
        road="KL of the joint Gaussians, from their covariance matrices",
        tolerance=1e-11,
        formula=_isotropic,
        check=_ties,
    ),
)
