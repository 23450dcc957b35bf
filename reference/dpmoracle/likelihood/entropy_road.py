"""The cost of a trajectory by another road: entropies of the nodes, and the mean log density of the reverse chain.

Nothing here knows of V, of the SNR or of mutual information: only densities of the nodes and the transitions of the
forward chain. `trajectory_kl` must agree.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checking import check_count, generator
from ..errors import InvalidParameterError
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..moments import Moments
from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..reverse_step import forward_posterior_mean, lambda2_ddpm
from ..variance_rules import check_chain, positive_variances
from .entropy import check_density
from .information import check_method

__all__ = ["trajectory_kl_by_entropies"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

_LOG_2PI = float(np.log(2 * np.pi))
_LARGEST_GRID = 2**22


def trajectory_kl_by_entropies(
    orc: Oracle,
    trajectory: Any,
    sigma2: Any = None,
    *,
    include_x0: bool = False,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
) -> Estimate:
    r"""KL of the forward chain to the reverse chain, as minus its entropy minus the mean log density.

    .. math:: -h(x_{\tau_1}) - \sum_k \tfrac d2 \log(2\pi e\,\beta_{\tau_k|\tau_{k-1}}) - E \log N(x_{\tau_K}; 0, I)
       - \sum_k E \log N(x_{\tau_{k-1}}; \mu^*(x_{\tau_k}), \sigma_k^2 I)

    What `trajectory_kl` computes from V and its integral; the same chain, with λ² = β̃, and the same arguments.

    method : "quadrature" in one dimension: densities on a grid, E‖x_s - μ*‖² by Tweedie's formula for the
             forward transition; "monte carlo": the mean of log q - log p over chains; None chooses. With
             sigma2=None Monte Carlo takes the variances that are best for its own samples, which biases it low by
             about (K-1)/(2M) times the relative variance of ‖x_s - μ*‖², of the order of the error squared.
    Returns an Estimate; its error is a bound for quadrature, one standard error for Monte Carlo.
    Raises InvalidParameterError as `trajectory_kl` does, for quadrature in more than one dimension, and, with
    include_x0, for data without a density.
    """
    who = "trajectory_kl_by_entropies"
    check_method(who, method)
    sch, nodes = check_chain(who, orc, trajectory)
    if include_x0:
        check_density(who, orc.q0)
        nodes = np.append(0, nodes)
    given = None if sigma2 is None else positive_variances(who, sigma2, len(nodes) - 1)
    if method == "exact" or (method == "quadrature" and orc.q0.d > 1):
        raise InvalidParameterError(
            f'{who}: method must be "quadrature", for d = 1, or "monte carlo"; got {method!r} with d = {orc.q0.d}'
        )
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    if orc.q0.d == 1 and method != "monte carlo":
        fine, coarse = (_chain_on_grids(who, orc.q0, sch, nodes, given, step) for step in (1 / 16, 1 / 8))
        error = abs(fine - coarse) + 1e-14 * len(nodes)
        return Estimate(np.asarray(fine), np.asarray(error), "quadrature", np.asarray(np.inf))
    return Moments.of(_chain_samples(orc, sch, nodes, given, count, random)).estimate("monte carlo")


def _chain_on_grids(
    who: str, q0: GaussianMixture, sch: Schedule, nodes: Steps, given: Array | None, fineness: float
) -> float:
    """The formula of `trajectory_kl_by_entropies` in one dimension, by the trapezoidal rule."""
    marginals = [_Marginal.of(who, q0, *map(float, sch.levels(t)), fineness=fineness) for t in nodes]
    last = marginals[-1]
    value = -marginals[0].entropy + 0.5 * (_LOG_2PI + last.second_moment)
    for k, (s, t) in enumerate(itertools.pairwise(nodes.tolist())):
        alpha, beta = float(sch.alpha(s, t)), float(sch.beta(s, t))
        at_s, at_t = marginals[k], marginals[k + 1]
        # Tweedie for x_t = sqrt(alpha) x_s + sqrt(beta) z; where the signal ends x_t tells nothing of x_s.
        residual = beta / alpha * (1 - beta * at_t.score_norm) if alpha > 0 else at_s.variance
        sigma2 = residual if given is None else float(given[k])
        value += 0.5 * (np.log(sigma2) + residual / sigma2 - 1 - np.log(beta))
    return float(value)


class _Marginal(NamedTuple):
    """Entropy, E x², Var x and E (log q)'² of one node, in one dimension."""

    entropy: float
    second_moment: float
    variance: float
    score_norm: float

    @classmethod
    def of(cls, who: str, q0: GaussianMixture, a: float, sigma: float, *, fineness: float) -> _Marginal:
        """From the density itself on a grid of `fineness` times its narrowest component's deviation."""
        means, variances = a * q0.means[:, 0], a * a * q0.eigenvalues()[:, 0] + sigma * sigma
        widths = np.sqrt(variances)
        low, high = (means - 10 * widths).min(), (means + 10 * widths).max()
        dx = fineness * float(widths.min())
        if (high - low) / dx > _LARGEST_GRID:
            raise InvalidParameterError(
                f'{who}: method "quadrature" would need a grid of {(high - low) / dx:.3g} points at the node '
                f'with a = {a:.6g}, sigma = {sigma:.6g}; at most {_LARGEST_GRID} are used. Use method="monte carlo"'
            )
        x = np.arange(low, high, dx)
        q, slope = np.zeros_like(x), np.zeros_like(x)
        for w, m, v in zip(q0.weights, means, variances):
            term = w * np.exp(-0.5 * np.square(x - m) / v) / np.sqrt(2 * np.pi * v)
            q += term
            slope += term * (m - x) / v
        some = q > 0
        x, q, slope = x[some], q[some], slope[some]
        mean = float(q @ x) * dx
        return cls(
            -float(q @ np.log(q)) * dx,
            float(q @ np.square(x)) * dx,
            float(q @ np.square(x - mean)) * dx,
            float((np.square(slope) / q).sum()) * dx,
        )


def _chain_samples(
    orc: Oracle,
    sch: Schedule,
    nodes: Steps,
    given: Array | None,
    num_samples: int,
    rng: np.random.Generator,
) -> Array:
    """(M,) log q - log p of forward chains through the nodes."""
    d = orc.q0.d
    x = orc.q0.sample(num_samples, rng)
    a, sigma = map(float, sch.levels(nodes[0]))
    x = a * x + sigma * rng.standard_normal(x.shape)
    ratio: Array = orc.q0.diffuse(a, sigma).log_prob(x) + 0.0
    for k, (s, t) in enumerate(itertools.pairwise(nodes.tolist())):
        alpha, beta = float(sch.alpha(s, t)), float(sch.beta(s, t))
        noise = rng.standard_normal(x.shape)
        y = np.sqrt(alpha) * x + np.sqrt(beta) * noise
        mean = forward_posterior_mean(sch, s, t, y, orc.x0(y, t), lambda2_ddpm(sch, s, t))
        squares = np.square(x - mean).sum(1)
        sigma2 = squares.mean() / d if given is None else given[k]
        ratio += 0.5 * (d * np.log(sigma2 / beta) + squares / sigma2 - np.square(noise).sum(1))
        x = y
    return np.asarray(ratio + 0.5 * (np.square(x).sum(1) + d * _LOG_2PI))
