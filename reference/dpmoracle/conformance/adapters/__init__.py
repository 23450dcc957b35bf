"""Other libraries' samplers as subjects; their conventions stay in here."""

from __future__ import annotations

from .diffusers import from_diffusers
from .dpm_solver import from_dpm_solver
from .k_diffusion import from_k_diffusion

__all__ = ["from_diffusers", "from_dpm_solver", "from_k_diffusion"]
