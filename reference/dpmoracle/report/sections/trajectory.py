"""Sections of the report of `dpmoracle trajectory`."""

from __future__ import annotations

from ...plan import Plan
from ...trajectory import Trajectory
from ..figures.cost_map import cost_figure
from ..figures.trajectories import trajectory_figure
from ..page import Figure, Section

__all__ = ["path_figures", "trajectory_sections"]

_MAPPED = 3  # staircases that a map bears


def trajectory_sections(plan: Plan) -> tuple[Section, ...]:
    """Where the timesteps stand, and what each step costs."""
    return (Section("Where the steps go", figures=path_figures(plan)),)


def path_figures(plan: Plan) -> tuple[Figure, ...]:
    """The trajectories on the log-SNR axis, and the map of J with the first few of them."""
    snr, where = plan.curve.schedule.snr, f"{plan.curve.data}, V from {plan.curve.num_samples} samples"
    rows: dict[str, Trajectory] = {}
    for K, best in plan.best.items():
        rows |= {f"optimal, K = {K}": best, f"even, K = {K}": plan.even[K]}
    mapped = {f"K = {K}": plan.best[K] for K in sorted(plan.best)[:_MAPPED]}
    return (
        trajectory_figure("trajectories", snr, plan.mmse, rows, where),
        cost_figure("costs", snr, plan.mmse, mapped, where),
    )
