"""Optimal trajectories: the choice among the programs, made by the certificate and reported."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import to_numpy
from ..backends import device, pick, within
from ..errors import InvalidParameterError
from .dense import (
    MAX_BYTES,
    ShortestPaths,
    Table,
    backtrack,
    brute_force_path,
    check_memory,
    run_dense,
    shortest_paths,
    table_bytes,
)
from .density import sqrt_kappa_grid
from .estimated import clip_mmse, mmse_bounds, published_dp_trajectory
from .grids import even_grid, power_grid, quadratic_grid
from .hull import hull_layers
from .li_chao import li_chao_layers
from .monge import MongeCertificate, is_monge, monge_certificate, monge_defect
from .multiplier import multiplier_path
from .result import Trajectories, Trajectory, priced
from .step_cost import (
    as_curve,
    as_nodes,
    check_nodes,
    cost_matrix,
    cost_on_gpu,
    mmse_integral,
    path_cost,
    trajectory_cost,
)

__all__ = [
    "METHODS",
    "MongeCertificate",
    "ShortestPaths",
    "Trajectories",
    "Trajectory",
    "clip_mmse",
    "evaluate_trajectory",
    "even_grid",
    "mmse_bounds",
    "mmse_integral",
    "monge_certificate",
    "monge_defect",
    "optimal_trajectories",
    "optimal_trajectory",
    "path_cost",
    "power_grid",
    "published_dp_trajectory",
    "quadratic_grid",
    "shortest_paths",
    "sqrt_kappa_grid",
    "trajectory_cost",
]

Array = NDArray[np.float64]

METHODS = ("auto", "multiplier", "hull", "li_chao", "dense", "brute_force")


def evaluate_trajectory(
    snr: ArrayLike, mmse: ArrayLike, timesteps: ArrayLike, method: str = "given"
) -> Trajectory:
    """A trajectory of the caller's, or a grid, with its cost under (snr, mmse); V may exceed 1/u.

    timesteps : (K,) increasing from 1 to N
    method    : the name that the Trajectory will bear
    Raises InvalidParameterError for nodes that do not run from 1 to N, and V < 0 or nan.
    """
    u, v = as_curve("evaluate_trajectory", snr, mmse)
    return priced(u, v, as_nodes("evaluate_trajectory", timesteps, u.size - 1), method)


def optimal_trajectory(
    snr: ArrayLike,
    mmse: ArrayLike,
    K: int,
    backend: str = "auto",
    method: str = "auto",
    max_bytes: int = MAX_BYTES,
) -> Trajectory:
    r"""The K timesteps that minimise the sum of J, that is the KL divergence of the whole reverse chain.

    .. math:: \min_{1 = \tau_1 < \dots < \tau_K = N} \sum_{k=2}^K \log(1 + V_{\tau_k} (u_{\tau_{k-1}} -
    u_{\tau_k}))
       \qquad \text{[bao2022, eq. (10) of the notes]}

    snr, mmse : (N+1,) u_t decreasing and 0 <= V_t <= 1/u_t; entries 0 ignored
    K         : nodes, in 2..N
    backend   : "auto", "numpy", "numba" or "cupy", which has the dense program alone; "auto" takes that only for
                method "dense" and curves that live on a GPU, for the others are O(N) and faster on the host
    method    : "auto" takes the multiplier where the certificate holds, O(N) per sweep, and layers of lower
                envelopes with a search where it does not, O(N K log N); a name forces that program
    max_bytes : a program whose tables would need more is refused, with what it needs
    Among equally good trajectories "dense" and "brute_force" (N <= 12) take the smallest predecessors; the
    others promise the same cost to 1e-12 only. A multiplier whose result its dual bound does not prove falls
    back to "hull". Raises InvalidParameterError for an estimate that no distribution has, naming the
    timesteps.
    """
    who = "optimal_trajectory"
    u, v = as_curve(who, snr, mmse, bounded=True)
    edges = check_nodes(who, K, u.size - 1) - 1
    chosen = _choose(who, u, v, method, "multiplier", METHODS, backend)
    if chosen == "multiplier":
        program = pick("multiplier_path", backend, multiplier_path, u, v, seconds=1e-5 * u.size)
        found, _ = program(u, v, edges)
        if found is not None:
            return priced(u, v, found, chosen)
        chosen = "hull"
    if chosen == "brute_force":
        return priced(u, v, brute_force_path(cost_matrix(u, v)[1:, 1:], edges)[1] + 1, chosen)
    table = _predecessors(who, u, v, edges, chosen, backend, max_bytes, (snr, mmse))
    return priced(u, v, backtrack(table, edges, u.size - 1), chosen)


def optimal_trajectories(
    snr: ArrayLike,
    mmse: ArrayLike,
    K_max: int,
    backend: str = "auto",
    method: str = "auto",
    max_bytes: int = MAX_BYTES,
) -> Trajectories:
    """The optimal trajectory of every K from 2 to K_max at once, by K.

    snr, mmse, backend, max_bytes : as of `optimal_trajectory`
    Raises InvalidParameterError as it does, and for K_max beyond 2..N.

    One program of K_max - 1 layers: O(N K_max) where the certificate holds. The result is a mapping that keeps
    the table of predecessors, 2 bytes an entry up to N = 32767. method is "auto", "hull",
    "li_chao" or "dense".
    """
    who = "optimal_trajectories"
    u, v = as_curve(who, snr, mmse, bounded=True)
    edges = check_nodes(who, K_max, u.size - 1, "K_max") - 1
    chosen = _choose(who, u, v, method, "hull", ("auto", "hull", "li_chao", "dense"), backend)
    table = _predecessors(who, u, v, edges, chosen, backend, max_bytes, (snr, mmse))
    return Trajectories(u, v, table, chosen)


def _choose(
    who: str, u: Array, v: Array, method: Any, licensed: str, allowed: tuple[str, ...], backend: str
) -> str:
    if method not in allowed:
        raise InvalidParameterError(f"{who}: method must be one of {', '.join(allowed)}; got {method!r}")
    if method == "auto" and backend == "cupy":
        return "dense"  # the others walk along the timesteps, which no GPU does fast
    if method not in ("auto", "hull"):
        return str(method)
    if not is_monge(u, v, backend):
        return "hull_search"
    return licensed if method == "auto" else "hull"


#: seconds per node and layer of the plain programs, on the machine of the benchmarks
_PER_STEP = {"hull": 1.2e-6, "hull_search": 2.5e-6, "li_chao": 1e-5}


def _predecessors(
    who: str,
    u: Array,
    v: Array,
    num_edges: int,
    chosen: str,
    backend: str,
    max_bytes: int,
    curves: tuple[ArrayLike, ArrayLike],
) -> Table:
    """Best predecessors by edges and node, (num_edges+1, N+1), over the timesteps themselves; curves as they came."""
    if chosen == "dense":
        # node 0 stands alone: the paths run from 1
        there = device(who, backend, *curves)
        with within(there, who, *curves):
            cost = cost_matrix(u, v) if there is None else cost_on_gpu(u, v, there)
            inner = to_numpy(run_dense(who, cost[1:, 1:], num_edges, backend, max_bytes)[1])
        return np.pad(np.where(inner < 0, inner, inner + 1), ((0, 0), (1, 0)), constant_values=-1)
    check_memory(who, table_bytes(num_edges, u.size), max_bytes)
    # a node is reached by as many edges as come before it at most
    seconds = _PER_STEP[chosen] * num_edges * (u.size - num_edges / 2)
    if chosen == "li_chao":
        return pick("li_chao_layers", backend, li_chao_layers, u, v, seconds=seconds)(u, v, num_edges)[1]
    layers = pick("hull_layers", backend, hull_layers, u, v, seconds=seconds)
    return layers(u, v, num_edges, chosen != "hull_search")[1]
