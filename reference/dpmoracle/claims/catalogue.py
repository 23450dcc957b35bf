"""The claims of every source, in the order in which they are judged."""

from __future__ import annotations

from . import (
    bao2022,
    bao2022_bounds,
    bao2022_clipping,
    estimators,
    notes_forward,
    reverse,
    tweedie,
)

__all__ = ["CLAIMS"]

CLAIMS = (
    *notes_forward.CLAIMS,
    *bao2022.CLAIMS,
    *bao2022_bounds.CLAIMS,
    *bao2022_clipping.CLAIMS,
    *tweedie.CLAIMS,
    *estimators.CLAIMS,
    *reverse.CLAIMS,
)
