"""The laws on which choices are compared: the data, and mixtures whose V is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...claims.cloud import Cloud
from ...claims.world import World
from ...errors import InvalidParameterError
from ...mixture import GaussianMixture

__all__ = ["SAMPLES", "Law", "compared_laws", "data_law", "law_mmse"]

#: of an estimate of V
SAMPLES = 200


@dataclass(frozen=True)
class Law:
    """A law whose chains are compared.

    method : of `compare_chains`
    work   : how much may be spent on the samples of one sampler, as `batch_size` counts it
    """

    name: str
    label: str
    q0: GaussianMixture
    method: str | None
    work: float = 4e9

    @property
    def told(self) -> str:
        how = f"V by Monte Carlo, {SAMPLES} samples" if self.method else "V exact, by quadrature"
        return f"{self.label}, {how}"


def compared_laws(world: World, cloud: Cloud) -> list[Law]:
    """The data, where they make a mixture, and mixtures whose V is known."""
    wide = GaussianMixture([0.5, 0.5], [[0.0], [0.3]], [0.02, 2.0], "spherical")
    laws = [
        Law("line", "three Gaussians in one dimension", world.lines["three gaussians"], None),
        Law("wide", "a narrow and a wide Gaussian in one dimension", wide, None),
        Law("plane", "three Gaussians in 10 dimensions", world.planes["plane in d=10"], None),
    ]
    data = data_law(cloud)[0]
    if data is None:
        return laws
    return [Law("data", cloud.label, data, "monte carlo", 3.6e10), *laws]


def data_law(cloud: Cloud) -> tuple[GaussianMixture | None, str]:
    """The points as a mixture; or None, and why they make none: numbers too large to square."""
    try:
        return GaussianMixture.from_points(cloud.points), ""
    except InvalidParameterError as error:
        return None, str(error)


def law_mmse(world: World, law: Law) -> NDArray[np.float64]:
    """(N+1,) V_t: exact where it is known, else from samples."""
    rng = world.rng(f"report.mmse.{law.name}")
    t = np.arange(1, world.schedule.N + 1)
    method = None if law.method is None else "trace"
    return np.append(0.0, world.oracle(law.q0).mmse(t, SAMPLES, rng, method=method).value)
