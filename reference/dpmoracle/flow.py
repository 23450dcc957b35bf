r"""The exact probability-flow map of a mixture, and what follows from it: log determinants and log densities.

The map from t to s carries the law q_t to q_s along the ODE whose velocity uses the exact score. It depends on the
process through the two levels (a, σ) alone, so a discrete schedule has one too, whatever path joins its levels.
`flow_field` states the equation and its variable.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import foreign, to_numpy
from .checking import as_float, check_finite
from .errors import InvalidParameterError
from .flow_field import divergence, integrate, last_angle, velocity
from .mixture import GaussianMixture
from .oracle import Oracle

__all__ = ["FlowPath", "flow", "flow_levels", "flow_log_det", "flow_path", "log_prob_flow"]

Array = NDArray[np.float64]
_ROWS = 256
_RTOL = (1e-12, 1e-2)


@foreign
def flow(orc: Oracle, x: Any, t: Any, s: Any, rtol: float = 1e-10) -> Any:
    r"""(..., d) where the probability flow carries x from time t to time s, in either direction.

    x    : (..., d) at time t
    t, s : times of the process, scalar or broadcast against x.shape[:-1]
    rtol : in [1e-12, 1e-2], the tolerance of each step of DOP853 per row, relative to the state and to the smaller
           of 1 and the spread of the data; the error at the end was 0.05 to 20 times that, relative to x_s, wherever
           the truth is known, and may be more where the flow itself pulls neighbours apart

    At a = 0 the law is pure noise and the start is exact. At σ_s = 0 with singular data (points) the result is the
    limit: the flow is cut at a noise of 1e-8 of the smallest length of the mixture and finished by E[x_0 | x], which
    costs less than 1e-16 in any direction with a variance; points closer than the cut are not told apart.
    Raises InvalidParameterError for times and rtol out of range, for a start at σ_t = 0 with singular data, where
    many flows meet, and when the integration cannot go on.
    """
    who = "flow"
    rows, start, end, lead = _problem(who, orc, x, t, s, rtol)
    out = np.empty_like(rows)
    for block in _blocks(orc.q0, len(rows)):
        out[block] = flow_levels(orc.q0, rows[block], start[block], end[block], rtol, who)
    return out.reshape(*lead, orc.q0.d)


@foreign
def flow_log_det(orc: Oracle, x: Any, t: Any, s: Any, rtol: float = 1e-10) -> Any:
    r"""(...,) log |det ∂x_s/∂x_t| of the flow map at x, in nats; arguments as for `flow`.

    .. math:: \log|\det \partial x_s/\partial x_t| = d \log\frac{r_s}{r_t}
       + \int_{\varphi_t}^{\varphi_s} \mathrm{div}_z \frac{dz}{d\varphi}\, d\varphi, \quad r^2 = a^2 + \sigma^2

    with the exact divergence. Refuses σ = 0 at either end when the data are singular: it is infinite there.
    """
    return _with_log_det("flow_log_det", orc, x, t, s, rtol)[1]


@foreign
def log_prob_flow(orc: Oracle, x: Any, t: Any, s: Any, rtol: float = 1e-10) -> Any:
    r"""(...,) log q_t(x) by the change of variables along the flow to s, in nats.

    .. math:: \log q_t(x) = \log q_s(x_s) + \log|\det \partial x_s/\partial x_t|

    orc, x, t, s, rtol : as for `flow`
    Equal to `Oracle.log_prob(x, t)` for every s, up to the error of the flow. Raises InvalidParameterError as `flow`
    does.
    """
    landed, log_det = _with_log_det("log_prob_flow", orc, x, t, s, rtol)
    return orc.log_prob(landed, s) + log_det


def flow_path(orc: Oracle, x: ArrayLike, t: Any, s: Any, rtol: float = 1e-10) -> FlowPath:
    """The whole curve from x at time t to time s, both scalar, as a function of time; NumPy throughout.

    orc, x, rtol : as for `flow`
    Between the steps it is DOP853's interpolant of order 7, ten times or so less exact than `flow`.
    Raises InvalidParameterError as `flow` does, for times that are no scalars, and for an x without rows.
    """
    who = "flow_path"
    rows, start, end, lead = _problem(who, orc, to_numpy(x, who, "x"), t, s, rtol)
    if np.ndim(to_numpy(t)) or np.ndim(to_numpy(s)):
        raise InvalidParameterError(f"{who}: t and s must be scalars; use flow for one time per row")
    if not len(rows):
        raise InvalidParameterError(f"{who}: x must have at least one row; got shape {np.shape(x)}")
    angles = tuple(float(np.arctan2(level[0, 1], level[0, 0])) for level in (start, end))
    pieces = []
    for block in _blocks(orc.q0, len(rows)):
        z = rows[block] / np.hypot(*start[block].T)[:, None]
        reach = np.full(len(z), _reach(who, orc.q0, *angles))
        pieces.append(_travel(who, orc.q0, z, np.full(len(z), angles[0]), reach, rtol, dense=True)[2])
    return FlowPath(orc, lead, angles[0], angles[1], tuple(pieces))


@dataclass(frozen=True)
class FlowPath:
    """A dense flow, made by `flow_path`; call it with a time, or ask `at` for a level (a, σ).

    start, end : φ = atan2(σ, a) at its ends
    """

    oracle: Oracle
    lead: tuple[int, ...]
    start: float
    end: float
    _pieces: tuple[Any, ...] = field(repr=False)

    def __call__(self, time: Any) -> Array:
        """(..., d) the state at a time between t and s; an array of times (n,) gives (n, ..., d)."""
        times = self.oracle.process.check_times(to_numpy(time), "FlowPath")
        a, sigma = self.oracle.process.levels(times)
        states = [self.at(*level) for level in zip(np.ravel(a).tolist(), np.ravel(sigma).tolist())]
        return np.reshape(states, (*np.shape(times), *self.lead, self.oracle.q0.d))

    def at(self, a: float, sigma: float) -> Array:
        """(..., d) the state at level (a, σ) between the ends."""
        angle, q0 = float(np.arctan2(sigma, a)), self.oracle.q0
        low, high = sorted((self.start, self.end))
        if not low - 1e-14 <= angle <= high + 1e-14:
            raise InvalidParameterError(
                f"FlowPath: the time must lie between the ends of the path, where sigma/a runs from "
                f"{np.tan(self.start):.6g} to {np.tan(self.end):.6g}; got {np.tan(angle):.6g}"
            )
        reach = _reach("FlowPath", q0, self.start, self.end)
        way = (
            (min(angle, max(angle, reach)) - self.start) / (reach - self.start)
            if reach != self.start
            else 0.0
        )
        z = np.concatenate([piece(np.clip(way, 0.0, 1.0)).reshape(-1, q0.d) for piece in self._pieces])
        if sigma == 0.0 and q0.is_singular:
            z = _settle(q0, z, np.full(len(z), reach))
        return np.asarray((np.hypot(a, sigma) * z).reshape(*self.lead, q0.d))


def flow_levels(
    q0: GaussianMixture, x: Array, start: Array, end: Array, rtol: float = 1e-10, who: str = "flow_levels"
) -> Array:
    """`flow` on plain arrays: rows x (B, d) from levels start to levels end, each (2,) or (B, 2) of (a, σ)."""
    (a_t, sigma_t), (a_s, sigma_s) = (np.broadcast_to(level, (len(x), 2)).T for level in (start, end))
    begin, goal = np.arctan2(sigma_t, a_t), np.arctan2(sigma_s, a_s)
    z, moves = x / np.hypot(a_t, sigma_t)[:, None], begin != goal
    if moves.any():
        z[moves] = _land(who, q0, z[moves], begin[moves], goal[moves], rtol)
    return np.asarray(np.hypot(a_s, sigma_s)[:, None] * z)


def _land(who: str, q0: GaussianMixture, z: Array, begin: Array, goal: Array, rtol: float) -> Array:
    """z (B, d) carried from angles begin to angles goal (B,), through the limit where a goal is singular."""
    reach = np.array([_reach(who, q0, *pair) for pair in zip(begin.tolist(), goal.tolist())])
    landed, _, _ = _travel(who, q0, z, begin, reach, rtol)
    limit = reach != goal
    if limit.any():
        landed[limit] = _settle(q0, landed[limit], reach[limit])
    return landed


def _reach(who: str, q0: GaussianMixture, begin: float, goal: float) -> float:
    """The angle to which to integrate: the goal, or the cut before it."""
    if not q0.is_singular or (begin > 0.0 and goal > 0.0):
        return goal
    if begin == 0.0:
        raise InvalidParameterError(
            f"{who}: t must have noise when the data are singular (points): many flows meet at sigma = 0, and "
            "none can be followed back. Start at a t with sigma > 0"
        )
    return min(begin, last_angle(q0))


def _settle(q0: GaussianMixture, z: Array, angle: Array) -> Array:
    """E[x_0 | z]: the first-order step to σ = 0."""
    return q0.posterior(z, np.cos(angle), np.sin(angle)).mean


def _travel(
    who: str,
    q0: GaussianMixture,
    z: Array,
    begin: Array,
    reach: Array,
    rtol: float,
    dense: bool = False,
    with_log_det: bool = False,
) -> tuple[Array, Array, Any]:
    """(z at reach (B, d), ∫ div dφ (B,), interpolant of the share of the way or None)."""
    count, d, way = len(z), q0.d, reach - begin
    width = d + with_log_det

    def pushed(share: float, y: Array) -> Array:
        state = y.reshape(count, width)
        angle = begin + share * way
        speed = np.empty_like(state)
        speed[:, :d] = velocity(q0, state[:, :d], angle)
        if with_log_det:
            speed[:, d] = divergence(q0, state[:, :d], angle)
        return np.asarray((speed * way[:, None]).reshape(-1))

    y = np.zeros((count, width))
    y[:, :d] = z
    spread = np.sqrt(q0.trace_cov() / d)
    scale = np.full((count, width), min(1.0, spread) if spread > 0.0 else 1.0)
    scale[:, d:] = 1.0
    each = rtol / np.sqrt(count)  # SciPy's norm is a mean over the batch; every row must keep to rtol
    final, inner = integrate(who, pushed, y.reshape(-1), each, each * scale.reshape(-1), dense)
    state = final.reshape(count, width)
    return state[:, :d].copy(), state[:, d:].sum(1), inner


def _with_log_det(who: str, orc: Oracle, x: Any, t: Any, s: Any, rtol: float) -> tuple[Array, Array]:
    rows, start, end, lead = _problem(who, orc, x, t, s, rtol)
    if orc.q0.is_singular and ((start[:, 1] == 0.0) | (end[:, 1] == 0.0)).any():
        raise InvalidParameterError(
            f"{who}: t and s must have noise when the data are singular (points): the law has no density at "
            "sigma = 0. Ask at times with sigma > 0"
        )
    landed, log_det = np.empty_like(rows), np.zeros(len(rows))
    for block in _blocks(orc.q0, len(rows)):
        begin, goal = (np.arctan2(level[block, 1], level[block, 0]) for level in (start, end))
        r_t, r_s = (np.hypot(*level[block].T) for level in (start, end))
        z, change, _ = _travel(who, orc.q0, rows[block] / r_t[:, None], begin, goal, rtol, with_log_det=True)
        landed[block] = r_s[:, None] * z
        log_det[block] = change + orc.q0.d * np.log(r_s / r_t)
    return landed.reshape(*lead, orc.q0.d), log_det.reshape(lead)


def _problem(
    who: str, orc: Oracle, x: Any, t: Any, s: Any, rtol: float
) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Rows (B, d), the levels (B, 2) at t and at s, and the leading shape of x; everything checked."""
    if not isinstance(orc, Oracle):
        raise InvalidParameterError(f"{who}: the first argument must be an Oracle; got {type(orc).__name__}")
    number = as_float(who, "rtol", rtol)
    check_finite(who, "rtol", number)
    if number.ndim or not _RTOL[0] <= number <= _RTOL[1]:
        raise InvalidParameterError(
            f"{who}: rtol must be a number in [{_RTOL[0]:g}, {_RTOL[1]:g}]; got {rtol!r}"
        )
    rows, lead = orc.q0.rows(who, x)
    levels = []
    for name, time in (("t", t), ("s", s)):
        times = orc.process.check_times(to_numpy(time), who)
        try:
            times = np.broadcast_to(times, lead)
        except ValueError:
            raise InvalidParameterError(
                f"{who}: {name} must be a scalar or broadcast against x.shape[:-1] = {lead}; got {times.shape}"
            ) from None
        levels.append(np.stack(orc.process.levels(times.reshape(-1)), axis=-1))
    return rows, levels[0], levels[1], lead


def _blocks(q0: GaussianMixture, rows: int) -> Iterator[slice]:
    """Slices of at most 256 rows: those of one block share their steps."""
    size = min(_ROWS, next(iter(q0.blocks(max(rows, 1)))).stop)
    return (slice(first, first + size) for first in range(0, rows, size))
