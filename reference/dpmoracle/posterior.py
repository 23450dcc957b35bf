r"""The posterior q(x_0 | x) of a Gaussian mixture seen through x = a x_0 + σ ε, on plain arrays.

Component i has weight w_i, mean m_i and covariance S_i = U_i diag(e_i) U_iᵀ, so its law of x is
N(a m_i, V_i) with V_i = a² S_i + σ² I, and P_i = V_i⁻¹ is diagonal in the same basis whatever (a, σ) are.

Everything is written relative to the leading component c of each row. With y = x - a m_c, Δ_i = m_i - m_c
and h_i = (S_i - S_c) P_c y,

    log r_i - log r_c = log(w_i/w_c) - ½ log(det V_i/det V_c) + a Δ_i·P_i(y - ½ a Δ_i) + ½ a² (P_i y)·h_i,
    G_i = P_i(Δ_i + a h_i),      E_i[x_0|x] - E_c[x_0|x] = σ² G_i,      ∇log N_i - ∇log N_c = a G_i,
    E_c[x_0|x] = P_c(σ² m_c + a S_c x).

Differences of squared distances, of means and of scores are thus formed before anything large is squared or
divided by σ: no digits are lost at high SNR, in high dimension, far outside the support or between nearly
coincident components, beyond what the inputs' own rounding costs. Only next to a component much narrower than the
leading one do the last two terms of log r_i cancel; there ½(y·P_c y - (x - a m_i)·P_i(x - a m_i)) replaces them,
direction by direction of U_i, in which the two expressions agree term by term.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Posterior", "mixture_moments", "mixture_score", "posterior", "row_blocks"]

Array = NDArray[np.float64]
Labels = NDArray[np.intp]

_BLOCK = 2**17  # float64 entries of one (rows, C, d) temporary: 1 MiB, which stays in cache
_RETRIES = 3  # changes of the leading component; one is enough below |x| = 1e100


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
        if self.basis is None:
            within = self.spectrum
        elif len(self.basis) == 1:
            within = self.spectrum @ np.square(self.basis[0]).T
        else:
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
    """Slices over the rows that keep every (rows, C, d) temporary near 1 MiB."""
    step = max(1, _BLOCK // (components * d))
    return (slice(start, start + step) for start in range(0, rows, step))


def posterior(
    x: Array, a: Array, sigma: Array, log_weights: Array, means: Array, spectrum: Array, basis: Array | None
) -> Posterior:
    """The formulas above for rows x (B, d) at levels a, sigma (B,).

    log_weights : (C,) finite                 means : (C, d)
    spectrum    : (C or 1, d or 1) eigenvalues e_i >= 0; one row if all components share them
    basis       : None (axes), or (C or 1, d, d) orthonormal eigenvectors in columns
    Requires a² e + σ² > 0 throughout.
    """
    prior = _Prior(log_weights, means, spectrum, basis)
    a_, s2 = a[:, None, None], np.square(sigma)[:, None, None]
    v = np.square(a_) * spectrum + s2
    log_det = prior.repeats * np.log(v).sum(-1)
    distance = np.square(prior.to_bases(x[:, None, :] - a_ * means)) / v

    lead = (log_weights - 0.5 * (distance.sum(-1) + log_det)).argmax(1)
    for _ in range(_RETRIES):
        c = _leading(prior, lead, x, a[:, None], s2[:, 0], v)
        logits, gap = _relative_to(c, prior, a_, v, distance)
        # Far outside, the distances are too large for their differences, and only the logits tell who leads.
        if (logits.max(1, initial=0.0) < np.log(2.0)).all():
            break
        lead = logits.argmax(1)

    top = logits.max(1, keepdims=True)
    weights = np.exp(logits - top)
    total = weights.sum(1, keepdims=True)
    weights = weights / total
    mean_gap = np.einsum("bc,bcj->bj", weights, gap)
    row = np.arange(len(x))
    log_det_lead = log_det[row, 0 if prior.shared else c.which]
    log_lead = log_weights[c.which] - 0.5 * (
        prior.d * np.log(2 * np.pi) + log_det_lead + (c.y * c.pull).sum(-1)
    )
    return Posterior(
        weights=weights,
        log_prob=log_lead + (top + np.log(total))[:, 0],
        score=a[:, None] * mean_gap - c.pull,
        mean=c.mean + s2[:, 0] * mean_gap,
        offsets=s2 * (gap - mean_gap[:, None, :]),
        spectrum=s2 * spectrum / v,
        basis=basis,
    )


def mixture_score(
    x: Array, a: Array, sigma: Array, log_weights: Array, means: Array, spectrum: Array, basis: Array | None
) -> tuple[Array, Array]:
    """(B,) log density and (B, d) its gradient, of rows x; arguments as for `posterior`, in blocks."""
    log_prob, score = np.empty(len(x)), np.empty((len(x), means.shape[1]))
    for some in row_blocks(len(x), *means.shape):
        p = posterior(x[some], a[some], sigma[some], log_weights, means, spectrum, basis)
        log_prob[some], score[some] = p.log_prob, p.score
    return log_prob, score


def mixture_moments(
    x: Array, a: Array, sigma: Array, log_weights: Array, means: Array, spectrum: Array, basis: Array | None
) -> tuple[Array, Array]:
    """(B, d) E[x_0|x] and (B,) Tr Cov(x_0|x) of rows x; arguments as for `posterior`, in blocks."""
    mean, trace = np.empty((len(x), means.shape[1])), np.empty(len(x))
    for some in row_blocks(len(x), *means.shape):
        p = posterior(x[some], a[some], sigma[some], log_weights, means, spectrum, basis)
        mean[some], trace[some] = p.mean, p.trace()
    return mean, trace


class _Prior(NamedTuple):
    """The mixture's arrays, as `posterior` takes them, and its changes of basis."""

    log_weights: Array
    means: Array
    spectrum: Array
    basis: Array | None

    @property
    def d(self) -> int:
        return len(self.means[0])

    @property
    def shared(self) -> bool:
        """Whether one covariance serves all components."""
        return len(self.spectrum) == 1

    @property
    def repeats(self) -> int:
        """How many of the d dimensions one stored eigenvalue stands for."""
        return self.d // len(self.spectrum[0])

    def to_bases(self, h: Array) -> Array:
        """(B, C or 1, d) vectors in the coordinates of each component's basis."""
        if self.basis is None:
            return h
        return np.asarray(np.matmul(h.swapaxes(0, 1), self.basis).swapaxes(0, 1))

    def from_bases(self, h: Array) -> Array:
        if self.basis is None:
            return h
        return np.asarray(np.matmul(h.swapaxes(0, 1), self.basis.swapaxes(1, 2)).swapaxes(0, 1))

    def to_basis_of(self, lead: Labels, h: Array, back: bool = False) -> Array:
        """(B, d) vectors in the coordinates of the basis of component lead[b], or back from there."""
        if self.basis is None:
            return h
        out = np.empty_like(h)
        for i in np.unique(0 * lead if len(self.basis) == 1 else lead):
            frame = self.basis[i].T if back else self.basis[i]
            mine = slice(None) if len(self.basis) == 1 else lead == i
            out[mine] = h[mine] @ frame
        return out


