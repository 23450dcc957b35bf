"""What a check says of a subject."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

__all__ = ["STATUSES", "Ending", "Result", "Seen", "Status", "judged", "noted", "skipped", "worst"]

Status = Literal["passed", "failed", "skipped", "xfailed", "xpassed", "note"]
STATUSES: tuple[Status, ...] = get_args(Status)


class Ending(NamedTuple):
    """ratio : variance of the samples of K steps over the truth          error : its standard error"""

    K: int
    ratio: float
    error: float


@dataclass(frozen=True)
class Result:
    """One check of one subject.

    check    : its name, part of the public interface
    status   : "passed"; "failed"; "skipped", the subject lacks what the check needs; "xfailed" and "xpassed", an
               expected failure that failed, or did not; "note", a design choice worth knowing and no fault
    measured : the figure that was compared, None where there is none
    bound    : what it was compared with, in the same units: the most that passes, for the check "order" the least
    detail   : one line for a maintainer: what was seen, where, and what to look at
    curve    : of the check "terminal", K increasing; of every other empty
    """

    check: str
    status: Status
    measured: float | None
    bound: float | None
    detail: str
    curve: tuple[Ending, ...] = ()


def judged(check: str, measured: float, bound: float, detail: str) -> Result:
    """Passed if the figure is within its bound; nan and inf are not, whatever the bound."""
    within = math.isfinite(measured) and measured <= bound
    return Result(check, "passed" if within else "failed", float(measured), float(bound), detail)


def noted(check: str, measured: float | None, detail: str) -> Result:
    """A figure without a verdict."""
    return Result(check, "note", None if measured is None else float(measured), None, detail)


def skipped(check: str, reason: str) -> Result:
    """What the subject lacks for it."""
    return Result(check, "skipped", None, None, reason)


class Seen(NamedTuple):
    """One figure among many of a check, and what to say if it is the worst."""

    measured: float
    bound: float
    tell: Callable[[], str]

    @property
    def share(self) -> float:
        """Of the bound, inf for what is not finite."""
        return self.measured / self.bound if math.isfinite(self.measured) else math.inf


def worst(check: str, seen: Iterable[Seen], fine: str) -> Result:
    """The verdict of the figure that comes nearest to its bound, or exceeds it most."""
    top = max(seen, key=lambda one: one.share, default=None)
    if top is None:
        return skipped(check, "the subject admits none of the numbers of steps that are tried")
    verdict = judged(check, top.measured, top.bound, fine)
    return verdict if verdict.status == "passed" else replace(verdict, detail=top.tell())
