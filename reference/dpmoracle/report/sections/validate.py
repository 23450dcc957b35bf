"""Sections of the report of `dpmoracle validate`: what the formulas mean, on the same data and seed as the claims."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ... import gamma_run
from ...claims.cloud import Cloud
from ...claims.results import Report
from ...claims.world import World
from ...gamma_curve import DataRecord, GammaCurve
from ...plan import make_plan
from ..page import Section
from .estimators import estimator_figures
from .gamma import variance_of_curve
from .laws import data_law
from .optimum import optimum_section
from .samplers import sampler_section
from .solvers import solver_section
from .trajectory import path_figures

__all__ = ["validate_sections"]

Array = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

_SAMPLES = 200
_COUNTS = (5, 10, 25, 50)


def validate_sections(report: Report, points: Array, progress: Progress | None = None) -> tuple[Section, ...]:
    """Figures and tables on the same data (C, d) and seed as the claims; the verdicts themselves are not in it.

    progress : called with (done, total, what comes next)
    """
    world = World(points, report.data, report.seed)
    cloud = Cloud.of(world, world.rng("report.data"))
    sections: list[Section] = []

    def tell(what: str) -> None:
        if progress is not None:
            progress(len(sections), len(makers), what)

    makers: dict[str, Callable[[], Section]] = {
        "what the optimum buys": lambda: optimum_section(world, cloud, tell),
        "variances and trajectories": lambda: _step_section(world, cloud),
        "orders of the solvers": lambda: solver_section(world),
        "samplers": lambda: sampler_section(world),
    }
    for what, make in makers.items():
        tell(what)
        sections.append(make())
    return tuple(sections)


def _step_section(world: World, cloud: Cloud) -> Section:
    title = "V, the variances, the trajectories"
    mixture = estimator_figures(world)
    refused = data_law(cloud)[1]
    if refused:
        return Section(title, text=(f"Nothing is drawn of the data. {refused}",), figures=mixture)
    record = DataRecord.of(cloud.points, cloud.label)
    job = gamma_run.GammaRun(cloud.points, world.schedule, record, "trace", 50, world.seed)
    curve: GammaCurve = job.curve(gamma_run.run(job, _SAMPLES))
    plan = make_plan(curve, [K for K in _COUNTS if K <= world.schedule.N], clip=True)
    return Section(
        title,
        text=(
            f"Everything about a chain follows from Vₜ. On {curve.data} it is estimated from {_SAMPLES} samples, the "
            "same for every timestep; a mixture has it exactly. Γₜ says the same, V = (1 - β̄Γ)β̄/ᾱ, but at low SNR "
            "only in its last digits: an estimate of Γ that looks good may know nothing of V.",
        ),
        figures=(*mixture, variance_of_curve(curve), *path_figures(plan)),
    )
