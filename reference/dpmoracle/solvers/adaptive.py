"""DPM-Solver-12 and -23: adaptive steps, the error from two orders that share their evaluations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import to_numpy
from ..checking import check_count
from ..errors import InvalidParameterError
from .checks import check_choice, check_ends, check_fraction, check_nodes, check_order
from .coefficients import Level, Step, half_log_snr
from .network import Model, as_network
from .path import Path, vp_path
from .singlestep import combine, stages

__all__ = ["Adapted", "dpm_adaptive"]


@dataclass(frozen=True)
class Adapted:
    """The end of an adaptive run: x, the accepted nodes (K+1, 2), evaluations, and steps that were refused."""

    x: Any
    nodes: list[Level]
    evaluations: int
    refused: int


def dpm_adaptive(
    model: Model,
    x: Any,
    nodes: ArrayLike,
    order: int = 3,
    prediction: str = "noise",
    *,
    atol: float = 0.0078,
    rtol: float = 0.05,
    h_init: float = 0.05,
    safety: float = 0.9,
    max_evaluations: int = 100_000,
    path: Path = vp_path,
) -> Adapted:
    r"""DPM-Solver-12 (order 2) and DPM-Solver-23 (order 3) [lu2022, appendix C]; `order` evaluations a try.

    .. math:: E = \max_\text{samples} \Bigl\| \frac{x_\text{low} - x_\text{high}}
       {\max(\text{atol}, \text{rtol} \max(|x_\text{low}|, |x_\text{prev}|))} \Bigr\|_\text{rms}, \quad
       h \leftarrow \min(\text{safety} \cdot h E^{-1/\text{order}}, \lambda_\text{end} - \lambda)

    A step is taken where E <= 1, with x_high; x_prev is then x_low, as published. All samples share their steps.

    nodes      : (2, 2), the first and the last level (a, σ), both > 0
    atol, rtol : > 0; the default atol is 2/256, for pixels in [-1, 1]
    h_init     : the first try, in λ
    safety     : in (0, 1]
    path       : the levels of all nodes between the ends; the default is variance preserving
    Axis 0 of x counts samples if x has several axes. Raises InvalidParameterError when max_evaluations do not reach
    the end.
    """
    who = "dpm_adaptive"
    order = check_order(who, order, (2, 3))
    check_choice(who, "prediction", prediction)
    limits = {"atol": atol, "rtol": rtol, "h_init": h_init}
    atol, rtol, h = (check_fraction(who, name, value, np.inf) for name, value in limits.items())
    safety = check_fraction(who, "safety", safety)
    check_count(who, "max_evaluations", max_evaluations, order)
    levels = check_nodes(who, nodes)
    if len(levels) != 2:
        raise InvalidParameterError(
            f"{who}: nodes must be two, the first and the last; got {len(levels)}. The solver finds those between"
        )
    check_ends(who, levels)
    net = as_network(who, model)
    r1, r2 = {2: (1 / 2, 1.0), 3: (1 / 3, 2 / 3)}[order]
    (t, end), before, first = levels, x, net.evaluations
    accepted, refused, f = [t], 0, net(x, t)
    while t != end:
        lam = half_log_snr(t)
        s = end if h >= half_log_snr(end) - lam else path(lam + h)
        step = Step.between(t, s, prediction)
        slopes = stages(net, x, t, f, step.h, order, prediction, path, r1, r2)
        low, high = (combine(step, x, f, known, r1, r2, "paper") for known in (slopes[:-1], slopes))
        error = _error(low, high, before, atol, rtol)
        h = safety * step.h * error ** (-1 / order) if error > 0.0 else np.inf
        if error > 1.0:
            refused += 1
        else:
            x, before, t = high, low, s
            accepted.append(t)
            f = f if t == end else net(x, t)
        if t != end and net.evaluations - first > max_evaluations - order:
            raise InvalidParameterError(
                f"{who}: must reach the last node within max_evaluations = {max_evaluations}; after "
                f"{len(accepted) - 1} steps and {refused} refused it was at {net.when(t)}. Raise atol or rtol, "
                "or max_evaluations"
            )
    return Adapted(x, accepted, net.evaluations - first, refused)


def _error(low: Any, high: Any, before: Any, atol: float, rtol: float) -> float:
    """E of the two candidates: root mean square within a sample, maximum over samples; 1 is the limit."""
    low, high, before = (to_numpy(value).astype(np.float64) for value in (low, high, before))
    scale = np.maximum(atol, rtol * np.maximum(np.abs(low), np.abs(before)))
    off = np.square((low - high) / scale)
    each = off.mean(tuple(range(1, off.ndim))) if off.ndim > 1 else off.mean(keepdims=True)
    return float(np.sqrt(each.max(initial=0.0)))
