r"""The notes, equations (5) and (7): the optimal variance.

Printed or corrected it is λ² + coefficient · (1 - β̄_t Γ_t); the forms differ in the coefficient alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddim, lambda2_ddpm
from ..variance import mmse_from_gamma, optimal_variance
from .registry import Measurement, holds, refuted
from .roads import Bayes, mean_given_both, relative, worst
from .world import World

__all__ = [
    "CHOICES",
    "CLAIMS",
    "CORRECTED",
    "GAMMA",
    "NEIGHBOURS",
    "PRINTED",
    "Case",
    "Coefficient",
    "Formula",
    "Rule",
    "cases",
    "check_variance",
    "corrected",
    "exact_gamma",
    "printed",
    "variance",
]

Array = NDArray[np.float64]
Coefficient = Callable[[Schedule, int, int, float], float]
Formula = Callable[[Schedule, int, int, Any, float], Any]
Rule = Callable[[Schedule, Any, Any], Any]

#: steps of equations (5) to (8), from n to n - 1
NEIGHBOURS = tuple((n - 1, n) for n in (2, 10, 100, 500, 1000))
_EARLY = tuple((n - 1, n) for n in (2, 3, 5, 10))


def _half(sch: Schedule, s: int, t: int) -> float:
    return 0.5 * float(sch.beta_bar[s])


CHOICES: dict[str, Rule] = {"DDIM": lambda2_ddim, "DDPM": lambda2_ddpm, "λ² = β̄_s/2": _half}
_DDIM: dict[str, Rule] = {"DDIM": lambda2_ddim}
_DDPM: dict[str, Rule] = {"DDPM": lambda2_ddpm}


def _root(value: float) -> float:
    """sqrt, nan where there is none: a printed form may ask for it."""
    return math.sqrt(value) if value >= 0 else math.nan


def _beta(sch: Schedule, n: int) -> float:
    """β_n, nan where it is not defined."""
    return float(sch.betas[n - 1]) if 1 <= n <= sch.N else math.nan


def printed(sch: Schedule, s: int, t: int, lam2: float) -> float:
    """(5), (8), (9) as printed: β for β̄ twice, and λ² outside the root."""
    beta = _beta(sch, t)
    return (_root(beta / (1 - beta)) - _root(_beta(sch, s)) - lam2) ** 2


def _without_bars(sch: Schedule, s: int, t: int, lam2: float) -> float:
    """The root mended, the bars still missing."""
    beta = _beta(sch, t)
    return (_root(beta / (1 - beta)) - _root(_beta(sch, s) - lam2)) ** 2


def _root_misplaced(sch: Schedule, s: int, t: int, lam2: float) -> float:
    """The bars mended, λ² still outside the root."""
    return (_root(sch.beta_bar[t] / float(sch.alpha(s, t))) - _root(sch.beta_bar[s]) - lam2) ** 2


def corrected(sch: Schedule, s: int, t: int, lam2: float) -> float:
    """(7) as it stands, for steps of any length."""
    return (_root(sch.beta_bar[t] / float(sch.alpha(s, t))) - _root(sch.beta_bar[s] - lam2)) ** 2


def variance(coefficient: Coefficient) -> Formula:
    """λ² + coefficient · (1 - β̄_t Γ_t); Γ_t a number or an array."""

    def formula(sch: Schedule, s: int, t: int, gamma: Any, lam2: float) -> Any:
        return lam2 + coefficient(sch, s, t, lam2) * (1 - sch.beta_bar[t] * gamma)

    return formula


class Case(NamedTuple):
    """One step on one mixture, by direct summation: what goes into a formula, and what must come out."""

    law: str
    where: str
    s: int
    t: int
    lam2: float
    gamma: float
    true: float


def cases(world: World, steps: Iterable[tuple[int, int]], rules: Mapping[str, Rule]) -> Iterator[Case]:
    """E‖x_s - E[x_s|x_t]‖² of the law of eq. (1), and Γ_t, on every line of the world.

    x_s given (x_t, x_0) has the mean of eq. (1) and the variance λ². Left out where λ² = 0 and β̄Γ is 1 to six
    digits: the bracket then is rounding.
    """
    sch = world.schedule
    for name, q0 in world.lines.items():
        for s, t in steps:
            a, sigma = (float(level) for level in sch.levels(t))
            bayes = Bayes.of(q0, a, sigma)
            gamma = exact_gamma(bayes, a, sigma)
            for rule, choose in rules.items():
                lam2 = float(choose(sch, s, t))
                if lam2 == 0 and 1 - sigma**2 * gamma < 1e-6:
                    continue
                centre = mean_given_both(sch, s, t, bayes.x[:, None], bayes.nodes, lam2)
                true = lam2 + bayes.expect(bayes.variance(centre))
                yield Case(name, f"{name}, {rule}, (s, t) = ({s}, {t})", s, t, lam2, gamma, true)


def exact_gamma(bayes: Bayes, a: float, sigma: float) -> float:
    """E (q'/q)², q' the derivative of the sum over the prior."""
    score = bayes.mean((a * bayes.nodes - bayes.x[:, None]) / sigma**2)
    return bayes.expect(np.square(score))


def check_variance(
    formula: Formula, world: World, steps: Iterable[tuple[int, int]], rules: Mapping[str, Rule] = CHOICES
) -> Measurement:
    """Relative error of σ² as the formula gives it from the exact Γ; evidence: both sides at the worst case."""
    errors, sides = {}, {}
    for case in cases(world, steps, rules):
        got = float(formula(world.schedule, case.s, case.t, case.gamma, case.lam2))
        errors[case.where] = relative(got, case.true)
        sides[case.where] = f"σ² {got:.4g}, true {case.true:.4g}"
    error, where = worst(errors)
    return Measurement(error, f"{sides[where]}, worst for {where}")


def _neighbours(formula: Formula, world: World) -> Measurement:
    return check_variance(formula, world, NEIGHBOURS)


def _as_printed(formula: Formula, world: World) -> Measurement:
    found = check_variance(formula, world, NEIGHBOURS)
    return Measurement(found.error, f"{found.evidence}; {_ratios(formula, world, _DDPM, (2, 10, 500))}")


def _first(formula: Formula, world: World) -> Measurement:
    """The last step, from 1 to 0, where x_s = x_0 and λ can only be 0."""
    return check_variance(formula, world, [(0, 1)], _DDIM)


def _without_noise(formula: Formula, world: World) -> Measurement:
    found = check_variance(formula, world, NEIGHBOURS, _DDIM)
    return Measurement(
        found.error, f"{found.evidence}; {_ratios(formula, world, _DDIM, (10, 100, 500, 1000))}"
    )


def _early(formula: Formula, world: World) -> Measurement:
    found = check_variance(formula, world, _EARLY, _DDPM)
    return Measurement(found.error, f"{found.evidence}; {_ratios(formula, world, _DDPM, (2, 10, 500))}")


def _ratios(formula: Formula, world: World, rules: Mapping[str, Rule], times: tuple[int, ...]) -> str:
    """What the formula gives over the truth, at some timesteps of one mixture."""
    shown = [
        f"{formula(world.schedule, case.s, case.t, case.gamma, case.lam2) / case.true:.4g} at t = {case.t}"
        for case in cases(world, [(t - 1, t) for t in times], rules)
        if case.law == "three gaussians"
    ]
    (rule,) = rules
    return f"σ²/true on three gaussians, {rule}: {', '.join(shown)}"


def _optimal_first(sch: Schedule, s: int, t: int, gamma: float, lam2: float) -> float:
    """λ_1² + V_1, whatever λ² is asked for: at s = 0 that of DDPM is 0 too."""
    return float(lambda2_ddpm(sch, s, t) + mmse_from_gamma(sch, t, gamma))


_BRUTE = "E‖x_s - E[x_s|x_t]‖² by direct summation over the prior"
GAMMA = r"\mathbb E\|\nabla\log q_n\|^2/d"
_BRACKET = rf"\bigl(1-\bar\beta_n {GAMMA}\bigr)"
PRINTED = r"\bigl(\sqrt{\beta_n/\alpha_n}-\sqrt{\beta_{n-1}}-\lambda_n^2\bigr)^2"
_NO_BARS = r"\bigl(\sqrt{\beta_n/\alpha_n}-\sqrt{\beta_{n-1}-\lambda_n^2}\bigr)^2"
_NO_ROOT = r"\bigl(\sqrt{\bar\beta_n/\alpha_n}-\sqrt{\bar\beta_{n-1}}-\lambda_n^2\bigr)^2"
CORRECTED = r"\bigl(\sqrt{\bar\beta_n/\alpha_n}-\sqrt{\bar\beta_{n-1}-\lambda_n^2}\bigr)^2"

CLAIMS = (
    refuted(
        id="notes.5.printed",
        source="notes eq. (5), as printed",
        statement=r"\sigma_n^{*2}=\lambda_n^2+" + PRINTED + _BRACKET,
        road=_BRUTE,
        tolerance=1e-9,
        formula=variance(printed),
        check=_as_printed,
    ),
    refuted(
        id="notes.5.bars",
        source="notes eq. (5), root mended, bars missing; DDIM",
        statement=r"\lambda=0:\ \sigma_n^{*2}=\lambda_n^2+" + _NO_BARS + _BRACKET,
        road=_BRUTE,
        tolerance=1e-9,
        formula=variance(_without_bars),
        check=_without_noise,
    ),
    refuted(
        id="notes.5.root",
        source="notes eq. (5), bars mended, root misplaced; DDPM, n <= 10",
        statement=r"\lambda^2=\tilde\beta:\ \sigma_n^{*2}=\lambda_n^2+" + _NO_ROOT + _BRACKET,
        road=_BRUTE,
        tolerance=1e-9,
        formula=variance(_root_misplaced),
        check=_early,
    ),
    holds(
        id="notes.5.corrected",
        source="notes eq. (5), as corrected; bao2022 Theorem 1",
        statement=r"\sigma_n^{*2}=\lambda_n^2+" + CORRECTED + _BRACKET,
        road=_BRUTE,
        tolerance=1e-9,
        formula=optimal_variance,
        check=_neighbours,
    ),
    refuted(
        id="notes.5.first.printed",
        source="notes eq. (5) at n = 1, as printed",
        statement=r"\sigma_1^{*2}=\lambda_1^2+" + PRINTED + _BRACKET + r",\ n=1\ (\beta_0\text{ undefined})",
        road=_BRUTE,
        tolerance=1e-9,
        formula=variance(printed),
        check=_first,
    ),
    holds(
        id="notes.5.first.corrected",
        source="notes eq. (5) at n = 1, as corrected",
        statement=r"\lambda_1=0,\ \sigma_1^{*2}=V_1=\mathbb E\,\mathrm{Tr}\,\mathrm{Cov}(x_0|x_1)/d",
        road=_BRUTE,
        tolerance=1e-9,
        formula=_optimal_first,
        check=_first,
    ),
    holds(
        id="notes.7",
        source="notes eq. (7), as printed",
        statement=r"\hat\sigma_n^2=\lambda_n^2+" + CORRECTED + r"(1-\bar\beta_n\Gamma_n)",
        road=_BRUTE + ", with the exact Γ",
        tolerance=1e-9,
        formula=variance(corrected),
        check=_neighbours,
    ),
)
