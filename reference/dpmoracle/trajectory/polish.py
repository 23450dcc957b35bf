"""A trajectory polished: the exact program on a band around given nodes, again and again until nothing moves."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checking import check_count
from .programs import Trajectory, evaluate_trajectory
from .step_cost import as_curve, as_nodes

__all__ = ["polish_trajectory"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


def polish_trajectory(
    snr: ArrayLike, mmse: ArrayLike, timesteps: Any, window: int | None = None, max_rounds: int = 100
) -> Trajectory:
    """The trajectory that no move of all its nodes by at most `window` timesteps improves.

    timesteps : Trajectory or (K,) increasing from 1 to N, such as `sqrt_kappa_grid`; K stays
    window    : None takes N/K, at least 1; a round costs O(K window^2), whatever N is
    The cost never rises. It is the optimum where the cost has one valley between 1 and N, as on the mixtures tried;
    `optimal_trajectory` needs no start and promises it. method is "polished, n rounds".
    """
    who = "polish_trajectory"
    u, v = as_curve(who, snr, mmse, bounded=True)
    nodes = as_nodes(who, getattr(timesteps, "timesteps", timesteps), u.size - 1)
    last = u.size - 1
    reach = max(1, last // len(nodes)) if window is None else check_count(who, "window", window)
    rounds = check_count(who, "max_rounds", max_rounds)
    done = 0
    while done < rounds:
        moved = _banded(u, v, nodes, reach)
        done += 1
        if (moved == nodes).all():
            break
        nodes = moved
    return evaluate_trajectory(u, v, nodes, f"polished, {done} round{'s' if done > 1 else ''}")


def _banded(u: Array, v: Array, nodes: Steps, reach: int) -> Steps:
    """The best path whose k-th node is within `reach` of nodes[k]; ties keep to the smallest predecessor."""
    last = u.size - 1
    ends = ([nodes[:1]], [nodes[-1:]])
    bands = [
        *ends[0],
        *(np.arange(max(2, t - reach), min(last - 1, t + reach) + 1) for t in nodes[1:-1]),
        *ends[1],
    ]
    reached, choices = np.zeros(1), []
    for before, here in pairwise(bands):
        span = u[before][:, None] - u[here]
        step = np.where(span > 0, np.log1p(v[here] * np.maximum(span, 0.0)), np.inf)
        sums = reached[:, None] + step
        best = sums.argmin(0)
        choices.append(best)
        reached = sums[best, np.arange(len(here))]
    at, path = 0, [int(nodes[-1])]
    for k in range(len(choices) - 1, -1, -1):
        at = int(choices[k][at])
        path.append(int(bands[k][at]))
    return np.array(path[::-1], dtype=np.int64)
