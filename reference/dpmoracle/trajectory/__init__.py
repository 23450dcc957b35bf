"""Which timesteps to visit: what a step costs, and the programs that find the cheapest path."""

from __future__ import annotations

from .programs import *  # noqa: F403
from .programs import __all__ as __all__
