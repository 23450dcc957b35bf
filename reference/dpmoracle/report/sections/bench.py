"""Sections of the report of `dpmoracle bench`."""

from __future__ import annotations

import math

from ...bench.results import Run
from ..figures.bench import ratio_figure, share_figure
from ..page import Figure, Section

__all__ = ["bench_sections"]


def bench_sections(run: Run) -> tuple[Section, ...]:
    """Ratios to each peer, and shares of the limit, where there are any."""
    results = [result for found in run.results.values() for result in found]
    figures: list[Figure] = []
    if any(result.ratios() for result in results):
        figures.append(ratio_figure("ratios", run))
    if any(result.limit is not None and math.isfinite(result.limit[1]) for result in results):
        figures.append(share_figure("shares", run))
    return (Section("How fast", figures=tuple(figures)),) if figures else ()
