"""Claim: a statement, the formula that states it, and the independent road by which it is judged."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..errors import InvalidParameterError
from .world import World

__all__ = ["Claim", "Measurement", "find", "holds", "refuted"]


@dataclass(frozen=True)
class Measurement:
    """What a check saw.

    error    : how far formula and evidence are apart, >= 0; inf if the formula gives no number at all
    evidence : one line for the table: where the worst case is, and what the two sides say there
    """

    error: float
    evidence: str


@dataclass(frozen=True)
class Claim:
    """One statement about diffusion models that can be right or wrong.

    id        : dotted, "<source>.<equation>.<form>"; `--only` matches it by glob
    source    : where it stands, and in which form
    statement : LaTeX
    road      : the independent road that checks it
    expected  : "holds" or "refuted"
    tolerance : the largest error with which it holds
    formula   : the statement as code; `check` receives it as an argument, so that a test can hand in a broken one
    check     : measures formula against the road, in a world
    """

    id: str
    source: str
    statement: str
    road: str
    expected: str
    tolerance: float
    formula: Callable[..., Any] = field(repr=False)
    check: Callable[[Callable[..., Any], World], Measurement] = field(repr=False)


def holds(**parts: Any) -> Claim:
    """A claim that is expected to hold."""
    return Claim(expected="holds", **parts)


def refuted(**parts: Any) -> Claim:
    """A claim that is expected to be refuted."""
    return Claim(expected="refuted", **parts)


def find(claims: Iterable[Claim], only: str | None, name: str = "only") -> tuple[Claim, ...]:
    """The claims whose id matches the glob `only` (all for None); refuses a glob, called `name`, that matches none."""
    claims = tuple(claims)
    chosen = tuple(c for c in claims if only is None or fnmatch.fnmatchcase(c.id, only))
    if not chosen:
        near = get_close_matches(str(only), [c.id for c in claims], n=3, cutoff=0.3)
        raise InvalidParameterError(
            f"validate: {name} must match the id of a claim; {only!r} matches none of {len(claims)}. "
            f"Nearest: {', '.join(near) or claims[0].id}"
        )
    return chosen
