"""What the optimum buys: KL of every variance and grid in the layout of bao2022, Table 1, and distances of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...claims.cloud import Cloud
from ...claims.world import World
from ...comparison import GRIDS, NODE_COUNTS, RULES, ChainRow, SampleRow, compare_chains, compare_samples
from ...errors import InvalidParameterError
from ...likelihood import kl_to_normal
from ...mixture import GaussianMixture
from ...trajectory.density import root_kappa_steps
from ..figures.kl import RULE_NAMES, kl_figure
from ..figures.style import plain
from ..page import Cell, Column, Figure, Lines, Outcome, Section, Table

__all__ = [
    "Law",
    "chain_table",
    "chain_verdict",
    "compared_laws",
    "data_law",
    "law_chains",
    "law_figure",
    "optimum_section",
    "sample_table",
    "sample_verdict",
]

_SAMPLES = 200


@dataclass(frozen=True)
class Law:
    """A law whose chains are compared; few, points and counts say at what size the distances of samples are taken.

    method : of `compare_chains`
    few    : samples of a batch, batches     points : of a data set, the most that distances can afford
    """

    name: str
    label: str
    q0: GaussianMixture
    method: str | None
    few: tuple[int, int] = (400, 6)
    counts: tuple[int, ...] = (10, 25, 50)
    points: int | None = None

    @property
    def told(self) -> str:
        how = f"V by Monte Carlo, {_SAMPLES} samples" if self.method else "V exact, by quadrature"
        return f"{self.label}, {how}"


def optimum_section(world: World, cloud: Cloud) -> Section:
    """Figures and tables of KL, and of sample distances, on the data and on three mixtures."""
    laws, refused = compared_laws(world, cloud), data_law(cloud)[1]
    chains = {law: law_chains(world, law) for law in laws}
    distances = dict(_distances(world, law) for law in laws)
    return Section(
        "What the optimum buys",
        text=(
            "KL of the forward chain to the reverse chain with λ² = β̃ and exact means: what all steps together lose, "
            "in nats and in bits per dimension; without the last step, from the first timestep to the data.",
            chain_verdict([row for rows in chains.values() for row in rows]),
            sample_verdict([row for rows in distances.values() for row in rows]),
            *((f"The data are not among them. {refused}",) if refused else ()),
        ),
        figures=tuple(law_figure(world, law, rows) for law, rows in chains.items()),
        tables=(
            *(chain_table(rows, law.told) for law, rows in chains.items()),
            sample_table(distances),
        ),
    )


def compared_laws(world: World, cloud: Cloud) -> list[Law]:
    """The data, where they make a mixture, and mixtures whose V is known."""
    wide = GaussianMixture([0.5, 0.5], [[0.0], [0.3]], [0.02, 2.0], "spherical")
    laws = [
        Law("line", "three Gaussians in one dimension", world.lines["three gaussians"], None),
        Law("wide", "a narrow and a wide Gaussian in one dimension", wide, None, few=(1000, 8)),
        Law("plane", "three Gaussians in 10 dimensions", world.planes["plane in d=10"], None),
    ]
    data = data_law(cloud)[0]
    if data is None:
        return laws
    return [Law("data", cloud.label, data, "monte carlo", few=(100, 4), counts=(10, 25), points=200), *laws]


def data_law(cloud: Cloud) -> tuple[GaussianMixture | None, str]:
    """The points as a mixture; or None, and why they make none: numbers too large to square."""
    try:
        return GaussianMixture.from_points(cloud.points), ""
    except InvalidParameterError as error:
        return None, str(error)


def chain_table(rows: Sequence[ChainRow], where: str) -> Table:
    """A line for each grid and rule, a column for each K; below the nats, bits per dimension."""
    counts = sorted({row.K for row in rows})
    found = {(row.K, row.grid, row.rule): row for row in rows}
    lines: list[tuple[Cell, ...]] = [
        (f"{RULE_NAMES[rule]}, {grid} grid", *(_cell(found[K, grid, rule]) for K in counts))
        for grid in GRIDS
        for rule in RULES
    ]
    return Table(
        ("variance, timesteps", *(f"K = {K}" for K in counts)),
        tuple(lines),
        f"KL in nats, below it in bits per dimension: {where}",
    )


def chain_verdict(rows: Sequence[ChainRow]) -> str:
    """In how many cells the analytic variance is the best; rows as `compare_chains` orders them, of any number of "
    "laws."""
    block = len(RULES) * len(GRIDS)
    wins = harmed = 0
    for start in range(0, len(rows), block):
        kl = {(row.grid, row.rule): float(row.kl.value) for row in rows[start : start + block]}
        wins += sum(kl[grid, "optimal"] <= min(kl[grid, rule] for rule in RULES) for grid in GRIDS)
        harmed += kl["optimal", "beta"] > kl["even", "beta"]
    cells, pairs = len(rows) // len(RULES), len(rows) // block
    return (
        f"In KL the analytic variance {'wins everywhere' if wins == cells else 'does not win everywhere'}: it is the "
        f"least of the three in {wins} of {cells} comparisons, as it must be where V is exact. The optimal "
        f"trajectory is made for it alone: with β it is worse than the even grid in {harmed} of {pairs}."
    )


