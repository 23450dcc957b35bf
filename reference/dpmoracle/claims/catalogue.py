"""The claims of every source, in the order in which they are judged."""

from __future__ import annotations

from . import (
    bao2022,
    bao2022_bounds,
    bao2022_clipping,
    comparison,
    estimators,
    extended,
    information,
    lu2022,
    monge,
    notes_enough,
    notes_error,
    notes_forward,
    notes_samples,
    notes_skipped,
    notes_trajectory,
    notes_variance,
    popov2022,
    regret,
    reverse,
    solver_orders,
    song2021,
    sqrt_kappa,
    tweedie,
)

__all__ = ["CLAIMS"]

CLAIMS = (
    *notes_forward.CLAIMS,
    *notes_variance.CLAIMS,
    *notes_samples.CLAIMS,
    *notes_enough.CLAIMS,
    *notes_error.CLAIMS,
    *notes_skipped.CLAIMS,
    *notes_trajectory.CLAIMS,
    *regret.CLAIMS,
    *monge.CLAIMS,
    *information.CLAIMS,
    *bao2022.CLAIMS,
    *bao2022_bounds.CLAIMS,
    *bao2022_clipping.CLAIMS,
    *tweedie.CLAIMS,
    *estimators.CLAIMS,
    *reverse.CLAIMS,
    *popov2022.CLAIMS,
    *extended.CLAIMS,
    *sqrt_kappa.CLAIMS,
    *comparison.CLAIMS,
    *song2021.CLAIMS,
    *lu2022.CLAIMS,
    *solver_orders.CLAIMS,
)
