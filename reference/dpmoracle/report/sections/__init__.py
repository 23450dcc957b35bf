"""What each command's report shows: figures and tables of its result, gathered into sections.

A section function is called with what the command has in hand, and returns sections in the order of reading.
"""

from __future__ import annotations

from .bench import bench_sections
from .check import check_sections
from .gamma import gamma_sections
from .trajectory import trajectory_sections
from .validate import validate_sections

__all__ = ["bench_sections", "check_sections", "gamma_sections", "trajectory_sections", "validate_sections"]
