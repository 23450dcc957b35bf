"""Negative vectors: what comes out of misprints and common mistakes; an implementation must not give these."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..claims.catalogue import CLAIMS
from . import mistakes, values
from .catalogue import BY_NAME
from .quantity import Wrong

__all__ = ["WRONG"]

_REFUTED = {claim.id: claim for claim in CLAIMS if claim.expected == "refuted"}


def _wrong(of: str, name: str, why: str, compute: Callable[..., Any], *labels: str) -> Wrong:
    return Wrong(BY_NAME[of], name, why, compute, labels)


def _misprint(of: str, name: str, claim: str, why: str, *labels: str) -> Wrong:
    """The formula of a refuted claim, as it stands in the notes."""
    refuted = _REFUTED[claim]

    def compute(*, schedule: Any, s: int, t: int, **rest: Any) -> Any:
        order = ("x_t", "score", "gamma_t", "lam2")
        given = [
            np.array(rest[key]) if key in ("x_t", "score") else rest[key] for key in order if key in rest
        ]
        return refuted.formula(values.schedule(schedule), s, t, *given)

    return Wrong(BY_NAME[of], name, f"{refuted.source}: {why}", compute, labels)


_SKIPS = ("ddim-1-1000", "ddim-400-500", "ddpm-1-1000", "ddpm-400-500")
_LONG = tuple(f"linear-{label}" for label in _SKIPS)

WRONG = (
    _wrong(
        "alpha_bar",
        "shifted",
        "ᾱ_{t-1}: off by one, an array that starts with ᾱ_0 = 1 read as one that starts with ᾱ_1",
        mistakes.one_entry_early,
        *values.SCHEDULES,
    ),
    _wrong(
        "beta_skip",
        "one-step",
        "β_t, the beta of one step, where the step skips",
        mistakes.one_step,
        *values.SCHEDULES,
    ),
    _wrong(
        "half_log_snr",
        "whole",
        "log u in place of (1/2) log u: λ is the log of a ratio of amplitudes",
        mistakes.whole_log_snr,
        *values.SCHEDULES,
    ),
    _wrong(
        "process_levels",
        "variance",
        "σ² where σ belongs",
        mistakes.variances,
        "vp_linear",
        "vp_cosine",
        "ve",
        "edm",
    ),
    _wrong(
        "even_grid",
        "leading",
        "1 + k (N // K), 'leading' spacing: it ends below N, where a sampler that starts from N(0, I) should begin",
        mistakes.leading,
        "1000-10",
        "1000-25",
        "4000-7",
    ),
    _wrong(
        "even_grid",
        "from-zero",
        "off by one: indices 0..N-1 into the noisy levels where timesteps 1..N are asked for",
        mistakes.from_zero,
        "1000-10",
        "1000-25",
        "12-12",
    ),
    _misprint(
        "lambda2_ddpm", "printed", "notes.1.ddpm.printed", "β̃ is λ², not λ", "linear-1-1000", "linear-499-500"
    ),
    _wrong(
        "lambda2_ddpm",
        "one-step",
        "β_t for β_{t|s} in a step that skips",
        mistakes.one_step_tilde,
        "linear-1-1000",
        "linear-400-500",
    ),
    _wrong(
        "lambda2_ddpm",
        "beta",
        "β_{t|s} itself, which can exceed β̄_s",
        mistakes.beta,
        "linear-1-2",
        "linear-1-1000",
    ),
    _wrong(
        "lambda2_ddim", "eta-once", "η for η²", mistakes.eta_once, "linear-eta-499-500", "linear-eta-1-1000"
    ),
    _wrong(
        "forward_posterior_mean",
        "lam2-outside",
        "sqrt(β̄_s) for sqrt(β̄_s - λ²): the mean of DDIM with the noise of DDPM",
        mistakes.lam2_outside,
        "linear-ddpm-1-2",
        "linear-ddpm-400-500",
        "linear-eta-1-1000",
    ),
    _misprint(
        "optimal_mean",
        "printed",
        "notes.9.mean.printed",
        "1/sqrt(α) must be 1/sqrt(ᾱ), eqs. (4), (9)",
        *_LONG,
    ),
    _wrong(
        "mmse_from_gamma",
        "beta",
        "β_t for β̄_t",
        mistakes.beta_for_beta_bar,
        "linear-100",
        "linear-500",
        "linear-1000",
    ),
    _misprint(
        "optimal_variance",
        "printed",
        "notes.5.printed",
        "β for β̄ twice and λ² outside the root, eqs. (5), (8), (9)",
        "linear-ddim-9-10",
        "linear-ddim-99-100",
        "linear-ddpm-1-2",
        "linear-ddpm-9-10",
    ),
    _misprint(
        "optimal_variance",
        "no-bars",
        "notes.5.bars",
        "β for β̄ twice",
        "linear-ddim-99-100",
        "linear-ddim-499-500",
    ),
    _misprint(
        "optimal_variance",
        "root",
        "notes.5.root",
        "λ² outside the root",
        "linear-ddpm-1-2",
        "linear-ddpm-9-10",
    ),
    _misprint(
        "optimal_variance",
        "one-step-alpha",
        "notes.9.variance.alpha",
        "α_{τ_k} must be α_{τ_k|τ_{k-1}}",
        *_LONG,
    ),
    _misprint("optimal_variance", "index", "notes.9.variance.index", "τ_k - 1 must be τ_{k-1}", *_LONG),
    _wrong(
        "variance_bounds",
        "whole-range",
        "(b - a)² for ((b - a)/2)² (Popoviciu's inequality)",
        mistakes.whole_range,
        "linear-ddpm-499-500",
        "linear-ddim-400-500",
        "linear-ddpm-1-1000",
    ),
    _wrong(
        "last_step_bound",
        "deviation",
        "the bound on σ used as a bound on σ²",
        mistakes.bound_on_deviation,
        "one-grey-level",
        "two-grey-levels",
    ),
    _wrong(
        "clean_prediction",
        "variance",
        "β̄_t for sqrt(β̄_t)",
        mistakes.variance_for_deviation,
        "linear-eps-1",
        "linear-eps-500",
    ),
    _wrong(
        "score",
        "sign",
        "the gradient of the energy: the sign is turned",
        mistakes.downhill,
        "plane-middle",
        "line-clean",
    ),
    _wrong(
        "score",
        "prior-weights",
        "the components' scores under their prior weights w_i, not their posterior r_i",
        mistakes.prior_weights,
        "plane-middle",
        "line-clean",
        "points-clean",
    ),
    _wrong(
        "eps",
        "variance",
        "-σ² score for -σ score",
        mistakes.noise_by_variance,
        "plane-middle",
        "plane-edm",
        "line-clean",
    ),
    _wrong(
        "x0",
        "not-scaled",
        "x + σ² score, not divided by a",
        mistakes.not_scaled,
        "plane-middle",
        "line-noisy",
    ),
    _wrong("v", "sign", "σ x_0 - a ε: the sign is turned", mistakes.v_reversed, "plane-middle", "line-clean"),
    _wrong(
        "posterior_cov",
        "within",
        "Σ r_i S_i alone: the components' means differ too",
        mistakes.within,
        "line-middle",
        "plane-middle",
        "points-noisy",
    ),
    _wrong(
        "reverse_log_prob",
        "gaussian",
        "a Gaussian of the same mean and covariance: the exact kernel is a mixture",
        mistakes.one_gaussian,
        "line-200-600",
        "plane-200-600",
        "points-200-600",
    ),
    _wrong(
        "ancestral_step",
        "deviation",
        "notes after eq. (2): σ = β̃, the noise is scaled by the variance, not by its root",
        mistakes.noise_by_its_variance,
        "ddpm-499-500",
        "ddpm-200-600",
    ),
    _wrong(
        "ddim_step",
        "noise-of-the-start",
        "σ_t ε for σ_s ε: x_0 moves on, the noise does not",
        mistakes.noise_of_the_start,
        "data-vp",
        "noise-vp",
        "data-edm",
    ),
    _wrong("heun_step", "euler", "the second evaluation left out", mistakes.euler, "vp", "edm"),
    _wrong(
        "multistep_step",
        "common",
        "the widely copied order 3: the second divided difference h² f''/2 where h² f'' belongs; its order is 2",
        mistakes.common,
        "data-3-taylor",
        "noise-3-taylor",
    ),
    _wrong("sde_dpm_step", "noise", "σ_s sqrt(1 - e^(-h)) z", mistakes.less_noise, "1-taylor", "2-taylor"),
    _wrong(
        "trajectory_cost",
        "first-term",
        "Σ log(1 - β_{t|s} Γ_t) alone, as published code has it: the same best paths, another cost",
        mistakes.first_term,
        "12-four",
        "60-five",
    ),
    _wrong(
        "kl_to_normal",
        "reversed",
        "KL(N(0, I) ‖ q): the other direction",
        mistakes.reversed_kl,
        "gaussian-clean",
        "gaussian-noisy",
    ),
    _wrong(
        "covariance_cost",
        "isotropic",
        "the cost of one variance for all directions",
        mistakes.isotropic,
        "gaussian-diagonal",
        "gaussian-full",
    ),
    _wrong(
        "optimal_trajectory",
        "from-zero",
        "off by one: timesteps t - 1, an index into arrays that start with ᾱ_1",
        mistakes.best_from_zero,
        "12-4",
        "60-10",
    ),
    _wrong(
        "ancestral_chain",
        "time",
        "off by one: the network is asked about t - 1",
        mistakes.asked_too_early,
        "ddim",
        "half",
        "ddpm",
        "optimal",
    ),
    _wrong(
        "solve_ddim",
        "time",
        "the network is asked about the level that the step goes to",
        mistakes.asked_at_the_end,
        "data",
        "noise",
    ),
    _wrong(
        "solve_multistep",
        "common",
        "the widely copied order 3, see multistep_step",
        mistakes.common_throughout,
        "data-3",
        "noise-3",
        "data-3-singlestep",
        "noise-3-singlestep",
    ),
)
