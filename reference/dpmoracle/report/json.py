"""A report as strict JSON: a list of objects, one per claim."""

from __future__ import annotations

import json

from ..claims.results import Report

__all__ = ["dumps"]


def dumps(report: Report) -> str:
    """Keys id, source, statement, verdict, expected, measured, tolerance, evidence, seconds; null for nan, inf."""
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
