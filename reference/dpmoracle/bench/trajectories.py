"""Benchmarks of the trajectory programs: the kernels against the published table program and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..pairs import find
from ..processes.schedule import Schedule
from ..trajectory import optimal_trajectories, optimal_trajectory, path_cost, shortest_paths, trajectory_cost
from ..trajectory.dense import backtrack
from .harness import Contender, interleave, ratio
from .peers import Missing, load_analytic_dpm
from .results import Result, compare
from .suite import Setting

__all__ = ["any_v", "every", "growth", "matrix", "one"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

OFFICIAL, TRANSCRIPTION = "official Analytic-DPM", "our transcription of the published program"
KERNELS = "our kernels alone"


def one(setting: Setting) -> Iterator[Result]:
    """One trajectory from validated input to timesteps: the public function, certificate included."""
    u, v = curve(1000)
    for K, aim in ((10, 1000.0), (50, 2000.0)):
        yield against_published("one trajectory", "multiplier", u, v, K, aim, setting)


def any_v(setting: Setting) -> Iterator[Result]:
    """V with 10% of noise of its own at every timestep: no certificate, so every path must be considered."""
    u, v = curve(1000)
    v *= np.exp(0.1 * np.random.default_rng(setting.seed).standard_normal(v.size))
    v[1:] = np.minimum(v[1:], 1 / u[1:])
    yield against_published("one trajectory, V without certificate", "hull_search", u, v, 10, 200.0, setting)


def every(setting: Setting) -> Iterator[Result]:
    """All K at once: one table has them all."""
    N = 300 if setting.quick else 1000
    u, v = curve(N)
    found = optimal_trajectories(u, v, N, "numba")
    plain = optimal_trajectories(u, v, N, "numpy")
    error = max(abs(found[K].cost - plain[K].cost) for K in plain)

    def table(program: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: program(N - 1)

    yield compare(
        f"trajectories of all K, N = {N}",
        Contender("all K", partial(optimal_trajectories, u, v, N, "numba")),
        [
            *published(u, v, table, setting),
            Contender("plain Python", partial(optimal_trajectories, u, v, N, "numpy")),
        ],
        turns=setting.turns(3),
        error=error,
        measure="in cost",
        target={OFFICIAL: 350.0, TRANSCRIPTION: 350.0},
    )


def growth(setting: Setting) -> Iterator[Result]:
    """Nine edges at growing N, in turns; the exponent is the slope of log seconds against log N."""
    sizes = (10**3, 10**4) if setting.quick else (10**3, 10**4, 10**5, 10**6)
    curves = {N: curve(N) for N in sizes}
    timings = interleave(
        [Contender(f"N = {N}", partial(optimal_trajectory, *curves[N], 10, "numba")) for N in sizes],
        setting.turns(7),
    )
    seconds = [timing.median for timing in timings]
    slope = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
    found, plain = (optimal_trajectory(*curves[sizes[-1]], 10, backend) for backend in ("numba", "numpy"))
    yield Result(
        f"one trajectory, N = {sizes[-1]}, K = 10",
        timings[-1:],
        error=abs(found.cost - plain.cost),
        measure="in cost",
        figures={f"seconds at N = {N}": took for N, took in zip(sizes, seconds)} | {"exponent of N": slope},
        target={f"seconds at N = {10**6}": 0.2, "exponent of N": 1.1},
    )


def matrix(setting: Setting) -> Iterator[Result]:
    """A general cost, no structure used: the tiled (min,+) program against the layers of NumPy."""
    N = 300 if setting.quick else 1000
    F = trajectory_cost(*curve(N))[1:, 1:]
    for edges in (9, N - 1):
        found, plain = (shortest_paths(F, edges, backend) for backend in ("numba", "numpy"))
        yield compare(
            f"shortest paths of a {N} x {N} matrix, {edges} edges at most",
            Contender("tiled", partial(shortest_paths, F, edges, "numba")),
            [Contender("NumPy by layers", partial(shortest_paths, F, edges, "numpy"))],
            turns=setting.turns(3),
            error=float(np.abs(found.costs[1:] - plain.costs[1:]).max()),
            measure="in cost",
        )


def curve(N: int) -> tuple[Array, Array]:
    """SNR of the linear schedule of total length N, and the exact V of a product of three Gaussian scales."""
    schedule = Schedule.linear(N, beta_start=0.1 / N, beta_end=20.0 / N)
    u = schedule.snr.copy()
    v = np.zeros(N + 1)
    v[1:] = np.mean([1.0 / (u[1:] + p) for p in (0.1, 10.0, 1000.0)], axis=0)
    return u, v


def against_published(
    what: str, method: str, u: Array, v: Array, K: int, aim: float, setting: Setting
) -> Result:
    """The public function against the published program, both from their arrays to the timesteps."""
    found = optimal_trajectory(u, v, K, "numba")
    if found.method != method:
        raise RuntimeError(f"{what}: the program was to be {method}; it was {found.method}")
    dense = optimal_trajectory(u, v, K, "numpy", method="dense")

    def path(program: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: program(K - 1)

    result = compare(
        f"{what}, N = {u.size - 1}, K = {K}",
        Contender("one K", partial(optimal_trajectory, u, v, K, "numba")),
        [
            *published(u, v, path, setting),
            Contender(KERNELS, kernels_alone(u, v, K - 1, method)),
            Contender("plain Python", partial(optimal_trajectory, u, v, K, "numpy")),
        ],
        turns=setting.turns(9),
        error=abs(path_cost(u, v, found.timesteps) - dense.cost),
        measure="in cost, against every path",
        target={OFFICIAL: aim, TRANSCRIPTION: aim},
    )
    timings = {timing.name: timing for timing in result.timings}
    figures = {
        f"{name}, over kernels alone": ratio(timings[name], timings[KERNELS])
        for name in (OFFICIAL, TRANSCRIPTION)
        if name in timings
    }
    return replace(result, figures=figures, target=result.target | dict.fromkeys(figures, aim))


def kernels_alone(u: Array, v: Array, num_edges: int, method: str) -> Callable[[], Any]:
    """Certificate and program as compiled: like the published code, they check nothing that they are given."""
    certify, multiplier, layers = (
        find(name).kernel() for name in ("certify", "multiplier_path", "hull_layers")
    )
    if method == "multiplier":
        return lambda: (certify(u, v).min(), multiplier(u, v, num_edges))
    return lambda: (
        certify(u, v).min(),
        backtrack(layers(u, v, num_edges, False)[1], num_edges, u.size - 1),
    )


def published(
    u: Array, v: Array, work: Callable[[Callable[[int], Any]], Callable[[], Any]], setting: Setting
) -> list[Contender | Missing]:
    """The official program where there is a checkout, and our transcription of it; each a function of the edges."""
    alpha_bar = np.r_[1.0, u[1:] / (1.0 + u[1:])]
    betas = np.r_[0.0, 1.0 - alpha_bar[1:] / alpha_bar[:-1]]
    gamma_beta = np.r_[0.0, 1.0 - v[1:] * u[1:]]  # beta_bar Gamma, E|eps|^2/d in the paper's terms
    official = load_analytic_dpm(setting.analytic_dpm)
    transcribed = Contender(TRANSCRIPTION, work(lambda edges: published_program(gamma_beta, betas, edges)))
    if isinstance(official, Missing):
        return [official, transcribed]
    return [Contender(OFFICIAL, work(_official(official, gamma_beta, betas))), transcribed]


def _official(module: ModuleType, gamma_beta: Array, betas: Array) -> Callable[[int], Any]:
    """As its `_choice_steps` calls it; K counts nodes, the last K = N is a path without choice, so N - 1 is asked."""
    N = betas.size - 1
    return lambda edges: module._dp_seg(gamma_beta, betas, N, min(edges + 1, N - 1))


def published_program(gamma_beta: Array, betas: Array, num_edges: int) -> Steps:
    r"""The table program of [bao2022, Section 4.2] on the cost log(1 - beta_{t|s} Gamma_t), transcribed from it.

    F row by row from products of alphas, then C[k, t] = min_s C[k-1, s] + F[s, t] over the whole table.
    """
    N = betas.size - 1
    gamma = gamma_beta[1:] / (1.0 - np.cumprod(1.0 - betas)[1:])
    F = np.full((N + 1, N + 1), np.inf)
    for s in range(1, N):
        F[s, s + 1 :] = np.log(1.0 - (1.0 - np.cumprod(1.0 - betas[s + 1 :])) * gamma[s:])
    best = F[1].copy()
    choices = []
    for _ in range(2, num_edges + 1):
        sums = best[:, None] + F
        choices.append(sums.argmin(axis=0))
        best = sums.min(axis=0)
    nodes = [N]
    for choice in reversed(choices):
        nodes.append(int(choice[nodes[-1]]))
    return np.array([1, *nodes[::-1]])
