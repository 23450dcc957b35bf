"""What a check says of a subject."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["STATUSES", "Result", "Status"]

Status = Literal["passed", "failed", "skipped", "xfailed", "xpassed", "note"]
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Result:
    """One check of one subject.

    check    : its name, part of the public interface
    status   : "passed"; "failed"; "skipped", the subject lacks what the check needs; "xfailed" and "xpassed", an
               expected failure that failed, or did not; "note", a design choice worth knowing and no fault
    measured : the figure that was compared, None where there is none
    bound    : what it was compared with, in the same units
    detail   : one line for a maintainer: what was seen, where, and what to look at
    """

    check: str
    status: Status
    measured: float | None
    bound: float | None
    detail: str
