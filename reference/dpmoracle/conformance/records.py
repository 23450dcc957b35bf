"""The rows of a sweep for other programs: JSON, and JUnit's XML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from .sweep import Row

__all__ = ["to_json", "to_junit"]


def to_json(rows: Iterable[Row]) -> str:
    """A list of objects with the fields of Row but the curve, which the page of a sweep keeps; null for nan and inf."""
    plain = [{key: _finite(value) for key, value in asdict(row).items() if key != "curve"} for row in rows]
    return json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_junit(rows: Iterable[Row]) -> str:
    """A suite for each sampler, a case for each check of each of its configurations; a note is a case that passed."""
    suites: dict[str, list[Row]] = {}
    for row in rows:
        suites.setdefault(row.subject, []).append(row)
    root = ElementTree.Element("testsuites", name="dpmoracle check")
    for subject, group in suites.items():
        failed = sum(row.status in ("failed", "xpassed") for row in group)
        skipped = sum(row.status == "skipped" for row in group)
        suite = ElementTree.SubElement(
            root, "testsuite", name=subject, tests=str(len(group)), failures=str(failed), skipped=str(skipped)
        )
        for row in group:
            name = f"{row.check}[{row.config}]" if row.config else row.check
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{row.library}.{subject}", name=_xml(name)
            )
            if row.status in ("failed", "xpassed"):
                figures = f"measured {row.measured}, bound {row.bound}"
                ElementTree.SubElement(case, "failure", message=_xml(row.detail)).text = figures
            elif row.status == "skipped":
                ElementTree.SubElement(case, "skipped", message=_xml(row.detail))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _xml(text: str) -> str:
    """Without the control characters that XML forbids."""
    return "".join(c if c >= " " or c in "\t\n" else "?" for c in text)