class _Leading(NamedTuple):
    """The leading component c of each row: what the others are compared with, each (B, d) but `which`."""

    which: Labels
    y: Array  # x - a m_c
    pull: Array  # P_c y
    spread: Array  # S_c P_c y
    mean: Array  # E_c[x_0|x]


def _leading(prior: _Prior, which: Labels, x: Array, a: Array, s2: Array, v: Array) -> _Leading:
    at = np.zeros_like(which) if prior.shared else which
    e, v_c, m_c = prior.spectrum[at], v[np.arange(len(x)), at], prior.means[which]
    y = x - a * m_c
    scaled = prior.to_basis_of(which, y) / v_c
    mean = (s2 * prior.to_basis_of(which, m_c) + a * e * prior.to_basis_of(which, x)) / v_c
    pull, spread, mean = (prior.to_basis_of(which, h, back=True) for h in (scaled, e * scaled, mean))
    return _Leading(which, y, pull, spread, mean)


def _relative_to(c: _Leading, prior: _Prior, a: Array, v: Array, distance: Array) -> tuple[Array, Array]:
    """log r_i - log r_c (B, C), and G_i (B, C, d); distance is (x - a m_i)²/v in the components' bases."""
    delta = prior.to_bases(prior.means - prior.means[c.which][:, None, :])
    y = prior.to_bases(c.y[:, None, :])
    step = a * delta
    terms = step * (y - 0.5 * step) / v
    logits = prior.log_weights - prior.log_weights[c.which][:, None]
    if prior.shared:
        return logits + terms.sum(-1), prior.from_bases(delta / v)

    pull = prior.to_bases(c.pull[:, None, :])
    h = a * (prior.spectrum * pull - prior.to_bases(c.spread[:, None, :]))
    bend = 0.5 * a * y * h / v
    direct = 0.5 * y * pull, 0.5 * distance
    smaller = np.abs(terms) + np.abs(bend) <= np.abs(direct[0]) + direct[1]
    terms = np.where(smaller, terms + bend, direct[0] - direct[1])
    v_c = v[np.arange(len(v)), c.which][:, None, :]
    difference = np.square(a) * (prior.spectrum - prior.spectrum[c.which][:, None, :])
    log_det = prior.repeats * _log_ratio(v, v_c, difference).sum(-1)
    return logits - 0.5 * log_det + terms.sum(-1), prior.from_bases((delta + h) / v)


def _log_ratio(v: Array, reference: Array, difference: Array) -> Array:
    """log(v/reference), through log1p of their known difference where the two are close."""
    close = np.abs(difference) < 0.5 * reference
    return np.where(close, np.log1p(np.where(close, difference / reference, 0.0)), np.log(v / reference))
