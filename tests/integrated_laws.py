"""One-dimensional data whose Γ, V and reverse variance come from quadrature over their definitions."""

from __future__ import annotations

import numpy as np

# weights, means, variances; one dimension
LAWS = {
    "two points": ([0.5, 0.5], [-1.0, 1.0], [0.0, 0.0]),
    "Gaussian": ([1.0], [0.4], [0.6]),
    "three components": ([0.2, 0.5, 0.3], [-1.5, 0.2, 1.0], [0.05, 0.3, 0.01]),
}


def integrate(law, sch, s, t, lam2):
    """Γ_t, V_t and E Var(x_s|x_t) by the trapezoidal rule over x_t, from each component's conditional law."""
    weights, means, variances = (np.asarray(x)[:, None] for x in law)
    (a_s, sigma_s), (a_t, sigma_t) = sch.levels(s), sch.levels(t)
    rho = np.sqrt(1 - lam2 / sigma_s**2) if s else 1.0
    spread = a_t**2 * variances + sigma_t**2
    edge = a_t * np.abs(means).max() + 12 * np.sqrt(spread.max())
    x, dx = np.linspace(-edge, edge, 20_001, retstep=True)
    terms = weights * np.exp(-((x - a_t * means) ** 2) / (2 * spread)) / np.sqrt(2 * np.pi * spread)
    q = terms.sum(0)
    share = terms / np.where(q > 0, q, 1.0)

    def conditional_variance(scale, own_variance, cross):
        """E Var(y|x_t); component i of y has mean scale m_i and covariance cross with x_t."""
        mean = scale * means + cross / spread * (x - a_t * means)
        within = own_variance - cross**2 / spread
        overall = (share * mean).sum(0)
        return np.sum(q * (share * (within + (mean - overall) ** 2)).sum(0)) * dx

    score = (share * (a_t * means - x) / spread).sum(0)
    own = a_s**2 * variances + sigma_s**2
    return (
        np.sum(q * score**2) * dx,
        conditional_variance(1.0, variances, a_t * variances),
        conditional_variance(a_s, own, a_s * a_t * variances + rho * sigma_s * sigma_t),
    )
