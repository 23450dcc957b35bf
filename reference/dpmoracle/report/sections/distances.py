"""What the optimum buys in samples: how far those of DDIM and of Analytic-DDIM are from the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ...claims.comparison import distance_to, quantiles_of_chain
from ...claims.world import World
from ...comparison import GRIDS, SAMPLERS, SampleRow, compare_samples
from ...trajectory import even_grid, optimal_trajectory
from ...variance_rules import reverse_variances, step_lam2
from ..figures.style import plain
from ..page import Cell, Column, Lines, Outcome, Table
from .laws import Law

__all__ = [
    "exact_distances",
    "exact_table",
    "exact_verdict",
    "law_distances",
    "sample_table",
    "sample_verdict",
]

Array = NDArray[np.float64]

_RIVALS, _NAMES = ("ddim", "analytic-ddim"), ("DDIM", "Analytic-DDIM")
#: beyond, the noise of a step is finer than the quantiles that carry it
_COUNTS = (10, 25, 50, 100)
#: law -> (K, grid) -> energy distance of each rival
Exact = Mapping[str, Mapping[tuple[int, str], tuple[float, ...]]]


def law_distances(world: World, law: Law, mmse: Array) -> list[SampleRow]:
    """Distances of samples, by chance; mmse (N+1,) makes the variances and the optimal trajectories."""
    size, batches = law.few
    return compare_samples(
        world.oracle(law.q0),
        law.counts,
        grids=GRIDS,
        mmse=mmse,
        num_samples=size,
        batches=batches,
        rng=world.rng(f"report.distances.{law.name}"),
    )


def exact_distances(world: World, law: Law, mmse: Array) -> dict[tuple[int, str], tuple[float, ...]]:
    """Energy distances without a random number, in one dimension: the law of the chain by quantiles."""
    sch, orc, v = world.schedule, world.oracle(law.q0), mmse
    found = {}
    for K in (K for K in _COUNTS if K <= sch.N):
        for grid in GRIDS:
            nodes = even_grid(sch.N, K) if grid == "even" else optimal_trajectory(sch.snr, v, K).timesteps
            far = []
            for name in _RIVALS:
                mean, rule = SAMPLERS[name]
                lam2 = step_lam2("report", sch, nodes, mean)
                sigma2 = reverse_variances(sch, nodes, rule, lam2=lam2, mmse=v)
                far.append(distance_to(law.q0, quantiles_of_chain(orc, nodes, lam2, sigma2)))
            found[K, grid] = tuple(far)
    return found


def exact_table(found: Exact) -> Table:
    """DDIM and Analytic-DDIM side by side, for each law, K and grid."""
    lines: list[tuple[Cell, ...]] = [
        (Lines(f"{grid} grid", label), K, *far, _nearer(far[0] - far[1]))
        for label, cells in found.items()
        for (K, grid), far in cells.items()
    ]
    return Table(
        ("timesteps, data", Column("K", "d"), *(Column(name, ".2g") for name in _NAMES), "Analytic-DDIM is"),
        tuple(lines),
        "Energy distance of the law of the samples to the data, in one dimension, by 240 quantiles of each step",
    )


def exact_verdict(found: Exact) -> str:
    """Counts over all laws, K and grids."""
    cells = [far for law in found.values() for far in law.values()]
    wins = sum(new < old for old, new in cells)
    pairs = [
        (law[K, "even"][0], law[K, "optimal"][0])
        for law in found.values()
        for K, grid in law
        if grid == "even"
    ]
    harmed = sum(best > even for even, best in pairs)
    return (
        f"Without chance, in one dimension: Analytic-DDIM is nearer than DDIM in {wins} of {len(cells)} cases, and "
        f"on the optimal trajectory DDIM is farther than on the even grid in {harmed} of {len(pairs)}."
    )


def sample_table(found: Mapping[str, Sequence[SampleRow]]) -> Table:
    """DDIM and Analytic-DDIM side by side, and what the paired difference says, for each law."""
    lines: list[tuple[Cell, ...]] = [
        (
            Lines(f"{old.grid} grid", label),
            old.K,
            _distance(old),
            _distance(new),
            Lines(_span(new.gain), "", value=sum(new.gain) / 2),
            _judged(new),
        )
        for label, rows in found.items()
        for old, new in zip(rows[::2], rows[1::2])
    ]
    return Table(
        ("timesteps, data", Column("K", "d"), *_NAMES, "difference", "Analytic-DDIM is"),
        tuple(lines),
        "Energy distance of samples to fresh data (unbiased, so it may come out below 0) and the difference of the "
        "two, with 95% confidence intervals",
    )


def sample_verdict(rows: Sequence[SampleRow]) -> str:
    """How often Analytic-DDIM is nearer to the data than DDIM, and what the optimal trajectory does to DDIM."""
    words = [_judged(row).word for row in rows if row.sampler == "analytic-ddim"]
    told = ", ".join(f"{words.count(word)} {word}" for word in ("nearer", "farther", "undecided"))
    wins = "wins everywhere" if words.count("nearer") == len(words) else "is not shown to win everywhere"
    plain_rows = [row for row in rows if row.sampler == "ddim"]
    pairs = list(zip(plain_rows[::2], plain_rows[1::2]))  # of one K, on the even and the optimal grid
    harmed = sum(even.interval[1] < best.interval[0] for even, best in pairs)
    helped = sum(best.interval[1] < even.interval[0] for even, best in pairs)
    return (
        f"In the distance of samples Analytic-DDIM {wins}: against DDIM on the same timesteps, of {len(words)} cases "
        f"{told} (paired differences, 95% confidence each). The optimal trajectory is no rule for DDIM: from the "
        f"even grid to it, of {len(pairs)} cases {helped} come nearer and {harmed} go farther by intervals that do "
        "not overlap."
    )


def _distance(row: SampleRow) -> Lines:
    value = float(row.distance.value)
    return Lines(plain(value, 2), _span(row.interval), value=value)


def _span(interval: tuple[float, float]) -> str:
    return "[{}, {}]".format(*(plain(end, 2) for end in interval))


def _judged(row: SampleRow) -> Outcome:
    low, high = row.gain
    return _nearer(low if low > 0 else min(high, 0.0))


def _nearer(gain: float) -> Outcome:
    """By what is certain of the distance of DDIM minus that of Analytic-DDIM; 0 where nothing is."""
    if gain > 0:
        return Outcome("nearer", "good")
    return Outcome("farther", "expected") if gain < 0 else Outcome("undecided", "open")
