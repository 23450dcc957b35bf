"""What the steps of a trajectory cost, and the certificate of its fast programs, on a device."""

from __future__ import annotations

from typing import Any

import cupy

from .cuda import on_device

__all__ = ["certify", "cost_matrix", "sum_cost"]


@on_device()
def cost_matrix(u: Any, v: Any) -> Any:
    """Twin of dpmoracle.trajectory.step_cost.cost_matrix: (N+1, N+1), +inf where no step goes."""
    cost = cupy.full((u.size, u.size), cupy.inf)
    forbidden = cupy.tri(u.size - 1, dtype=bool)
    gain = cupy.where(forbidden, 0.0, (u[1:, None] - u[None, 1:]) * v[None, 1:])
    cost[1:, 1:] = cupy.where(forbidden, cupy.inf, cupy.log1p(gain))
    return cost


@on_device()
def sum_cost(u: Any, v: Any, nodes: Any) -> float:
    """Twin of dpmoracle.trajectory.step_cost.sum_cost."""
    s, t = nodes[:-1], nodes[1:]
    return float(cupy.log1p(v[t] * (u[s] - u[t])).sum())


@on_device()
def certify(u: Any, v: Any) -> Any:
    """Twin of dpmoracle.trajectory.monge.certify: (N-2,) margins of the certificate."""
    positive = v[2:] > 0
    g = cupy.where(positive, 1.0 / cupy.where(positive, v[2:], 1.0), cupy.inf) - u[2:]
    here, there = g[:-1], g[1:]
    finite = cupy.isfinite(here) & cupy.isfinite(there)
    limit = cupy.isinf(here).astype(float) - cupy.isinf(there).astype(float)
    here, there = cupy.where(finite, here, 0.0), cupy.where(finite, there, 0.0)
    scale = cupy.maximum(cupy.maximum(cupy.abs(here), cupy.abs(there)), u[2:-1])
    usable = finite & (scale > 0)
    return cupy.where(
        usable, (here - there) / cupy.where(scale > 0, scale, 1.0), cupy.where(finite, 0.0, limit)
    )
