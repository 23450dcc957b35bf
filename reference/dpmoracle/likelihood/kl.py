r"""What a trajectory costs, in nats, exactly: the KL divergence of the forward chain to the reverse chain."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count, generator
from ..errors import InvalidParameterError
from ..estimate import Estimate
from ..moments import Moments
from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..reverse_step import coefficient, lambda2_ddpm, read_step
from ..variance_rules import check_chain, positive_variances, step_lam2
from .entropy import add_estimates, check_density, entropy, kl_to_normal
from .entropy_road import trajectory_kl_by_entropies
from .information import Information, check_method, gather, snr_integral
from .variational import VariationalBound, elbo

__all__ = [
    "VariationalBound",
    "elbo",
    "entropy",
    "kl_to_normal",
    "snr_integral",
    "trajectory_kl",
    "trajectory_kl_by_entropies",
]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


def trajectory_kl(
    orc: Oracle,
    trajectory: Any,
    sigma2: Any = None,
    *,
    lam2: Any = "ddpm",
    include_x0: bool = False,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
) -> Estimate:
    r"""KL from q(x_{τ_1}, ..., x_{τ_K}) to the reverse chain with the exact means, in nats; x_0 is not in it.

    .. math:: KL(q_{\tau_K} \| N(0, I)) + \frac d2 \Bigl(\sum_{k=2}^K \Bigl[\log\frac{\sigma_k^2}{\tilde\beta}
       + \frac{\sigma^{*2}}{\sigma_k^2} - 1\Bigr] - \int_{u_{\tau_K}}^{u_{\tau_1}} V\,du\Bigr)
       \qquad \text{with } \sigma^2 = \sigma^{*2} \text{ each bracket is } J

    The reverse chain starts at N(0, I) and steps from τ_k to τ_{k-1} with N(μ*, σ_k² I). The integral is what any
    chain of these end points must pay back; the rest of the bracket is the price of discretisation, >= 0.

    orc        : an Oracle on a Schedule
    trajectory : Trajectory or (K,) increasing timesteps in 1..N; those of one comparison need the same two ends
    sigma2     : None for the optimal variances; a number or (K-1,), entry k the variance of the step from
                 timesteps[k+1] to timesteps[k]; with include_x0 (K,), where entry 0 is that of the step to x_0
    lam2       : "ddpm" or its value β̃; anything else is refused, see below
    include_x0 : add E KL(q(x_0|x_{τ_1}) ‖ N(E[x_0|x_{τ_1}], σ_1² I)), so that the chain is that of eq. (10) of the
                 notes; not defined where the data have no density: there it is refused
    method     : None chooses "exact" (one Gaussian), "quadrature" (at most 16 components, and d <= 2 or means that
                 span at most two dimensions with one shared isotropic covariance), else "monte carlo", which
                 alone uses num_samples and rng
    Returns an Estimate: its error is a bound, or one standard error under Monte Carlo (first order in the
    errors of V; all V and the integral come from one set of num_samples).
    Raises InvalidParameterError for λ² != β̃: only then is the joint law of the skipped nodes Markov, so that the
    entropies of its factors add up. For another λ² use `elbo`.
    """
    who = "trajectory_kl"
    sch, nodes = check_chain(who, orc, trajectory)
    check_method(who, method)
    q0 = orc.q0
    _refuse_other_lam2(who, sch, nodes, lam2)
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    given = None if sigma2 is None else positive_variances(who, sigma2, len(nodes) - 1 + include_x0)
    if include_x0:
        check_density(who, q0)
    u = sch.snr[nodes]
    found = gather(who, q0, u, float(u[-1]), float(u[0]), count, random, method)
    start = kl_to_normal(q0.diffuse(*map(float, sch.levels(nodes[-1]))), count, random, method=method)
    steps = None if given is None else given[include_x0:]
    total = add_estimates(start, _chain_cost(sch, nodes, found, steps, q0.d))
    if not include_x0:
        return total
    return add_estimates(
        total, _last_step(orc, nodes[0], found, None if given is None else given[0], count, random)
    )


def _chain_cost(sch: Schedule, nodes: Steps, found: Information, given: Array | None, d: int) -> Estimate:
    """(d/2)(Σ [log r + (1 + VΔu)/r - 1] - ∫ V du), r = σ²/β̃; the bracket is log(1 + VΔu) at the optimum."""
    s, t = nodes[:-1], nodes[1:]
    tilde = lambda2_ddpm(sch, s, t)
    span = coefficient(read_step("trajectory_kl", sch, s, t), tilde) ** 2 / tilde  # u_s - u_t, not subtracted
    gain = 1 + found.mmse[1:] * span
    ratio = gain if given is None else given / tilde
    cost = np.log1p(found.mmse[1:] * span) if given is None else np.log(ratio) + gain / ratio - 1
    slopes = np.append(0.0, span / ratio)
    return Estimate(
        np.asarray(0.5 * d * (cost.sum() - found.integral)),
        np.asarray(0.5 * d * found.error_of(slopes, -1.0)),
        found.method,
        np.asarray(found.effective_count(slopes)),
    )


def _last_step(
    orc: Oracle,
    first: np.int64,
    found: Information,
    given: float | None,
    num_samples: int,
    rng: np.random.Generator,
) -> Estimate:
    r"""E KL(q(x_0|x_{τ_1}) ‖ N(E[x_0|x_{τ_1}], σ² I)), with σ² = V_{τ_1} unless given.

    .. math:: \tfrac d2 \bigl[\log(\sigma^2/\bar\beta) + V/\sigma^2 - 1\bigr] + h(x_{\tau_1}) - h(x_0)
    """
    q0, sch = orc.q0, orc.process
    a, sigma = map(float, sch.levels(first))
    noisy = q0.diffuse(a, sigma)
    if found.samples is None:
        parts = [entropy(q, num_samples, rng) for q in (noisy, q0)]
        if all(part.method != "monte carlo" for part in parts):
            v = float(found.mmse[0])
            sigma2 = v if given is None else given
            value = 0.5 * q0.d * (np.log(sigma2 / sigma**2) + v / sigma2 - 1)
            bound = 0.5 * q0.d * float(found.mmse_bound[0]) / sigma2 + sum(float(p.error) for p in parts)
            value += float(parts[0].value - parts[1].value)
            return Estimate(np.asarray(value), np.asarray(bound), parts[0].method, np.asarray(np.inf))
    x0 = q0.sample(num_samples, rng)
    noise = rng.standard_normal(x0.shape)
    x = a * x0 + sigma * noise
    squares = np.square(x0 - orc.x0(x, first)).sum(1)
    sigma2 = float(squares.mean()) / q0.d if given is None else given
    truth = q0.log_prob(x0) - 0.5 * np.square(noise).sum(1) - noisy.log_prob(x)
    return Moments.of(truth + 0.5 * (q0.d * np.log(sigma2 / sigma**2) + squares / sigma2)).estimate(
        "monte carlo"
    )


def _refuse_other_lam2(who: str, sch: Schedule, nodes: Steps, lam2: Any) -> None:
    values, tilde = step_lam2(who, sch, nodes, lam2), lambda2_ddpm(sch, nodes[:-1], nodes[1:])
    bad = np.flatnonzero(np.abs(values - tilde) > 1e-12 * tilde)
    if bad.size:
        k = int(bad[0])
        raise InvalidParameterError(
            f'{who}: lam2 must be beta_tilde ("ddpm"); got {values[k]:.6g} for {tilde[k]:.6g} at the step from '
            f"{nodes[k + 1]} to {nodes[k]}. For another lam2 the skipped nodes are no Markov chain and this formula "
            "is not their KL. Use elbo, which takes any lam2 > 0"
        )
