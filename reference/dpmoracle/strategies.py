"""Hypothesis strategies for forward processes and mixtures, for the tests of this package and of yours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameterError, require
from .mixture import GaussianMixture
from .processes.process import Process
from .processes.schedule import Schedule

require("hypothesis", "testing", "dpmoracle.strategies")

from hypothesis import strategies as st  # noqa: E402
from hypothesis.extra import numpy as hnp  # noqa: E402

__all__ = ["mixtures", "processes", "schedules", "step_pairs"]

Array = NDArray[np.float64]

COVARIANCE_TYPES = ("spherical", "diag", "tied", "full")


@st.composite
def schedules(
    draw: st.DrawFn,
    min_steps: int = 1,
    max_steps: int = 40,
    min_beta: float = 1e-12,
    zero_terminal: bool | None = None,
) -> Schedule:
    """Named schedules, betas log-uniform in [min_beta, 1) in any order, and arbitrary alpha_bars.

    zero_terminal : True, False, or None for both kinds.
    """
    if not 1 <= min_steps <= max_steps:
        raise InvalidParameterError(
            f"schedules: needs 1 <= min_steps <= max_steps; got {min_steps}, {max_steps}"
        )
    N = draw(st.integers(min_steps, max_steps))
    ends_at_zero = draw(st.booleans()) if zero_terminal is None else zero_terminal
    kind = draw(st.sampled_from(["betas", "alpha_bar", "linear", "scaled_linear", "sigmoid", "cosine"]))
    if kind == "betas":
        betas = draw(_betas(N, min_beta))
    elif kind == "alpha_bar":
        return draw(_alpha_bars(N, ends_at_zero))
    elif kind == "cosine":
        s = draw(st.floats(0.0, 0.5))
        betas = Schedule.cosine(N, s=s, max_beta=draw(st.floats(0.5, 0.9999))).betas
    else:
        low, high = sorted(draw(st.tuples(*[st.floats(1e-6, 0.5)] * 2)))
        betas = getattr(Schedule, kind)(N, low, high).betas
    if ends_at_zero:
        betas = np.append(betas[:-1], 1.0)
    return Schedule.from_betas(betas, name=kind)


@st.composite
def processes(draw: st.DrawFn) -> Process:
    """Continuous processes of every family, with parameters in and around their usual ranges."""
    kind = draw(st.sampled_from(["vp_linear", "vp_cosine", "ve", "edm", "rectified_flow"]))
    if kind == "vp_linear":
        low = draw(st.floats(1e-3, 2.0))
        return Process.vp_linear(low, low + draw(st.floats(0.0, 50.0)))
    if kind == "vp_cosine":
        return Process.vp_cosine(draw(st.floats(0.0, 0.5)), draw(st.floats(0.5, 1.0)))
    if kind == "rectified_flow":
        return Process.rectified_flow()
    low = draw(st.floats(1e-3, 0.5))
    return getattr(Process, kind)(low, low * draw(st.floats(10.0, 1e5)))  # type: ignore[no-any-return]


@st.composite
def step_pairs(draw: st.DrawFn, schedule: Schedule, min_s: int = 0) -> tuple[int, int]:
    """Steps (s, t) with min_s <= s < t <= N of a schedule that has one."""
    s = draw(st.integers(min_s, schedule.N - 1))
    return s, draw(st.integers(s + 1, schedule.N))


@st.composite
def mixtures(
    draw: st.DrawFn,
    max_components: int = 4,
    max_dim: int = 3,
    covariance_types: tuple[str, ...] = COVARIANCE_TYPES,
    singular: bool = False,
) -> GaussianMixture:
    """Mixtures with means in [-4, 4]^d and standard deviations in [0.05, 2].

    singular : also zero covariances, and a weight that is 0.
    """
    count, d = draw(st.integers(1, max_components)), draw(st.integers(1, max_dim))
    kind = draw(st.sampled_from(covariance_types))
    weights = draw(hnp.arrays(np.float64, count, elements=st.floats(0.05, 1.0)))
    means = draw(hnp.arrays(np.float64, (count, d), elements=st.floats(-4.0, 4.0)))
    if singular and count > 1 and draw(st.booleans()):
        weights[0] = 0.0
    return GaussianMixture(weights / weights.sum(), means, draw(_covariances(kind, count, d, singular)), kind)


@st.composite
def _betas(draw: st.DrawFn, N: int, min_beta: float) -> Array:
    logs = draw(hnp.arrays(np.float64, N, elements=st.floats(np.log(min_beta), -1e-6)))
    betas: Array = np.clip(np.exp(logs), min_beta, 1.0 - 1e-6)
    return betas


@st.composite
def _alpha_bars(draw: st.DrawFn, N: int, ends_at_zero: bool) -> Schedule:
    """alpha_bars that fall by a factor in [0.05, 1 - 1e-9] a step."""
    factors = draw(hnp.arrays(np.float64, N, elements=st.floats(0.05, 1.0 - 1e-9)))
    alpha_bar = np.cumprod(np.append(1.0, factors))
    if ends_at_zero:
        alpha_bar[-1] = 0.0
    return Schedule.from_alpha_bar(alpha_bar)


@st.composite
def _covariances(draw: st.DrawFn, kind: str, count: int, d: int, singular: bool) -> Array:
    spreads = st.floats(0.05, 2.0) | st.just(0.0) if singular else st.floats(0.05, 2.0)
    if kind == "spherical":
        return draw(hnp.arrays(np.float64, count, elements=spreads)) ** 2
    if kind == "diag":
        return draw(hnp.arrays(np.float64, (count, d), elements=spreads)) ** 2
    many = 1 if kind == "tied" else count
    scales = draw(hnp.arrays(np.float64, (many, d), elements=spreads))
    turns = draw(hnp.arrays(np.float64, (many, d, d), elements=st.floats(-1.0, 1.0)))
    axes = np.linalg.qr(turns + 2.0 * d * np.eye(d))[0]
    full: Array = np.einsum("cij,cj,ckj->cik", axes, scales**2, axes)
    full = 0.5 * (full + full.swapaxes(1, 2))
    return full[0] if kind == "tied" else full
