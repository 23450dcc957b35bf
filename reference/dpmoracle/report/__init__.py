"""Results rendered: text for a terminal, JSON for machines, figures and pages for readers. Nothing is judged here.

`plot_*` are functions of one result that return Matplotlib axes; each loads its module, and Matplotlib, on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "plot_conformance": "conformance",
    "plot_cost": "cost_map",
    "plot_gamma": "curves",
    "plot_kl": "kl",
    "plot_limit_shares": "bench",
    "plot_mmse": "curves",
    "plot_orders": "orders",
    "plot_ratios": "bench",
    "plot_relative_error": "curves",
    "plot_samples": "samples",
    "plot_terminal_variance": "terminal",
    "plot_trajectories": "trajectories",
    "plot_variances": "variances",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.figures.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
