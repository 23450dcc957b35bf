"""Four estimators of V beside the exact value."""

from __future__ import annotations

import numpy as np

from ...claims.world import World
from ...sampled import MmseEstimate
from ..figures.curves import curve_figure
from ..page import Figure

__all__ = ["estimator_figure"]

_METHODS = ("score", "residual", "pair", "trace")
_SAMPLES = 200


def estimator_figure(world: World) -> Figure:
    """V of a mixture in ten dimensions by quadrature and by each estimator, from the same samples."""
    sch = world.schedule
    orc = world.oracle(world.planes["plane in d=10"])
    t = np.arange(10, sch.N + 1, 10)

    def estimate(method: str) -> MmseEstimate:
        found = orc.mmse(t, _SAMPLES, world.rng("report.estimators"), method=method)
        return MmseEstimate(found.value, found.error, _SAMPLES, t, sch, method=method)

    return curve_figure(
        "estimators",
        "mmse",
        {method: estimate(method) for method in _METHODS},
        estimate("quadrature"),
        f"a mixture of three Gaussians in 10 dimensions, {_SAMPLES} samples, the same for all",
    )
