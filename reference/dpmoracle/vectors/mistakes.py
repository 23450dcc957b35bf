"""Mistakes that people make, as functions of the inputs of the quantity that they are made in."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from .. import variance
from ..oracle import Oracle
from ..solvers import ddim, dpm_multistep
from ..solvers.network import ExactModel
from ..trajectory import even_grid, path_cost
from . import values
from .catalogue import BY_NAME
from .trajectories import chain


def right(name: str) -> Callable[..., Any]:
    return BY_NAME[name].compute


# schedules


def one_entry_early(*, schedule: Any, t: Any) -> Any:
    return values.schedule(schedule).alpha_bar[np.maximum(np.array(t) - 1, 0)]


def one_step(*, schedule: Any, s: Any, t: Any) -> Any:
    return values.schedule(schedule).betas[np.array(t) - 1]


def whole_log_snr(**given: Any) -> Any:
    return 2 * right("half_log_snr")(**given)


def variances(**given: Any) -> Any:
    return right("process_levels")(**given) ** [1, 2]


def leading(*, N: int, K: int) -> Any:
    return 1 + np.arange(K) * (N // K)


def from_zero(*, N: int, K: int) -> Any:
    return even_grid(N, K) - 1


# formulas


def one_step_tilde(*, schedule: Any, s: int, t: int) -> Any:
    sch = values.schedule(schedule)
    return sch.beta_bar[s] / sch.beta_bar[t] * sch.betas[t - 1]


def beta(*, schedule: Any, s: int, t: int) -> Any:
    return values.schedule(schedule).beta(s, t)


def eta_once(*, schedule: Any, s: int, t: int, eta: float) -> Any:
    return eta * variance.lambda2_ddpm(values.schedule(schedule), s, t)


def lam2_outside(*, schedule: Any, s: int, t: int, x_t: Any, x0: Any, **_: Any) -> Any:
    return variance.forward_posterior_mean(values.schedule(schedule), s, t, x_t, x0, 0.0)


def beta_for_beta_bar(*, schedule: Any, t: int, gamma_t: float) -> Any:
    sch = values.schedule(schedule)
    return sch.betas[t - 1] / sch.alpha_bar[t] * (1 - sch.betas[t - 1] * gamma_t)


def whole_range(*, data_range: Any, **given: Any) -> Any:
    low, high = data_range
    return right("variance_bounds")(**given, data_range=[low, 2 * high - low])


def bound_on_deviation(**given: Any) -> float:
    return math.sqrt(right("last_step_bound")(**given))


def variance_for_deviation(*, schedule: Any, t: int, x_t: Any, output: Any, **_: Any) -> Any:
    sch = values.schedule(schedule)
    return (np.array(x_t) - sch.beta_bar[t] * np.array(output)) / math.sqrt(sch.alpha_bar[t])


# oracle


def downhill(**given: Any) -> Any:
    return -right("score")(**given)


def prior_weights(*, mixture: Any, a: float, sigma: float, x: Any) -> Any:
    """The mean of the components' scores under their prior weights."""
    q0 = values.mixture(mixture)
    spread = a**2 * q0.eigenvalues() + sigma**2
    away = np.array(x)[:, None, :] - a * q0.means
    return -(q0.weights[:, None] * away / spread).sum(1)


def noise_by_variance(*, sigma: float, **given: Any) -> Any:
    return sigma * right("eps")(**given, sigma=sigma)


def not_scaled(*, a: float, **given: Any) -> Any:
    return a * right("x0")(**given, a=a)


def v_reversed(**given: Any) -> Any:
    return -right("v")(**given)


def within(*, mixture: Any, a: float, sigma: float, x: Any) -> Any:
    """The posterior covariance without what the means of the components differ by."""
    q0, rows = values.mixture(mixture), np.array(x)
    found = q0.posterior(rows, np.full(len(rows), a), np.full(len(rows), sigma))
    return np.einsum(
        "nc,cd,de->nde", found.weights, np.broadcast_to(found.spectrum[0], q0.means.shape), np.eye(q0.d)
    )


def one_gaussian(*, mixture: Any, schedule: Any, s: int, t: int, x_t: Any, x_s: Any) -> Any:
    """The Gaussian with the mean and the covariance of the kernel."""
    kernel = Oracle(values.mixture(mixture), values.schedule(schedule)).reverse(np.array(x_t), s, t)
    away = kernel.means - kernel.mean()
    cov = np.einsum("c,cd,ce->de", kernel.weights, away, away)
    cov = cov + np.einsum("c,cd,de->de", kernel.weights, kernel.eigenvalues(), np.eye(kernel.d))
    return type(kernel)([1.0], [kernel.mean()], cov[None]).log_prob(np.array(x_s))


# steps and trajectories


def noise_by_its_variance(*, sigma2: float, **given: Any) -> Any:
    return right("ancestral_step")(**given, sigma2=sigma2**2)


def noise_of_the_start(*, prediction: str, start: Any, end: Any, x: Any, output: Any) -> Any:
    moved = right("ddim_step")(prediction=prediction, start=start, end=end, x=x, output=output)
    eps = output if prediction == "noise" else (np.array(x) - start[0] * np.array(output)) / start[1]
    return moved + (start[1] - end[1]) * np.array(eps)


def common(*, form: str, **given: Any) -> Any:
    return right("multistep_step")(**given, form="common")


def euler(*, mixture: Any, start: Any, end: Any, x: Any) -> Any:
    return ddim(ExactModel(values.mixture(mixture), "noise"), np.array(x), [start, end], "noise")


def less_noise(*, levels: Any, end: Any, noise: Any, **given: Any) -> Any:
    """sqrt(1 - e^(-h)) for sqrt(1 - e^(-2h))."""
    moved = right("sde_dpm_step")(levels=levels, end=end, noise=noise, **given)
    ratio = end[1] * levels[0][0] / (end[0] * levels[0][1])
    off = math.sqrt(1 - ratio) - math.sqrt(1 - ratio**2)
    return moved + end[1] * off * np.array(noise)


def first_term(*, snr: Any, mmse: Any, timesteps: Any) -> float:
    return path_cost(snr, mmse, timesteps) - math.log(snr[timesteps[0]] / snr[timesteps[-1]])


def reversed_kl(*, mixture: Any, a: float, sigma: float) -> Any:
    """KL(N(0, I) ‖ q) of one Gaussian q."""
    q = values.mixture(mixture).diffuse(a, sigma)
    spread = q.eigenvalues()[0]
    return 0.5 * np.sum((1 + q.means[0] ** 2) / spread - 1 + np.log(spread))


def isotropic(*, covariance: str, **given: Any) -> Any:
    return right("covariance_cost")(**given, covariance="isotropic")


def best_from_zero(**given: Any) -> Any:
    return right("optimal_trajectory")(**given) - 1


def asked_too_early(**given: Any) -> Any:
    return chain(**given, shift=-1)


def asked_at_the_end(*, mixture: Any, nodes: Any, x: Any, prediction: str) -> Any:
    """The network gets the level that the step goes to."""
    model = ExactModel(values.mixture(mixture), prediction)
    after = {tuple(level): following for level, following in pairwise(nodes)}
    return ddim(lambda x, a, sigma: model(x, *after[a, sigma]), np.array(x), nodes, prediction)


def common_throughout(*, mixture: Any, nodes: Any, x: Any, form: str, **options: Any) -> Any:
    model = ExactModel(values.mixture(mixture), options["prediction"])
    return dpm_multistep(model, np.array(x), nodes, form="common", **options)
