"""The page of each command: its verdict, its tables and, from `sections`, its figures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..claims.results import Report, Verdict
from ..plan import Plan, to_diffusers
from . import sections, words
from .page import Column, Lines, Outcome, Page, Section, Table

if TYPE_CHECKING:
    from ..gamma_curve import GammaCurve

__all__ = ["gamma_page", "trajectory_page", "validate_page"]

Progress = Callable[[int, int, str], None]

_ERROR = ".1e"  # an error is of interest by its order of magnitude
_ROWS = 40  # timesteps of a table, about
_SHOWN = 4  # numbers of evaluations in the first line


def validate_page(
    report: Report, points: NDArray[np.float64], command: str, progress: Progress | None = None
) -> Page:
    """Every claim with its verdict, what is not as expected first; points are those of the run."""
    claims = [
        Section(
            "Claims",
            (
                "Each claim is a statement with its source, judged by an independent road that does not use its "
                "formula. The measured error is the largest difference between the two; up to the tolerance a "
                "statement counts as true. A form that is wrong as printed is expected to be refuted, and its "
                "correction is a claim of its own.",
            ),
            tables=(_groups(report), _verdicts(report.verdicts, "All claims, in the order of their sources")),
        )
    ]
    if report.failures:
        found = "These verdicts are not the ones that were expected: a formula, a road or the code is wrong."
        claims.insert(
            0, Section("Not as expected", (found,), tables=(_verdicts(report.failures, "Claims to look at"),))
        )
    return Page(
        "Which formulas hold",
        Outcome(report.summary, "good" if report.ok else "bad"),
        command,
        report.seed,
        (*claims, *sections.validate_sections(report, points, progress)),
        (("Data", report.data),),
    )


def _outcome(verdict: Verdict) -> Outcome:
    if verdict.as_expected:
        return Outcome(verdict.outcome, "good" if verdict.verdict == "holds" else "expected")
    return Outcome(verdict.outcome, "open" if verdict.verdict == "undecided" else "bad")


def _verdicts(verdicts: tuple[Verdict, ...], caption: str) -> Table:
    return Table(
        (
            "claim",
            "verdict",
            Column("measured error", _ERROR),
            Column("tolerance", _ERROR),
            "statement and evidence",
        ),
        tuple(
            (
                Lines(v.id, v.source),
                _outcome(v),
                v.measured,
                v.tolerance,
                Lines(v.statement, v.evidence, latex=True),
            )
            for v in verdicts
        ),
        caption,
    )


def _groups(report: Report) -> Table:
    """Counts by the first part of the identifiers."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in report:
        groups.setdefault(verdict.id.partition(".")[0], []).append(verdict)
    return Table(
        ("group", "claims", "hold", "refuted, as expected", "not as expected", Column("seconds", ".2f")),
        tuple(
            (
                name,
                len(group),
                sum(v.as_expected and v.verdict == "holds" for v in group),
                sum(v.as_expected and v.verdict == "refuted" for v in group),
                sum(not v.as_expected for v in group),
                sum(v.seconds for v in group),
            )
            for name, group in groups.items()
        ),
        "Claims by the first part of their names",
    )


def gamma_page(curve: GammaCurve, command: str) -> Page:
    """Γ and V over the timesteps, and where not to trust them."""
    last = curve.schedule.N
    if (curve.mmse < 0).any():
        summary = Outcome("V is negative at some timesteps, which no distribution has", "bad")
    elif curve.poor.size:
        summary = Outcome(f"V rests on a few rare samples at {curve.poor.size} of {last} timesteps", "open")
    else:
        summary = Outcome(f"V rests on enough samples at all {last} timesteps", "good")
    values = Section("Values", tuple(words.curve_remarks(curve)), tables=(_timesteps(curve),))
    return Page(
        "Γ and V of a data set",
        summary,
        command,
        curve.seed,
        (*sections.gamma_sections(curve), values),
        (*_source(curve), ("Samples between two checkpoints", str(curve.batch_size))),
    )


def _timesteps(curve: GammaCurve) -> Table:
    last = curve.schedule.N
    shown = np.unique(
        np.rint(np.concatenate([np.linspace(1, last, _ROWS), np.geomspace(1, last, _ROWS // 2)]))
    )
    columns = (
        "t",
        Column("SNR"),
        Column("Γ", ".6g"),
        Column("standard error of Γ", _ERROR),
        Column("V", ".5g"),
        Column("standard error of V", _ERROR),
        Column("effective count", ".0f"),
    )
    curves = (
        curve.schedule.snr,
        curve.gamma,
        curve.gamma_stderr,
        curve.mmse,
        curve.mmse_stderr,
        curve.effective_count,
    )
    rows = tuple((t, *(float(values[t]) for values in curves)) for t in shown.astype(int).tolist())
    caption = f"{len(rows)} of the {last} timesteps; the file of the command has all"
    return Table(columns, rows, caption if len(rows) < last else f"All {last} timesteps")


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
        (("File of Γ and V", source), *_source(plan.curve)),
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


def _source(curve: GammaCurve) -> tuple[tuple[str, str], ...]:
    return (
        ("Data", str(curve.data)),
        ("Schedule", f"{curve.schedule.name}, N = {curve.schedule.N}"),
        ("Estimator", f"{curve.estimator}, {curve.num_samples} samples"),
    )
