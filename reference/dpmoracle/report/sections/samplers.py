"""The variance with which stochastic samplers end, and what the samples of all look like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...claims.world import World
from ...comparison import SAMPLERS
from ...distances import energy_distance
from ...mixture import GaussianMixture
from ...oracle import Oracle
from ...reverse_step import lambda2_ddim
from ...sampler import sample
from ...solvers import dpm_multistep, heun, unipc
from ...solvers.grids import solver_nodes
from ...solvers.network import ExactModel
from ...solvers.stochastic import sde_dpm_solver
from ...trajectory import even_grid
from ..figures.samples import sample_figure
from ..figures.terminal import terminal_figure
from ..page import Figure, Section

__all__ = ["sampler_section", "terminal_ratios"]

Array = NDArray[np.float64]

_COUNTS = (5, 10, 25, 50, 100, 250)
_SAMPLES, _K = 250, 10
_NAMES = {
    "ddim": "DDIM",
    "analytic-ddim": "Analytic-DDIM",
    "ddpm": "DDPM, β̃",
    "analytic-ddpm": "Analytic-DDPM",
}
#: label -> (λ², variance), as `sample` takes them; a number is η of λ² = η²β̃
_CHAINS: dict[str, tuple[Any, str]] = {
    "DDPM, β": ("ddpm", "beta"),
    "DDPM, β̃": ("ddpm", "beta_tilde"),
    "DDPM, σ̂²": ("ddpm", "optimal"),
    "DDIM, η = 0.5": (0.5, "lam2"),
}


def sampler_section(world: World) -> Section:
    """Variance ratios against K, and samples of a mixture in the plane."""
    q0 = world.lines["gaussian"]
    records = [
        {"sampler": label, "K": K, "ratio": ratio}
        for K in _COUNTS
        for label, ratio in terminal_ratios(world, q0, K)
    ]
    where = (
        f"a Gaussian of variance {q0.trace_cov():g}, even grid but where said, exact predictions; each sampler is "
        "linear here, so the variance is the sum of its squared gains, without a random number"
    )
    return Section(
        "Samplers",
        text=(
            "With a perfect network, whatever is wrong comes from the sampler. Those that add noise add none in the "
            "last step, to the data.",
        ),
        figures=(terminal_figure("terminal", records, where), _plane(world)),
    )


def terminal_ratios(world: World, q0: GaussianMixture, K: int) -> Iterator[tuple[str, float]]:
    """(sampler, variance of its samples over that of q0) for one Gaussian in one dimension, exactly.

    The samples are an affine function of x_T and of the noise of each step: each gets one row of ones, the others zero.
    """
    orc, sch = world.oracle(q0), world.schedule
    nodes = even_grid(sch.N, K)

    def variance(run: Callable[[Array, Array], Any], steps: int) -> float:
        unit = np.eye(steps + 2)[
            :, :, None
        ]  # row 0 has neither, row 1 has x_T, the others the noise of one step
        end = run(unit[1], unit[2:])
        return float(np.square(end[1:] - end[0]).sum() / q0.trace_cov())

    v = np.append(0.0, orc.mmse(np.arange(1, sch.N + 1)).value)
    for label, (lam2, rule) in _CHAINS.items():
        value = lam2 if isinstance(lam2, str) else lambda2_ddim(sch, nodes[:-1], nodes[1:], lam2)

        def chain(x_T: Array, noise: Array, value: Any = value, rule: str = rule) -> Any:
            return sample(
                orc, sch, nodes, len(x_T), 0, lam2=value, variance=rule, mmse=v, x_T=x_T, noise=noise
            )

        yield label, variance(chain, K - 1)
    for order in (1, 2):

        def solver(x_T: Array, noise: Array, order: int = order) -> Any:
            return sde_dpm_solver(ExactModel(q0, "data"), x_T, _levels(world, K), order, noise=noise)

        yield f"SDE-DPM-Solver++ {order}, even in λ", variance(solver, K)


def _levels(world: World, K: int) -> Array:
    """(K+1, 2) even in λ to the last σ > 0, and from there to the data: K evaluations."""
    return np.vstack([solver_nodes(world.schedule, K - 1, "lambda"), [1.0, 0.0]])


def _plane(world: World) -> Figure:
    """The same start and the same noise for every sampler."""
    sch, rng = world.schedule, world.rng("report.samples")
    q0 = GaussianMixture(
        [0.3, 0.3, 0.4], [[1.2, 0.0], [-0.7, 0.9], [-0.4, -1.1]], np.full(3, 0.05), "spherical"
    )
    orc: Oracle = world.oracle(q0)
    v = np.append(0.0, orc.mmse(np.arange(1, sch.N + 1), 200, rng, method="trace").value)
    nodes, start = even_grid(sch.N, _K), rng.standard_normal((_SAMPLES, 2))
    data, fresh, seed = q0.sample(_SAMPLES, rng), q0.sample(4 * _SAMPLES, rng), int(rng.integers(2**62))
    drawn: dict[str, NDArray[np.floating[Any]]] = {"data": data}
    for label, (lam2, rule) in SAMPLERS.items():
        drawn[_NAMES[label]] = sample(
            orc, sch, nodes, _SAMPLES, seed, lam2=lam2, variance=rule, mmse=v, x_T=start
        )
    model, levels = ExactModel(q0, "data"), _levels(world, _K)
    drawn["SDE-DPM-Solver++ 2"] = sde_dpm_solver(model, start, levels, 2, rng=seed)
    drawn["DPM-Solver++ 2"] = dpm_multistep(model, start, levels, order=2, lower_end=True)
    drawn["UniPC 2"] = unipc(model, start, levels, order=2, lower_end=True)
    drawn["Heun, 9 evaluations"] = heun(model, start, _levels(world, 5))  # two a step, but one in the last
    notes = {label: f"energy distance {energy_distance(x, fresh):.3f}" for label, x in drawn.items()}
    where = (
        f"{_SAMPLES} samples of each, {_K} evaluations, all from the same start; the first five on the even grid of "
        "timesteps, the others with steps even in λ"
    )
    return sample_figure("samples", drawn, q0, where, notes)
