"""GaussianMixture: a finite mixture whose law under noising is again a finite mixture, known exactly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import array_module, foreign_or_gpu, to_numpy
from .backends import REALS, pick, products
from .checking import as_float, check_count, check_finite, generator, offenders
from .covariances import decompose
from .errors import InvalidParameterError
from .posterior import Posterior, mixture_moments, mixture_score, posterior, row_blocks

__all__ = ["GaussianMixture"]

Array = NDArray[np.float64]
_FAR = 1e100
_SECONDS = 4e-7  # of the plain posterior, about, for each number in (B, C, d)


class GaussianMixture:
    """Σ_i w_i N(m_i, S_i) in d dimensions; S_i may be singular, zero included (a data point).

    weights         : (C,) >= 0, summing to 1 within 1e-8 (then renormalised); zeros are allowed
    means           : (C, d)
    covariances     : (C,) variances, (C, d) diagonals, (d, d) shared, or (C, d, d), as covariance_type says
    covariance_type : "spherical", "diag", "tied" or "full", as in scikit-learn

    Accuracy, for SNR from 1e-12 to 1e12 and any d: every entry of the log density, the score, the predictions and
    the posterior covariance is right to 1e-12 of its value, plus 8 times what a change of the last place (2e-16) of
    every input number can do to it; for tied and full covariances, whose bases are rotated, plus 32 times, and in the
    largest entry of the vector or matrix instead of each (a covariance entry (j, k): of sqrt(C_jj C_kk)). The second
    part is what no algorithm can avoid. With V = a² S + σ² it is the larger one
      - between components, where log r_i - log r_j moves by 2e-16 · (|x| + a|m|) · a|m_i - m_j|/V;
      - next to a mean, where the score and the noise prediction move by 2e-16 · |x|/|x - a m| of their value, and
        wherever terms cancel: log_prob near 0, an entry of x0 near 0, v where the data are nearly N(0, I);
      - for tied and full S, by 2e-16 times the condition number of its correlation matrix, not of S itself.

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
        _refuse_huge("GaussianMixture", "means", m)
        spectrum, basis = decompose(covariances, covariance_type, *m.shape)
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
        fields = {
            "weights": weights,
            "means": means,
            "covariance_type": covariance_type,
            "_spectrum": spectrum,
            "_basis": basis,
            "_on_devices": {},
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
        w, s = (
            as_float("GaussianMixture.from_sklearn", n, getattr(gm, n)) for n in ("weights_", "covariances_")
        )
        if gm.covariance_type in ("tied", "full"):
            s = 0.5 * (s + s.swapaxes(-1, -2))
        # A fit to float32 data sums to 1, and is symmetric, to 1e-7 only.
        return cls(w / w.sum(), gm.means_, s, covariance_type=gm.covariance_type)

    @property
    def n_components(self) -> int:
        """C, the components of weight 0 included."""
        return int(self.means.shape[0])

    @property
    def d(self) -> int:
        """The dimension of x."""
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
    def support(self) -> GaussianMixture:
        """The same law without the components of weight 0; the mixture itself if it has none."""
        used = self.weights > 0
        if used.all():
            return self
        spectrum = self._spectrum[used] if len(self._spectrum) > 1 else self._spectrum
        basis = self._basis[used] if self._basis is not None and len(self._basis) > 1 else self._basis
        return self._assembled(self.weights[used], self.means[used], spectrum, basis, self.covariance_type)

    @property
    def shared_variance(self) -> float | None:
        """τ² if every covariance of positive weight is τ² I, else None; data points give 0."""
        spectrum = self.support._spectrum
        return float(spectrum.flat[0]) if (spectrum == spectrum.flat[0]).all() else None

    @property
    def is_singular(self) -> bool:
        """Whether some component of positive weight has no density."""
        return bool((self.support._spectrum == 0).any())

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

    @foreign_or_gpu
    def log_prob(self, x: Any) -> Any:
        """(...,) log density, in nats, of x (..., d). Raises where a component has no density."""
        return self._density("log_prob", x, 0, ())

    @foreign_or_gpu
    def score(self, x: Any) -> Any:
        """(..., d) ∇ log density of x (..., d). Raises where a component has no density."""
        return self._density("score", x, 1, (self.d,))

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
        """q(x_0 | x) for rows x (B, d) at levels a, sigma (B,); plain arrays, nothing validated.

        Its components are those of `support`.
        """
        return posterior(x, a, sigma, *self.parts())

    def density(
        self, x: Array, a: Array, sigma: Array, backend: str = "auto", precision: str = "float64"
    ) -> tuple[Array, Array]:
        """(B,) log density of rows x at levels a, sigma (B,), and (B, d) its gradient; nothing validated."""
        return self._by_rows(mixture_score, x, a, sigma, backend, precision)

    def moments(
        self, x: Array, a: Array, sigma: Array, backend: str = "auto", precision: str = "float64"
    ) -> tuple[Array, Array]:
        """(B, d) E[x_0|x] and (B,) Tr Cov(x_0|x) of rows x at levels a, sigma (B,); nothing validated."""
        return self._by_rows(mixture_moments, x, a, sigma, backend, precision)

    def _by_rows(
        self,
        plain: Callable[..., tuple[Array, Array]],
        x: Array,
        a: Array,
        sigma: Array,
        backend: str,
        precision: str,
    ) -> tuple[Array, Array]:
        seconds = _SECONDS * len(x) * self.means.size
        compute = pick(plain.__name__, backend, plain, x, seconds=seconds)
        rows = x if compute is plain else x.astype(REALS[precision], copy=False)
        with products(precision, array_module(x) is not np):
            return compute(rows, a, sigma, *self.parts(array_module(x)))

    def parts(self, xp: Any = np) -> tuple[Array, Array, Array, Array | None]:
        """log_weights, means, spectrum and basis of `support`, as `posterior` takes them.

        xp : NumPy, or CuPy for copies on its current device, which are kept for the next call. What takes more than
             half of the memory that is free there stays on the host, and the kernels stream it
        """
        if xp is np:
            q = self.support
            return np.log(q.weights), q.means, q._spectrum, q._basis
        number = xp.cuda.runtime.getDevice()
        if number not in self._on_devices:
            parts = self.parts()
            if (
                2 * sum(0 if part is None else part.nbytes for part in parts)
                > xp.cuda.runtime.memGetInfo()[0]
            ):
                return xp.asarray(parts[0]), *parts[1:]
            copies = tuple(part if part is None else xp.asarray(part) for part in parts)
            xp.cuda.get_current_stream().synchronize()  # other streams may be the next to read them
            self._on_devices[number] = copies
        return self._on_devices[number]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_on_devices": {}}

    def blocks(self, rows: int) -> Any:
        """Slices over `rows` rows of x that keep the temporaries of `posterior` small."""
        return row_blocks(rows, *self.means.shape)

    def given(self, p: Posterior, slope: float, shift: Array, variance: float) -> GaussianMixture:
        """The law of slope · x_0 + shift + sqrt(variance) ξ under the one-row posterior p."""
        means = slope * (p.mean + p.offsets[0]) + shift
        spectrum = slope * slope * p.spectrum[0] + variance
        return self._assembled(p.weights[0].copy(), means, spectrum, p.basis, self.covariance_type)

    def rows(self, who: str, x: Any, name: str = "x") -> tuple[Array, tuple[int, ...]]:
        """x (..., d) as (B, d) with its leading shape, float64 or CuPy as it is; refuses nan, inf, other dimensions."""
        if array_module(x) is np:
            x = as_float(who, name, x)
        if x.ndim == 0 or x.shape[-1] != self.d:
            raise InvalidParameterError(f"{who}: {name} must have shape (..., {self.d}); got {x.shape}")
        far = min(_FAR, float(np.finfo(x.dtype).max))
        if not ((x >= -far) & (x <= far)).all():
            check_finite(who, name, x)
            _refuse_huge(who, name, to_numpy(x))
        return x.reshape(-1, self.d), x.shape[:-1]

    def _density(self, name: str, x: Any, which: int, tail: tuple[int, ...]) -> Array:
        if self.is_singular:
            raise InvalidParameterError(
                f"GaussianMixture.{name}: a component with a singular covariance has no density. "
                "Add noise first: mixture.diffuse(a, sigma) with sigma > 0"
            )
        flat, lead = self.rows(f"GaussianMixture.{name}", x)
        level = array_module(flat).ones(len(flat))
        return self.density(flat, level, 0 * level)[which].reshape((*lead, *tail))

    def __repr__(self) -> str:
        return f"GaussianMixture(C={self.n_components}, d={self.d}, covariance_type={self.covariance_type!r})"

    # Set once in _fill.
    _spectrum: Array
    _basis: Array | None
    _on_devices: dict[int, tuple[Any, ...]]


def _checked_weights(weights: ArrayLike) -> Array:
    w = as_float("GaussianMixture", "weights", weights)
    if w.ndim != 1 or w.size == 0:
        raise InvalidParameterError(f"GaussianMixture: weights must have shape (C,); got {w.shape}")
    check_finite("GaussianMixture", "weights", w)
    if (w < 0).any():
        i = int(w.argmin())
        raise InvalidParameterError(f"GaussianMixture: weights must be >= 0; weights[{i}] is {w[i]:g}")
    with np.errstate(over="ignore"):
        total = w.sum()
    if abs(total - 1) > 1e-8:
        raise InvalidParameterError(
            f"GaussianMixture: weights must sum to 1 within 1e-8; they sum to {total:.12g}. "
            "Divide them by their sum if that is meant"
        )
    return np.asarray(w / total)


def _refuse_huge(who: str, name: str, value: Array) -> None:
    """Squares of what lies further out overflow."""
    bad = np.abs(value) > _FAR
    if bad.any():
        raise InvalidParameterError(
            f"{who}: {name} must lie within {_FAR:g} of 0; got {value[bad][0]:g} at {offenders(bad)}. Scale the data"
        )
