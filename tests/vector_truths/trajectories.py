"""Trajectories: sums and programs over conditional variances, chains, and the KL of joint Gaussians."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import mpmath as mp

from .formulas import Pair, pair, tilde
from .schedules import alpha_bar, exact
from .steps import Net


def step_cost(u_s: Any, u_t: Any, v: Any) -> Any:
    """log(σ*²/β̃) of the variance-preserving step between two SNRs."""
    p = Pair(u_s / (1 + u_s), u_t / (1 + u_t), None)
    return mp.log(p.at_mmse(v) / p.lam2)


def path_cost(snr: Any, mmse: Any, timesteps: Any) -> Any:
    u, v = exact(snr), exact(mmse)
    return mp.fsum(step_cost(u[s], u[t], v[t]) for s, t in itertools.pairwise(timesteps))


def two_best(snr: Any, mmse: Any, K: int) -> tuple[list[int], Any]:
    """The best path and how much more the second best costs."""
    return _two_best(tuple(snr), tuple(mmse), K)


@functools.cache
def _two_best(snr: Any, mmse: Any, K: int) -> tuple[list[int], Any]:
    u, v = exact(list(snr)), exact(list(mmse))
    N = len(u) - 1
    cost = {(s, t): mp.log(1 + v[t] * (u[s] - u[t])) for s in range(1, N) for t in range(s + 1, N + 1)}
    found = {1: [(mp.mpf(0), [1])]}
    for _ in range(K - 1):
        found = {
            t: sorted((c + cost[s, t], [*path, t]) for s in found if s < t for c, path in found[s])[:2]
            for t in range(2, N + 1)
            if any(s < t for s in found)
        }
    best = found[N]
    return best[0][1], best[1][0] - best[0][0] if len(best) > 1 else mp.inf


def margin(snr: Any, mmse: Any) -> Any:
    u, v = exact(snr)[2:], exact(mmse)[2:]
    g = [1 / b - a for a, b in zip(u, v)]
    return min((g[i] - g[i + 1]) / max(abs(g[i]), abs(g[i + 1]), u[i]) for i in range(len(g) - 1))


def chain(
    mixture: Any, schedule: Any, timesteps: Any, eta: Any, mmse: Any, x_T: Any, noise: Any
) -> list[Any]:
    x, net = exact(x_T), Net(mixture, "data")
    found = [x]
    for k in reversed(range(len(timesteps) - 1)):
        s, t = timesteps[k : k + 2]
        p = pair(schedule, s, t, mp.mpf(eta) ** 2 * tilde(schedule, s, t))
        sigma2 = p.lam2 if mmse is None else p.at_mmse(mmse[k + 1])
        level = (p.a_t, p.sigma_t)
        x = [
            [p.mean(v, c) + mp.sqrt(sigma2) * z for v, c, z in zip(row, net(level, row), exact(fresh))]
            for row, fresh in zip(x, noise[k])
        ]
        found.append(x)
    q = alpha_bar(schedule, timesteps[0])
    return [*found, [net((mp.sqrt(q), mp.sqrt(1 - q)), row) for row in x]]


TRUTH = {
    "trajectory_cost": path_cost,
    "optimal_trajectory": lambda snr, mmse, K: two_best(snr, mmse, K)[0],
    "monge_margin": margin,
    "ancestral_chain": chain,
}
