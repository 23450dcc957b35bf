"""Four estimators of V, and of Γ, beside the exact value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...claims.world import World
from ...estimate import Estimate
from ...sampled import GammaEstimate, MmseEstimate
from ..figures.curves import curve_figure
from ..page import Figure

__all__ = ["estimator_figures"]

_METHODS = ("score", "residual", "pair", "trace")
_SAMPLES = 200


def estimator_figures(world: World) -> tuple[Figure, Figure]:
    """V and Γ of a mixture in ten dimensions by quadrature and by each estimator, from the same samples."""
    sch = world.schedule
    orc = world.oracle(world.planes["plane in d=10"])
    t = np.arange(10, sch.N + 1, 10)
    where = f"a mixture of three Gaussians in 10 dimensions, {_SAMPLES} samples, the same for all"

    def draw(quantity: str, of: Callable[..., Estimate], kind: Any) -> Figure:
        def estimate(method: str) -> Any:
            found = of(t, _SAMPLES, world.rng("report.estimators"), method=method)
            return kind(found.value, found.error, _SAMPLES, t, sch, method=method)

        curves = {method: estimate(method) for method in _METHODS}
        return curve_figure(f"estimators-{quantity}", quantity, curves, estimate("quadrature"), where)

    return draw("mmse", orc.mmse, MmseEstimate), draw("gamma", orc.gamma, GammaEstimate)
