r"""The notes, equation (8): what an error of Γ does to the variance.

.. math:: |\sigma^{*2} - \hat\sigma^2| = \text{coefficient} \cdot \bar\beta_t |\hat\Gamma_t - \Gamma_t|
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..reverse_step import forward_posterior_mean, lambda2_ddpm
from ..trajectory.grids import even_grid
from ..variance import optimal_variance
from .notes_variance import (
    CHOICES,
    CORRECTED,
    GAMMA,
    NEIGHBOURS,
    PRINTED,
    Coefficient,
    cases,
    corrected,
    printed,
)
from .registry import Measurement, holds, refuted
from .roads import relative, worst
from .world import World

__all__ = ["CLAIMS"]

_LENGTHS = (1000, 100, 50, 25, 10)


def _realised_error(coefficient: Coefficient, world: World) -> Measurement:
    """|σ*² - σ̂²| against the right side of (8) for Γ̂ = 0.8 Γ; σ*² and Γ are sums over the prior."""
    sch, errors, sides = world.schedule, {}, {}
    for case in cases(world, NEIGHBOURS, CHOICES):
        estimate = 0.8 * case.gamma
        estimated = float(optimal_variance(sch, case.s, case.t, estimate, case.lam2))
        right = (
            coefficient(sch, case.s, case.t, case.lam2) * sch.beta_bar[case.t] * abs(estimate - case.gamma)
        )
        left = abs(case.true - estimated)
        errors[case.where] = relative(right, left)
        sides[case.where] = f"right side {right:.4g}, |σ*² - σ̂²| = {left:.4g}"
    error, where = worst(errors)
    return Measurement(error, f"{sides[where]}, worst for {where}")


def _growth(coefficient: Coefficient, world: World) -> Measurement:
    """Largest coefficient of an even grid over that of the next shorter one: below 1 if shorter grids have more.

    A formula that is not the coefficient at all counts too: c = ∂μ̃/∂x_0 measures it, as c² β̄_t/ᾱ_t.
    """
    sch, largest, off = world.schedule, {}, 0.0
    for length in _LENGTHS:
        grid = even_grid(sch.N, length).tolist()
        largest[length] = 0.0
        for s, t in pairwise(grid):
            lam2 = float(lambda2_ddpm(sch, s, t))
            got = coefficient(sch, s, t, lam2)
            ends = forward_posterior_mean(sch, s, t, np.zeros((2, 1)), np.array([[0.0], [1.0]]), lam2)[:, 0]
            off = max(off, relative(got, float((ends[1] - ends[0]) ** 2 / sch.snr[t])))
            largest[length] = max(largest[length], got)
    growth = max(largest[long] / largest[short] for long, short in pairwise(_LENGTHS))
    shown = ", ".join(f"{largest[length]:.3g} at K = {length}" for length in _LENGTHS)
    return Measurement(max(growth, off), f"largest coefficient, DDPM, even grids: {shown}")


_ERROR = r"|\sigma_n^{*2}-\hat\sigma_n^2|="
_MISS = rf"\,\bar\beta_n\bigl|\Gamma_n-{GAMMA}\bigr|"

CLAIMS = (
    refuted(
        id="notes.8.printed",
        source="notes eq. (8), as printed",
        statement=_ERROR + PRINTED + _MISS,
        road="the error itself, σ*² and Γ by direct summation over the prior",
        tolerance=1e-9,
        formula=printed,
        check=_realised_error,
    ),
    holds(
        id="notes.8.corrected",
        source="notes eq. (8), as corrected",
        statement=_ERROR + CORRECTED + _MISS,
        road="the error itself, σ*² and Γ by direct summation over the prior",
        tolerance=1e-9,
        formula=corrected,
        check=_realised_error,
    ),
    holds(
        id="notes.8.coefficient",
        source="notes after eq. (8)",
        statement=r"\text{a shorter trajectory has a larger coefficient in (8)}",
        road="∂μ̃/∂x_0 on even grids of 1000 to 10 nodes",
        tolerance=0.5,
        formula=corrected,
        check=_growth,
    ),
)
