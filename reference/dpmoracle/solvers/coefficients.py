r"""The coefficients of every exponential integrator, as functions of the step h in λ = log(a/σ).

Between levels (a_t, σ_t) and (a_s, σ_s), h = λ_s - λ_t > 0, the probability flow is linear but for the network f,
which predicts ε or x_0. With D_k = h^k d^k f/dλ^k at t, variation of constants and Taylor's formula give

    x_s = keep · x_t + W_1 D_0 + W_2 D_1 + W_3 D_2 + ...,      W_k = gain · h φ_k(z),

    prediction   keep        gain    z       source
    noise        a_s / a_t   -σ_s     h      lu2022, Proposition 3.1 and eq. (3.4)
    data         σ_s / σ_t    a_s    -h      lu2022pp, Proposition 4.1

with φ_1(z) = (e^z - 1)/z and φ_{k+1}(z) = (φ_k(z) - 1/k!)/z. A method is a choice of approximations to the D_k.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

__all__ = ["PREDICTIONS", "Level", "Step", "half_log_snr", "phi"]

Level = tuple[float, float]

PREDICTIONS = ("data", "noise")
_SERIES = 2.0
_TERMS = 26


def phi(k: int, z: float) -> float:
    r""":math:`\varphi_k(z) = \int_0^1 e^{(1-u)z} \frac{u^{k-1}}{(k-1)!} du`, 1 <= k <= 4, z <= 700.

    Its Taylor series for |z| < 2, where the recurrence cancels, and the recurrence elsewhere.
    """
    if abs(z) < _SERIES:
        total = 1.0
        for j in range(_TERMS, 0, -1):
            total = 1.0 + total * z / (k + j)
        return total / math.factorial(k)
    value = math.expm1(z) / z
    for j in range(1, k):
        value = (value - 1.0 / math.factorial(j)) / z
    return value


def half_log_snr(level: Level) -> float:
    """λ = log(a/σ) of one level; inf where σ = 0, -inf where a = 0."""
    a, sigma = level
    if sigma == 0.0:
        return math.inf
    return math.log(a / sigma) if a > 0.0 else -math.inf


@dataclass(frozen=True)
class Step:
    """The exponential integrator's frame from level t to level s; floats, so that x may be any kind of array.

    keep : factor of x_t         h : λ_s - λ_t, inf where σ_s = 0 or a_t = 0
    gain : factor of all W_k     z : the argument of the φ_k, h or -h
    """

    keep: float
    gain: float
    h: float
    z: float
    _first: float

    @classmethod
    def between(cls, start: Level, end: Level, prediction: str) -> Step:
        """The step from level start to level end; "noise" or "data" prediction. Noise needs a_t > 0."""
        (a_t, sigma_t), (a_s, sigma_s) = start, end
        h = math.inf if sigma_s == 0.0 or a_t == 0.0 else _log_ratio(a_s, a_t) + _log_ratio(sigma_t, sigma_s)
        if prediction == "data":
            return cls(sigma_s / sigma_t, a_s, h, -h, -a_s * math.expm1(-h))
        # e^h may overflow where its product with σ_s does not; below 1 that difference cancels.
        first = -sigma_s * math.expm1(h) if h < 1.0 else sigma_s - a_s * (sigma_t / a_t)
        return cls(a_s / a_t, -sigma_s, h, h, first)

    def weight(self, k: int) -> float:
        """W_k = gain · h φ_k(z), the weight of D_{k-1}; at h = inf only W_1 is finite."""
        return self._first if k == 1 else self.gain * self.h * phi(k, self.z)


def _log_ratio(b: float, c: float) -> float:
    """log(b/c), by log1p of the exact difference where the two are close."""
    return math.log1p((b - c) / c) if 0.5 * c < b < 2.0 * c else math.log(b / c)
