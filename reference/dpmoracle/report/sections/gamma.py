"""Sections of the report of `dpmoracle gamma`."""

from __future__ import annotations

from ...gamma_curve import GammaCurve
from ...trajectory import even_grid
from ..figures.curves import curve_figure
from ..figures.variances import variance_figure
from ..page import Figure, Section

__all__ = ["gamma_sections", "variance_of_curve"]

#: of the even grid whose variances are shown
_K = 50


def gamma_sections(curve: GammaCurve) -> tuple[Section, ...]:
    """Γ and V with their bands, and the variance that follows from them."""
    where = f"{curve.data}, {curve.num_samples} samples, estimator {curve.estimator}"
    return (
        Section(
            "What the samples say",
            figures=(
                curve_figure("gamma", "gamma", curve, where=where),
                curve_figure("mmse", "mmse", curve, where=where),
                variance_of_curve(curve),
            ),
        ),
    )


def variance_of_curve(curve: GammaCurve) -> Figure:
    """The variances that follow from a curve, on an even grid."""
    low, high = curve.data.range
    nodes = even_grid(curve.schedule.N, min(_K, curve.schedule.N))
    where = f"{curve.data}, even grid, K = {len(nodes)}, V from {curve.num_samples} samples"
    return variance_figure(
        "variances", nodes, curve.schedule, curve.mmse, where, (low, high) if low < high else None
    )
