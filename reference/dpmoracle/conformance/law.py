"""The law of one stochastic step, in any scaling x = a x_0 + σ ε."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InvalidParameterError

__all__ = ["VARIANCES", "Level", "StepLaw", "noise_ratio"]

#: (a, σ) of x = a x_0 + σ ε
Level = tuple[float, float]

VARIANCES = ("lam2", "beta", "optimal", "range")


@dataclass(frozen=True)
class StepLaw:
    r"""What a stochastic step from t to s claims to be: its mean by η, its noise by a rule.

    .. math:: x_s = a_s \hat x_0 + \sqrt{\sigma_s^2 - \lambda^2}\, (x_t - a_t \hat x_0)/\sigma_t + \varsigma z, \quad
       \lambda^2 = \min(\eta^2 \tilde\beta, \sigma_s^2), \quad \tilde\beta = \sigma_s^2 (1 - u_t/u_s)

    with u = a²/σ². η = 1 is DDPM, the ancestral samplers and SDE-DPM-Solver++; η = 0 is DDIM; η = inf draws all
    noise afresh, as LCM.

    variance : ς² is "lam2", λ² itself (for η = 1 DDPM's fixed small, and the low end of a learned range);
               "beta", σ_t² - (a_t/a_s)² σ_s² (fixed large, and the high end); or "optimal", λ² + c² V_t with
               c = a_s - sqrt(σ_s² - λ²) a_t/σ_t, where V_t is the mean posterior variance per dimension; or "range",
               the learned range of Nichol and Dhariwal (2021), eq. 15: between λ² and "beta" by their logarithms
    fraction : of the way from λ² to "beta" in "range", in [0, 1]
    """

    eta: float = 1.0
    variance: str = "lam2"
    fraction: float = 0.0

    def __post_init__(self) -> None:
        if not self.eta >= 0.0 or self.variance not in VARIANCES:
            raise InvalidParameterError(
                f"StepLaw: eta must be >= 0 and variance one of {', '.join(VARIANCES)}; got {self!r}"
            )
        if not 0.0 <= self.fraction <= 1.0:
            raise InvalidParameterError(f"StepLaw: fraction must be in [0, 1]; got {self.fraction!r}")

    def lam2(self, t: Level, s: Level) -> float:
        """λ² of the step, in [0, σ_s²]."""
        if math.isinf(self.eta):
            return s[1] ** 2
        fresh = 1.0 - (t[0] * s[1] / (t[1] * s[0])) ** 2
        return min(self.eta**2 * s[1] ** 2 * fresh, s[1] ** 2)

    def mean(self, t: Level, s: Level) -> tuple[float, float]:
        """(factor of x̂_0, factor of x_t) in the mean of x_s."""
        keep = math.sqrt(max(s[1] ** 2 - self.lam2(t, s), 0.0)) / t[1]
        return s[0] - keep * t[0], keep

    def noise_variance(self, t: Level, s: Level, mmse: float | None = None) -> float:
        """ς² of the step; mmse is V_t, which only "optimal" needs."""
        lam2 = self.lam2(t, s)
        if self.variance == "lam2":
            return lam2
        if self.variance != "optimal":
            beta = t[1] ** 2 - (t[0] / s[0] * s[1]) ** 2
            part = 1.0 if self.variance == "beta" else self.fraction
            return float(beta**part * lam2 ** (1.0 - part))  # 0^0 is 1: beta stays where λ² is 0
        if mmse is None:
            raise InvalidParameterError(
                'StepLaw: variance "optimal" needs mmse, V_t at the level that is left'
            )
        return lam2 + self.mean(t, s)[0] ** 2 * mmse


def noise_ratio(level: Level) -> float:
    """σ/a, inf at a = 0."""
    return level[1] / level[0] if level[0] > 0.0 else float("inf")
