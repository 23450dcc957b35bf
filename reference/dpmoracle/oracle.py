"""Oracle: a mixture seen through a process; every prediction of a perfect network, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .arrays import foreign, to_numpy
from .backends import BACKENDS
from .checking import check_count, generator
from .errors import InvalidParameterError
from .estimate import Estimate
from .expectation import METHODS, expected
from .mixture import GaussianMixture
from .posterior import Posterior
from .schedule import Schedule

__all__ = ["Forward", "Oracle"]

Array = NDArray[np.float64]
_FORMS = ("full", "diag", "trace")


class Forward(Protocol):
    """What the oracle asks of a process: x_t = a x_0 + σ ε with (a, σ) = levels(t)."""

    def check_times(self, t: Any, who: str) -> NDArray[Any]: ...

    def levels(self, t: Any) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class Oracle:
    """Exact predictions for x_t = a_t x_0 + σ_t ε, x_0 ~ q0.

    q0      : GaussianMixture
    process : Schedule (integer t in 0..N) or Process (real t)
    backend : "auto", "numpy", "numba" or "cupy"

    x is (..., d): NumPy, torch, JAX or CuPy; the result is of the same kind, device and floating dtype (computed
    in float64; integers give float64). t is a scalar or broadcasts against x.shape[:-1]. At σ_t = 0 `x0` returns
    x, and `score`, `eps` and `v` need positive-definite covariances.

    Raises InvalidParameterError for x of another dimension or with nan, and t out of range.
    """

    q0: GaussianMixture
    process: Forward
    backend: str = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.q0, GaussianMixture):
            raise InvalidParameterError(
                f"Oracle: q0 must be a GaussianMixture; got {type(self.q0).__name__}. "
                "For data use GaussianMixture.from_points(Y)"
            )
        if not hasattr(self.process, "levels") or not hasattr(self.process, "check_times"):
            raise InvalidParameterError(
                f"Oracle: process must be a Schedule or a Process; got {type(self.process).__name__}"
            )
        if self.backend not in BACKENDS:
            raise InvalidParameterError(
                f"Oracle: backend must be one of {', '.join(BACKENDS)}; got {self.backend!r}"
            )

    @foreign
    def score(self, x: Any, t: Any) -> Any:
        """(..., d) ∇ log q_t(x)."""
        return self._predict("score", x, t, lambda p, a, s: p.score, (self.q0.d,))

    @foreign
    def eps(self, x: Any, t: Any) -> Any:
        """(..., d) E[ε | x_t = x] = -σ_t ∇ log q_t(x)."""
        return self._predict("eps", x, t, lambda p, a, s: -s[:, None] * p.score, (self.q0.d,))

    @foreign
    def x0(self, x: Any, t: Any) -> Any:
        """(..., d) E[x_0 | x_t = x], in units of x_0."""
        return self._predict(
            "x0", x, t, lambda p, a, s: p.mean, (self.q0.d,), clean=lambda x, a: x / a[:, None]
        )

    @foreign
    def v(self, x: Any, t: Any) -> Any:
        """(..., d) E[v | x_t = x] with v = a_t ε - σ_t x_0 (Salimans & Ho 2022)."""

        def velocity(p: Posterior, a: Array, s: Array) -> Array:
            return -(a * s)[:, None] * p.score - s[:, None] * p.mean

        return self._predict("v", x, t, velocity, (self.q0.d,))

    @foreign
    def posterior_cov(self, x: Any, t: Any, form: str = "full", max_bytes: int = 2**30) -> Any:
        """Cov(x_0 | x_t = x), in units of x_0 squared; zero at σ_t = 0.

        form : "full" (..., d, d), "diag" (..., d), "trace" (...)
        Refuses a result of more than max_bytes.
        """
        if form not in _FORMS:
            raise InvalidParameterError(
                f"Oracle.posterior_cov: form must be one of {', '.join(_FORMS)}; got {form!r}"
            )
        d = self.q0.d
        tail: tuple[int, ...] = {"full": (d, d), "diag": (d,), "trace": ()}[form]
        needed = 8 * int(np.prod(np.shape(x)[:-1])) * int(np.prod(tail))
        if needed > max_bytes:
            raise InvalidParameterError(
                f"Oracle.posterior_cov: the result needs {needed:,} bytes, more than max_bytes = {max_bytes:,}. "
                'Ask for form="diag" or "trace", fewer points, or raise max_bytes'
            )
        take: dict[str, Callable[[Posterior], Array]] = {
            "full": Posterior.covariance,
            "diag": Posterior.diagonal,
            "trace": Posterior.trace,
        }
        return self._predict(
            "posterior_cov",
            x,
            t,
            lambda p, a, s: take[form](p),
            tail,
            clean=lambda x, a: np.zeros((len(x), *tail)),
        )

    def log_prob(self, x: Any, t: Any) -> Any:
        """(...,) log q_t(x), in nats."""
        return self._log_prob(x, t)

    @foreign
    def _log_prob(self, x: Any, t: Any) -> Any:
        return self._predict("log_prob", x, t, lambda p, a, s: p.log_prob, ())

    def mmse(
        self,
        t: Any,
        num_samples: int = 1000,
        rng: np.random.Generator | int | None = None,
        *,
        method: str | None = None,
    ) -> Estimate:
        """V_t = E Tr Cov(x_0 | x_t) / d, in units of x_0 squared, for every entry of t.

        method : None chooses "exact" (one Gaussian), "quadrature" (d <= 2, or means spanning at most two dimensions
                 with one shared isotropic covariance, in any d), else "trace". By name also "pair", "residual" and
                 "score" (DESIGN section 4). Only the Monte Carlo methods use num_samples and rng; all t see the same
                 (x_0, ε).
        Returns an Estimate whose error is a bound for "exact" and "quadrature", else a standard error.
        """
        return self._expected("mmse", t, num_samples, rng, method)

    def gamma(
        self,
        t: Any,
        num_samples: int = 1000,
        rng: np.random.Generator | int | None = None,
        *,
        method: str | None = None,
    ) -> Estimate:
        """Γ_t = E‖∇ log q_t(x_t)‖² / d, in units of 1/x²; inf at σ_t = 0 if a covariance is singular.

        method : as for `mmse`; every Monte Carlo method but "score" goes through Γ = (1 - (a²/σ²) V) / σ².
        """
        return self._expected("gamma", t, num_samples, rng, method)

    def reverse(self, x_t: Any, s: Any, t: Any, lam2: float | None = None) -> GaussianMixture:
        r"""The exact reverse kernel q(x_s | x_t) for one x_t (d,), a mixture again.

        .. math:: q(x_s|x_t) = \sum_i r_i(x_t)\, N(c\, m_i(x_t) + c_1 x_t,\; c^2 S_i + \lambda^2 I), \quad
           c_1 = \sqrt{\sigma_s^2 - \lambda^2}/\sigma_t, \quad c = a_s - c_1 a_t

        lam2 : forward-posterior variance in [0, σ_s²]; None is the DDPM value, for which this is Bayes' rule of
               the Markov chain. Any other value gives the pairwise law of that DDIM family.
        Raises InvalidParameterError unless s < t (less noise at s) and σ_t > 0.
        """
        who = "Oracle.reverse"
        x = np.asarray(to_numpy(x_t))
        if x.shape != (self.q0.d,):
            raise InvalidParameterError(f"{who}: x_t must have shape ({self.q0.d},); got {x.shape}")
        flat, _ = self.q0.rows(who, x)
        (a_s, sigma_s), (a_t, sigma_t) = self._levels(who, s, ()), self._levels(who, t, ())
        if not a_s[0] * sigma_t[0] > a_t[0] * sigma_s[0]:
            raise InvalidParameterError(f"{who}: s must be less noisy than t; got s = {s}, t = {t}")
        fresh = _fresh_noise(self.process, s, t)
        if lam2 is None:
            lam2 = float(sigma_s[0] ** 2 * fresh)
            c, c1 = a_s[0] * fresh, np.sqrt(1 - fresh) * sigma_s[0] / sigma_t[0]
        elif 0 <= lam2 <= sigma_s[0] ** 2:
            c1 = np.sqrt(sigma_s[0] ** 2 - lam2) / sigma_t[0]
            c = a_s[0] - c1 * a_t[0]
        else:
            raise InvalidParameterError(
                f"{who}: lam2 must lie in [0, sigma_s^2] = [0, {sigma_s[0] ** 2:.6g}]; got {lam2!r}"
            )
        return self.q0.given(self.q0.posterior(flat, a_t, sigma_t), float(c), c1 * flat[0], lam2)

    def _levels(self, who: str, t: Any, shape: tuple[int, ...]) -> tuple[Array, Array]:
        """(a, σ) at t, broadcast to `shape` and flattened."""
        times = self.process.check_times(to_numpy(t), who)
        try:
            times = np.broadcast_to(times, shape)
        except ValueError:
            raise InvalidParameterError(
                f"{who}: t must be a scalar or broadcast against x.shape[:-1] = {shape}; got {times.shape}"
            ) from None
        a, sigma = self.process.levels(times.reshape(-1))
        return a, sigma

    def _predict(
        self,
        name: str,
        x: Any,
        t: Any,
        take: Callable[[Posterior, Array, Array], Array],
        tail: tuple[int, ...],
        clean: Callable[[Array, Array], Array] | None = None,
    ) -> Array:
        """take(posterior, a, σ) on every row of x; rows without noise go to `clean` where there is one."""
        who = f"Oracle.{name}"
        flat, lead = self.q0.rows(who, x)
        a, sigma = self._levels(who, t, lead)
        out = np.empty((len(flat), *tail))
        noisy = sigma > 0
        if clean is not None:
            out[~noisy] = clean(flat[~noisy], a[~noisy])
        elif not noisy.all() and self.q0.is_singular:
            raise InvalidParameterError(
                f"{who}: at sigma = 0 (t = 0) the mixture has no density because a covariance is singular. "
                "Ask at t > 0, or use positive-definite covariances"
            )
        todo = np.flatnonzero(noisy) if clean is not None else np.arange(len(flat))
        for block in self.q0.blocks(len(todo)):
            at = todo[block]
            out[at] = take(self.q0.posterior(flat[at], a[at], sigma[at]), a[at], sigma[at])
        return out.reshape(*lead, *tail)

    def _expected(
        self,
        quantity: str,
        t: Any,
        num_samples: int,
        rng: np.random.Generator | int | None,
        method: str | None,
    ) -> Estimate:
        who = f"Oracle.{quantity}"
        check_count(who, "num_samples", num_samples, low=2)
        if method is not None and method not in METHODS:
            raise InvalidParameterError(f"{who}: method must be one of {', '.join(METHODS)}; got {method!r}")
        times = self.process.check_times(to_numpy(t), who)
        a, sigma = self.process.levels(times.reshape(-1))
        found = expected(self.q0, a, sigma, quantity, num_samples, generator(who, rng), method)
        return Estimate(
            found.value.reshape(times.shape),
            found.error.reshape(times.shape),
            found.method,
            found.effective_count.reshape(times.shape),
        )


def _fresh_noise(process: Any, s: Any, t: Any) -> float:
    """1 - u_t/u_s without cancellation: the share of σ_t² that came between s and t."""
    if isinstance(process, Schedule):
        return float(process.beta(s, t) / process.beta_bar[t])
    return float(-np.expm1(2 * (process.half_log_snr(t) - process.half_log_snr(s))))
