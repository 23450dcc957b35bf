"""The loop that every multistep method shares: evaluate, remember, step; a method supplies only its step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..errors import InvalidParameterError
from .checks import check_choice, check_ends, order_plan
from .coefficients import Level
from .network import Network
from .path import Path
from .singlestep import LOWER_END, R1, singlestep

__all__ = ["STARTS", "Corrector", "Predictor", "Seen", "march"]

STARTS = ("lower", "singlestep")
LOWER_START = ", or use prediction='data' with start='lower', which starts with a step of order 1"


class Seen(NamedTuple):
    """A node and what the network said there."""

    level: Level
    f: Any


#: (x, seen, s) -> x at level s; seen is newest first, as many as the order of the step
Predictor = Callable[[Any, Sequence[Seen], Level], Any]
#: (x, seen, new) -> x at new.level again, now that new.f is known; x and seen are those of the step that led there
Corrector = Callable[[Any, Sequence[Seen], Seen], Any]


def march(
    net: Network,
    x: Any,
    levels: list[Level],
    order: int,
    prediction: str,
    predict: Predictor,
    start: Any,
    lower_end: bool,
    path: Path,
    correct: Corrector | None = None,
    reaches_data: bool = False,
) -> Any:
    """x at the last of `levels`, with one evaluation at each node but the last.

    start     : "lower" takes orders 1, 2, ... until the history is long enough; "singlestep" takes order - 1 steps of
                singlestep DPM-Solver of the full order; an array (order - 1, *x.shape) gives x at nodes 1..order - 1
    lower_end : orders ..., 2, 1 at the end
    correct   : applied on arrival at every node but the last, where it would cost an evaluation
    reaches_data : whether steps of any order can end at σ = 0; those of order 1 always can
    """
    K = len(levels) - 1
    given = _given(net.who, x, start, order, K)
    ready = 0 if isinstance(start, str) and start == "lower" else order - 1
    plan = order_plan(K, order, None if ready else 0, lower_end)
    noise = plan[0] == 1 and prediction == "data"
    check_ends(net.who, levels, noise, reaches_data or plan[-1] == 1, LOWER_START, LOWER_END)
    seen: list[Seen] = []
    previous = x
    for i, k in enumerate(plan):
        f = net(x, levels[i])
        if correct is not None and i > ready and levels[i - 1][0] > 0.0:
            x = correct(previous, seen[: plan[i - 1]], Seen(levels[i], f))
        seen = [Seen(levels[i], f), *(old for old in seen if old.level[0] > 0.0)][:order]
        previous = x
        if i >= ready:
            x = predict(x, seen[:k], levels[i + 1])
        elif given is not None:
            x = given[i]
        else:
            x = singlestep(net, x, levels[i], levels[i + 1], f, k, prediction, path, R1[k])
    return x


def _given(who: str, x: Any, start: Any, order: int, K: int) -> Any | None:
    if isinstance(start, str):
        check_choice(who, "start", start, STARTS)
        return None
    wanted = (order - 1, *x.shape)
    if getattr(start, "shape", None) != wanted or order > K:
        raise InvalidParameterError(
            f"{who}: start must be 'lower', 'singlestep', or, for at least {order} steps, an array {wanted} of x at "
            f"the nodes 1..{order - 1}; got {start.shape if hasattr(start, 'shape') else repr(start)} for {K} steps"
        )
    return start
