"""All quantities, in the order of the files."""

from __future__ import annotations

from . import formulas, information, oracle, schedules, solutions, steps, trajectories

__all__ = ["BY_NAME", "QUANTITIES"]

QUANTITIES = (
    *schedules.QUANTITIES,
    *formulas.QUANTITIES,
    *oracle.QUANTITIES,
    *steps.QUANTITIES,
    *trajectories.QUANTITIES,
    *information.QUANTITIES,
    *solutions.QUANTITIES,
)
BY_NAME = {quantity.name: quantity for quantity in QUANTITIES}
