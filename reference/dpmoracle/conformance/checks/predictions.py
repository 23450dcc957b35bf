"""The same sampler for networks of other output types."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from ..results import Result, Seen, worst
from ..runs import draws, play, sharp, tolerance
from ..subject import Subject
from ..worlds import particles, smooth, spread

__all__ = ["check_prediction_types"]

_STEPS = 12


def check_prediction_types(subject: Subject, quick: bool = False) -> Result:
    """A perfect network says the same whatever it predicts: the samples agree, particle by particle.

    Largest distance in standard deviations of the data, K = 12, from the same start with the same noise.
    """
    return worst("prediction_types", _distances(sharp(subject)), "the samples of all output types agree")


def _distances(subject: Subject) -> Iterator[Seen]:
    q0 = smooth()
    x = particles(q0, subject.ends(_STEPS)[0], 32)
    own = play(subject, q0, x, _STEPS, draws(subject)).end
    for kind, make in subject.predicting.items():
        other = sharp(make())
        end = play(other, q0, x, _STEPS, draws(other)).end
        off = float(np.abs(end - own).max() / spread(q0))
        bound = max(tolerance(version, 1e-9, 1e-2) for version in (subject, other))
        yield Seen(off, bound, partial(_tell, kind, subject.output_type))


def _tell(kind: str, own: str) -> str:
    return f"with a network of {kind!r} the samples are others than with one of {own!r}, K = {_STEPS}"
