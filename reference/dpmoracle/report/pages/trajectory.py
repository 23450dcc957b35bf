"""The page of `dpmoracle trajectory`."""

from __future__ import annotations

from ...plan import Plan, to_diffusers
from .. import sections, words
from ..page import Column, Outcome, Page, Section, Table
from .gamma import source as source_facts

__all__ = ["trajectory_page"]

_SHOWN = 4  # numbers of evaluations in the first line


def trajectory_page(plan: Plan, source: str, command: str) -> Page:
    """Costs of the optimal trajectories beside the even grid, and their timesteps; source names the file of V."""
    integral, d = plan.integral, plan.curve.data.shape[1]
    costs = Section(
        "Costs",
        (
            "Optimal is what minimises the KL divergence from the noising chain to the sampler's with optimal "
            "variances. The excess is what a trajectory costs more than any can avoid, (d/2) (sum of J - integral of V "
            f"over the SNR), in nats, of all {d} dimensions and per dimension; the step from timestep 1 to the data is "
            "not in it.",
            f"Integral of V over the SNR: {integral.value:.5g} per dimension, ± {integral.error:.1g} of the "
            f"integration, ± {plan.sampling_error:.1g} (one standard error at most) of the samples.",
            *words.plan_remarks(plan),
        ),
        tables=(_costs(plan),),
    )
    steps = Section(
        "Timesteps",
        ("As diffusers takes them, set_timesteps(timesteps=...), they are one less, the noisiest first.",),
        tables=(
            Table(
                ("K", "timesteps", "for diffusers"),
                tuple(
                    (
                        K,
                        ", ".join(map(str, best.timesteps.tolist())),
                        ", ".join(map(str, to_diffusers(best.timesteps))),
                    )
                    for K, best in plan.best.items()
                ),
                "The optimal trajectory of each K",
            ),
        ),
    )
    return Page(
        "The best timesteps",
        Outcome(_told(plan), "good" if plan.certificate.holds else "open"),
        command,
        plan.curve.seed,
        (costs, *sections.trajectory_sections(plan), steps),
        (("File of Γ and V", source), *source_facts(plan.curve)),
    )


def _told(plan: Plan) -> str:
    """What the reader takes away: by how much the even grid is worse."""
    if all(words.even_is_as_good(plan, K) for K in plan.best):
        return "Nothing to choose: every trajectory costs the same"
    d = plan.curve.data.shape[1]
    pairs = [
        f"{d * words.excess(plan, best.cost):.3g} and {d * words.excess(plan, plan.even[K].cost):.3g} at K = {K}"
        for K, best in plan.best.items()
    ]
    more = f"; {len(pairs) - _SHOWN} more below" if len(pairs) > _SHOWN else ""
    return f"Excess in nats, optimal and on the even grid: {'; '.join(pairs[:_SHOWN])}{more}"


def _costs(plan: Plan) -> Table:
    d = plan.curve.data.shape[1]
    rows = []
    for K, best in plan.best.items():
        excess, even = (words.excess(plan, path.cost) for path in (best, plan.even[K]))
        rows.append((K, best.method, best.cost, d * excess, excess, plan.even[K].cost, d * even, even))
    return Table(
        (
            "K",
            "method",
            Column("sum of J", ".5g"),
            Column("excess"),
            Column("per dimension", ".3g"),
            Column("even grid: sum of J", ".5g"),
            Column("its excess"),
            Column("per dimension", ".3g"),
        ),
        tuple(rows),
        "The optimal trajectory beside the even grid, by the number of network evaluations",
    )
