"""What every solver checks before it starts: nodes, order, prediction, and the order of each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..checking import as_float, check_count, check_finite
from ..errors import InvalidParameterError
from .coefficients import PREDICTIONS, Level

__all__ = ["check_choice", "check_ends", "check_fraction", "check_nodes", "check_order", "order_plan"]


def check_nodes(who: str, nodes: ArrayLike) -> list[Level]:
    """Nodes (K+1, 2) of (a, σ), K >= 1, noisiest first, as a list of pairs of floats."""
    levels = as_float(who, "nodes", nodes)
    if levels.ndim != 2 or levels.shape[1] != 2 or len(levels) < 2:
        raise InvalidParameterError(
            f"{who}: nodes must have shape (K+1, 2), rows of (a, sigma), noisiest first; got {levels.shape}"
        )
    check_finite(who, "nodes", levels)
    if (levels < 0.0).any() or not levels.any(1).all():
        i = int(np.argmax((levels < 0.0).any(1) | ~levels.any(1)))
        raise InvalidParameterError(
            f"{who}: nodes must have a >= 0 and sigma >= 0, not both 0; nodes[{i}] is {tuple(levels[i].tolist())}"
        )
    rising = ~(levels[1:, 0] * levels[:-1, 1] > levels[:-1, 0] * levels[1:, 1])
    if rising.any():
        i = int(np.argmax(rising))
        raise InvalidParameterError(
            f"{who}: nodes must fall in noise, sigma/a decreasing; nodes[{i + 1}] = "
            f"{tuple(levels[i + 1].tolist())} is not less noisy than nodes[{i}] = {tuple(levels[i].tolist())}. "
            "Sort them noisiest first"
        )
    return [(a, sigma) for a, sigma in levels.tolist()]


def check_order(who: str, order: Any, allowed: Sequence[int]) -> int:
    """A whole number among the orders of a method."""
    if isinstance(order, bool) or not isinstance(order, int | np.integer) or order not in allowed:
        names = ", ".join(map(str, allowed))
        raise InvalidParameterError(
            f"{who}: order must be {'one of ' * (len(allowed) > 1)}{names}; got {order!r}"
        )
    return int(order)


def check_choice(who: str, name: str, value: Any, allowed: Sequence[str] = PREDICTIONS) -> None:
    """One of the words that a keyword admits."""
    if not isinstance(value, str) or value not in allowed:
        raise InvalidParameterError(f"{who}: {name} must be one of {', '.join(allowed)}; got {value!r}")


def check_fraction(who: str, name: str, value: Any, high: float = 1.0) -> float:
    """A number in (0, high]."""
    number = as_float(who, name, value)
    if number.ndim or not 0.0 < number <= high:
        raise InvalidParameterError(f"{who}: {name} must lie in (0, {high:g}]; got {value!r}")
    return float(number)


def order_plan(K: int, order: int, history: int | None = None, lower_end: bool = False) -> list[int]:
    """The order of each of K steps: at most `order`, what is known by then, and with lower_end what is left.

    history : predictions known before the first step; None where a step needs none (singlestep)
    """
    check_count("order_plan", "K", K)
    plan = [order if history is None else min(order, history + i + 1) for i in range(K)]
    return [min(p, K - i) for i, p in enumerate(plan)] if lower_end else plan


def check_ends(
    who: str,
    levels: list[Level],
    noise: bool = False,
    data: bool = False,
    noise_way: str = "",
    data_way: str = "",
) -> None:
    """Whether a solver can leave a = 0 (`noise`) and reach σ = 0 (`data`); the ways say how else it could."""
    if levels[0][0] == 0.0 and not noise:
        raise InvalidParameterError(
            f"{who}: nodes must start at a > 0; half_log_snr is -inf at a = 0, which these steps cannot leave. "
            f"Start at a smaller noise{noise_way}"
        )
    if levels[-1][1] == 0.0 and not data:
        raise InvalidParameterError(
            f"{who}: nodes must end at the last sigma > 0; half_log_snr is inf at sigma = 0, which these steps "
            f"cannot reach. Drop the last node{data_way}"
        )
