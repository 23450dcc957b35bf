"""Conformance: other people's samplers, judged against exact mixtures.

    from dpmoracle.conformance import from_step, run_checks
    for result in run_checks(from_step(step, levels, "eps")):
        print(result.check, result.status, result.detail)

`run_checks` and `parametrize_with_checks` are two fronts of the same checks; every name loads its module on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

_EXPORTS = {
    "subject": ["Forward", "Subject"],
    "law": ["StepLaw"],
    "model": ["OracleModel"],
    "results": ["Result"],
    "stepwise": ["from_step"],
    "own": ["even_nodes", "uneven_nodes"],
    "adapters": ["from_diffusers", "from_dpm_solver", "from_k_diffusion"],
    "front": ["parametrize_with_checks", "run_checks"],
}
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = [*_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
