"""Runs of a subject with an exact model, and what the checks read off them."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from .law import Level, noise_ratio
from .model import Call, NoLevelError, OracleModel
from .subject import Noise, Subject

__all__ = [
    "Run",
    "SubjectError",
    "draws",
    "last_state",
    "median_distance",
    "name_call",
    "play",
    "precisions",
    "raised",
    "sharp",
    "steps_within",
    "tolerance",
    "usual_steps",
]

Array = NDArray[np.float64]


class SubjectError(Exception):
    """The subject raised, or returned what no sampler may return."""


@dataclass(frozen=True)
class Run:
    """end : (M, d) float64, x_end           calls : what the model was asked, in order"""

    end: Array
    calls: list[Call]

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.end).all())


def play(
    subject: Subject,
    q0: GaussianMixture,
    x: Array,
    K: int,
    noise: Noise | None = None,
    *,
    by_time: bool = False,
    exact_start: bool = False,
    calls: list[Call] | None = None,
) -> Run:
    """One run; with exact_start x is (n, M, d), the states at the first n nodes.

    by_time : the model answers for the level that the time value stands for, not for the (a, σ) that is meant
    calls   : an empty list to fill, for who wants to look while it runs
    """
    model = OracleModel(
        q0,
        subject.output_type,
        subject.sigma_data,
        subject.time_level if by_time else None,
        subject.endpoint,
        [] if calls is None else calls,
        subject.time_span,
    )
    carry = subject.exact_start if exact_start else subject.run
    if carry is None:
        raise SubjectError("it has no exact_start")
    try:
        end = carry(model, x.astype(subject.dtype), K, noise)
    except NoLevelError as error:
        raise SubjectError(f"with K = {K} {error}") from error
    except (Exception, SystemExit) as error:
        raise SubjectError(f"with K = {K} it {raised(error)}") from error
    wanted = x.shape[-2:]
    if np.shape(end) != wanted:
        raise SubjectError(
            f"with K = {K} run must return x_end of shape {wanted}; it returned {np.shape(end)}"
        )
    if not model.calls:
        raise SubjectError(f"with K = {K} it never called the model")
    return Run(np.asarray(end, dtype=np.float64), model.calls)


def raised(error: BaseException) -> str:
    """'raises IndexError: ... (scheduler.py:120)', on one line; the place is not that of the import machinery."""
    if isinstance(error, SyntaxError) and error.filename:
        said, file, line = error.msg, error.filename, error.lineno
    else:
        frames = traceback.extract_tb(error.__traceback__)
        *_, place = [one for one in frames if not one.filename.startswith("<frozen importlib")] or frames
        said, file, line = str(error), place.filename, place.lineno
    message = " ".join(said.split())
    kind = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"raises {kind} ({Path(file).name}:{line})"


def draws(subject: Subject, seed: int = 0) -> Noise | None:
    """Seeded standard normal noise for a subject that takes it."""
    return np.random.default_rng([7, seed]).standard_normal if subject.injects else None


def sharp(subject: Subject) -> Subject:
    """The subject in float64 if it has that, else as it is."""
    if subject.dtype == "float32" and subject.promoted is not None:
        return subject.promoted()
    return subject


def precisions(subject: Subject) -> list[Subject]:
    """As shipped, and promoted to float64: each hides faults that the other shows."""
    promoted = sharp(subject)
    return [subject] if promoted is subject else [subject, promoted]


def tolerance(subject: Subject, double: float, single: float) -> float:
    """A bound by the precision of the subject."""
    return double if subject.dtype == "float64" else single


def steps_within(subject: Subject, steps: tuple[int, ...]) -> list[int]:
    """Those numbers of steps that the subject admits, the largest excepted: see the check every_step."""
    return [K for K in steps if subject.max_steps is None or subject.max_steps > K]


def usual_steps(subject: Subject, quick: bool) -> list[int]:
    """Numbers of steps that divide 1000 and that do not, with strides both even and odd."""
    return steps_within(subject, (5, 7, 10, 12, 20, 33) + (() if quick else (99, 101, 333, 500)))


def last_state(subject: Subject, run: Run, K: int) -> tuple[Array, Level]:
    """x and (a, σ) at the last node with σ > 0: the end, or where the model was asked before the step to σ = 0."""
    end = subject.ends(K)[1]
    if end[1] > 0.0:
        return run.end, end
    node = run.calls[-1].level if subject.levels is None else subject.levels(K)[-2]
    for call in reversed(run.calls):
        if np.allclose(call.level, node, rtol=1e-6, atol=0.0):
            return call.x, call.level
    raise SubjectError(
        f"with K = {K} the model was never asked at the last node with sigma > 0, ({node[0]:.6g}, {node[1]:.6g})"
    )


def median_distance(x: Array, truth: Array) -> float:
    """Median over the particles of their root mean square distance per dimension; inf where they are not finite."""
    known = np.isfinite(x).all(1) & np.isfinite(truth).all(1)
    distance = np.full(len(x), np.inf)
    distance[known] = np.sqrt(np.square(x[known] - truth[known]).mean(1))
    return float(np.median(distance))


def name_call(calls: list[Call], i: int) -> str:
    """'call 3 of 20 (sigma/a = 1.25, time 499)'."""
    call = calls[i]
    time = "" if call.time is None else f", time {call.time:g}"
    return f"call {i + 1} of {len(calls)} (sigma/a = {noise_ratio(call.level):.6g}{time})"
