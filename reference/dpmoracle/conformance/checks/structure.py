"""Structure, for many numbers of steps and in every precision: finite, falling in noise, no step of zero length."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..law import noise_ratio
from ..model import Call
from ..results import Result, judged, noted, skipped
from ..runs import (
    Run,
    SubjectError,
    draws,
    name_call,
    play,
    precisions,
    steps_within,
    usual_steps,
)
from ..subject import Subject
from ..worlds import gaussian, particles
from .times import told

__all__ = ["check_every_step", "check_finite", "check_grid"]

#: every residue modulo 2 and 3, and larger numbers that divide 1000 and that do not
FEW = tuple(range(5, 21))
MANY = (25, 50, 99, 100, 101, 200, 333, 500)
_QUICK = (33, 50)
_ROUNDED = "levels that round to one whole time value; fractional ones, or fewer steps, would tell them apart"


def check_finite(subject: Subject, quick: bool = False) -> Result:
    """For every number of steps, in shipped precision and in float64, the subject runs and the sample is finite."""
    steps = steps_within(subject, FEW + (_QUICK if quick else MANY))
    if not steps:
        return skipped(
            "finite", f"max_steps is {subject.max_steps}: fewer than any number of steps that is tried"
        )
    faults = [fault for version in precisions(subject) for K in steps for fault in _walk(version, K)[1]]
    return judged("finite", len(faults), 0, _tell(faults, f"finite for K in {_list(steps)}"))


def check_every_step(subject: Subject, quick: bool = False) -> Result:
    """As many steps as there are timesteps of training, K = N: finite, and every step goes somewhere.

    In shipped precision, and if not quick in float64 too.
    """
    N = subject.max_steps or 0
    walks = [(version, *_walk(version, N)) for version in ([subject] if quick else precisions(subject))]
    faults = [_Fault(fall) for *_, falls in walks for fall in falls]
    if not faults:
        faults = [fault for version, calls, _ in walks[-1:] for fault in _grid_faults(version, N, calls)]
    return _verdict("every_step", faults, f"K = N = {N} is sound")


def check_grid(subject: Subject, quick: bool = False) -> Result:
    """Levels and time values fall strictly from node to node, time values are in range, no step has zero length.

    In every precision. Nodes are judged where the subject tells them; else the levels at which the model was asked,
    which must not rise. The model must never be asked twice in a row about the same state: that step went nowhere. Time
    values that coincide because they are rounded to whole ones, and a last step that rests on purpose, are notes.
    """
    steps = usual_steps(subject, quick)
    faults = [
        fault
        for version in precisions(subject)
        for K in steps
        for fault in _grid_faults(version, K, _few_particles(version, K).calls)
    ]
    return _verdict("grid", faults, f"falls strictly for K in {_list(steps)}")


class _Fault(NamedTuple):
    """design : why it is meant, None for a fault"""

    what: str
    design: str | None = None


def _verdict(check: str, faults: list[_Fault], fine: str) -> Result:
    """Failed by the faults; without any, a note by what is design."""
    bad = [fault.what for fault in faults if fault.design is None]
    if bad or not faults:
        return judged(check, len(bad), 0, _tell(bad, fine))
    reasons = "; ".join(dict.fromkeys(str(fault.design) for fault in faults))
    return noted(check, len(faults), f"{_tell([fault.what for fault in faults], fine)}; by design: {reasons}")


def _few_particles(subject: Subject, K: int) -> Run:
    q0 = gaussian(0.1)
    return play(subject, q0, particles(q0, subject.ends(K)[0], 4), K, draws(subject))


def _walk(subject: Subject, K: int) -> tuple[list[Call], list[str]]:
    """The calls of a run, and what kept it from ending with finite numbers."""
    try:
        run = _few_particles(subject, K)
    except SubjectError as error:
        return [], [f"{subject.dtype}: {error}"]
    return run.calls, [] if run.finite else [f"{subject.dtype}, K = {K}: {_first_fall(run)}"]


def _first_fall(run: Run) -> str:
    for i, call in enumerate(run.calls):
        if not np.isfinite(call.x).all():
            return f"nan or inf first at {name_call(run.calls, i)}"
    return "nan or inf after the last call"


def _grid_faults(subject: Subject, K: int, calls: list[Call]) -> Iterator[_Fault]:
    # In float32 the two evaluations of a short step may agree to the last bit.
    repeats = _repeats(calls) if subject.dtype == "float64" else ()
    for what, design in (*_node_faults(subject, K, calls), *_time_faults(subject, calls), *repeats):
        yield _Fault(f"{subject.dtype}, K = {K}: {what}", design)


def _repeats(calls: list[Call]) -> Iterator[_Fault]:
    for i, (before, after) in enumerate(pairwise(calls)):
        if before.level == after.level and np.array_equal(before.x, after.x):
            yield _Fault(
                f"a step of zero length: the same state and level again at {name_call(calls, i + 1)}"
            )


def _node_faults(subject: Subject, K: int, calls: list[Call]) -> Iterator[_Fault]:
    if subject.levels is not None:
        nodes = [(float(a), float(sigma)) for a, sigma in subject.levels(K)]
        ratios = [noise_ratio(node) for node in nodes]
        for i in np.flatnonzero(~(np.diff(ratios) < 0.0)):
            rests = i == len(ratios) - 2 and ratios[i + 1] == ratios[i]
            yield _Fault(
                f"node {i + 1} has sigma/a = {ratios[i + 1]:.6g}, node {i} before it {ratios[i]:.6g}: the noise must "
                "fall",
                subject.rests if rests else None,
            )
        for end, node, which in zip(subject.ends(K), (nodes[0], nodes[-1]), ("start", "end")):
            if not np.allclose(end, node, rtol=1e-6):
                yield _Fault(f"the {which} is at (a, sigma) = {end}, the {which} of the nodes at {node}")
        return
    ratios = [noise_ratio(call.level) for call in calls]
    if not subject.stochastic:  # adding noise to go back up is a way to draw
        for i in np.flatnonzero(np.diff(ratios) > 1e-6 * np.array(ratios[:-1])):
            yield _Fault(f"the noise rises from {ratios[i]:.6g} to that of {name_call(calls, int(i) + 1)}")


def _time_faults(subject: Subject, calls: list[Call]) -> Iterator[_Fault]:
    times = [call.time for call in calls if call.time is not None]
    if len(times) < len(calls):
        return
    if subject.time_range is not None:
        low, high = subject.time_range
        for i, time in enumerate(times):
            if not low <= time <= high:
                yield _Fault(f"the time value is outside [{low:g}, {high:g}] at {name_call(calls, i)}")
    rises = times[-1] > times[0]
    for i in range(1, len(calls)):
        before, after = (noise_ratio(call.level) for call in calls[i - 1 : i + 1])
        step = times[i] - times[i - 1]
        if after < before * (1.0 - 1e-6) and not (step > 0.0 if rises else step < 0.0):
            rounded = subject.time_level is not None and all(
                told(subject, call).explained for call in calls[i - 1 : i + 1]
            )
            yield _Fault(
                f"the time value goes from {times[i - 1]:g} to {times[i]:g} where sigma/a falls from {before:.6g} to "
                f"{after:.6g}, at {name_call(calls, i)}",
                _ROUNDED if rounded else None,
            )


def _tell(faults: list[str], fine: str) -> str:
    if not faults:
        return fine
    more = f" (and {len(faults) - 2} more)" if len(faults) > 2 else ""
    return "; ".join(faults[:2]) + more


def _list(steps: list[int]) -> str:
    return ", ".join(map(str, steps)).replace(", ".join(map(str, FEW)), "5..20")
