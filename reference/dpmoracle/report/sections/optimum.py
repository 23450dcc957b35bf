"""What the optimum buys: KL of every variance and grid, in the layout of bao2022, Table 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...claims.cloud import Cloud
from ...claims.world import World
from ...comparison import GRIDS, NODE_COUNTS, RULES, ChainRow, compare_chains
from ...likelihood import kl_to_normal
from ...trajectory.density import root_kappa_steps
from ..figures.kl import RULE_NAMES, kl_figure
from ..figures.style import plain
from ..page import Cell, Figure, Lines, Section, Table
from .distances import (
    exact_distances,
    exact_table,
    exact_verdict,
    law_distances,
    sample_table,
    sample_verdict,
)
from .laws import SAMPLES, Law, compared_laws, data_law, law_mmse, sampling_law

__all__ = ["chain_table", "chain_verdict", "law_chains", "law_figure", "optimum_section"]


def optimum_section(world: World, cloud: Cloud) -> Section:
    """Figures and tables of KL, and of sample distances, on the data and on three mixtures."""
    laws, refused = compared_laws(world, cloud), data_law(cloud)[1]
    chains = {law: law_chains(world, law) for law in laws}
    mmse = {law: law_mmse(world, law) for law in laws}
    sampled = {}
    for law, v in mmse.items():
        few = sampling_law(law)
        label = "{}, {} batches of {}".format(few.label, *few.few[::-1])
        sampled[label] = law_distances(world, few, v if few is law else law_mmse(world, few))
    lines = [law for law in laws if law.q0.d == 1 and law.method is None]
    exact = {law.label: exact_distances(world, law, mmse[law]) for law in lines}
    return Section(
        "What the optimum buys",
        text=(
            "KL of the forward chain to the reverse chain with λ² = β̃ and exact means: what all steps together lose, "
            "in nats and in bits per dimension; without the last step, from the first timestep to the data.",
            chain_verdict([row for rows in chains.values() for row in rows]),
            sample_verdict([row for rows in sampled.values() for row in rows]),
            exact_verdict(exact),
            *((f"The data are not among them. {refused}",) if refused else ()),
        ),
        figures=tuple(law_figure(world, law, rows, mmse[law]) for law, rows in chains.items()),
        tables=(
            *(chain_table(rows, law.told) for law, rows in chains.items()),
            sample_table(sampled),
            exact_table(exact),
        ),
    )


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
    """In how many cells the analytic variance is the best; rows in the order of `compare_chains`, law after law."""
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


def law_chains(world: World, law: Law) -> list[ChainRow]:
    rng = world.rng(f"report.optimum.{law.name}")
    return compare_chains(world.oracle(law.q0), NODE_COUNTS, num_samples=SAMPLES, rng=rng, method=law.method)


def law_figure(world: World, law: Law, rows: Sequence[ChainRow], mmse: NDArray[np.float64]) -> Figure:
    sch, rng = world.schedule, world.rng(f"report.limit.{law.name}")
    start = kl_to_normal(law.q0.diffuse(*map(float, sch.levels(sch.N))), SAMPLES, rng)
    root = float(np.nansum(root_kappa_steps(sch.snr, mmse)))
    return kl_figure(f"kl-{law.name}", rows, law.told, float(start.value), 0.25 * law.q0.d * root**2)


def _cell(row: ChainRow) -> Lines:
    value, error = float(row.kl.value), float(row.kl.error)
    shown = plain(value, 3) + (f" ± {plain(error, 1)}" if row.kl.method == "monte carlo" else "")
    return Lines(shown.replace(" ", "\u00a0"), f"{plain(row.bits_per_dim, 2)} bits", value=value)
