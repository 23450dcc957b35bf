"""UniPC: a multistep predictor and a corrector that costs no evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_choice, check_nodes, check_order
from .coefficients import Level, Step, half_log_snr
from .history import Seen, march
from .network import Model, as_network
from .path import Path, vp_path

__all__ = ["unipc"]

Array = NDArray[np.float64]

#: B(h) of the paper: h, and e^h - 1
_VARIANTS = ("bh1", "bh2")


def unipc(
    model: Model,
    x: Any,
    nodes: ArrayLike,
    order: int = 3,
    prediction: str = "data",
    *,
    variant: str = "bh2",
    corrector: bool = True,
    start: Any = "lower",
    lower_end: bool = False,
    path: Path = vp_path,
) -> Any:
    r"""UniPC-p: UniP-p, then UniC-p on arrival [zhao2023, algorithms 5 to 8]; one evaluation a step.

    order     : p = 1, 2 or 3; with the corrector the order of accuracy is p + 1, without it p
    variant   : B(h), "bh1" for h, "bh2" for e^h - 1; they differ only where a single coefficient is set to 1/2,
                in UniP-2 and UniC-1
    corrector : off gives UniP-p; it never runs at the last node, where it would cost an evaluation
    Other arguments as for `dpm_multistep`; the published start is "lower", and its first step holds the order at 2
    (at 3 with the corrector, which corrects that step too). Raises InvalidParameterError as `dpm_multistep` does.
    """
    who = "unipc"
    order = check_order(who, order, (1, 2, 3))
    check_choice(who, "prediction", prediction)
    check_choice(who, "variant", variant, _VARIANTS)
    levels = check_nodes(who, nodes)

    def predict(x: Any, seen: Sequence[Seen], s: Level) -> Any:
        return _step(x, seen[0], seen[1:], s, prediction, variant)

    def correct(x: Any, seen: Sequence[Seen], new: Seen) -> Any:
        return _step(x, seen[0], [*seen[1:], new], new.level, prediction, variant)

    net = as_network(who, model)
    return march(
        net, x, levels, order, prediction, predict, start, lower_end, path, correct if corrector else None
    )


def _step(x: Any, now: Seen, others: Sequence[Seen], s: Level, prediction: str, variant: str) -> Any:
    r"""From `now` to level s, with f matched at `now` and at `others`.

    With r_m h the distance of the m-th of them in λ, :math:`\sum_m c_m r_m^{i} = i!\, W_{i+1}`, i = 1, ..., and
    x_s = keep x + W_1 f + Σ c_m (f_m - f).
    """
    step = Step.between(now.level, s, prediction)
    x = step.keep * x + step.weight(1) * now.f
    lam = half_log_snr(now.level)
    r = np.array([(half_log_snr(node.level) - lam) / step.h for node in others])
    if len(r) == 1:
        scale = step.gain * step.h if variant == "bh1" else step.weight(1)
        weights: Array = 0.5 * scale / r
    else:
        powers = np.arange(1, len(r) + 1)[:, None]
        moments = [math.factorial(i) * step.weight(i + 1) for i in range(1, len(r) + 1)]
        weights = np.linalg.solve(r**powers, np.array(moments))
    for weight, node in zip(weights.tolist(), others):
        x = x + weight * (node.f - now.f)
    return x
