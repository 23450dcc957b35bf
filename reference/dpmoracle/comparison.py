r"""What the optimum buys: the price of every choice of variance and trajectory, and how near the samples come.

Chains are compared by their exact KL (`compare_chains`), samplers without a density, such as DDIM, by a distance
between samples with a confidence interval (`compare_samples`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import check_count, generator
from .distances import DISTANCES, energy_distance, sliced_wasserstein
from .errors import InvalidParameterError
from .estimate import Estimate
from .likelihood.entropy import add_estimates, kl_to_normal
from .likelihood.information import Information, check_method, gather
from .likelihood.variational import elbo
from .moments import Moments
from .oracle import Oracle
from .processes.schedule import Schedule
from .reverse_step import lambda2_ddpm, reverse_coefficient
from .sampler import sample
from .trajectory import even_grid, optimal_trajectory
from .trajectory.step_cost import check_nodes
from .variance_rules import check_chain, reverse_variances

__all__ = ["GRIDS", "RULES", "SAMPLERS", "ChainRow", "SampleRow", "compare_chains", "compare_samples"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

NODE_COUNTS = (10, 25, 50, 100, 200, 400, 1000)
GRIDS = ("even", "optimal")
RULES = ("beta", "beta_tilde", "optimal")
#: name -> (λ², rule for the variance), as `sample` takes them
SAMPLERS = {
    "ddim": ("ddim", "lam2"),
    "analytic-ddim": ("ddim", "optimal"),
    "ddpm": ("ddpm", "lam2"),
    "analytic-ddpm": ("ddpm", "optimal"),
}


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


@dataclass(frozen=True, eq=False)
class SampleRow:
    """How far the samples of one sampler on one grid are from the data.

    distance : mean over batches and its standard error, units of x (energy, sliced)
    interval : confidence interval of the mean by Student's t over the batches
    gain     : (low, high) for the distance of the first sampler minus this one's, paired by batch: above 0 it is better
    """

    K: int
    grid: str
    sampler: str
    distance: Estimate
    interval: tuple[float, float]
    gain: tuple[float, float]


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
    sch = _schedule(who, orc)
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
            nodes = _grid(sch, v, K, grid)
            for rule in RULES:
                steps, excess = _chain_price(sch, found, v, nodes, rule, q0.d)
                kl = add_estimates(start, excess)
                bound = None if frame is None else _scaled(add_estimates(frame, steps), 1 / (q0.d * log_2))
                rows.append(ChainRow(K, grid, rule, kl, float(kl.value) / (q0.d * log_2), bound))
    return rows


def compare_samples(
    orc: Oracle,
    node_counts: Sequence[int] = (10, 25, 50),
    *,
    samplers: Sequence[str] = ("ddim", "analytic-ddim"),
    grids: Sequence[str] = ("even",),
    mmse: ArrayLike | None = None,
    distance: str = "energy",
    num_samples: int = 500,
    batches: int = 8,
    level: float = 0.95,
    rng: np.random.Generator | int | None = None,
) -> list[SampleRow]:
    """Distance from the samples of each sampler to fresh data, with confidence intervals.

    orc         : an Oracle on a Schedule
    node_counts : each K in 2..N
    samplers    : names among SAMPLERS; the first is what the others are compared with
    grids       : names among GRIDS
    mmse        : (N+1,) V_t for the optimal variances and trajectories; None estimates it with 1000 samples
    distance    : "energy", whose estimate is unbiased and may come out below 0, or "sliced", the mean Wasserstein-1
                  over 64 directions, biased upwards by the finite samples, equally for all samplers
    num_samples : of one batch; the batches are independent, and all samplers of a batch share x_T and the data
    level       : of the intervals; each misses its mean with probability 1 - level
    rng         : Generator or seed of all draws
    Raises InvalidParameterError for an unknown name, and counts or a level out of range.
    """
    who = "compare_samples"
    sch = _schedule(who, orc)
    counts = [check_nodes(who, K, sch.N) for K in node_counts]
    _check_names(who, "samplers", samplers, SAMPLERS)
    _check_names(who, "grids", grids, GRIDS)
    _check_names(who, "distance", [distance], DISTANCES)
    M, B = check_count(who, "num_samples", num_samples, low=2), check_count(who, "batches", batches, low=2)
    if not 0 < level < 1:
        raise InvalidParameterError(f"{who}: level must lie in (0, 1); got {level!r}")
    random = generator(who, rng)
    v = (
        np.append(0.0, orc.mmse(np.arange(1, sch.N + 1), 1000, random).value)
        if mmse is None
        else np.asarray(mmse)
    )
    rows = []
    for K in counts:
        for grid in grids:
            nodes = _grid(sch, v, K, grid)
            far = _distances(orc, sch, nodes, samplers, v, distance, M, B, random)
            for name, own in zip(samplers, far.T):
                found = Moments.of(own).estimate("monte carlo")
                gain = _interval(far[:, 0] - own, level)
                rows.append(SampleRow(K, grid, name, found, _interval(own, level), gain))
    return rows


def _distances(
    orc: Oracle,
    sch: Schedule,
    nodes: Steps,
    samplers: Sequence[str],
    v: Array,
    distance: str,
    num: int,
    batches: int,
    rng: np.random.Generator,
) -> Array:
    """(batches, samplers) distances to fresh data; one chain carries the rows of all batches."""
    rows, d = batches * num, orc.q0.d
    data, start = orc.q0.sample(rows, rng), rng.standard_normal((rows, d))
    seed = int(rng.integers(2**62))
    far = np.empty((batches, len(samplers)))
    for column, name in enumerate(samplers):
        lam2, rule = SAMPLERS[name]
        x = sample(orc, sch, nodes, rows, seed, lam2=lam2, variance=rule, mmse=v, x_T=start)
        for row, (one, other) in enumerate(zip(x.reshape(batches, num, d), data.reshape(batches, num, d))):
            far[row, column] = (
                energy_distance(one, other)
                if distance == "energy"
                else sliced_wasserstein(one, other, rng=seed)
            )
    return far


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


def _grid(sch: Schedule, v: Array, K: int, grid: str) -> Steps:
    if grid == "even" or K == sch.N:  # with every timestep a node there is nothing to choose
        return even_grid(sch.N, K)
    return optimal_trajectory(sch.snr, v, K).timesteps


def _interval(values: Array, level: float) -> tuple[float, float]:
    """Student's t interval of the mean."""
    from scipy.stats import t as student

    found = Moments.of(values)
    half = float(student.ppf(0.5 + level / 2, len(values) - 1) * found.stderr)
    return float(found.mean) - half, float(found.mean) + half


def _scaled(found: Estimate, factor: float) -> Estimate:
    return Estimate(found.value * factor, found.error * factor, found.method, found.effective_count)


def _schedule(who: str, orc: Any) -> Schedule:
    return check_chain(who, orc, np.array([1, 2]))[0]


def _check_names(who: str, name: str, given: Sequence[str], allowed: Any) -> None:
    wrong = [one for one in given if one not in allowed] if not isinstance(given, str) else [given]
    if wrong or not given:
        raise InvalidParameterError(
            f"{who}: {name} must be a list of names among {', '.join(allowed)}; got {given!r}"
        )
