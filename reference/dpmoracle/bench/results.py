"""What a benchmark found: times, ratios, errors, shares of a limit; and all of a run as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .harness import Contender, Timing, interleave, ratio
from .peers import Missing

__all__ = ["Result", "Run", "compare"]


@dataclass(frozen=True)
class Result:
    """One piece of work.

    work    : what was done, with its sizes
    timings : ours first, then the peers that were there
    missing : the peers that were not
    error   : ours against the reference, in the words of `measure`
    target  : by the name of a peer (or of `limit`), the ratio (or share) to reach
    limit   : what bounds the speed, and the share of it that ours reaches; None where nothing was compared
    figures : anything else that was measured
    """

    work: str
    timings: tuple[Timing, ...]
    missing: tuple[Missing, ...] = ()
    error: float = math.nan
    measure: str = ""
    target: dict[str, float] = dataclasses.field(default_factory=dict)
    limit: tuple[str, float] | None = None
    figures: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def ours(self) -> Timing:
        return self.timings[0]

    def ratios(self) -> dict[str, float]:
        """By peer, how many times longer it takes."""
        return {other.name: ratio(other, self.ours) for other in self.timings[1:]}


def compare(
    work: str,
    ours: Contender,
    peers: Sequence[Contender | Missing],
    *,
    turns: int,
    error: float = math.nan,
    measure: str = "",
    target: dict[str, float] | None = None,
    limit: tuple[str, Callable[[float], float]] | None = None,
    figures: dict[str, float] | None = None,
) -> Result:
    """Time all in turns. limit is a name and the seconds -> share of it that they are."""
    here = [peer for peer in peers if isinstance(peer, Contender)]
    away = tuple(peer for peer in peers if isinstance(peer, Missing))
    timings = interleave([ours, *here], turns)
    share = None if limit is None else (limit[0], limit[1](timings[0].median))
    return Result(work, timings, away, error, measure, target or {}, share, figures or {})


@dataclass(frozen=True)
class Run:
    """All results of one run, by benchmark, with the machine and the limits that were measured."""

    machine: dict[str, Any]
    settings: dict[str, Any]
    limits: dict[str, float]
    results: dict[str, list[Result]]

    def dumps(self) -> str:
        """Strict JSON; null stands for what is not finite."""
        content = {
            "format": "dpmoracle.bench",
            "version": 1,
            "machine": self.machine,
            "settings": self.settings,
            "limits": self.limits,
            "results": {name: [_plain(r) for r in found] for name, found in self.results.items()},
        }
        return json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(result: Result) -> dict[str, Any]:
    return {
        **dataclasses.asdict(result),
        "medians": {t.name: t.median for t in result.timings},
        "quartiles": {t.name: t.spread for t in result.timings},
        "ratios": result.ratios(),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(member) for member in value]
    return value
