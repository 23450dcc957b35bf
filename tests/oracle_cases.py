"""Mixtures, processes and times that the tests of the oracle share."""

from __future__ import annotations

from typing import Any

import numpy as np

from dpmoracle import GaussianMixture, Process, Schedule

LINEAR = Schedule.linear(1000)
TERMINAL = Schedule.cosine(60, max_beta=1.0)  # zero SNR at its end
PROCESSES = [
    Process.vp_linear(),
    Process.vp_cosine(t_max=1.0),
    Process.ve(),
    Process.edm(),
    Process.rectified_flow(),
]


def build(kind: str = "full", count: int = 3, d: int = 2, seed: int = 0) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((count, d, 2 * d))
    full = 0.5 * root @ root.swapaxes(1, 2) / d
    covariances = {"spherical": full[:, 0, 0], "diag": full.diagonal(0, 1, 2), "tied": full[0], "full": full}[
        kind
    ]
    return GaussianMixture(np.full(count, 1 / count), rng.standard_normal((count, d)), covariances, kind)


def times(process: Any) -> list[Any]:
    if isinstance(process, Schedule):
        return [1, 7, process.N // 2, process.N]
    return [0.01 * process.t_max, 0.3 * process.t_max, process.t_max]


def name_of(value: Any) -> str:
    """A readable test id for a process or a time."""
    return getattr(value, "name", None) or f"{value:g}"
