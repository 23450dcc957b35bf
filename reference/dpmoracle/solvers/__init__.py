"""Deterministic solvers of the probability flow, on levels (a, σ), and the measurement of their order.

Each is a plain function solver(model, x, nodes, ...) -> x at the last node: model(x, a, sigma) predicts x_0 or ε,
nodes is (K+1, 2) of (a, σ), noisiest first, and x any kind of array. `solve` names them, builds the grid, and takes
an Oracle for a model.
"""

from __future__ import annotations

from .adaptive import Adapted, dpm_adaptive
from .ddim import ddim
from .deis import deis
from .front import METHODS, Solution, solve
from .grids import GRIDS, solver_nodes
from .heun import heun
from .multistep import dpm_multistep
from .network import ExactModel
from .order import OrderFit, Yardstick, measure_order
from .path import path_of, vp_path
from .singlestep import dpm_singlestep
from .unipc import unipc

__all__ = [
    "GRIDS",
    "METHODS",
    "Adapted",
    "ExactModel",
    "OrderFit",
    "Solution",
    "Yardstick",
    "ddim",
    "deis",
    "dpm_adaptive",
    "dpm_multistep",
    "dpm_singlestep",
    "heun",
    "measure_order",
    "path_of",
    "solve",
    "solver_nodes",
    "unipc",
    "vp_path",
]
