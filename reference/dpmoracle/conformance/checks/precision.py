"""What float32 costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...mixture import GaussianMixture
from ..model import OracleModel
from ..results import Result, Seen, noted, worst
from ..runs import draws, median_distance, play, sharp, steps_within
from ..subject import Noise, Subject
from ..worlds import gaussian, particles, smooth, spread

__all__ = ["check_stability"]

Array = NDArray[np.floating[Any]]

_BOUND = 1e-3
#: times what rounding the model's answers costs: the state is rounded as well, in every operation of a step
_FEW = 10.0


def check_stability(subject: Subject, quick: bool = False) -> Result:
    """From the same start and noise, the sample in shipped precision is that in float64, for K up to 500.

    Median distance over the particles, in standard deviations of the data. Where it is large, float64 is run once more
    with the model's answers rounded to the shipped precision. A method that multiplies even that to a tenth of the
    distance is ill-conditioned on this grid whatever the arithmetic of its step, which is a note.
    """
    steps = steps_within(subject, (20, 100) if quick else (20, 100, 500))
    # The flow of one Gaussian is known without an integration.
    double, q0 = sharp(subject), gaussian(0.1) if subject.endpoint else smooth()
    seen = list(_distances(subject, double, q0, steps))
    found = worst("stability", seen, f"{subject.dtype} against float64, K in {steps}")
    if found.status == "failed" and math.isfinite(found.measured or math.inf):
        rounded = replace(double, run=partial(_with_rounded_answers, double, subject.dtype))
        costs = list(_distances(rounded, double, q0, steps))
        if all(one.measured <= max(_BOUND, _FEW * cost.measured) for one, cost in zip(seen, costs)):
            top = max(cost.measured for cost in costs)
            return noted(
                "stability",
                found.measured,
                f"{found.detail.partition(';')[0]}, but rounding the model's answers to {subject.dtype} alone costs "
                f"{top:.2g}: the method multiplies errors on this grid; take more steps or another spacing",
            )
    return found


def _distances(subject: Subject, double: Subject, q0: GaussianMixture, steps: list[int]) -> Iterator[Seen]:
    for K in steps:
        x = particles(q0, double.ends(K)[0], 32)
        ends = [play(version, q0, x, K, draws(version)).end for version in (subject, double)]
        yield Seen(median_distance(*ends) / spread(q0), _BOUND, partial(_tell, subject.dtype, K))


def _with_rounded_answers(
    double: Subject, dtype: str, model: OracleModel, x: Array, K: int, noise: Noise | None
) -> Array:
    def rounded(x: Array, a: float, sigma: float, time: float | None = None) -> Array:
        return model(x, a, sigma, time).astype(dtype).astype(x.dtype)

    return double.run(rounded, x, K, noise)  # type: ignore[arg-type]


def _tell(dtype: str, K: int) -> str:
    return (
        f"K = {K}: the sample in {dtype} is not that in float64; look for differences of nearly equal numbers"
    )
