"""The precondition of the fast programs, J is Monge: an O(N) certificate on V, and a check of any matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import array_module, to_numpy
from ..backends import pick
from ..checking import as_float, offenders
from ..errors import InvalidParameterError
from .step_cost import as_curve

__all__ = ["MongeCertificate", "as_cost", "certify", "is_monge", "monge_certificate", "monge_defect"]

Array = NDArray[np.float64]

#: a hundred times the rounding of an exact V
RTOL = 1e-10


@dataclass(frozen=True, eq=False)
class MongeCertificate:
    """Whether J(s,t) + J(s',t') <= J(s,t') + J(s',t) for all 1 <= s <= s' < t <= t' <= N, up to rounding.

    holds  : True licenses every program; also `bool(certificate)`
    margin : min over t of (g_t - g_{t+1}) / max(|g_t|, |g_{t+1}|, u_t), g = 1/V - u; inf for fewer than two g
    where  : the t in 2..N-1 at which g rises from t to t+1 by more than the tolerance
    """

    holds: bool
    margin: float
    where: NDArray[np.int64]

    def __bool__(self) -> bool:
        return self.holds


def monge_certificate(
    snr: ArrayLike, mmse: ArrayLike, rtol: float = RTOL, backend: str = "auto"
) -> MongeCertificate:
    r"""The cost J, with the empty step J(t, t) = 0, is Monge exactly when g(t) = 1/V_t - u_t does not increase.

    The range is t = 2..N: no step ends at 1. For the exact V of any distribution it holds, because
    dV/du = -E Tr(Cov^2)/d <= -V^2 (Cauchy-Schwarz and Jensen; the single-crossing property of the MMSE [guo2011]).
    Rounding alone breaks the strict test, so a rise up to rtol * max(|g|, u_t) is let pass; the default is a
    hundred times the rounding of an exact V.

    snr, mmse : (N+1,) u_t decreasing and V_t >= 0, which may exceed 1/u; entries 0 ignored
    backend   : "auto", "numpy", "numba" or "cupy"
    Raises InvalidParameterError for anything else, and for rtol outside [0, 1).
    """
    if not 0 <= rtol < 1:
        raise InvalidParameterError(f"monge_certificate: rtol must be in [0, 1); got {rtol!r}")
    u, v = as_curve("monge_certificate", snr, mmse)
    margins = pick("certify", backend, certify)(u, v)
    where = np.flatnonzero(margins < -rtol) + 2
    margin = float(margins.min()) if margins.size else np.inf
    return MongeCertificate(where.size == 0, margin, where)


def is_monge(u: Array, v: Array, backend: str = "auto") -> bool:
    """Whether the certificate holds for a validated pair."""
    margins = pick("certify", backend, certify, u, v)(u, v)
    return not margins.size or bool(margins.min() >= -RTOL)


def certify(u: Array, v: Array) -> Array:
    """(g_t - g_{t+1}) / max(|g_t|, |g_{t+1}|, u_t) for t = 2..N-1, shape (N-2,); plain arrays.

    Where V = 0, g = +inf: the quotient is then its limit, 1 for a fall to a finite g and -1 for a rise from
    one.
    """
    with np.errstate(divide="ignore", over="ignore"):
        g = 1.0 / v[2:] - u[2:]
    here, there = g[:-1], g[1:]
    scale = np.maximum(np.maximum(np.abs(here), np.abs(there)), u[2:-1])
    finite = np.isfinite(here) & np.isfinite(there)
    limit = np.isinf(here).astype(float) - np.isinf(there).astype(float)
    fall = np.subtract(here, there, out=np.zeros_like(here), where=finite)
    margins: Array = np.divide(fall, scale, out=limit, where=finite & (scale > 0))
    return margins


def monge_defect(cost: ArrayLike) -> float:
    """Largest F[s,t] + F[s+1,t+1] - F[s,t+1] - F[s+1,t] over s + 1 < t: at most 0 where the cost is Monge.

    Neighbours decide: every other quadruple is a sum of these. -inf is returned for fewer than four nodes.
    Raises InvalidParameterError for a cost that is not square, and for one that is not finite at some s < t.
    """
    matrix = as_cost("monge_defect", cost)
    if matrix.shape[0] < 4:
        return -np.inf
    if not np.isfinite(matrix[np.triu_indices(matrix.shape[0], 1)]).all():
        raise InvalidParameterError(
            "monge_defect: F[i, j] must be finite for all i < j; got +inf among them. Leave out the nodes "
            "that are forbidden: trajectory_cost(snr, mmse)[1:, 1:]"
        )
    upper = np.triu(np.where(np.isfinite(matrix), matrix, 0.0), 1)
    defect = upper[:-1, :-1] + upper[1:, 1:] - upper[:-1, 1:] - upper[1:, :-1]
    return float(defect[np.triu_indices(defect.shape[0], 2)].max())


def as_cost(who: str, cost: ArrayLike) -> Array:
    """A square float64 matrix, NumPy or CuPy; refuses nan and -inf above the diagonal, the rest is not looked at."""
    matrix = as_float(who, "F", cost, gpu=True)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] < 1:
        raise InvalidParameterError(
            f"{who}: F must be a square matrix, F[i, j] the cost of the step from node i to node j > i; got "
            f"shape {matrix.shape}"
        )
    xp = array_module(matrix)
    bad = xp.triu(xp.isnan(matrix) | (matrix == -np.inf), 1)
    if bad.any():
        raise InvalidParameterError(
            f"{who}: F[i, j] must be a number or +inf for i < j; nan or -inf stands at {offenders(to_numpy(bad))} and "
            "would decide the path silently. Use +inf to forbid a step"
        )
    return matrix
