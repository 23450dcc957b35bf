"""DEIS: Adams-Bashforth with the polynomial of ε in a chosen clock, the integral of its weight exact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import check_choice, check_ends, check_nodes, check_order
from .coefficients import Level, half_log_snr
from .history import Seen, march
from .network import Model, Network, as_network
from .path import Path, vp_path

__all__ = ["CLOCKS", "deis"]

Array = NDArray[np.float64]
CLOCKS = ("rho", "log_rho")
#: Gauss-Legendre points for one step: exact for the polynomials of "rho", 1e-15 up to h = 5 for the others
_POINTS = 16


def deis(
    model: Model,
    x: Any,
    nodes: ArrayLike,
    order: int = 3,
    prediction: str = "noise",
    *,
    clock: str | Callable[[Array], Array] = "rho",
    start: Any = "lower",
    lower_end: bool = False,
    path: Path = vp_path,
) -> Any:
    r"""AB-DEIS [zhang2023, Proposition 3 and eq. (15)], one evaluation a step.

    .. math:: x_s = \frac{a_s}{a_t} x_t + a_s \sum_j \hat\varepsilon_j \int_{\rho_t}^{\rho_s} \ell_j(\rho) d\rho,
       \quad \rho = \sigma/a

    with the Lagrange polynomials ℓ_j of the last nodes in a clock.

    order : 1 to 4, nodes of the polynomial; 1 is DDIM
    clock : "rho" (ρAB-DEIS, may end at σ = 0), "log_rho" (DPM-Solver's variable), or an increasing or decreasing
            function of arrays of λ, such as process.inverse (tAB-DEIS)
    Other arguments as for `dpm_multistep`; start="singlestep" exists up to order 3. In data prediction ε comes from
    x_0, and the nodes must start at a > 0 all the same. Raises InvalidParameterError as `dpm_multistep` does.
    """
    who = "deis"
    order = check_order(who, order, (1, 2, 3, 4))
    check_choice(who, "prediction", prediction)
    if not callable(clock):
        check_choice(who, "clock", clock, CLOCKS)
    if order == 4 and isinstance(start, str):
        check_choice(f"{who} of order 4", "start", start, ("lower",))
    levels = check_nodes(who, nodes)
    check_ends(who, levels, data=True)

    points, weights = np.polynomial.legendre.leggauss(_POINTS)
    rule = 0.5 * (1.0 + points), 0.5 * weights

    def predict(x: Any, seen: Sequence[Seen], s: Level) -> Any:
        x = (s[0] / seen[0].level[0]) * x
        for weight, node in zip(_weights([node.level for node in seen], s, clock, rule), seen):
            x = x + (s[0] * weight) * node.f
        return x

    inner = as_network(who, model)
    net = inner

    def noise(x: Any, a: float, sigma: float) -> Any:
        return (x - a * inner(x, (a, sigma))) / sigma

    if prediction == "data":
        net = Network(who, noise, inner.when)
    return march(net, x, levels, order, "noise", predict, start, lower_end, path, reaches_data=clock == "rho")


def _weights(
    levels: Sequence[Level], s: Level, clock: str | Callable[[Array], Array], rule: tuple[Array, Array]
) -> list[float]:
    """∫ ℓ_j dρ from levels[0] to s for the polynomials through all levels, in the clock; rule is for [0, 1]."""
    rho = np.array([sigma / a for a, sigma in [*levels, s]])
    if len(levels) == 1:
        return [float(rho[1] - rho[0])]
    share, weights = rule
    if clock == "rho":
        ticks, knots = rho[0] + (rho[-1] - rho[0]) * share, rho[:-1]
        mass = (rho[-1] - rho[0]) * weights
    else:
        lam = np.array([half_log_snr(level) for level in [*levels, s]])
        h = lam[-1] - lam[0]
        between = lam[0] + h * share
        ticks, knots = (clock(between), clock(lam[:-1])) if callable(clock) else (between, lam[:-1])
        mass = -np.exp(-between) * h * weights
    found = []
    for j, knot in enumerate(knots):
        others = np.delete(knots, j)
        found.append(float(mass @ ((ticks[:, None] - others) / (knot - others)).prod(1)))
    return found
