"""KL of chains by roads that know nothing of V or the SNR: joint covariances, and quadrature over joint densities."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import logsumexp


def gaussian_log_density(x, mean, cov):
    """(B,) log density at rows x."""
    away = x - mean
    return -0.5 * (
        np.einsum("bi,ij,bj->b", away, np.linalg.inv(cov), away)
        + np.linalg.slogdet(cov)[1]
        + len(cov) * np.log(2 * np.pi)
    )


def gaussian_kl(mean, cov, other_mean, other_cov):
    """KL between two Gaussians."""
    ratio = np.linalg.solve(other_cov, cov)
    away = other_mean - mean
    return 0.5 * (
        np.trace(ratio) - len(cov) - np.linalg.slogdet(ratio)[1] + away @ np.linalg.solve(other_cov, away)
    )


def forward_joint(mean, cov, alpha_bar):
    """Mean and covariance of the Markov chain at the nodes with these alpha_bar, of data N(mean, cov)."""
    d, a = len(mean), np.sqrt(np.asarray(alpha_bar, dtype=float))
    noise = [
        [b / c * (1 - c * c) if b != c else 1 - c * c for b, c in zip(np.minimum(x, a), np.maximum(x, a))]
        for x in a
    ]
    blocks = [[x * y * cov + n * np.eye(d) for y, n in zip(a, row)] for x, row in zip(a, noise)]
    return np.concatenate([x * mean for x in a]), np.block(blocks)


def reverse_joint(q_mean, q_cov, d, variances):
    """Mean and covariance of the chain from N(0, I) at the last node, by the regressions of each node on the next.

    variances : of the step to each node but the last
    """
    n = len(variances) + 1
    here = [slice(k * d, (k + 1) * d) for k in range(n)]
    mean, cov = np.zeros(n * d), np.zeros((n * d, n * d))
    cov[here[-1], here[-1]] = np.eye(d)
    for k in range(n - 2, -1, -1):
        s, t, later = here[k], here[k + 1], slice((k + 1) * d, n * d)
        slope = q_cov[s, t] @ np.linalg.inv(q_cov[t, t])
        mean[s] = q_mean[s] + slope @ (mean[t] - q_mean[t])
        cov[s, later] = slope @ cov[t, later]
        cov[later, s] = cov[s, later].T
        cov[s, s] = slope @ cov[t, t] @ slope.T + variances[k] * np.eye(d)
    return mean, cov


def residual_variances(q_cov, d):
    """Mean over the coordinates of Var(node k | node k+1)."""
    out = []
    for k in range(len(q_cov) // d - 1):
        s, t = slice(k * d, (k + 1) * d), slice((k + 1) * d, (k + 2) * d)
        rest = q_cov[s, s] - q_cov[s, t] @ np.linalg.solve(q_cov[t, t], q_cov[t, s])
        out.append(np.trace(rest) / d)
    return np.array(out)


def gaussian_chain_kl(mean, cov, alpha_bar, variances=None):
    """KL of the forward chain to the reverse chain, exactly, by two joint covariance matrices."""
    q_mean, q_cov = forward_joint(mean, cov, alpha_bar)
    best = residual_variances(q_cov, len(mean))
    p = reverse_joint(q_mean, q_cov, len(mean), best if variances is None else variances)
    return gaussian_kl(q_mean, q_cov, *p)


def pair_kl(weights, means, covs, alpha_bar, variance=None, step=0.25, reach=8.0):
    """KL of (x_s, x_t) to N(0, I) N(E[x_s|x_t], variance I), and that best variance: one quadrature in 2 d dimensions.

    covs (C, d, d); the trapezoidal rule in each component's own coordinates. variance=None takes the best.
    """
    means, covs = np.asarray(means, dtype=float), np.asarray(covs, dtype=float)
    d = means.shape[1]
    joints = [forward_joint(m, S, alpha_bar) for m, S in zip(means, covs)]
    axis = np.arange(-reach, reach + step / 2, step)
    z = np.array(list(itertools.product(axis, repeat=2 * d)))
    z = z[np.square(z).sum(1) <= reach**2]
    mass = np.exp(-0.5 * np.square(z).sum(1))
    mass /= mass.sum()
    log_w = np.log(weights)[:, None]
    rows = []
    for w, (mean, cov) in zip(weights, joints):
        x = mean + z @ np.linalg.cholesky(cov).T
        s, t = x[:, :d], x[:, d:]
        log_joint = logsumexp(log_w + [gaussian_log_density(x, *joint) for joint in joints], axis=0)
        log_t = log_w + [gaussian_log_density(t, m[d:], c[d:, d:]) for m, c in joints]
        share = np.exp(log_t - logsumexp(log_t, axis=0))
        given = [m[:d] + (t - m[d:]) @ np.linalg.solve(c[d:, d:], c[d:, :d]) for m, c in joints]
        centre = np.einsum("cb,cbj->bj", share, np.array(given))
        log_prior = gaussian_log_density(t, np.zeros(d), np.eye(d))
        rows.append((w * mass, log_joint - log_prior, np.square(s - centre).sum(1)))
    weight, log_ratio, squares = (np.concatenate(part) for part in zip(*rows))
    best = weight @ squares / d
    chosen = best if variance is None else variance
    return weight @ (log_ratio + 0.5 * squares / chosen) + 0.5 * d * np.log(2 * np.pi * chosen), best
