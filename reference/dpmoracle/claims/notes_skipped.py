"""The notes, equation (9): mean and variance of a step that skips, from τ_k to τ_{k-1}."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..processes.schedule import Schedule
from ..reverse_step import forward_posterior_mean, lambda2_ddpm, optimal_mean
from ..variance import optimal_variance
from .notes_variance import check_variance, printed, variance
from .registry import Measurement, holds, refuted
from .roads import Bayes, mean_given_both, worst
from .world import STEPS, World

__all__ = ["CLAIMS", "SKIPS"]

Array = NDArray[np.float64]

#: (τ_{k-1}, τ_k) that are no neighbours
SKIPS = tuple((s, t) for s, t in STEPS if t - s > 1)


def _mean_as_printed(sch: Schedule, s: int, t: int, x_t: Array, score: Array, lam2: float) -> Array:
    """x_0 predicted with 1/sqrt(α_{τ_k}), the α of one step; the mean itself skips."""
    x0 = (x_t + sch.beta_bar[t] * score) / math.sqrt(1 - sch.betas[t - 1])
    return np.asarray(forward_posterior_mean(sch, s, t, x_t, x0, lam2))


def _one_step_alpha(sch: Schedule, s: int, t: int, lam2: float) -> float:
    """Bars and root mended, α_{τ_k} left as the α of one step."""
    return float(
        (math.sqrt(sch.beta_bar[t] / (1 - sch.betas[t - 1])) - math.sqrt(sch.beta_bar[s] - lam2)) ** 2
    )


def _literal_index(sch: Schedule, s: int, t: int, gamma: float, lam2: float) -> Array:
    """Right but for the index, read as it is set: the step from τ_k to τ_k - 1."""
    return optimal_variance(sch, t - 1, t, gamma, lam2)


def _mean(mean: Callable[..., Array], world: World) -> Measurement:
    """Against the regression of x_s on x_t: E[x_s|x_t] summed over the prior, x_s by eq. (1)."""
    sch, errors = world.schedule, {}
    for name, q0 in world.lines.items():
        oracle = world.oracle(q0)
        for s, t in SKIPS:
            a, sigma = (float(level) for level in sch.levels(t))
            bayes = Bayes.of(q0, a, sigma)
            x = bayes.x[:, None]
            score = oracle.score(x, t)
            for rule, lam2 in (("DDIM", 0.0), ("DDPM", float(lambda2_ddpm(sch, s, t)))):
                true = bayes.mean(mean_given_both(sch, s, t, x, bayes.nodes, lam2))
                off = mean(sch, s, t, x, score, lam2)[:, 0] - true
                rms = math.sqrt(bayes.expect(np.square(off)) / sch.beta_bar[s])
                errors[f"{name}, {rule}, (s, t) = ({s}, {t})"] = rms if math.isfinite(rms) else math.inf
    error, where = worst(errors)
    return Measurement(error, f"root mean square difference in sqrt(β̄_s), worst for {where}")


def _variance(formula: Callable[..., Any], world: World) -> Measurement:
    return check_variance(formula, world, SKIPS)


def _longest(formula: Callable[..., Any], world: World) -> Measurement:
    """The skip from N to 1 alone, where one step's α is furthest from the step's own."""
    return check_variance(formula, world, [(1, world.schedule.N)])


_BRUTE = "E‖x_s - E[x_s|x_t]‖² by direct summation over the prior"
_CONDITIONAL = "E[x_s|x_t] by direct summation over the prior"
_SCORE = r"\nabla\log q(x_{\tau_k})"
_MU = (
    r"\mu^*_{%s|\tau_k}=\tilde\mu_{%s|\tau_k}"
    rf"\bigl(x_{{\tau_k}},%s(x_{{\tau_k}}+\bar\beta_{{\tau_k}}{_SCORE})\bigr)"
)
_SIGMA = (
    r"\sigma^{*2}_{%s|\tau_k}=\lambda^2_{%s|\tau_k}+\bigl(%s\bigr)^2"
    rf"\bigl(1-\bar\beta_{{\tau_k}}\mathbb E\|{_SCORE}\|^2/d\bigr)"
)
_PREVIOUS, _LITERAL = r"\tau_{k-1}", r"\tau_k-1"
_OWN_ALPHA = r"\sqrt{\bar\beta_{\tau_k}/\alpha_{\tau_k|%s}}-\sqrt{\bar\beta_{%s}-\lambda^2_{%s|\tau_k}}"
_ONE_ALPHA = (
    r"\sqrt{\bar\beta_{\tau_k}/\alpha_{\tau_k}}-\sqrt{\bar\beta_{\tau_{k-1}}-\lambda^2_{\tau_{k-1}|\tau_k}}"
)
_AS_PRINTED = r"\sqrt{\beta_{\tau_k}/\alpha_{\tau_k}}-\sqrt{\beta_{\tau_k-1}}-\lambda^2_{\tau_k-1|\tau_k}"

CLAIMS = (
    refuted(
        id="notes.9.mean.printed",
        source="notes eq. (9), mean, as printed, τ_k - 1 read as τ_{k-1}",
        statement=_MU % (_LITERAL, _LITERAL, r"\tfrac{1}{\sqrt{\alpha_{\tau_k}}}"),
        road=_CONDITIONAL,
        tolerance=1e-9,
        formula=_mean_as_printed,
        check=_mean,
    ),
    holds(
        id="notes.9.mean.corrected",
        source="notes eq. (9), mean, as corrected",
        statement=_MU % (_PREVIOUS, _PREVIOUS, r"\tfrac{1}{\sqrt{\bar\alpha_{\tau_k}}}"),
        road=_CONDITIONAL,
        tolerance=1e-9,
        formula=optimal_mean,
        check=_mean,
    ),
    refuted(
        id="notes.9.variance.printed",
        source="notes eq. (9), variance, as printed, τ_k - 1 read as τ_{k-1}",
        statement=_SIGMA % (_LITERAL, _LITERAL, _AS_PRINTED),
        road=_BRUTE,
        tolerance=1e-9,
        formula=variance(printed),
        check=_variance,
    ),
    refuted(
        id="notes.9.variance.alpha",
        source="notes eq. (9), variance, bars and root mended, α of one step",
        statement=_SIGMA % (_PREVIOUS, _PREVIOUS, _ONE_ALPHA),
        road=_BRUTE,
        tolerance=1e-9,
        formula=variance(_one_step_alpha),
        check=_longest,
    ),
    refuted(
        id="notes.9.variance.index",
        source="notes eq. (9), variance, all mended but the index τ_k - 1",
        statement=_SIGMA % (_LITERAL, _LITERAL, _OWN_ALPHA % (_LITERAL, _LITERAL, _LITERAL)),
        road=_BRUTE,
        tolerance=1e-9,
        formula=_literal_index,
        check=_variance,
    ),
    holds(
        id="notes.9.variance.corrected",
        source="notes eq. (9), variance, as corrected; bao2022 Theorem 1, skipped",
        statement=_SIGMA % (_PREVIOUS, _PREVIOUS, _OWN_ALPHA % (_PREVIOUS, _PREVIOUS, _PREVIOUS)),
        road=_BRUTE,
        tolerance=1e-9,
        formula=optimal_variance,
        check=_variance,
    ),
)
