"""Heun's second-order method in σ/a, the deterministic sampler of EDM."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from numpy.typing import ArrayLike

from .checks import check_choice, check_ends, check_nodes
from .coefficients import Level
from .network import Model, as_network

__all__ = ["heun"]


def heun(model: Model, x: Any, nodes: ArrayLike, prediction: str = "data") -> Any:
    r"""Heun's method on dy/dρ = ε, y = x/a, ρ = σ/a [karras2022, algorithm 1]; order 2, two evaluations a step.

    .. math:: y_s = y_t + (\rho_s - \rho_t) \tfrac12 \bigl(\hat\varepsilon(y_t, \rho_t) +
       \hat\varepsilon(y_t + (\rho_s - \rho_t) \hat\varepsilon(y_t, \rho_t), \rho_s)\bigr)

    A last step to σ = 0 is Euler's, as there; nodes must start at a > 0. Arguments and errors as for
    `ddim`.
    """
    check_choice("heun", "prediction", prediction)
    levels = check_nodes("heun", nodes)
    check_ends("heun", levels, data=True)
    net = as_network("heun", model)

    def noise(y: Any, level: Level) -> Any:
        a, sigma = level
        f = net(a * y, level)
        return f if prediction == "noise" else (a / sigma) * (y - f)

    y = x / levels[0][0]
    for t, s in pairwise(levels):
        step = s[1] / s[0] - t[1] / t[0]
        slope = noise(y, t)
        if s[1] > 0.0:
            slope = 0.5 * (slope + noise(y + step * slope, s))
        y = y + step * slope
    return levels[-1][0] * y
