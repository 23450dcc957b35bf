"""What the programs find: one trajectory, and those of all K kept as one table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dense import Table, backtrack
from .step_cost import sum_cost

__all__ = ["Trajectories", "Trajectory", "priced"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Timesteps and what they cost.

    timesteps : (K,) int64 increasing, [0] = 1, [-1] = N; K network evaluations, K - 1 edges
    cost      : sum of J over the edges: nats times 2/d, without the last step 1 -> 0
    method    : the program that found it: "multiplier" or "hull" where the certificate holds,
                "hull_search" where it does not, "li_chao", "dense", "brute_force" on request, "given" for a
                trajectory of the caller's
    """

    timesteps: Steps
    cost: float
    method: str


@dataclass(frozen=True, eq=False)
class Trajectories(Mapping[int, Trajectory]):
    """The optimal trajectory by K, 2..K_max, read off the predecessors when it is asked for: O(K) each.

    All at once would be a hundred times the table: half of K_max^2 timesteps of 8 bytes.
    """

    u: Array
    v: Array
    predecessors: Table
    method: str

    def __getitem__(self, K: int) -> Trajectory:
        if K not in range(2, len(self.predecessors) + 1):
            raise KeyError(K)
        return priced(self.u, self.v, backtrack(self.predecessors, K - 1, self.u.size - 1), self.method)

    def __iter__(self) -> Iterator[int]:
        return iter(range(2, len(self.predecessors) + 1))

    def __len__(self) -> int:
        return len(self.predecessors) - 1


def priced(u: Array, v: Array, nodes: Steps, method: str) -> Trajectory:
    """The trajectory of these nodes, which become read-only."""
    nodes.setflags(write=False)
    return Trajectory(nodes, sum_cost(u, v, nodes), method)
