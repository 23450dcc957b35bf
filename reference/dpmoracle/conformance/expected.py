"""Failures that a user expects, by the name of the check."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from ..errors import InvalidParameterError
from .checks import CHECKS, RENAMED
from .results import Result
from .subject import Subject

__all__ = ["Expected", "expect", "reasons"]

#: {check: reason}, or a function of the subject that gives one
Expected = Mapping[str, str] | Callable[[Subject], Mapping[str, str]]


def reasons(who: str, expected: Expected | None, subject: Subject) -> dict[str, str]:
    """{check: reason} for a subject, by today's names; raises InvalidParameterError for names that no check has
    and for what is no mapping."""
    given: Any = expected(subject) if callable(expected) else {} if expected is None else expected
    if not isinstance(given, Mapping):
        came = (
            f"a function that returned {type(given).__name__}" if callable(expected) else type(given).__name__
        )
        raise InvalidParameterError(
            f"{who}: expected_failures must be a dict of check to reason, such as {{'order': 'why it fails'}}, or a "
            f"function of the subject that returns one; got {came}"
        )
    found = {}
    for name, reason in given.items():
        if name in RENAMED:
            warnings.warn(
                f"{who}: the check {name!r} is now {RENAMED[name]!r}; the old name goes with the next release",
                FutureWarning,
                stacklevel=3,
            )
        name = str(RENAMED.get(name, name))
        if name not in CHECKS:
            near = get_close_matches(name, CHECKS, n=3, cutoff=0.4)
            hint = (
                f"Did you mean {' or '.join(map(repr, near))}?" if near else f"They are {', '.join(CHECKS)}"
            )
            raise InvalidParameterError(
                f"{who}: expected_failures must name checks; got {name!r}, which is none. {hint}"
            )
        found[name] = reason
    return found


def expect(result: Result, expected: Mapping[str, str]) -> Result:
    """The result in view of what was expected: xfailed if it failed, xpassed if it did not."""
    if result.check not in expected or result.status == "skipped":
        return result
    failed = result.status == "failed"
    reason = f"{expected[result.check]}: {result.detail}"
    return replace(result, status="xfailed" if failed else "xpassed", detail=reason)
