"""How near the samples come: distances from the samples of samplers to the data, with confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import check_count, generator
from .comparison import GRIDS, nodes_on_grid, schedule_of
from .distances import DISTANCES, energy_distance, sliced_wasserstein
from .errors import InvalidParameterError
from .estimate import Estimate
from .moments import Moments
from .oracle import Oracle
from .posterior_products import means_at_level
from .processes.schedule import Schedule
from .sampler import sample
from .trajectory.step_cost import as_curve, check_nodes

__all__ = ["SAMPLERS", "SampleRow", "compare_samples"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

#: how much rounding may change a posterior weight, relative; far below what a distance shows
_WEIGHT_ERROR = 1e-6
#: name -> (λ², rule for the variance), as `sample` takes them
SAMPLERS = {
    "ddim": ("ddim", "lam2"),
    "analytic-ddim": ("ddim", "optimal"),
    "ddpm": ("ddpm", "lam2"),
    "analytic-ddpm": ("ddpm", "optimal"),
}


@dataclass(frozen=True, eq=False)
class SampleRow:
    """How far the samples of one sampler on one grid are from the data.

    distance : mean over batches and its standard error, units of x (energy, sliced)
    interval : confidence interval of the mean by Student's t over the batches
    gain     : (low, high) for the distance of the first sampler minus this one's, paired by batch: above 0 it is better
    size     : batches, samples of each
    """

    K: int
    grid: str
    sampler: str
    distance: Estimate
    interval: tuple[float, float]
    gain: tuple[float, float]
    size: tuple[int, int]


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
    mmse        : (N+1,) V_t in [0, 1/u_t] for the optimal variances and trajectories, mmse[0] ignored; None
                  estimates it with 1000 samples
    distance    : "energy", whose estimate is unbiased and may come out below 0, or "sliced", the mean Wasserstein-1
                  over 64 directions, biased upwards by the finite samples, equally for all samplers
    num_samples : of one batch; the batches are independent, and all samplers of a batch share x_T and the data
    level       : of the intervals; each misses its mean with probability 1 - level
    rng         : Generator or seed of all draws
    The oracle's means are computed by matrix products (`means_at_level`), every weight right to 1e-6; where they
    cannot be, by the oracle itself. A grid that is the same as the one before it shares its samples.
    Raises InvalidParameterError for an unknown name, for counts or a level out of range, and for mmse of another
    length, with nan, or outside [0, 1/u].
    """
    who = "compare_samples"
    sch = schedule_of(who, orc)
    counts = [check_nodes(who, K, sch.N) for K in node_counts]
    _check_names(who, "samplers", samplers, SAMPLERS)
    _check_names(who, "grids", grids, GRIDS)
    _check_names(who, "distance", [distance], DISTANCES)
    M, B = check_count(who, "num_samples", num_samples, low=2), check_count(who, "batches", batches, low=2)
    if not 0 < level < 1:
        raise InvalidParameterError(f"{who}: level must lie in (0, 1); got {level!r}")
    random = generator(who, rng)
    if mmse is None:
        mmse = np.append(0.0, orc.mmse(np.arange(1, sch.N + 1), 1000, random).value)
    v = as_curve(who, sch.snr, mmse, bounded=True)[1]
    rows = []
    for K in counts:
        before: Steps = np.empty(0, np.int64)
        for grid in grids:
            nodes = nodes_on_grid(sch, v, K, grid)
            if not np.array_equal(nodes, before):
                far = _distances(orc, sch, nodes, samplers, v, distance, M, B, random)
            before = nodes
            for name, own in zip(samplers, far.T):
                found = Moments.of(own).estimate("monte carlo")
                gain = _interval(far[:, 0] - own, level)
                rows.append(SampleRow(K, grid, name, found, _interval(own, level), gain, (B, M)))
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
    rows, d, mean = batches * num, orc.q0.d, _mean(orc, sch)
    shape = batches, num, d
    data, start = orc.q0.sample(rows, rng), rng.standard_normal((rows, d))
    seed = int(rng.integers(2**62))
    far = np.empty((batches, len(samplers)))
    for column, name in enumerate(samplers):
        lam2, rule = SAMPLERS[name]
        chain = sample(
            mean, sch, nodes, rows, seed, lam2=lam2, variance=rule, mmse=v, x_T=start, predicts="x0"
        )
        for row, (one, other) in enumerate(zip(chain.reshape(shape), data.reshape(shape))):
            far[row, column] = (
                energy_distance(one, other)
                if distance == "energy"
                else sliced_wasserstein(one, other, rng=seed)
            )
    return far


def _mean(orc: Oracle, sch: Schedule) -> Callable[[Array, Steps], Array]:
    """E[x_0|x_t] of rows x at one t: by matrix products where their rounding is harmless, else by the oracle."""
    log_weights, means, spectrum, basis = orc.q0.parts()

    def mean(x: Array, t: Steps) -> Array:
        if basis is None:
            a, sigma = map(float, sch.levels(int(t[0])))
            found, error = means_at_level(x, a, sigma, log_weights, means, spectrum)
            if error <= _WEIGHT_ERROR:
                return found
        return np.asarray(orc.x0(x, t))

    return mean


def _interval(values: Array, level: float) -> tuple[float, float]:
    """Student's t interval of the mean."""
    from scipy.stats import t as student

    found = Moments.of(values)
    half = float(student.ppf(0.5 + level / 2, len(values) - 1) * found.stderr)
    return float(found.mean) - half, float(found.mean) + half


def _check_names(who: str, name: str, given: Sequence[str], allowed: Any) -> None:
    wrong = [one for one in given if one not in allowed] if not isinstance(given, str) else [given]
    if wrong or not given:
        raise InvalidParameterError(
            f"{who}: {name} must be a list of names among {', '.join(allowed)}; got {given!r}"
        )
