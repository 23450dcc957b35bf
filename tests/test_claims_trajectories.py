"""Claims on eq. (10), the Monge property, the price in nats and the regret: each verdict, and what turns it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dpmoracle as dpm
from dpmoracle.claims import World, information, judge, monge, notes_trajectory, regret
from dpmoracle.reverse_step import lambda2_ddpm

CLAIMS = {c.id: c for module in (notes_trajectory, monge, information, regret) for c in module.CLAIMS}
WORLD = World(np.random.default_rng(5).normal(size=(30, 3)), "30 points", 0)

chain, costs = notes_trajectory.gaussian_chain_kl, monge._ddpm_cost
exact = regret._planner("quadrature")


def at_ddpm(sch: Any, s: int, t: int, v: float, lam2: Any) -> float:
    """J whatever λ² was asked for."""
    return notes_trajectory._j_of_any_lam2(sch, s, t, v, lambda2_ddpm(sch, s, t))


def crowded(orc: Any, count: int, rng: Any) -> Any:
    """All nodes at the clean end but one."""
    return np.append(np.arange(1, regret._K), regret._schedule().N)


def late(orc: Any, count: int, rng: Any) -> Any:
    """All nodes at the noisy end but one."""
    last = regret._schedule().N
    return np.append(1, np.arange(last - regret._K + 2, last + 1))


def entry(value: float) -> Any:
    """A cost matrix of which only the step from 2 to 1 is looked at."""
    return np.full((3, 3), value)


BROKEN: dict[str, list[Callable[..., Any]]] = {
    "notes.10.printed": [notes_trajectory._each],
    "notes.10.corrected": [notes_trajectory._least, lambda kl: 2 * kl, lambda kl: kl / 3],
    "notes.10.first-step": [
        lambda sch, nodes: 1.01 * chain(sch, nodes),
        lambda sch, nodes: chain(sch, nodes[nodes > 0]),
        lambda sch, nodes: chain(sch, nodes, np.full(3, 0.4)),
    ],
    "notes.10.finite-data": [lambda orc, nodes: float(dpm.trajectory_kl(orc, nodes).value)],
    "notes.10.ddim": [at_ddpm],
    "notes.10.first-term": [
        lambda sch, s, t, gamma: np.log1p(-sch.beta_bar[t] * gamma),
        lambda sch, s, t, gamma: np.log1p(-sch.beta(s, t)),
        lambda sch, s, t, gamma: np.log1p(-sch.beta(t - 1, t) * gamma),
        lambda sch, s, t, gamma: np.log(sch.snr[s] / sch.snr[t]),
        lambda sch, s, t, gamma: -np.log1p(-sch.beta(s, t) * gamma),
    ],
    "notes.10.snr-form": [
        lambda u, v: entry(np.log1p(v[2] * (u[1] + u[2]))),
        lambda u, v: entry(v[2] * (u[1] - u[2])),
        lambda u, v: entry(np.log1p(v[2] * (1 / u[2] - 1 / u[1]))),
    ],
    "traj.monge": [lambda sch, v: costs(sch, v[::-1].copy()), monge._eta_cost(0.9)],
    **{f"traj.monge.eta-{eta}": [costs] for eta in (0.2, 0.5, 0.8)},
    "traj.certificate": [
        lambda u, v: True,
        lambda u, v: False,
        lambda u, v: bool((np.diff(v[2:]) >= 0).all()),
        lambda u, v: dpm.monge_certificate(u, v, rtol=1e-3).holds,
    ],
    "traj.convex": [monge._eta_cost(0.2), lambda sch, v: costs(sch, v[::-1].copy())],
    "traj.slopes": [lambda sch, v: costs(sch, v[::-1].copy())],
    "traj.gaussian": [lambda: np.array([0.05, 0.4, 2.5])],
    "info.lower-bound": [lambda u, v, nodes: 0.5 * information.sum_cost(u, v, nodes)],
    "info.kl.line": [
        lambda orc, nodes: 1.001 * information._kl(orc, nodes),
        lambda orc, nodes: information._kl(orc, nodes[:-1]) if len(nodes) > 2 else 0.0,
    ],
    "info.kl.variances": [lambda orc, nodes, sigma2: information._kl(orc, nodes)],
    "info.kl.plane": [lambda orc, nodes: 1.5 * information._kl(orc, nodes)],
    "info.log-c": [lambda q0: 2 * information._whole_integral(q0)],
    "info.log-c.data": [
        lambda q0, rng: (0.0, information._sampled_integral(q0, rng)[1]),
        lambda q0, rng: tuple(np.array([2, 1]) * information._sampled_integral(q0, rng)),
    ],
    "info.sqrt-kappa": [
        lambda u, v, cov2: 2 * information._root_kappa(u, v, cov2),
        lambda u, v, cov2: information._root_kappa(u, 0 * v, cov2),
    ],
    **{f"regret.trace.M{count}": [crowded] for count in (10, 100, 1000)},
    **{f"regret.score.M{count}": [exact] for count in (10, 100, 1000)},
    "regret.data.trace.M100": [late],
    "regret.heuristic": [exact],
}


@pytest.mark.parametrize("name", CLAIMS)
def test_verdict_is_as_expected(name: str) -> None:
    found = judge(CLAIMS[name], WORLD)
    assert found.as_expected, found


@pytest.mark.parametrize(
    ("name", "k"), [(name, k) for name, group in BROKEN.items() for k in range(len(group))]
)
def test_a_broken_formula_turns_the_verdict(name: str, k: int) -> None:
    claim = CLAIMS[name]
    found = judge(claim, WORLD, BROKEN[name][k])
    assert found.verdict == {"holds": "refuted", "refuted": "holds"}[claim.expected], found


def test_the_chain_of_gaussians_by_one_step() -> None:
    """KL of one step with the exact mean and the best variance is half log of mean over geometric mean."""
    sch = dpm.Schedule.linear(10, 0.01, 0.5)
    variances = np.array([0.1, 3.0])
    a2, s2 = sch.alpha_bar[4], sch.beta_bar[4]
    end = sch.alpha_bar[10] * variances + sch.beta_bar[10]
    spread = a2 * variances + s2
    left = spread * sch.beta(4, 10) / (sch.alpha(4, 10) * spread + sch.beta(4, 10))
    expected = 0.5 * (end - 1 - np.log(end)).sum() + np.log(left.mean() / np.sqrt(left.prod()))
    assert notes_trajectory.gaussian_chain_kl(sch, np.array([4, 10]), variances) == pytest.approx(
        expected, rel=1e-12
    )
