r"""The variational bound on -log p(x_0) of a reverse chain, term by term, in nats and in bits per dimension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checking import as_float, check_count, check_finite, generator
from ..errors import InvalidParameterError
from ..estimate import Estimate
from ..mixture import GaussianMixture
from ..moments import Moments
from ..oracle import Oracle
from ..processes.schedule import Schedule
from ..reverse_step import coefficient, read_step
from ..variance_rules import check_chain, positive_variances, step_lam2
from .entropy import add_estimates
from .information import Information, check_method, gather

__all__ = ["VariationalBound", "discretised_log_prob", "elbo"]

Array = NDArray[np.float64]
Steps = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class VariationalBound:
    """-ELBO >= E[-log p(x_0)] and its terms, in nats; smaller is better.

    total        : prior + sum of steps + decoder
    prior        : E KL(q(x_{τ_K}|x_0) ‖ N(0, I)), exact
    steps        : (K-1,) E KL(q(x_s|x_t, x_0) ‖ p(x_s|x_t)), entry k the step to timesteps[k]
    decoder      : -E log p(x_0|x_{τ_1}): of a density, or with bins of a probability
    bits_per_dim : total / (d log 2); None without bins, because the logarithm of a density counts no bits
    """

    total: Estimate
    prior: Estimate
    steps: Estimate
    decoder: Estimate
    bits_per_dim: Estimate | None


def elbo(
    orc: Oracle,
    trajectory: Any,
    sigma2: Any = None,
    *,
    lam2: Any = "ddpm",
    bins: ArrayLike | None = None,
    num_samples: int = 1000,
    rng: np.random.Generator | int | None = None,
    method: str | None = None,
) -> VariationalBound:
    r"""The variational bound of the chain of a trajectory with the exact means, for any λ² > 0.

    .. math:: L = E\,KL(q(x_{\tau_K}|x_0) \| N(0, I)) + \frac d2 \sum_{k=2}^K \Bigl[\log\frac{\sigma_k^2}{\lambda^2}
       + \frac{\sigma^{*2}}{\sigma_k^2} - 1\Bigr] - E \log p(x_0 | x_{\tau_1})
       \qquad \text{[ho2020, eq. (5), skipped; bao2022, eq. (2)]}

    Minimising it minimises the KL that includes x_0: for λ² = β̃ they differ by h(x_0), where that exists.

    orc        : an Oracle on a Schedule
    trajectory : Trajectory or (K,) increasing timesteps in 1..N
    sigma2     : None for the optimal variances, V_{τ_1} at the decoder; a number or (K,): entry 0 for the
                 decoder, entry k for the step from timesteps[k] to timesteps[k-1]
    lam2       : "ddpm", a number or (K-1,), in (0, beta_bar_s]; "ddim", that is 0, is refused: a bound by a
                 transition without density is not defined
    bins       : (B,) evenly spaced values that the data take, such as np.arange(17)/8 - 1 for the digits. The
                 decoder is then the probability of each coordinate's bin, the end bins reaching to infinity
                 [ho2020, eq. (13)]; the data must be points that lie on the bins. None: a Gaussian density
    method     : for V at the nodes, as in `trajectory_kl`; the decoder with bins is always sampled
    num_samples, rng : of what is sampled
    Raises InvalidParameterError where a term is not defined, saying which.
    """
    who = "elbo"
    sch, nodes = check_chain(who, orc, trajectory)
    check_method(who, method)
    values = step_lam2(who, sch, nodes, lam2)
    if (values <= 0).any():
        raise InvalidParameterError(
            f"{who}: not defined for lam2 = 0 (DDIM): q(x_s|x_t, x_0) has no density there, so its KL to any Gaussian "
            "is inf. Give lam2 > 0, such as lambda2_ddim with a small eta"
        )
    given = None if sigma2 is None else positive_variances(who, sigma2, len(nodes))
    edges = None if bins is None else _edges(who, bins, orc.q0)
    count, random = check_count(who, "num_samples", num_samples, low=2), generator(who, rng)
    found = gather(who, orc.q0, sch.snr[nodes], 0.0, 0.0, count, random, method)
    cost, slopes = _step_costs(sch, nodes, values, found.mmse[1:], given)
    slopes = np.append(0.0, 0.5 * orc.q0.d * slopes)
    costs = 0.5 * orc.q0.d * cost
    steps = Estimate(costs, (slopes * found.mmse_error)[1:], found.method, found.mmse_count[1:])
    prior = _prior(orc.q0, *map(float, sch.levels(nodes[-1])))
    variance = None if given is None else float(given[0])
    if edges is None:
        decoder, slopes[0] = _gaussian_decoder(who, found, variance, orc.q0.d)
        total = add_estimates(prior, _combined(costs.sum() + float(decoder.value), slopes, found))
        return VariationalBound(total, prior, steps, decoder, None)
    if variance is None and found.samples is None:
        variance = float(found.mmse[0])
    logs = _bin_samples(orc, nodes[0], variance, edges, count, random)
    decoder = Moments.of(-logs.sum(1)).estimate("monte carlo")
    total = add_estimates(prior, _combined(costs.sum(), slopes, found), decoder)
    per_bit = 1 / (orc.q0.d * np.log(2))
    bits = Estimate(total.value * per_bit, total.error * per_bit, total.method, total.effective_count)
    return VariationalBound(total, prior, steps, decoder, bits)


def discretised_log_prob(index: NDArray[np.int64], mean: Array, variance: float, edges: Array) -> Array:
    r"""log of the probability that N(mean, variance) gives to a bin, without cancellation in either tail.

    index : (...,) bin of each coordinate     mean  : (...,)
    edges : (B+1,) increasing, the first -inf and the last inf
    """
    from scipy.special import log_ndtr

    scale = np.sqrt(variance)
    low, high = (edges[index] - mean) / scale, (edges[index + 1] - mean) / scale
    right = low + high > 0  # mirrored, so that the bin lies on the left, where log Φ keeps its digits
    low, high = np.where(right, -high, low), np.where(right, -low, high)
    top = log_ndtr(high)
    gap = log_ndtr(low) - top
    near = gap > -0.7
    return np.asarray(
        top
        + np.where(
            near, np.log(-np.expm1(np.where(near, gap, -1.0))), np.log1p(-np.exp(np.where(near, -1.0, gap)))
        )
    )


def _step_costs(
    sch: Schedule, nodes: Steps, lam2: Array, mmse: Array, given: Array | None
) -> tuple[Array, Array]:
    """log(σ²/λ²) + σ*²/σ² - 1 of every step, and its derivative by V; both (K-1,)."""
    slope = coefficient(read_step("elbo", sch, nodes[:-1], nodes[1:]), lam2) ** 2 / lam2
    gain = 1 + slope * mmse
    if given is None:
        return np.log1p(slope * mmse), slope / gain
    ratio = given[1:] / lam2
    return np.log(ratio) + gain / ratio - 1, slope / ratio


def _prior(q0: GaussianMixture, a: float, sigma: float) -> Estimate:
    """E KL(N(a x_0, σ² I) ‖ N(0, I)) = ½[a² E‖x_0‖² + d(σ² - 1 - log σ²)]."""
    second = q0.trace_cov() + float(np.square(q0.mean()).sum())
    value = 0.5 * (a * a * second + q0.d * (sigma * sigma - 1 - 2 * np.log(sigma)))
    return Estimate(np.asarray(value), np.asarray(1e-15 * q0.d), "exact", np.asarray(np.inf))


def _gaussian_decoder(who: str, found: Information, variance: float | None, d: int) -> tuple[Estimate, float]:
    """(d/2)[log(2πσ²) + V/σ²] and its derivative by V, the same whether σ² is V or given."""
    mmse = float(found.mmse[0])
    sigma2 = mmse if variance is None else variance
    if sigma2 == 0:
        raise InvalidParameterError(
            f"{who}: not defined with the optimal variance of the decoder, V at the first node, which is 0 here: the "
            "data are points and the density would be infinite. Give sigma2, or bins for a discretised decoder"
        )
    value, slope = 0.5 * d * (np.log(2 * np.pi * sigma2) + mmse / sigma2), 0.5 * d / sigma2
    error = np.asarray(slope * found.mmse_error[0])
    return Estimate(np.asarray(value), error, found.method, np.asarray(found.mmse_count[0])), slope


def _combined(value: float, slopes: Array, found: Information) -> Estimate:
    """A function of all V, with its derivatives."""
    error = found.error_of(slopes, 0.0)
    return Estimate(
        np.asarray(value), np.asarray(error), found.method, np.asarray(found.effective_count(slopes))
    )


def _bin_samples(
    orc: Oracle,
    first: np.int64,
    variance: float | None,
    edges: Array,
    num_samples: int,
    rng: np.random.Generator,
) -> Array:
    """(M, d) log probabilities of the bins of x_0 given its noisy x at the first node.

    variance : None takes the mean square of these samples' own residuals; with any other estimate of V a rare
               confusion that it has missed would cost without bound
    """
    x0 = orc.q0.sample(num_samples, rng)
    a, sigma = orc.process.levels(first)
    mean = orc.x0(a * x0 + sigma * rng.standard_normal(x0.shape), first)
    if variance is None:
        variance = float(np.square(x0 - mean).mean())
    # V that underflows to 0 stands for its limit, in which every bin is certain.
    return discretised_log_prob(np.searchsorted(edges, x0) - 1, mean, max(variance, 1e-300), edges)


def _edges(who: str, bins: ArrayLike, q0: GaussianMixture) -> Array:
    """(B+1,) edges halfway between the bins, infinite at the ends; the data must lie on the bins."""
    centres = as_float(who, "bins", bins)
    if centres.ndim != 1 or centres.size < 2:
        raise InvalidParameterError(
            f"{who}: bins must be a list of at least two values; got shape {centres.shape}"
        )
    check_finite(who, "bins", centres)
    widths = np.diff(centres)
    if not (widths > 0).all() or np.ptp(widths) > 1e-6 * widths.max():
        raise InvalidParameterError(
            f"{who}: bins must increase evenly; the distances run from {widths.min():.6g} to {widths.max():.6g}"
        )
    used = q0.weights > 0
    if (q0.eigenvalues()[used] > 0).any():
        raise InvalidParameterError(
            f"{who}: a discretised decoder is not defined for data with a density, which do not lie on bins. Leave "
            "bins=None for the bound in nats, or use GaussianMixture.from_points"
        )
    edges = np.concatenate([[-np.inf], 0.5 * (centres[1:] + centres[:-1]), [np.inf]])
    points = q0.means[used]
    off = np.abs(points - centres[np.searchsorted(edges, points) - 1]) > 1e-6 * widths.max()
    if off.any():
        raise InvalidParameterError(
            f"{who}: the data must lie on bins; {int(off.sum())} of {off.size} coordinates do not, such as "
            f"{points[off][0]:.6g}. Give the values that the data take, as np.arange(17)/8 - 1 for the digits"
        )
    return edges
