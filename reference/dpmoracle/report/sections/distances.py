"""What the optimum buys in samples: how far those of DDIM and of Analytic-DDIM are from the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...claims.quantile_road import distance_to, quantiles_of_chain
from ...claims.world import World
from ...comparison import GRIDS, NODE_COUNTS, nodes_on_grid
from ...sample_comparison import SAMPLERS, SampleRow, compare_samples
from ...variance_rules import reverse_variances, step_lam2
from ..figures.style import plain
from ..page import Cell, Column, Lines, Outcome, Table
from .laws import Law

__all__ = [
    "batch_size",
    "exact_distances",
    "exact_table",
    "exact_verdict",
    "joint_level",
    "law_distances",
    "sample_table",
    "sample_verdict",
]

Array = NDArray[np.float64]

_RIVALS, _NAMES = ("ddim", "analytic-ddim"), ("DDIM", "Analytic-DDIM")
#: of the quantiles: beyond, the noise of a step is finer than the quantiles that carry it
_EXACT_COUNTS = (10, 25, 50, 100)
#: many batches, since so many intervals that are to hold together would else be wide by Student's t
_BATCHES = 16
_FEWEST, _MOST = 20, 2000
#: law -> (K, grid) -> energy distance of each rival
Exact = Mapping[str, Mapping[tuple[int, str], tuple[float, ...]]]


def batch_size(law: Law, K: int) -> int:
    """Samples of one batch, 20 to 2000, as many as law.work allows: a step of one costs C (d + 60) + 2000, about."""
    step = law.q0.n_components * (law.q0.d + 60) + 2000
    return int(np.clip(law.work / (_BATCHES * K * step), _FEWEST, _MOST))


def law_distances(
    world: World, law: Law, mmse: Array, level: float, tell: Callable[[str], object] = lambda what: None
) -> list[SampleRow]:
    """Distances of samples, by chance; mmse (N+1,) makes the variances and the optimal trajectories.

    level : of each interval
    tell  : called with what comes next
    """
    found = []
    for K, grids in _cases(world):
        tell(f"samples of {law.label}, K = {K}")
        found += compare_samples(
            world.oracle(law.q0),
            (K,),
            grids=grids,
            mmse=mmse,
            num_samples=batch_size(law, K),
            batches=_BATCHES,
            level=level,
            rng=world.rng(f"report.distances.{law.name}.{K}"),
        )
    return found


def joint_level(world: World, laws: int) -> float:
    """Level of each interval at which those of all the laws together hold with 95% confidence [Bonferroni]."""
    return 1 - 0.05 / (laws * sum(len(grids) for _, grids in _cases(world)))


def _cases(world: World) -> list[tuple[int, tuple[str, ...]]]:
    """(K, grids); with all timesteps there is one grid."""
    N = world.schedule.N
    return [(K, GRIDS if K < N else GRIDS[:1]) for K in NODE_COUNTS if K <= N]


def exact_distances(world: World, law: Law, mmse: Array) -> dict[tuple[int, str], tuple[float, ...]]:
    """Energy distances without a random number, in one dimension: the law of the chain by quantiles."""
    sch, orc, v = world.schedule, world.oracle(law.q0), mmse
    found = {}
    for K in (K for K in _EXACT_COUNTS if K <= sch.N):
        for grid in GRIDS:
            nodes = nodes_on_grid(sch, v, K, grid)
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
            "{} × {}".format(*old.size),
            _distance(old),
            _distance(new),
            Lines(_span(new.gain), "", value=sum(new.gain) / 2),
            _judged(new),
        )
        for label, rows in found.items()
        for old, new in zip(rows[::2], rows[1::2])
    ]
    return Table(
        ("timesteps, data", Column("K", "d"), "batches × samples", *_NAMES, "difference", "Analytic-DDIM is"),
        tuple(lines),
        "Energy distance of samples to fresh data (unbiased, so it may come out below 0) and the difference of the "
        "two, with confidence intervals; the intervals of all differences together hold with 95% confidence",
    )


def sample_verdict(rows: Sequence[SampleRow]) -> str:
    """How often Analytic-DDIM is nearer to the data than DDIM, and what the optimal trajectory does to DDIM."""
    words = [_judged(row).word for row in rows if row.sampler == "analytic-ddim"]
    told = ", ".join(f"{words.count(word)} {word}" for word in ("nearer", "farther", "undecided"))
    wins = "wins everywhere" if words.count("nearer") == len(words) else "is not shown to win everywhere"
    plain_rows = [row for row in rows if row.sampler == "ddim"]
    pairs = [(one, two) for one, two in pairwise(plain_rows) if (one.grid, two.grid) == GRIDS]  # of one K
    harmed = sum(even.interval[1] < best.interval[0] for even, best in pairs)
    helped = sum(best.interval[1] < even.interval[0] for even, best in pairs)
    return (
        f"In the distance of samples Analytic-DDIM {wins}: against DDIM on the same timesteps, of {len(words)} cases "
        f"{told} (paired differences; with 95% confidence not one of these verdicts is wrong). The optimal "
        f"trajectory is no rule for DDIM: from the even grid to it DDIM comes nearer in {helped} of {len(pairs)} cases "
        f"and goes farther in {harmed}, by intervals that do not overlap."
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
