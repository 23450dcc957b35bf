r"""The velocity of the probability flow and its divergence, on plain arrays, in a variable without singular ends.

With x = a x_0 + σ ε, r = sqrt(a² + σ²), φ = atan2(σ, a) and z = x / r = cos φ x_0 + sin φ ε, the probability-flow
ODE of every process is one and the same curve,

    dz/dφ = -sin φ E[x_0 | z] + cos φ E[ε | z],        0 <= φ <= π/2,

because scaling x and running time differently change neither x_0 nor ε. It is smooth from pure noise (φ = π/2) to
data (φ = 0), as far as the data are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidParameterError
from .mixture import GaussianMixture

__all__ = ["MAX_STEPS", "divergence", "integrate", "last_angle", "velocity"]

Array = NDArray[np.float64]
Field = Callable[[float, Array], Array]

MAX_STEPS = 20_000
#: the cut of a flow towards singular data, in units of its smallest length
_CUT = 1e-8
#: SciPy's solvers take no smaller relative tolerance
_LEAST = 2.3e-14


def velocity(q0: GaussianMixture, z: Array, angle: Array) -> Array:
    """(B, d) dz/dφ at rows z (B, d) and angles (B,)."""
    cos, sin = np.cos(angle), np.sin(angle)
    p = q0.posterior(z, cos, sin)
    return -sin[:, None] * (p.mean + cos[:, None] * p.score)


def divergence(q0: GaussianMixture, z: Array, angle: Array) -> Array:
    r"""(B,) div_z dz/dφ, from the mixture's exact Hessian.

    By Tweedie's second order it is :math:`\cot\varphi\,(d - \mathrm{Tr\,Cov}(x_0|z)/\sin^2\varphi)`, whose two
    terms cancel near data. With v = cos² e + sin² for the eigenvalues e of each component,

    .. math:: \cos\varphi \sin\varphi \sum_i r_i \Bigl[\sum_j \frac{1 - e_{ij}}{v_{ij}}
       - \frac{\|m_i(z) - \mathrm{E}[x_0|z]\|^2}{\sin^4\varphi}\Bigr]

    has neither cancellation nor a pole; it vanishes at both ends.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    p = q0.posterior(z, cos, sin)
    e = q0.support.eigenvalues()  # the components of p
    within = ((1.0 - e) / (np.square(cos)[:, None, None] * e + np.square(sin)[:, None, None])).sum(-1)
    spread = np.square(p.offsets).sum(-1)
    between = np.divide(spread, (sin**4)[:, None], out=np.zeros_like(spread), where=sin[:, None] > 0.0)
    return np.asarray(cos * sin * (p.weights * (within - between)).sum(-1))


def last_angle(q0: GaussianMixture) -> float:
    """The φ at which a flow towards singular data is cut: tan φ = 1e-8 of the mixture's smallest length.

    Lengths are the positive standard deviations of the components and that of the whole. Below the cut the flow
    is finished by x_0 = E[x_0 | z], exact where the posterior is a point and off by tan²φ / 2e <= 1e-16, relative,
    in a direction of variance e. Points closer together than the cut are not told apart.
    """
    e = q0.support.eigenvalues()
    squares = np.append(e[e > 0.0], q0.trace_cov() / q0.d)
    return float(np.arctan(_CUT * np.sqrt(squares[squares > 0.0].min(initial=1.0))))


def integrate(
    who: str,
    field: Field,
    y: Array,
    rtol: float,
    atol: Array,
    dense: bool = False,
    max_steps: int = MAX_STEPS,
) -> tuple[Array, Any]:
    """y(1) from y(0) = y (n,) under dy/du = field(u, y), and with dense=True an interpolant of u.

    rtol, atol : per entry and step, in SciPy's norm, the root mean square over the entries; DOP853
    """
    from scipy.integrate import DOP853, OdeSolution

    limits: Any = {"rtol": max(rtol, _LEAST), "atol": atol}
    solver: Any = DOP853(field, 0.0, y, 1.0, **limits)
    times, pieces = [0.0], []
    for _ in range(max_steps):
        if solver.status != "running":
            break
        solver.step()
        if dense and solver.status != "failed":
            times.append(solver.t)
            pieces.append(solver.dense_output())
    if solver.status != "finished":
        raise InvalidParameterError(
            f"{who}: the integration must reach its end; it stopped after {len(times) - 1 or solver.nfev} "
            f"{'steps' if dense else 'evaluations'}, at {solver.t:.6g} of the way, with steps of "
            f"{solver.step_size or 0.0:.3g}. Ask for a larger rtol, or for a shorter way"
        )
    return solver.y, OdeSolution(times, pieces) if dense else None
