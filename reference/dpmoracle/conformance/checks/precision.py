"""What float32 costs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..results import Result, Seen, worst
from ..runs import draws, median_distance, play, sharp, steps_within
from ..subject import Subject
from ..worlds import gaussian, particles, smooth, spread

__all__ = ["check_stability"]

_BOUND = 1e-3


def check_stability(subject: Subject, quick: bool = False) -> Result:
    """From the same start and noise, the sample in shipped precision is that in float64, for K up to 500.

    Median distance over the particles, in standard deviations of the data.
    """
    steps = steps_within(subject, (20, 100) if quick else (20, 100, 250, 500))
    return worst("stability", _distances(subject, steps), f"{subject.dtype} against float64, K in {steps}")


def _distances(subject: Subject, steps: list[int]) -> Iterator[Seen]:
    # The flow of one Gaussian is known without an integration.
    double, q0 = sharp(subject), gaussian(0.1) if subject.endpoint else smooth()
    for K in steps:
        x = particles(q0, double.ends(K)[0], 32)
        ends = [play(version, q0, x, K, draws(version)).end for version in (subject, double)]
        yield Seen(median_distance(*ends) / spread(q0), _BOUND, partial(_tell, subject.dtype, K))


def _tell(dtype: str, K: int) -> str:
    return (
        f"K = {K}: the sample in {dtype} is not that in float64; look for differences of nearly equal numbers"
    )