def sample_table(found: Mapping[str, Sequence[SampleRow]]) -> Table:
    """DDIM and Analytic-DDIM side by side, and what the paired difference says, for each law."""
    lines: list[tuple[Cell, ...]] = [
        (
            Lines(f"{old.grid} grid", label),
            old.K,
            _distance(old),
            _distance(new),
            _span(new.gain),
            _judged(new),
        )
        for label, rows in found.items()
        for old, new in zip(rows[::2], rows[1::2])
    ]
    return Table(
        ("timesteps, data", Column("K", "d"), "DDIM", "Analytic-DDIM", "difference", "Analytic-DDIM is"),
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


def law_chains(world: World, law: Law) -> list[ChainRow]:
    rng = world.rng(f"report.optimum.{law.name}")
    return compare_chains(world.oracle(law.q0), NODE_COUNTS, num_samples=_SAMPLES, rng=rng, method=law.method)


def law_figure(world: World, law: Law, rows: Sequence[ChainRow]) -> Figure:
    sch, rng = world.schedule, world.rng(f"report.limit.{law.name}")
    start = kl_to_normal(law.q0.diffuse(*map(float, sch.levels(sch.N))), _SAMPLES, rng)
    root = float(np.nansum(root_kappa_steps(sch.snr, _mmse(world, law.q0, rng))))
    return kl_figure(f"kl-{law.name}", rows, law.told, float(start.value), 0.25 * law.q0.d * root**2)


def _distances(world: World, law: Law) -> tuple[str, list[SampleRow]]:
    """What was sampled, in words, and how far it was from the data."""
    q0, label, rng = law.q0, law.label, world.rng(f"report.distances.{law.name}")
    if law.points is not None and q0.n_components > law.points:
        q0 = GaussianMixture.from_points(q0.means[:: -(-q0.n_components // law.points)])
        label = f"{q0.n_components} points of {label}"
    size, batches = law.few
    found = compare_samples(
        world.oracle(q0),
        law.counts,
        grids=GRIDS,
        mmse=_mmse(world, q0, rng),
        num_samples=size,
        batches=batches,
        rng=rng,
    )
    return f"{label}, {batches} batches of {size}", found


def _mmse(world: World, q0: GaussianMixture, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N+1,) V_t from samples, near enough for a grid, a variance, or a line in a picture."""
    t = np.arange(1, world.schedule.N + 1)
    return np.append(0.0, world.oracle(q0).mmse(t, _SAMPLES, rng, method="trace").value)


def _cell(row: ChainRow) -> Lines:
    value, error = float(row.kl.value), float(row.kl.error)
    shown = plain(value, 3) + (f" ± {plain(error, 1)}" if row.kl.method == "monte carlo" else "")
    return _unbroken(shown, f"{plain(row.bits_per_dim, 2)} bits")


def _distance(row: SampleRow) -> Lines:
    return _unbroken(plain(float(row.distance.value), 2), _span(row.interval))


def _span(interval: tuple[float, float]) -> str:
    return "[{}, {}]".format(*(plain(end, 2) for end in interval))


def _unbroken(text: str, below: str) -> Lines:
    """A number and its error stay on one line."""
    return Lines(text.replace(" ", "\u00a0"), below)


def _judged(row: SampleRow) -> Outcome:
    low, high = row.gain
    if low > 0:
        return Outcome("nearer", "good")
    return Outcome("farther", "expected") if high < 0 else Outcome("undecided", "open")
