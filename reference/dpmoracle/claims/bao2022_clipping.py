"""Analytic-DPM, the rule for the last noisy step: its noise must stay below y grey levels on average."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..variance import last_step_bound
from .registry import Measurement, holds, refuted
from .roads import relative, worst
from .world import World

__all__ = ["CLAIMS"]


def _mean_grey_levels(variance: Callable[[float], float], world: World) -> Measurement:
    """E|σε| in grey levels by integrating |x| over the density of σε, against the y that was allowed."""
    x = np.linspace(0.0, 12.0, 100_001)
    weights = np.full(x.size, x[1] * 2 / 3)  # Simpson's rule on x >= 0, where |x| is smooth
    weights[1::2] *= 2
    weights[[0, -1]] /= 2
    mean_size = float(2 * weights @ (x * np.exp(-0.5 * x * x))) / np.sqrt(2 * np.pi)
    errors = {}
    for y in (1.0, 2.0):
        seen = np.sqrt(variance(y)) * mean_size * 255 / 2
        errors[f"y = {y:g}, where it is {seen:.4g}"] = relative(float(seen), y)
    error, where = worst(errors)
    return Measurement(error, f"E|noise| in grey levels of pixels in [-1, 1], worst for {where}")


def _rule_read_as_variance(y: float) -> float:
    """(2y/255) sqrt(π/2) taken for the variance itself."""
    return float(2 * y / 255 * np.sqrt(np.pi / 2))


CLAIMS = (
    holds(
        id="bao.last-step",
        source="bao2022, on clipping, read as a rule for the standard deviation",
        statement=r"\sigma=\tfrac{2y}{255}\sqrt{\pi/2}:\ E|\sigma\varepsilon|=\tfrac{2y}{255}",
        road="Simpson's rule over the normal density",
        tolerance=1e-10,
        formula=last_step_bound,
        check=_mean_grey_levels,
    ),
    refuted(
        id="bao.last-step.as-variance",
        source="bao2022, on clipping, read as a rule for the variance",
        statement=r"\sigma^2=\tfrac{2y}{255}\sqrt{\pi/2}:\ E|\sigma\varepsilon|=\tfrac{2y}{255}",
        road="Simpson's rule over the normal density",
        tolerance=1e-10,
        formula=_rule_read_as_variance,
        check=_mean_grey_levels,
    ),
)
