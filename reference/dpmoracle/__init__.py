"""dpmoracle: the ground truth for diffusion samplers.

`import dpmoracle` loads nothing but this table; each name loads its module on first use.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_EXPORTS = {
    "errors": ["InvalidParameterError", "MissingExtraError"],
    "backends": ["DeviceError"],
    "processes.schedule": ["Schedule"],
    "processes.process": ["Process"],
    "mixture": ["GaussianMixture"],
    "oracle": ["Oracle"],
    "estimate": ["Estimate"],
    "gamma": ["GammaEstimate", "MmseEstimate", "estimate_gamma", "estimate_mmse"],
    "variance": [
        "clip_variance",
        "forward_posterior_mean",
        "lambda2_ddim",
        "lambda2_ddpm",
        "last_step_bound",
        "mmse_from_gamma",
        "optimal_mean",
        "optimal_variance",
        "optimal_variance_from_mmse",
        "reverse_coefficient",
        "variance_bounds",
    ],
    "trajectory": [
        "MongeCertificate",
        "ShortestPaths",
        "Trajectory",
        "clip_mmse",
        "evaluate_trajectory",
        "even_grid",
        "mmse_bounds",
        "mmse_integral",
        "monge_certificate",
        "optimal_trajectories",
        "optimal_trajectory",
        "path_cost",
        "power_grid",
        "quadratic_grid",
        "shortest_paths",
        "sqrt_kappa_grid",
        "trajectory_cost",
    ],
    "likelihood": ["elbo", "kl_to_normal", "snr_integral", "trajectory_kl"],
    "sampler": ["ancestral_step", "sample"],
    "sde_step": ["ml_sde_step"],
    "solvers": ["measure_order", "solve", "solver_nodes"],
    "flow": ["flow_path", "log_prob_flow"],
    "covariance_cost": ["covariance_cost"],
    "comparison": ["compare_chains"],
    "sample_comparison": ["compare_samples"],
}
_SUBPACKAGES = ["claims", "conformance", "report", "solvers", "strategies", "vectors"]
_HOME = {name: module for module, names in _EXPORTS.items() for name in names}

# Without the subpackages: `from dpmoracle import *` must not ask for the extra that strategies needs.
__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_SUBPACKAGES])
