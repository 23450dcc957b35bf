r"""What the optimum buys: the price of every choice of variance and trajectory, by the exact KL of the chains.

Samplers without a density, such as DDIM, are compared by their samples instead: `sample_comparison`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import check_count, generator
from .estimate import Estimate
from .likelihood.entropy import add_estimates, kl_to_normal
from .likelihood.information import Information, check_method, gather
from .likelihood.variational import elbo
from .oracle import Oracle
from .processes.schedule import Schedule
from .reverse_step import lambda2_ddpm, reverse_coefficient
from .trajectory import even_grid, optimal_trajectory
from .trajectory.step_cost import check_nodes
from .variance_rules import check_chain, reverse_variances

__all__ = ["GRIDS", "NODE_COUNTS", "RULES", "ChainRow", "compare_chains", "nodes_on_grid", "schedule_of"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

NODE_COUNTS = (10, 25, 50, 100, 200, 400, 1000)
GRIDS = ("even", "optimal")
RULES = ("beta", "beta_tilde", "optimal")


@dataclass(frozen=True, eq=False)
class ChainRow:
    """One line of the table: K nodes on a grid, with the variances of a rule.

    kl           : KL of the forward chain to the reverse chain without x_0, nats
    bits_per_dim : the same divided by d log 2
    bound        : the variational bound on -log p(x_0) with discretised decoder, bits per dimension; None without bins
    """

    K: int
    grid: str
    rule: str
    kl: Estimate
    bits_per_dim: float
    bound: Estimate | None


def compare_chains(
    orc: Oracle,
    node_counts: Sequence[int] = NODE_COUNTS,
    *,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
    bins: ArrayLike | None = None,
) -> list[ChainRow]:
    r"""KL of every (K, grid, rule) with λ² = β̃ and the exact means, all under one V [layout: bao2022, Table 1].

    .. math:: KL(q_N \| N(0, I)) + \frac d2 \Bigl(\sum_k \Bigl[\log\frac{\sigma_k^2}{\tilde\beta} +
       \frac{\sigma^{*2}}{\sigma_k^2} - 1\Bigr] - \int V\,du\Bigr)

    orc         : an Oracle on a Schedule
    node_counts : each K in 2..N; the grids run from 1 to N
    method      : None chooses "exact", "quadrature" or "monte carlo", as in `trajectory_kl`; V is needed at all N
                  timesteps, so quadrature in two dimensions takes minutes: prefer "monte carlo" there
    bins        : as for `elbo`; adds the bound in bits per dimension, with the decoder of variance V_1 in every row
    num_samples, rng : of "monte carlo", and of the decoder with bins
    Under Monte Carlo σ*², the optimal trajectory and the KL come from the same samples, so the optimum looks better
    than it is by about its own error. Raises InvalidParameterError for a K out of range, and as `trajectory_kl` and
    `elbo` do.
    """
    who = "compare_chains"
    sch = schedule_of(who, orc)
    check_method(who, method)
    counts = [check_nodes(who, K, sch.N) for K in node_counts]
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    q0, u, log_2 = orc.q0, sch.snr, float(np.log(2))
    start = kl_to_normal(q0.diffuse(*map(float, sch.levels(sch.N))), count, random, method=method)
    found = gather(who, q0, u[1:], float(u[-1]), float(u[1]), count, random, method)
    v = np.append(0.0, found.mmse)
    frame = None
    if bins is not None:
        ends = np.array([1, sch.N])
        outer = elbo(orc, ends, [max(v[1], 1e-300), 1.0], bins=bins, num_samples=count, rng=random)
        frame = add_estimates(outer.prior, outer.decoder)
    rows = []
    for K in counts:
        for grid in GRIDS:
            nodes = nodes_on_grid(sch, v, K, grid)
            for rule in RULES:
                steps, excess = _chain_price(sch, found, v, nodes, rule, q0.d)
                kl = add_estimates(start, excess)
                bound = None if frame is None else _scaled(add_estimates(frame, steps), 1 / (q0.d * log_2))
                rows.append(ChainRow(K, grid, rule, kl, float(kl.value) / (q0.d * log_2), bound))
    return rows


def nodes_on_grid(sch: Schedule, v: Array, K: int, grid: str) -> Steps:
    """(K,) timesteps of a grid among GRIDS, under V_t = v (N+1,)."""
    if grid == "even" or K == sch.N:  # with every timestep a node there is nothing to choose
        return even_grid(sch.N, K)
    return optimal_trajectory(sch.snr, v, K).timesteps


def schedule_of(who: str, orc: Any) -> Schedule:
    """The schedule of an oracle; refuses what is none, and an oracle on a Process."""
    return check_chain(who, orc, np.array([1, 2]))[0]


def _chain_price(
    sch: Schedule, found: Information, v: Array, nodes: Steps, rule: str, d: int
) -> tuple[Estimate, Estimate]:
    """(d/2) Σ [log(σ²/β̃) + σ*²/σ² - 1], and that minus (d/2) ∫ V du."""
    s, t = nodes[:-1], nodes[1:]
    tilde = lambda2_ddpm(sch, s, t)
    best = reverse_variances(sch, nodes, "optimal", mmse=v)
    given = best if rule == "optimal" else reverse_variances(sch, nodes, rule)
    value = 0.5 * d * float((np.log(given / tilde) + best / given - 1).sum())
    slope = 0.5 * d * reverse_coefficient(sch, s, t, tilde) ** 2 / given
    here = _at(found, t)
    steps, whole = (
        Estimate(
            np.asarray(total),
            np.asarray(here.error_of(slope, by_integral)),
            found.method,
            np.asarray(here.effective_count(slope)),
        )
        for total, by_integral in ((value, 0.0), (value - 0.5 * d * found.integral, -0.5 * d))
    )
    return steps, whole


def _at(found: Information, t: Steps) -> Information:
    """What is known at the timesteps t, of what is known at 1..N."""
    samples = None if found.samples is None else found.samples[:, np.append(t - 1, -1)]
    return replace(found, mmse=found.mmse[t - 1], mmse_bound=found.mmse_bound[t - 1], samples=samples)


def _scaled(found: Estimate, factor: float) -> Estimate:
    return Estimate(found.value * factor, found.error * factor, found.method, found.effective_count)
