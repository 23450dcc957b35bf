"""What a trajectory costs with the reverse covariances of `covariance_rules`, constant or a function of x_t."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checking import as_float, check_count, check_finite, generator
from .errors import InvalidParameterError
from .mixture import GaussianMixture
from .moments import Moments
from .oracle import Oracle
from .posterior import Posterior
from .trajectory.step_cost import as_nodes
from .variance_rules import check_chain

__all__ = [
    "KINDS",
    "CovarianceCost",
    "covariance_cost",
]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]
#: δ(x (m, d), t) -> (m, d), what an imperfect prediction of x_0 adds to the exact one
MeanError = Callable[[Array, int], Array]

KINDS = ("isotropic", "diagonal", "full", "state_diagonal", "state_full")
_RADIUS = 8.5
_FIRST_STEP = {1: 1 / 8, 2: 1 / 4}
_FINEST_STEP = {1: 1 / 256, 2: 1 / 16}
_ENOUGH = 1e-8  # relative error of a cost at which the step is halved no more


@dataclass(frozen=True, eq=False)
class CovarianceCost:
    """The cost of every step between the nodes, in nats times 2/d, as `trajectory_cost` but with another covariance.

    kind      : one of KINDS
    timesteps : (n,) the nodes
    cost      : (n, n) F[i, j] of the step from timesteps[j] to timesteps[i], +inf for i >= j; for `shortest_paths`
    error     : (n, n) bound for "quadrature", one standard error for "monte carlo"; 0 where cost is +inf
    method    : "quadrature" or "monte carlo"
    """

    kind: str
    timesteps: Steps
    cost: Array
    error: Array
    method: str


def covariance_cost(
    orc: Oracle,
    kind: str,
    timesteps: ArrayLike | None = None,
    *,
    mean_error: MeanError | None = None,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
) -> CovarianceCost:
    r"""Costs of all steps between nodes when the reverse covariance is the best one of a kind; λ² = β̃.

    .. math:: J d = \begin{cases} d \log(1 + \bar C \Delta u), \; \bar C = E \operatorname{Tr} C/d & \text{isotropic}\\
       \sum_i \log(1 + E[C_{ii}] \Delta u) & \text{diagonal}\\
       \log\det(I + E[C] \Delta u) & \text{full}\\
       E \sum_i \log(1 + C_{ii}(x_t) \Delta u) & \text{state\_diagonal}\\
       E \log\det(I + C(x_t) \Delta u) & \text{state\_full}\end{cases}

    orc        : an Oracle on a Schedule
    timesteps  : (n,) increasing in 1..N, n >= 2; None is all of them
    mean_error : δ(x, t), the known error of an imperfect prediction of x_0; None is the exact mean
    method     : "quadrature" for d <= 2, "monte carlo" with one (x_0, ε) for all nodes; None chooses
    num_samples, rng : of "monte carlo"
    For the exact mean all five are Monge, none but the first a lower envelope of lines; with a mean_error none need be.
    KL of the chain through the nodes: KL(q_N ‖ N(0, I)) + (d/2)(Σ F - ∫ V du), as for `trajectory_kl`.
    Raises InvalidParameterError for an unknown kind, a method that d does not allow, timesteps out of range, and a
    mean_error of another shape or not finite.
    """
    who = "covariance_cost"
    if not isinstance(kind, str) or kind not in KINDS:
        raise InvalidParameterError(f"{who}: kind must be one of {', '.join(KINDS)}; got {kind!r}")
    wanted = timesteps if timesteps is not None else _all_steps(who, orc)
    sch, nodes = check_chain(who, orc, wanted)
    q0 = orc.q0
    if method not in (None, "quadrature", "monte carlo") or (method == "quadrature" and q0.d > 2):
        raise InvalidParameterError(
            f'{who}: method must be "quadrature", for d <= 2, or "monte carlo"; got {method!r} with d = {q0.d}'
        )
    method = method or ("quadrature" if q0.d <= 2 else "monte carlo")
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    drawn = None
    if method == "monte carlo":
        x0 = q0.sample(count, random)
        drawn = x0, random.standard_normal(x0.shape)
    u = sch.snr[nodes]
    cost, error = np.full((len(u), len(u)), np.inf), np.zeros((len(u), len(u)))
    for j in range(1, len(u)):
        t = int(nodes[j])
        a, sigma = map(float, sch.levels(t))
        form = "diag" if "diagonal" in kind else "full"
        step = _FIRST_STEP.get(q0.d, 0.0)
        while True:
            x, weights = (
                _rule(q0, a, sigma, step) if drawn is None else (a * drawn[0] + sigma * drawn[1], None)
            )
            parts = _parts(who, q0, x, t, a, sigma, form, mean_error)
            found, off = _step_costs(kind, parts, weights, u[:j] - u[j])
            if drawn is not None or step <= _FINEST_STEP[q0.d] or (off <= _ENOUGH * found).all():
                break
            step /= 2
        cost[:j, j], error[:j, j] = found, off
    return CovarianceCost(kind, nodes, cost, error, method)


def _all_steps(who: str, orc: Any) -> Steps:
    """1..N of an oracle's schedule; what is no such oracle is refused by check_chain."""
    last = getattr(getattr(orc, "process", None), "N", 2)
    return as_nodes(who, np.arange(1, last + 1), last)


