"""The page of each command: its verdict, its tables and, from `sections`, its figures."""

from __future__ import annotations

from .bench import bench_page
from .check import check_page
from .gamma import gamma_page
from .trajectory import trajectory_page
from .validate import validate_page

__all__ = ["bench_page", "check_page", "gamma_page", "trajectory_page", "validate_page"]
