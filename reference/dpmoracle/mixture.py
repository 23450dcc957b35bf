"""GaussianMixture: a finite mixture whose law under noising is again a finite mixture, known exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import foreign
from .checking import as_float, check_count, check_finite, generator
from .errors import InvalidParameterError
from .posterior import Posterior, posterior, row_blocks

__all__ = ["GaussianMixture"]

Array = NDArray[np.float64]
_SHAPES = {"spherical": "(C,)", "diag": "(C, d)", "tied": "(d, d)", "full": "(C, d, d)"}


class GaussianMixture:
    """Σ_i w_i N(m_i, S_i) in d dimensions; S_i may be singular, zero included (a data point).

    weights         : (C,) >= 0, summing to 1 within 1e-8 (then renormalised); zeros are allowed
    means           : (C, d)
    covariances     : (C,) variances, (C, d) diagonals, (d, d) shared, or (C, d, d), as covariance_type says
    covariance_type : "spherical", "diag", "tied" or "full", as in scikit-learn

    Accuracy: score, posterior mean and posterior covariance keep 1e-12 relative for SNR from 1e-12 to 1e12
    wherever they are well conditioned. They are not where a rounding of the inputs already moves them: the
    responsibilities by about 2e-16 · a|x||m_i - m_j|/V near a boundary between components, the score and the
    noise prediction by 2e-16 · |x|/|x - a m| next to a mean, and everything by 2e-16 times the condition number
    of a² S + σ² I when S is tied or full, because its small eigenvalues are only known to 2e-16 of the largest.

    Raises InvalidParameterError for wrong shapes, weights that are negative, nan or do not sum to one, and
    covariances that are not symmetric or not positive semi-definite (the component and eigenvalue are named).
    """

    weights: Array
    means: Array
    covariance_type: str

    def __init__(
        self,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        covariance_type: str = "full",
    ) -> None:
        w, m = _checked_weights(weights), as_float("GaussianMixture", "means", means)
        if m.ndim != 2 or len(m) != len(w) or m.shape[1] == 0:
            raise InvalidParameterError(
                f"GaussianMixture: means must have shape (C, d) = ({len(w)}, d) to match weights; got {m.shape}"
            )
        check_finite("GaussianMixture", "means", m)
        spectrum, basis = _decompose(covariances, covariance_type, *m.shape)
        self._fill(w, m, spectrum, basis, covariance_type)

    def _fill(
        self, weights: Array, means: Array, spectrum: Array, basis: Array | None, covariance_type: str
    ) -> None:
        shareable = basis is None or len(basis) == 1
        if shareable and len(spectrum) > 1 and (spectrum == spectrum[0]).all():
            spectrum = spectrum[:1]
        for array in (weights, means, spectrum, basis):
            if array is not None:
                array.setflags(write=False)
        with np.errstate(divide="ignore"):
            log_weights = np.log(weights)
        fields = {
            "weights": weights,
            "means": means,
            "covariance_type": covariance_type,
            "_spectrum": spectrum,
            "_basis": basis,
            "_log_weights": log_weights,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    @classmethod
    def _assembled(
        cls, weights: Array, means: Array, spectrum: Array, basis: Array | None, covariance_type: str
    ) -> GaussianMixture:
        """From parts that are already valid: no checks, no new decomposition."""
        mixture = cls.__new__(cls)
        mixture._fill(weights, means, spectrum, basis, covariance_type)
        return mixture

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"GaussianMixture is immutable; make a new one instead of setting {name}")

    @classmethod
    def from_points(cls, points: ArrayLike) -> GaussianMixture:
        """The empirical law of the rows of points (C, d): equal weights, zero covariances."""
        y = as_float("GaussianMixture.from_points", "points", points)
        if y.ndim != 2 or 0 in y.shape:
            raise InvalidParameterError(
                f"GaussianMixture.from_points: points must have shape (C, d); got {y.shape}. "
                "Flatten images with points.reshape(len(points), -1)"
            )
        return cls(np.full(len(y), 1 / len(y)), y, np.zeros(len(y)), covariance_type="spherical")

    @classmethod
    def from_sklearn(cls, gm: Any) -> GaussianMixture:
        """From a fitted sklearn.mixture.GaussianMixture (or BayesianGaussianMixture)."""
        missing = [n for n in ("weights_", "means_", "covariances_", "covariance_type") if not hasattr(gm, n)]
        if missing:
            raise InvalidParameterError(
                f"GaussianMixture.from_sklearn: needs a fitted mixture; {type(gm).__name__} has no "
                f"{', '.join(missing)}. Call fit first"
            )
        return cls(gm.weights_, gm.means_, gm.covariances_, covariance_type=gm.covariance_type)

    @property
    def n_components(self) -> int:
        return int(self.means.shape[0])

    @property
    def d(self) -> int:
        return int(self.means.shape[1])

    @property
    def covariances(self) -> Array:
        """The covariances in the shape that covariance_type names."""
        count, d = self.means.shape
        if self._basis is not None:
            full: Array = (self._basis * self._spectrum[:, None, :]) @ self._basis.swapaxes(1, 2)
            return full[0] if self.covariance_type == "tied" else full
        if self.covariance_type == "spherical":
            return np.broadcast_to(self._spectrum[:, 0], count).copy()
        return np.broadcast_to(self._spectrum, (count, d)).copy()

    @property
    def shared_variance(self) -> float | None:
        """τ² if every covariance is τ² I, else None; data points give 0."""
        first = self._spectrum.flat[0]
        return float(first) if (self._spectrum == first).all() else None

    @property
    def is_singular(self) -> bool:
        """Whether some component has no density."""
        return bool((self._spectrum == 0).any())

    def eigenvalues(self) -> Array:
        """(C, d) eigenvalues of the covariances, in the order of their bases."""
        return np.broadcast_to(self._spectrum, self.means.shape)

    def to_axes(self, i: int, z: Array) -> Array:
        """(..., d) vectors given in the eigenbasis of component i, in the axes of x."""
        return z if self._basis is None else z @ self._basis[i if len(self._basis) > 1 else 0].T

    def mean(self) -> Array:
        """(d,) E x."""
        return np.asarray(self.weights @ self.means)

    def trace_cov(self) -> float:
        """Tr Cov x, units of x squared."""
        within = self.eigenvalues().sum(1)
        between = np.square(self.means - self.mean()).sum(1)
        return float((self.weights * (within + between)).sum())

    @foreign
    def log_prob(self, x: Any) -> Any:
        """(...,) log density, in nats, of x (..., d). Raises where a component has no density."""
        return self._over_rows("log_prob", x, lambda p: p.log_prob, ())

    @foreign
    def score(self, x: Any) -> Any:
        """(..., d) ∇ log density of x (..., d). Raises where a component has no density."""
        return self._over_rows("score", x, lambda p: p.score, (self.d,))

    def sample(self, m: int, rng: np.random.Generator | int | None = None) -> Array:
        """(m, d) independent draws."""
        return self.sample_labelled(m, rng)[0]

    def sample_labelled(
        self, m: int, rng: np.random.Generator | int | None = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """(m, d) independent draws and the (m,) components that they came from."""
        check_count("GaussianMixture.sample", "m", m)
        rng = generator("GaussianMixture.sample", rng)
        own = rng.choice(self.n_components, size=m, p=self.weights)
        zeta = rng.standard_normal((m, self.d)) * np.sqrt(self.eigenvalues()[own])
        if self._basis is not None:
            for i in np.unique(own):
                zeta[own == i] = self.to_axes(i, zeta[own == i])
        return self.means[own] + zeta, own

    def diffuse(self, a: float, sigma: float) -> GaussianMixture:
        """The law of a x_0 + σ ε: means a m_i, covariances a² S_i + σ² I."""
        for name, value in (("a", a), ("sigma", sigma)):
            if not (np.isscalar(value) or np.ndim(value) == 0) or not np.isfinite(value) or value < 0:
                raise InvalidParameterError(
                    f"GaussianMixture.diffuse: {name} must be one finite number >= 0; got {value!r}"
                )
        return self._assembled(
            self.weights,
            a * self.means,
            a * a * self._spectrum + sigma * sigma,
            self._basis,
            self.covariance_type,
        )

    def posterior(self, x: Array, a: Array, sigma: Array) -> Posterior:
        """q(x_0 | x) for rows x (B, d) at levels a, sigma (B,); plain arrays, nothing validated."""
        return posterior(x, a, sigma, self._log_weights, self.means, self._spectrum, self._basis)

    def blocks(self, rows: int) -> Any:
        """Slices over `rows` rows of x that keep the temporaries of `posterior` small."""
        return row_blocks(rows, *self.means.shape)

    def given(self, p: Posterior, slope: float, shift: Array, variance: float) -> GaussianMixture:
        """The law of slope · x_0 + shift + sqrt(variance) ξ under the one-row posterior p."""
        means = slope * (p.mean + p.offsets[0]) + shift
        spectrum = slope * slope * p.spectrum[0] + variance
        return self._assembled(p.weights[0].copy(), means, spectrum, self._basis, self.covariance_type)

    def rows(self, who: str, x: Any) -> tuple[Array, tuple[int, ...]]:
        """x (..., d) as (B, d) float64 with its leading shape; refuses nan, inf and other dimensions."""
        x = as_float(who, "x", x)
        if x.ndim == 0 or x.shape[-1] != self.d:
            raise InvalidParameterError(f"{who}: x must have shape (..., {self.d}); got {x.shape}")
        check_finite(who, "x", x)
        return x.reshape(-1, self.d), x.shape[:-1]

    def _over_rows(
        self, name: str, x: Any, take: Callable[[Posterior], Array], tail: tuple[int, ...]
    ) -> Array:
        if self.is_singular:
            raise InvalidParameterError(
                f"GaussianMixture.{name}: a component with a singular covariance has no density. "
                "Add noise first: mixture.diffuse(a, sigma) with sigma > 0"
            )
        flat, lead = self.rows(f"GaussianMixture.{name}", x)
        out = np.empty((len(flat), *tail))
        for block in self.blocks(len(flat)):
            level = np.ones(len(flat[block]))
            out[block] = take(self.posterior(flat[block], level, np.zeros_like(level)))
        return out.reshape(*lead, *tail)

    def __repr__(self) -> str:
        return f"GaussianMixture(C={self.n_components}, d={self.d}, covariance_type={self.covariance_type!r})"

    # Set once in _fill.
    _spectrum: Array
    _basis: Array | None
    _log_weights: Array


def _checked_weights(weights: ArrayLike) -> Array:
    w = as_float("GaussianMixture", "weights", weights)
    if w.ndim != 1 or w.size == 0:
        raise InvalidParameterError(f"GaussianMixture: weights must have shape (C,); got {w.shape}")
    check_finite("GaussianMixture", "weights", w)
    if (w < 0).any():
        i = int(w.argmin())
        raise InvalidParameterError(f"GaussianMixture: weights must be >= 0; weights[{i}] is {w[i]:g}")
    if abs(w.sum() - 1) > 1e-8:
        raise InvalidParameterError(
            f"GaussianMixture: weights must sum to 1 within 1e-8; they sum to {w.sum():.12g}. "
            "Divide them by their sum if that is meant"
        )
    return np.asarray(w / w.sum())


def _decompose(covariances: ArrayLike, kind: str, count: int, d: int) -> tuple[Array, Array | None]:
    """Eigenvalues (C or 1, d or 1) and eigenvectors (C or 1, d, d; None for the axes)."""
    if kind not in _SHAPES:
        raise InvalidParameterError(
            f"GaussianMixture: covariance_type must be one of {', '.join(_SHAPES)}; got {kind!r}"
        )
    s = as_float("GaussianMixture", "covariances", covariances)
    wanted = {"spherical": (count,), "diag": (count, d), "tied": (d, d), "full": (count, d, d)}[kind]
    if s.shape != wanted:
        raise InvalidParameterError(
            f"GaussianMixture: {kind} covariances must have shape {_SHAPES[kind]} = {wanted}; got {s.shape}"
        )
    check_finite("GaussianMixture", "covariances", s)
    if kind in ("spherical", "diag"):
        s = s.reshape(count, -1)
        _refuse_negative(s, s.min(1), np.zeros(count))
        return s, None
    s = s.reshape(-1, d, d)
    skew = np.abs(s - s.swapaxes(1, 2)).max((1, 2))
    scale = np.abs(s).max((1, 2))
    if (skew > 1e-8 * scale).any():
        i = int(np.argmax(skew - 1e-8 * scale))
        raise InvalidParameterError(
            f"GaussianMixture: covariances must be symmetric; component {i} differs from its transpose by {skew[i]:.3g}"
        )
    spectrum, basis = np.linalg.eigh(0.5 * (s + s.swapaxes(1, 2)))
    # eigh returns a zero eigenvalue as anything within a few ulps of the largest.
    _refuse_negative(s, spectrum[:, 0], 1e-13 * d * np.abs(spectrum).max(1))
    return np.maximum(spectrum, 0.0), basis


def _refuse_negative(s: Array, smallest: Array, slack: Array) -> None:
    bad = smallest < -slack
    if bad.any():
        i = int(np.flatnonzero(bad)[0])
        raise InvalidParameterError(
            "GaussianMixture: covariances must be positive semi-definite; "
            f"component {i} has smallest eigenvalue {smallest[i]:.6g}"
        )
