"""Shortest paths for any cost, with no structure: every path of a small problem, and the dense program."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import read, to_numpy
from ..backends import device, lives_on_gpu, pick, within
from ..checking import check_count
from ..errors import InvalidParameterError
from .monge import as_cost

__all__ = [
    "MAX_BYTES",
    "ShortestPaths",
    "Table",
    "backtrack",
    "brute_force_path",
    "check_memory",
    "dense_layers",
    "no_steps",
    "run_dense",
    "shortest_paths",
    "table_bytes",
]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]
Table = NDArray[np.signedinteger]

#: what the programs may allocate, unless the caller says more
MAX_BYTES = 2**32
#: 2^10 paths
MAX_BRUTE_FORCE_NODES = 12


@dataclass(frozen=True, eq=False)
class ShortestPaths:
    """The best path from node 0 to node n-1 for every number of edges.

    costs        : (K+1,) by number of edges; +inf where there is no such path
    predecessors : (K+1, n) integers, smallest best predecessor of a node reached by that number of edges, -1 for none
    Both are of the kind of F, on its device, where F lived on a GPU.
    """

    costs: Any
    predecessors: Any

    @functools.cached_property
    def _on_host(self) -> tuple[Array, Table]:
        return to_numpy(self.costs), to_numpy(self.predecessors)

    def path(self, k: int) -> Steps:
        """Nodes of the best path with k edges, (k+1,) increasing; among equals the smallest predecessors.

        Raises InvalidParameterError where no allowed path has k edges.
        """
        edges = check_count("ShortestPaths.path", "k", k, low=0)
        costs, predecessors = self._on_host
        if edges >= costs.size or not np.isfinite(costs[edges]):
            finite = np.flatnonzero(np.isfinite(costs))
            span = f"{finite.min()}..{finite.max()}" if finite.size else "no number"
            raise InvalidParameterError(
                f"ShortestPaths.path: there is no allowed path with k = {edges} edges among those computed; "
                f"paths of finite cost have {span} edges"
            )
        return backtrack(predecessors, edges, predecessors.shape[1] - 1)


def shortest_paths(F: ArrayLike, K: int, backend: str = "auto", max_bytes: int = MAX_BYTES) -> ShortestPaths:
    """Cheapest path from node 0 to node n-1 by number of edges, 0..K, for any cost.

    F : (n, n) F[i, j] used for i < j only; +inf forbids a step, negative costs are allowed, nan and -inf are
        not
    K : largest number of edges, >= 1
    backend : "auto", "numpy", "numba" or "cupy"; "auto" takes CuPy's kernel where F lives on a GPU
    max_bytes : what the tables may take; more is refused beforehand
    Ties: the smallest predecessor wins. O(K n^2) evaluations, O(n^2 + K n) memory.
    Returns ShortestPaths; costs[0] is inf unless n = 1. Raises InvalidParameterError for another shape, nan and -inf.
    """
    who = "shortest_paths"
    edges = check_count(who, "K", K)
    there = device(who, backend, F)
    with within(there, who, F):
        cost = as_cost(who, read(F, who, "F", there) if lives_on_gpu(F) else F)
        found = run_dense(who, cost if there is None else there.adopt(cost), edges, backend, max_bytes)
        return ShortestPaths(*(part if there is None else there.release(part, F) for part in found))


def run_dense(who: str, cost: Array, num_edges: int, backend: str, max_bytes: int) -> tuple[Array, Table]:
    """`dense_layers` or its kernel, where the memory allows it."""
    n = len(cost)
    check_memory(who, table_bytes(num_edges, n) + 8 * n * (n + num_edges + 1), max_bytes)
    seconds = 3e-9 * num_edges * n**2
    return pick("dense_layers", backend, dense_layers, cost, seconds=seconds)(cost, num_edges)


def table_bytes(num_edges: int, size: int) -> int:
    """Of the predecessors that `no_steps` makes."""
    return (num_edges + 1) * size * _step_type(size).itemsize


def check_memory(who: str, needed: int, max_bytes: int) -> None:
    """Refuse what needs more than max_bytes."""
    if needed > max_bytes:
        raise InvalidParameterError(
            f"{who}: the tables need {needed:,} bytes, more than max_bytes = {max_bytes:,}. Ask for fewer nodes, "
            "thin the timesteps, or raise max_bytes"
        )


def dense_layers(F: Array, num_edges: int) -> tuple[Array, Table]:
    r"""C_k[t] = min_{s<t} C_{k-1}[s] + F[s, t], C_0 = (0, inf, ...), for k = 0..num_edges.

    Returns the costs C_k[n-1], (num_edges+1,), and the smallest best predecessors, (num_edges+1, n), -1 for
    none.
    """
    n = F.shape[0]
    into = np.where(np.tri(n, dtype=bool).T, np.inf, F.T)  # into[t, s]: the minimum runs along a row
    reached = np.full(n, np.inf)
    reached[0] = 0.0
    costs = np.full(num_edges + 1, np.inf)
    costs[0] = reached[-1]
    predecessors = no_steps(num_edges, n)
    rows = np.arange(n)
    for k in range(1, min(num_edges, n - 1) + 1):
        sums = into + reached
        best = sums.argmin(axis=1)  # argmin takes the first, which is the smallest predecessor
        reached = sums[rows, best]
        predecessors[k] = np.where(reached < np.inf, best, -1)
        costs[k] = reached[-1]
    return costs, predecessors


def no_steps(num_edges: int, size: int) -> Table:
    """A table of predecessors of `size` nodes, (num_edges+1, size), all -1, in int16 where that holds them."""
    return np.full((num_edges + 1, size), -1, dtype=_step_type(size))


def _step_type(size: int) -> np.dtype[np.signedinteger]:
    return np.promote_types(np.min_scalar_type(-size), np.int16)


def backtrack(predecessors: Table, num_edges: int, last: int) -> Steps:
    """The nodes of the path with `num_edges` edges that ends at `last`, from a table of predecessors."""
    nodes = np.empty(num_edges + 1, dtype=np.int64)
    nodes[num_edges] = last
    for k in range(num_edges, 0, -1):
        nodes[k - 1] = predecessors[k, nodes[k]]
    return nodes


def brute_force_path(F: ArrayLike, k: int) -> tuple[float, Steps]:
    """(cost, nodes) of the best of all paths with k edges, n <= 12 nodes; ties as in shortest_paths."""
    cost = as_cost("brute_force_path", F)
    n = cost.shape[0]
    edges = check_count("brute_force_path", "k", k)
    if not edges < n <= MAX_BRUTE_FORCE_NODES:
        raise InvalidParameterError(
            f"brute_force_path: needs k < n <= {MAX_BRUTE_FORCE_NODES} nodes, every path is tried; got k = "
            f"{edges} edges and n = {n} nodes. Use shortest_paths"
        )
    paths = [(0, *inner, n - 1) for inner in combinations(range(1, n - 1), edges - 1)]
    # summed from node 0, as the program does; equal costs are ordered by the predecessors, last first
    best = min(paths, key=lambda path: (_sum_along(cost, path), path[::-1]))
    return _sum_along(cost, best), np.array(best, dtype=np.int64)


def _sum_along(cost: Array, path: tuple[int, ...]) -> float:
    total = 0.0
    for s, t in pairwise(path):
        total = total + float(cost[s, t])
    return total
