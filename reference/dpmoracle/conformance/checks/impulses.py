"""The response of a run to its start and to each draw of noise, one row of particles for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...mixture import GaussianMixture
from ..model import Call
from ..runs import Array, Run, SubjectError, play
from ..subject import Subject

__all__ = ["Responses", "respond"]

_DRAWS_PER_STEP = 4


@dataclass(frozen=True)
class Responses:
    """run   : row 0 from the mean of the start without noise, row 1 from one standard deviation beside it, row 2 + k
            from the mean with 1 in place of draw k and 0 in place of the others
    steps : of each draw, the call of the model that it follows; draws made all before the first call are taken in turn
    """

    run: Run
    steps: list[int]


def respond(subject: Subject, q0: GaussianMixture, K: int) -> Responses:
    """One run in which each row meets its own impulse, the same in every coordinate."""
    a, sigma = subject.ends(K)[0]
    rows = 2 + (_DRAWS_PER_STEP * K if subject.stochastic else 0)
    x = np.repeat(a * (q0.weights @ q0.means)[None], rows, axis=0)
    x[1] += np.sqrt(a**2 * q0.trace_cov() / q0.d + sigma**2)
    calls: list[Call] = []
    steps: list[int] = []

    def impulse(shape: tuple[int, ...]) -> Array:
        row = 2 + len(steps)
        if row >= rows or shape[0] != rows:
            raise SubjectError(
                f"it draws noise of shape {shape}, or more than {_DRAWS_PER_STEP} times a step"
            )
        steps.append(len(calls) - 1 if calls else len(steps))
        z = np.zeros(shape)
        z[row] = 1.0
        return z

    run = play(subject, q0, x, K, impulse if subject.stochastic else None, calls=calls)
    return Responses(run, steps)
