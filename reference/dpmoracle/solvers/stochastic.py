"""SDE-DPM-Solver++: exponential integrators of the reverse diffusion SDE, orders 1 and 2."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import to_numpy
from ..checking import as_float, check_finite, generator
from ..errors import InvalidParameterError
from .checks import check_choice, check_ends, check_nodes, check_order
from .coefficients import Level, Step, phi
from .history import Seen
from .network import Model, as_network

__all__ = ["SDE_FORMS", "sde_dpm_solver", "sde_step_parts"]

#: they differ at order 2 by O(h^3) a step in the mean
SDE_FORMS = ("taylor", "paper")


def sde_dpm_solver(
    model: Model,
    x: ArrayLike,
    nodes: ArrayLike,
    order: int = 2,
    *,
    form: str = "taylor",
    rng: np.random.Generator | int | None = None,
    noise: ArrayLike | None = None,
) -> NDArray[np.float64]:
    r"""SDE-DPM-Solver++(kM) in data prediction [lu2022pp, section 5 and appendix A], one evaluation a step.

    .. math:: x_s = \frac{\sigma_s}{\sigma_t} e^{-h} x_t + 2a_s \int_{\lambda_t}^{\lambda_s} e^{-2(\lambda_s -
       \lambda)} \hat x_0\,d\lambda + \sigma_s \sqrt{1 - e^{-2h}}\, z, \quad h = \lambda_s - \lambda_t

    Order 1 is DDPM with λ² = σ² = β̃. Multistep, so order 2 starts with a step of order 1.

    model : model(x, a, sigma) predicts x_0
    x     : (..., d), taken as float64
    nodes : (K+1, 2) of (a, σ), noisiest first; may start at a = 0 and end at σ = 0 (there a step has order 1)
    order : 1 or 2: x̂_0 constant or linear in λ over a step
    form  : "taylor" integrates the linear x̂_0 exactly, 2h φ_2(-2h); "paper" has (1 - e^{-2h})/2 in its place
    noise : (K, *x.shape) the z, entry i of step i; None draws them from rng
    Returns x at the last node. Raises InvalidParameterError for wrong nodes, order or shapes.
    """
    who = "sde_dpm_solver"
    order = check_order(who, order, (1, 2))
    check_choice(who, "form", form, SDE_FORMS)
    levels = check_nodes(who, nodes)
    check_ends(who, levels, True, True)
    state = as_float(who, "x", to_numpy(x, who, "x"))
    check_finite(who, "x", state)
    given = _given(who, noise, (len(levels) - 1, *state.shape))
    random = generator(who, rng)
    net = as_network(who, model)
    seen: list[Seen] = []
    for i, s in enumerate(levels[1:]):
        t = levels[i]
        seen = [Seen(t, net(state, t)), *seen][:order]
        # λ is infinite at the two ends of the process, where no difference quotient exists.
        usable = seen if s[1] > 0.0 and seen[-1].level[0] > 0.0 else seen[:1]
        keep, weights, gain = sde_step_parts([node.level for node in usable], s, form)
        state = keep * state + sum(w * node.f for w, node in zip(weights, usable))
        if gain > 0.0:
            state = state + gain * (random.standard_normal(state.shape) if given is None else given[i])
    return state


def sde_step_parts(
    history: Sequence[Level], s: Level, form: str = "taylor"
) -> tuple[float, list[float], float]:
    """(factor of x_t, factors of the predictions newest first, factor of z) of one step to level s.

    history : one or two levels, newest first; the first is t
    """
    a_s, sigma_s = s
    step = Step.between(history[0], s, "data")
    h, fresh = step.h, -math.expm1(-2.0 * step.h)
    keep, first, gain = step.keep * math.exp(-h), a_s * fresh, sigma_s * math.sqrt(fresh)
    if len(history) == 1:
        return keep, [first], gain
    slope = a_s * (2.0 * h * phi(2, -2.0 * h) if form == "taylor" else 0.5 * fresh)
    slope *= h / Step.between(history[1], history[0], "data").h
    return keep, [first + slope, -slope], gain


def _given(who: str, noise: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.float64] | None:
    if noise is None:
        return None
    array = as_float(who, "noise", to_numpy(noise, who, "noise"))
    if array.shape != shape:
        raise InvalidParameterError(
            f"{who}: noise must have shape (K, *x.shape) = {shape}; got {array.shape}"
        )
    check_finite(who, "noise", array)
    return array
