"""Contenders timed in turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InvalidParameterError

__all__ = ["LEAST_SECONDS", "Contender", "Timing", "interleave", "ratio"]

Clock = Callable[[], float]

#: a call shorter than this is repeated within its turn: the clock and the call itself cost about 1e-7 s
LEAST_SECONDS = 5e-3

#: what every turn gives up before its clock: after a product BLAS's threads spin on the cores of whoever comes next,
#: and the scheduler takes a while to spread threads again. Seen: 55 ms in place of 45 after 0.05 s, 45 after 0.2.
WARM_SECONDS = 0.2


@dataclass(frozen=True)
class Contender:
    """Somebody's way to do the work.

    call  : does it once; whatever it returns is dropped
    scale : what the time is multiplied by, 100 where `call` does one hundredth of the work
    note  : said beside the time, such as "10 of 1000 timesteps, scaled"
    """

    name: str
    call: Callable[[], Any]
    scale: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender, by turn."""

    name: str
    seconds: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> tuple[float, float]:
        """The first and third quartile."""
        low, high = np.quantile(self.seconds, [0.25, 0.75])
        return float(low), float(high)


def ratio(other: Timing, ours: Timing) -> float:
    """How many times longer the other takes: the median over the turns of the quotient within one turn."""
    return float(np.median(np.divide(other.seconds, ours.seconds)))


def interleave(
    contenders: Sequence[Contender],
    turns: int = 7,
    clock: Clock = time.perf_counter,
    least: float = LEAST_SECONDS,
    warm: float = WARM_SECONDS,
) -> tuple[Timing, ...]:
    """Time every contender once per turn, in an order that is reversed from turn to turn.

    Each is called once before, which compiles what is compiled and tells how often a short call must be repeated
    to last `least` seconds. Before every turn a contender works unmeasured for `warm` seconds, or rests so long if a
    call takes longer, so that none pays for what another leaves behind.
    """
    if turns < 1 or not contenders:
        raise InvalidParameterError(
            f"interleave: needs contenders and at least 1 turn; got {len(contenders)} and {turns}"
        )
    repeats = [_repeats(contender.call, clock, least) for contender in contenders]
    seconds: list[list[float]] = [[] for _ in contenders]
    order = list(range(len(contenders)))
    for _ in range(turns):
        for i in order:
            call, (count, each) = contenders[i].call, repeats[i]
            if each > warm:
                time.sleep(warm)
            else:
                _timed(call, int(warm / each), clock)
            seconds[i].append(contenders[i].scale * _timed(call, count, clock))
        order.reverse()
    return tuple(Timing(c.name, tuple(s), c.note) for c, s in zip(contenders, seconds))


def _repeats(call: Callable[[], Any], clock: Clock, least: float) -> tuple[int, float]:
    """How often to call, and what one call then takes."""
    call()
    count = 1
    while (took := count * _timed(call, count, clock)) < least:
        count = max(2 * count, min(10 * count, int(count * least / took) + 1 if took > 0 else 10 * count))
    return count, took / count


def _timed(call: Callable[[], Any], repeats: int, clock: Clock) -> float:
    """Seconds per call; the garbage of one contender is not collected at the cost of another."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        start = clock()
        for _ in range(repeats):
            call()
        return (clock() - start) / repeats
    finally:
        if collecting:
            gc.enable()
