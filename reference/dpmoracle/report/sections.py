"""What each command's report shows: figures and tables of its result, gathered into sections.

A section function is called with what the command has in hand, and returns sections in the order of reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .page import Section

if TYPE_CHECKING:
    from ..claims.results import Report
    from ..claims.world import Array
    from ..gamma_curve import GammaCurve
    from ..plan import Plan

__all__ = [
    "bench_sections",
    "check_sections",
    "gamma_sections",
    "trajectory_sections",
    "validate_sections",
]

Progress = Callable[[int, int, str], None]


def validate_sections(report: Report, points: Array, progress: Progress | None = None) -> tuple[Section, ...]:
    """Figures and tables on the same data (C, d) and seed as the claims; the verdicts themselves are not in it."""
    return ()


def gamma_sections(curve: GammaCurve) -> tuple[Section, ...]:
    """Γ and V with their bands, and the variance that follows from them."""
    return ()


def trajectory_sections(plan: Plan) -> tuple[Section, ...]:
    """Where the timesteps stand, and what each step costs."""
    return ()


def check_sections(results: Iterable[Mapping[str, Any]]) -> tuple[Section, ...]:
    """The matrix of subjects and checks, and the variance with which stochastic samplers end."""
    return ()


def bench_sections(records: Iterable[Mapping[str, Any]]) -> tuple[Section, ...]:
    """Ratios to each peer, and shares of the limit."""
    return ()
