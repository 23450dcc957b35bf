r"""The posterior q(x_0 | x) of a Gaussian mixture seen through x = a x_0 + σ ε, on plain arrays.

Component i has weight w_i, mean m_i and covariance S_i = U_i diag(e_i) U_iᵀ, so its law of x is
N(a m_i, V_i) with V_i = a² S_i + σ² I, and P_i = V_i⁻¹ is diagonal in the same basis whatever (a, σ) are.

Everything is written relative to one dominant component c of each row. With y = x - a m_c, Δ_i = m_i - m_c
and h_i = (S_i - S_c) P_c y,

    log r_i - log r_c = log(w_i/w_c) - ½ log(det V_i/det V_c) + a Δ_i·P_i(y - ½ a Δ_i) + ½ a² (P_i y)·h_i,
    G_i = P_i(Δ_i + a h_i),      E_i[x_0|x] - E_c[x_0|x] = σ² G_i,      ∇log N_i - ∇log N_c = a G_i.

Differences of squared distances, of means and of scores are thus formed before anything large is squared or
divided by σ: no digits are lost at high SNR, in high dimension, far outside the support or between nearly
coincident components, beyond what the inputs' own rounding costs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Posterior", "posterior", "row_blocks"]

Array = NDArray[np.float64]

_BLOCK = 2**21  # float64 entries of one (rows, C, d) temporary: 16 MiB


@dataclass(frozen=True)
class Posterior:
    """q(x_0 | x) for B rows, a mixture of C Gaussians with the component bases of the prior.

    weights  : (B, C) responsibilities r_i
    log_prob : (B,) log density of x
    score    : (B, d) ∇ log density of x
    mean     : (B, d) E[x_0 | x]
    offsets  : (B, C, d) component mean minus `mean`
    spectrum : (B, C or 1, d or 1) eigenvalues of the component covariances of x_0 given x
    basis    : None, or (C or 1, d, d) with the eigenvectors in columns
    """

    weights: Array
    log_prob: Array
    score: Array
    mean: Array
    offsets: Array
    spectrum: Array
    basis: Array | None

    def trace(self) -> Array:
        """(B,) trace of Cov(x_0 | x): within components plus between them, both non-negative."""
        d = self.mean.shape[-1]
        within = self.spectrum.sum(-1) * (d // self.spectrum.shape[-1])
        return np.asarray((self.weights * (within + np.square(self.offsets).sum(-1))).sum(-1))

    def diagonal(self) -> Array:
        """(B, d) diagonal of Cov(x_0 | x)."""
        within = self.spectrum if self.basis is None else self.spectrum @ np.square(self.basis[0]).T
        if self.basis is not None and len(self.basis) > 1:
            within = np.einsum("bck,cjk->bcj", self.spectrum, np.square(self.basis))
        return np.asarray((self.weights[..., None] * (within + np.square(self.offsets))).sum(1))

    def covariance(self) -> Array:
        """(B, d, d) Cov(x_0 | x)."""
        d = self.mean.shape[-1]
        between = np.einsum("bc,bcj,bck->bjk", self.weights, self.offsets, self.offsets, optimize=True)
        if self.basis is not None and len(self.basis) > 1:
            within = np.einsum(
                "bc,bck,cik,cjk->bij", self.weights, self.spectrum, self.basis, self.basis, optimize=True
            )
            return np.asarray(between + within)
        within = np.broadcast_to((self.weights[..., None] * self.spectrum).sum(1), (len(between), d))
        frame = np.eye(d) if self.basis is None else self.basis[0]
        return np.asarray(between + (frame * within[:, None, :]) @ frame.T)


def row_blocks(rows: int, components: int, d: int) -> Iterator[slice]:
    """Slices over the rows that keep every (rows, C, d) temporary near 16 MiB."""
    step = max(1, _BLOCK // (components * d))
    return (slice(start, start + step) for start in range(0, rows, step))


def _log_ratio(v: Array, reference: Array, difference: Array) -> Array:
    """log(v/reference), through log1p of their known difference where the two are close."""
    close = np.abs(difference) < 0.5 * reference
    return np.where(close, np.log1p(np.where(close, difference / reference, 0.0)), np.log(v / reference))


def posterior(
    x: Array, a: Array, sigma: Array, log_weights: Array, means: Array, spectrum: Array, basis: Array | None
) -> Posterior:
    """The formulas above for rows x (B, d) at levels a, sigma (B,).

    log_weights : (C,), -inf allowed          means : (C, d)
    spectrum    : (C or 1, d or 1) eigenvalues e_i >= 0; one row if all components share them
    basis       : None (axes), or (C or 1, d, d) orthonormal eigenvectors in columns
    Requires a² e + σ² > 0 throughout.
    """
    rows = np.arange(len(x))
    d = means.shape[1]
    shared = len(spectrum) == 1
    repeats = d // spectrum.shape[-1]
    a_, s2 = a[:, None, None], np.square(sigma)[:, None, None]
    v = np.square(a_) * spectrum + s2

    def to_basis(h: Array) -> Array:
        return h if basis is None else np.matmul(h.swapaxes(0, 1), basis).swapaxes(0, 1)

    def from_basis(h: Array) -> Array:
        return h if basis is None else np.matmul(h.swapaxes(0, 1), basis.swapaxes(1, 2)).swapaxes(0, 1)

    distance = (np.square(to_basis(x[:, None, :] - a_ * means)) / v).sum(-1)
    rough = log_weights - 0.5 * (distance + repeats * np.log(v).sum(-1))
    lead = rough.argmax(1)

    at_lead = np.zeros_like(lead) if shared else lead
    y = x - a[:, None] * means[lead]
    delta = means - means[lead][:, None, :]
    p_y = from_basis(to_basis(y[:, None, :]) / v)
    p_delta = from_basis(to_basis(delta) / v)
    z = p_y[rows, at_lead]
    s_z = from_basis(to_basis(z[:, None, :]) * spectrum)
    logits = log_weights - log_weights[lead][:, None]
    logits = logits + a[:, None] * (p_delta * (y[:, None, :] - 0.5 * a_ * delta)).sum(-1)
    gap = p_delta
    s_z_lead = s_z[rows, at_lead]
    if not shared:
        v_lead = v[rows, lead][:, None, :]
        h = s_z - s_z_lead[:, None, :]
        difference = np.square(a_) * (spectrum - spectrum[lead][:, None, :])
        logits = logits - 0.5 * repeats * _log_ratio(v, v_lead, difference).sum(-1)
        logits = logits + 0.5 * np.square(a)[:, None] * (p_y * h).sum(-1)
        gap = gap + a_ * from_basis(to_basis(h) / v)

    top = logits.max(1, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(1, keepdims=True)
    weights = weights / total
    mean_gap = np.einsum("bc,bcj->bj", weights, gap)
    log_det = repeats * np.log(v[rows, at_lead]).sum(-1)
    log_lead = log_weights[lead] - 0.5 * (d * np.log(2 * np.pi) + log_det + (y * z).sum(-1))
    return Posterior(
        weights=weights,
        log_prob=log_lead + (top + np.log(total))[:, 0],
        score=a[:, None] * mean_gap - z,
        mean=means[lead] + a[:, None] * s_z_lead + s2[:, 0] * mean_gap,
        offsets=s2 * (gap - mean_gap[:, None, :]),
        spectrum=s2 * spectrum / v,
        basis=basis,
    )