def _parts(
    who: str,
    q0: GaussianMixture,
    x: Array,
    t: int,
    a: float,
    sigma: float,
    form: str,
    mean_error: MeanError | None,
) -> Array:
    """C at rows x: (m, d) its diagonal, or (m, d, d)."""
    m, d = x.shape
    out = np.empty((m, d) if form == "diag" else (m, d, d))
    take = Posterior.diagonal if form == "diag" else Posterior.covariance
    for block in q0.blocks(m):
        level = np.ones(len(x[block]))
        out[block] = take(q0.posterior(x[block], a * level, sigma * level))
    if mean_error is not None:
        off = as_float(who, f"mean_error at t = {t}", mean_error(x.copy(), t))
        if off.shape != x.shape:
            raise InvalidParameterError(
                f"{who}: mean_error must return the shape of x, {x.shape}; at t = {t} it returned {off.shape}"
            )
        check_finite(who, f"mean_error at t = {t}", off)
        out += np.square(off) if form == "diag" else off[:, :, None] * off[:, None, :]
    return out


def _rule(q0: GaussianMixture, a: float, sigma: float, step: float) -> tuple[Array, Array]:
    """Rows x and weights (2, m): the trapezoidal rule in each component's own coordinates, and with twice the step."""
    half = int(_RADIUS / step) // 2 * 2
    index = np.stack(np.meshgrid(*[np.arange(-half, half + 1)] * q0.d, indexing="ij"), -1).reshape(-1, q0.d)
    z = step * index
    inside = np.square(z).sum(1) <= _RADIUS**2
    z, even = z[inside], (index[inside] % 2 == 0).all(1)
    mass = np.exp(-0.5 * np.square(z).sum(1))
    rule = np.stack([mass / mass.sum(), mass * even / mass[even].sum()])
    v = a * a * q0.eigenvalues() + sigma * sigma
    used = np.flatnonzero(q0.weights > 0).tolist()
    x = [a * q0.means[i] + q0.to_axes(i, z * np.sqrt(v[i])) for i in used]
    return np.concatenate(x), np.concatenate([q0.weights[i] * rule for i in used], axis=1)


def _step_costs(kind: str, parts: Array, weights: Array | None, span: Array) -> tuple[Array, Array]:
    """Cost and error (j,) of the steps over the SNR distances span (j,); parts (m, d) or (m, d, d)."""
    if weights is not None:
        fine, coarse = (_expected_cost(kind, parts, rule, span) for rule in weights)
        change = np.abs(fine - coarse)
        # Halving the step squares the relative error; the bound claims only the power 3/2, as in quadrature.py.
        share = np.divide(change, fine, out=np.ones_like(fine), where=fine > change)
        return fine, change * np.sqrt(share) + 4e-15 * np.abs(fine)
    equal = np.full(len(parts), 1 / len(parts))
    samples = _linearised(kind, parts, equal, span)
    return _expected_cost(kind, parts, equal, span), Moments.of(samples).stderr


def _expected_cost(kind: str, parts: Array, weights: Array, span: Array) -> Array:
    """The formula of `covariance_cost` over d, (j,)."""
    if kind.startswith("state"):
        some = weights > 0
        e = parts[some] if kind == "state_diagonal" else np.linalg.eigvalsh(parts[some])
        e = np.maximum(e, 0.0)  # an eigenvalue below 0 is rounding of a singular covariance
        return np.array([weights[some] @ np.log1p(e * width).mean(1) for width in span])
    return np.asarray(
        np.log1p(np.multiply.outer(span, _constant(kind, np.tensordot(weights, parts, 1)))).mean(1)
    )


def _constant(kind: str, mean: Array) -> Array:
    """The eigenvalues of a covariance that is constant in x."""
    if kind == "diagonal":
        return mean
    return np.asarray([np.trace(mean) / len(mean)] if kind == "isotropic" else np.linalg.eigvalsh(mean))


def _linearised(kind: str, parts: Array, weights: Array, span: Array) -> Array:
    """(m, j) per-sample values whose mean moves, to first order in the errors of the moments, as the cost does."""
    if kind == "state_diagonal":
        return np.asarray(np.log1p(parts[:, None, :] * span[:, None]).mean(2))
    if kind == "state_full":
        e = np.maximum(np.linalg.eigvalsh(parts), 0.0)
        return np.asarray(np.log1p(e[:, None, :] * span[:, None]).mean(2))
    mean = np.tensordot(weights, parts, 1)
    if kind == "diagonal":
        return np.asarray(parts @ (span[:, None] / (1 + np.multiply.outer(span, mean))).T / len(mean))
    d = len(mean)
    if kind == "isotropic":
        trace = np.trace(parts, axis1=1, axis2=2)[:, None] / d
        return np.asarray(trace * span / (1 + span * np.trace(mean) / d))
    values, frame = np.linalg.eigh(mean)
    along = np.einsum("mij,ik,jk->mk", parts, frame, frame, optimize=True)
    return np.asarray(along @ (span[:, None] / (1 + np.multiply.outer(span, values))).T / d)
