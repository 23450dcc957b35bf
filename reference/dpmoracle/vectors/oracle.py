"""Vectors of the oracle: everything that a perfect network would say of a Gaussian mixture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..flow import flow_levels
from ..oracle import Oracle
from . import values
from .quantity import Quantity

__all__ = ["QUANTITIES"]

Inputs = Mapping[str, Mapping[str, Any]]

_POINTS = {
    "line": [[-2.2], [0.05], [0.9]],
    "plane": [[0.9, -0.4], [-2.0, 1.5]],
    "points": [[0.3, 0.1], [-0.8, 0.6]],
    "tilted": [[0.9, -0.4], [-2.0, 1.5]],
}
#: λ of the levels
_LAMBDAS = {"clean": 1.5, "middle": 0.0, "noisy": -2.5}


def _rows() -> Inputs:
    """Mixtures at variance-preserving levels, and one at the level of EDM, σ > 1."""
    found = {}
    for name, rows in _POINTS.items():
        for where, lam in _LAMBDAS.items():
            a, sigma = values.level(lam)
            found[f"{name}-{where}"] = {"mixture": values.MIXTURES[name], "a": a, "sigma": sigma, "x": rows}
    found["plane-edm"] = found["plane-middle"] | {"a": 1.0, "sigma": 3.0}
    return found


def _curves() -> Inputs:
    """One-dimensional mixtures, where V and Γ are one integral."""
    line = values.MIXTURES["line"]
    pair = {
        "weights": [0.5, 0.5],
        "means": [[-1.0], [1.0]],
        "covariances": [[0.0], [0.0]],
        "covariance_type": "diag",
    }
    found = {}
    for name, spec, where in [
        ("line", line, "clean"),
        ("line", line, "noisy"),
        ("pair", pair, "clean"),
        ("pair", pair, "middle"),
    ]:
        a, sigma = values.level(_LAMBDAS[where])
        found[f"{name}-{where}"] = {"mixture": spec, "a": a, "sigma": sigma}
    return found


def _reverse_cases() -> Inputs:
    return {
        f"{name}-{s}-{t}": {
            "mixture": values.MIXTURES[name],
            "schedule": values.SCHEDULES["linear"],
            "s": s,
            "t": t,
            "x_t": rows[0],
            "x_s": [rows[0], rows[1]],
        }
        for name, rows in _POINTS.items()
        for s, t in [(100, 101), (200, 600)]
    }


def _flow_cases() -> Inputs:
    ends = {"down": (-1.5, 2.0), "up": (1.0, -1.0)}
    return {
        f"{name}-{way}": {
            "mixture": values.MIXTURES[name],
            "x": rows,
            "start": values.level(first),
            "end": values.level(last),
        }
        for name, rows in (("line", _POINTS["line"]), ("gaussian", _POINTS["plane"]))
        for way, (first, last) in ends.items()
    }


def _asked(ask: Callable[[Oracle, Any], Any]) -> Callable[..., Any]:
    def compute(*, mixture: Any, a: float, sigma: float, x: Any) -> Any:
        return ask(values.oracle_at(mixture, a, sigma), np.array(x))

    return compute


def _mmse(*, mixture: Any, a: float, sigma: float) -> Any:
    return values.oracle_at(mixture, a, sigma).mmse(0, method="quadrature").value


def _gamma(*, mixture: Any, a: float, sigma: float) -> Any:
    return values.oracle_at(mixture, a, sigma).gamma(0, method="quadrature").value


def _reverse(*, mixture: Any, schedule: Any, s: int, t: int, x_t: Any, x_s: Any) -> Any:
    oracle = Oracle(values.mixture(mixture), values.schedule(schedule))
    return oracle.reverse(np.array(x_t), s, t).log_prob(np.array(x_s))


def _flow(*, mixture: Any, x: Any, start: Any, end: Any) -> Any:
    return flow_levels(values.mixture(mixture), np.array(x), np.array(start), np.array(end), 1e-12)


_ROW = {
    "mixture": "the law of x_0, see README",
    "a": "a",
    "sigma": "σ, x = a x_0 + σ ε",
    "x": "(n, d) points",
}
_CURVE = {"mixture": "the law of x_0, see README", "a": "a", "sigma": "σ, x = a x_0 + σ ε"}


def _predicted(
    name: str, source: str, statement: str, expected: str, ask: Callable[[Oracle, Any], Any]
) -> Quantity:
    return Quantity(name, "oracle", source, statement, _ROW, expected, _asked(ask), _rows, atol=1e-10)


QUANTITIES = (
    _predicted(
        "log_prob",
        "definition",
        "log q(x), q = Σ_i w_i N(a m_i, a² S_i + σ² I)",
        "(n,) nats",
        lambda oracle, x: oracle.log_prob(x, 0),
    ),
    _predicted(
        "score",
        "definition",
        "∇log q(x) = -Σ_i r_i V_i⁻¹ (x - a m_i), V_i = a² S_i + σ² I, r_i ∝ w_i N(x; a m_i, V_i), Σ r_i = 1",
        "(n, d)",
        lambda oracle, x: oracle.score(x, 0),
    ),
    _predicted(
        "eps",
        "efron2011, Tweedie's formula",
        "E[ε|x] = -σ ∇log q(x)",
        "(n, d)",
        lambda oracle, x: oracle.eps(x, 0),
    ),
    _predicted(
        "x0",
        "efron2011, Tweedie's formula",
        "E[x_0|x] = (x + σ² ∇log q(x))/a",
        "(n, d)",
        lambda oracle, x: oracle.x0(x, 0),
    ),
    _predicted(
        "v",
        "salimans2022, section 4",
        "E[v|x] = a E[ε|x] - σ E[x_0|x]",
        "(n, d)",
        lambda oracle, x: oracle.v(x, 0),
    ),
    _predicted(
        "posterior_cov",
        "Tweedie's formula of second order",
        "Cov(x_0|x) = (σ²/a²)(I + σ² ∇²log q(x))",
        "(n, d, d)",
        lambda oracle, x: oracle.posterior_cov(x, 0),
    ),
    Quantity(
        "mmse",
        "oracle",
        "guo2005",
        "V = E Tr Cov(x_0|x)/d over x ~ q",
        _CURVE,
        "V",
        _mmse,
        _curves,
        rtol=1e-9,
    ),
    Quantity(
        "gamma",
        "oracle",
        "bao2022, Theorem 1; notes eq. (6) for M → ∞",
        "Γ = E|∇log q(x)|²/d over x ~ q",
        _CURVE,
        "Γ",
        _gamma,
        _curves,
        rtol=1e-9,
    ),
    Quantity(
        "reverse_log_prob",
        "oracle",
        "Bayes' rule",
        "log q(x_s|x_t) = log q_s(x_s) + log N(x_t; sqrt(α_{t|s}) x_s, β_{t|s} I) - log q_t(x_t) where q_s has a "
        "density: the exact reverse kernel of the Markov chain",
        {
            "mixture": "the law of x_0, see README",
            "schedule": "its kind and parameters",
            "s": "timestep, s < t",
            "t": "timestep",
            "x_t": "(d,)",
            "x_s": "(n, d)",
        },
        "(n,) nats",
        _reverse,
        _reverse_cases,
        rtol=1e-9,
        atol=1e-9,
    ),
    Quantity(
        "flow",
        "oracle",
        "song2021, eq. (13)",
        "d(x/a)/d(σ/a) = E[ε|x] from level start to level end: the exact probability-flow map",
        {
            "mixture": "the law of x_0, see README",
            "x": "(n, d) at level start",
            "start": "[a, σ]",
            "end": "[a, σ]",
        },
        "(n, d) at level end",
        _flow,
        _flow_cases,
        rtol=1e-8,
        atol=1e-8,
    ),
)
