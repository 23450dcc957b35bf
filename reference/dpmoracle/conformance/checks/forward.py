"""The forward side of a scheduler: noising, velocity, the scaling of the network's input, the start."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from ..law import Level
from ..results import Result, Seen, worst
from ..runs import precisions, tolerance
from ..subject import Forward, Subject

__all__ = ["check_add_noise", "check_init_sigma", "check_input_scale", "check_velocity"]

_STEPS = 10
_PLACES = (0, 1, _STEPS // 2, _STEPS - 2)


def check_add_noise(subject: Subject, quick: bool = False) -> Result:
    """add_noise gives a x_0 + σ ε at the level of its time, in every precision."""
    return worst("add_noise", _gaps(subject, "add_noise"), "a x0 + sigma eps at every level")


def check_velocity(subject: Subject, quick: bool = False) -> Result:
    """get_velocity gives a ε - σ x_0 at the level of its time, scaled to a² + σ² = 1, in every precision."""
    return worst(
        "velocity",
        _gaps(subject, "velocity"),
        "a eps - sigma x0, scaled to a^2 + sigma^2 = 1, at every level",
    )


def check_input_scale(subject: Subject, quick: bool = False) -> Result:
    """scale_model_input carries x from its level to the level of the network's input: the same σ/a, another scale."""
    return worst(
        "input_scale", _gaps(subject, "scale_input"), "the input has the scale of the network's level"
    )


def check_init_sigma(subject: Subject, quick: bool = False) -> Result:
    """The standard normal start has the noise of the first level, or that of noise and unit data together.

    Judged is how far init_noise_sigma lies outside [σ, sqrt(a² + σ²)], relative to σ.
    """
    return worst("init_sigma", _starts(subject), "starts with the noise of the first level")


def _gaps(subject: Subject, what: str) -> Iterator[Seen]:
    """Largest difference from the formula at each place, relative to a + σ."""
    rng = np.random.default_rng(8)
    for version in precisions(subject):
        forward = version.forward
        if forward is None:
            continue
        x0, eps = rng.standard_normal((2, 16, 2)).astype(version.dtype)
        for i in _PLACES:
            level = forward.level(i, _STEPS)
            found, wanted = _pair(forward, what, x0, eps, i, level)
            gap = float(np.abs(found - wanted).max() / np.abs(wanted).max())
            yield Seen(gap, tolerance(version, 1e-9, 1e-4), partial(_tell, what, version.dtype, i, level))


def _pair(forward: Forward, what: str, x0: Any, eps: Any, i: int, level: Level) -> tuple[Any, Any]:
    """What the scheduler gives at place i, and the formula."""
    a, sigma = level
    if what == "add_noise" and forward.add_noise is not None:
        return forward.add_noise(x0, eps, i, _STEPS), a * x0 + sigma * eps
    if what == "velocity" and forward.velocity is not None:
        return forward.velocity(x0, eps, i, _STEPS), (a * eps - sigma * x0) / np.hypot(a, sigma)
    if forward.scale_input is None or forward.input_level is None:
        return x0, x0
    target = forward.input_level(i, _STEPS)
    x = a * x0 + sigma * eps
    return forward.scale_input(x.astype(x0.dtype), i, _STEPS), target[0] * x0 + target[1] * eps


def _starts(subject: Subject) -> Iterator[Seen]:
    for version in precisions(subject):
        if version.forward is None or version.forward.init_sigma is None:
            continue
        for K in (5, _STEPS):
            (a, sigma), found = version.ends(K)[0], version.forward.init_sigma(K)
            outside = max(sigma - found, found - np.hypot(a, sigma), 0.0) / sigma
            tell = partial(_tell_start, version.dtype, K, found, (a, sigma))
            yield Seen(float(outside), tolerance(version, 1e-6, 1e-4), tell)


def _tell(what: str, dtype: str, i: int, level: Level) -> str:
    return f"{what} in {dtype} is not its formula at place {i} of K = {_STEPS}, (a, sigma) = {level}"


def _tell_start(dtype: str, K: int, found: float, level: Level) -> str:
    return f"init_noise_sigma in {dtype} is {found:.6g} with K = {K}, which starts at (a, sigma) = {level}"
