"""The model that a subject is given: exact, in the subject's own output type, and it remembers what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidParameterError
from ..flow import flow_levels
from ..mixture import GaussianMixture
from .law import Level, noise_ratio

__all__ = ["OUTPUT_TYPES", "Call", "NoLevelError", "OracleModel", "as_output", "understood"]

Array = NDArray[np.floating[Any]]

OUTPUT_TYPES = ("eps", "x0", "v", "flow", "edm")


class NoLevelError(InvalidParameterError):
    """The model was asked at a level where no network is trained."""


@dataclass(frozen=True)
class Call:
    """One question that a subject asked, and the truth about it.

    level : (a, σ) that the subject means      time : what it passed to the network for it, None if nothing
    x     : (M, d) float64, the state there    x0   : (M, d) the exact prediction of x_0 that it was answered with
    """

    level: Level
    time: float | None
    x: NDArray[np.float64] = field(repr=False)
    x0: NDArray[np.float64] = field(repr=False)


@dataclass
class OracleModel:
    """model(x, a, sigma, time) -> what a perfect network would predict, with the dtype and shape of x.

    q0          : the law of the data
    output_type : one of OUTPUT_TYPES, see `as_output`
    sigma_data  : of the output type "edm"
    time_level  : time -> (a, σ); if given, the answer is for the level that the network understands by that time,
                  and not for the (a, σ) that the subject means
    time_span   : time -> two levels between which any may be meant; the answer is then for what is nearest to (a, σ)
    endpoint    : answer with the end of the exact flow in place of E[x_0 | x], as a consistency model does
    calls       : every question so far, in order

    x is (..., d), a x_0 + σ ε in the scaling of the level that comes with it: before any scaling of a network's input.
    """

    q0: GaussianMixture
    output_type: str = "eps"
    sigma_data: float = 0.5
    time_level: Callable[[float], Level] | None = None
    endpoint: bool = False
    calls: list[Call] = field(default_factory=list)
    time_span: Callable[[float], tuple[Level, Level]] | None = None

    def __call__(self, x: Array, a: float, sigma: float, time: float | None = None) -> Array:
        asked: Level = (float(a), float(sigma))
        level = asked
        if self.time_level is not None:
            if time is None:
                raise InvalidParameterError(
                    "OracleModel: the subject must pass the time value to the model, which is fed by time; it passed "
                    "none. Pass time=, or feed by (a, sigma)"
                )
            level = understood(float(time), asked, self.time_level, self.time_span)
        if not (0.0 <= level[0] < np.inf and 0.0 < level[1] < np.inf):
            raise NoLevelError(
                f"OracleModel: must be asked at a level with a >= 0 and sigma > 0, where a network is trained; it was "
                f"asked at (a, sigma) = ({level[0]:.6g}, {level[1]:.6g})"
                + ("" if time is None else f", time value {float(time):g}")
            )
        rows = np.array(x, dtype=np.float64).reshape(-1, self.q0.d)
        x0 = self._clean(rows, level)
        self.calls.append(Call(asked, None if time is None else float(time), rows, x0))
        out = as_output(self.output_type, rows, x0, *level, self.sigma_data)
        return out.reshape(x.shape).astype(x.dtype)

    def _clean(self, rows: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
        """(M, d) the truth about x_0; nan where x is not finite, so that a subject that fell stays down."""
        x0, sound = np.full(rows.shape, np.nan), np.isfinite(rows).all(1)
        asked = rows[sound]
        if self.endpoint:
            x0[sound] = _end_of_flow(self.q0, asked, level)
        else:
            x0[sound] = self.q0.posterior(asked, *(np.full(len(asked), part) for part in level)).mean
        return x0


def understood(
    time: float,
    asked: Level,
    time_level: Callable[[float], Level],
    time_span: Callable[[float], tuple[Level, Level]] | None = None,
) -> Level:
    """The level that a network understands by a time value; of a span that nearest to the level that was meant."""
    if time_span is None:
        return time_level(time)
    low, high = sorted(time_span(time), key=noise_ratio)
    if noise_ratio(low) <= noise_ratio(asked) <= noise_ratio(high):
        return asked
    return low if noise_ratio(asked) < noise_ratio(low) else high


def _end_of_flow(q0: GaussianMixture, x: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
    """(M, d) where the exact flow ends at σ = 0; for one isotropic Gaussian it keeps the standardised state."""
    variance = q0.support.eigenvalues()
    if q0.n_components > 1 or np.ptp(variance) > 0.0:
        return flow_levels(q0, x, np.array(level), np.array([1.0, 0.0]))
    a, sigma = level
    shrink = np.sqrt(variance.flat[0] / (a**2 * variance.flat[0] + sigma**2))
    return np.asarray(q0.means + shrink * (x - a * q0.means))


def as_output(
    kind: str,
    x: NDArray[np.float64],
    x0: NDArray[np.float64],
    a: float,
    sigma: float,
    sigma_data: float = 0.5,
) -> NDArray[np.float64]:
    """The prediction x̂_0 in another parametrisation, at x = a x_0 + σ ε with σ > 0.

    "eps"  : ε̂ = (x - a x̂_0)/σ             "x0" : x̂_0             "v" : a ε̂ - σ x̂_0             "flow" : ε̂ - x̂_0
    "edm"  : F = (x̂_0 - c_skip x)/c_out for a = 1, c_skip = σ_d²/(σ² + σ_d²), c_out = σσ_d/sqrt(σ² + σ_d²)
    """
    if kind == "x0":
        return x0
    if kind == "edm":
        norm = float(np.hypot(sigma, sigma_data))
        return (x0 - (sigma_data / norm) ** 2 * x) / (sigma * sigma_data / norm)
    eps = (x - a * x0) / sigma
    if kind == "eps":
        return eps
    if kind == "v":
        return a * eps - sigma * x0
    if kind == "flow":
        return eps - x0
    raise InvalidParameterError(
        f"as_output: output_type must be one of {', '.join(OUTPUT_TYPES)}; got {kind!r}"
    )
