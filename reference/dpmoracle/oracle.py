"""Oracle: a mixture seen through a process; every prediction of a perfect network, and what follows from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .arrays import array_module, foreign_or_gpu, to_numpy
from .backends import PRECISIONS, pick
from .checking import as_float, as_steps, check_count, generator
from .errors import InvalidParameterError
from .estimate import Estimate
from .expectation import METHODS, expected
from .mixture import GaussianMixture
from .posterior import mixture_score
from .processes.schedule import Schedule
from .shared import Progress

__all__ = ["Forward", "Oracle"]

Array = NDArray[np.float64]
_FORMS = ("full", "diag", "trace")
_ULPS = 1e-15


class Forward(Protocol):
    """What the oracle asks of a process: x_t = a x_0 + σ ε with (a, σ) = levels(t)."""

    def check_times(self, t: Any, who: str) -> NDArray[Any]: ...

    def levels(self, t: Any) -> tuple[Array, Array]: ...


@dataclass(frozen=True)
class Oracle:
    """Exact predictions for x_t = a_t x_0 + σ_t ε, x_0 ~ q0.

    q0      : GaussianMixture
    process : Schedule (integer t in 0..N) or Process (real t)
    backend : "auto", "numpy", "numba" or "cupy". "cupy" computes on a GPU, and so does "auto" where x is a CuPy array
              or a CUDA tensor and CuPy is there: x is then used where it lies, on the stream of its library
    precision : "float64", or "float32" for kernels that compute in float32 where that is safe and faster, or
              "tf32", the same with matrix products in tf32 on a GPU; the plain functions compute in float64 always

    x is (..., d): NumPy, torch, JAX or CuPy; the result is of the same kind, device and floating dtype (computed
    in float64; integers give float64). t is a scalar or broadcasts against x.shape[:-1]. At σ_t = 0 `x0` returns
    x, and `score`, `eps` and `v` need positive-definite covariances.

    Raises InvalidParameterError for x of another dimension or with nan, and t out of range.
    """

    q0: GaussianMixture
    process: Forward
    backend: str = "auto"
    precision: str = "float64"

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
        if self.precision not in PRECISIONS:
            raise InvalidParameterError(
                f"Oracle: precision must be one of {', '.join(PRECISIONS)}; got {self.precision!r}"
            )
        # A kernel that does not exist is refused here, not at first use.
        pick("mixture_score", self.backend, mixture_score)

    @foreign_or_gpu
    def score(self, x: Any, t: Any) -> Any:
        """(..., d) ∇ log q_t(x)."""
        return self._predict("score", x, t, lambda *row: self._density(*row)[1], (self.q0.d,))

    @foreign_or_gpu
    def eps(self, x: Any, t: Any) -> Any:
        """(..., d) E[ε | x_t = x] = -σ_t ∇ log q_t(x) [efron2011; Tweedie's formula]."""
        return self._predict(
            "eps", x, t, lambda x, a, s: -s[:, None] * self._density(x, a, s)[1], (self.q0.d,)
        )

    @foreign_or_gpu
    def x0(self, x: Any, t: Any) -> Any:
        """(..., d) E[x_0 | x_t = x], in units of x_0."""
        return self._predict(
            "x0", x, t, lambda *row: self._moments(*row)[0], (self.q0.d,), clean=lambda x, a: x / a[:, None]
        )

    @foreign_or_gpu
    def v(self, x: Any, t: Any) -> Any:
        """(..., d) E[v | x_t = x] with v = a_t ε - σ_t x_0 [salimans2022, Section 4]."""

        def velocity(x: Array, a: Array, s: Array) -> Array:
            score, mean = self._density(x, a, s)[1], self._moments(x, a, s)[0]
            return -(a * s)[:, None] * score - s[:, None] * mean

        return self._predict("v", x, t, velocity, (self.q0.d,))

    @foreign_or_gpu
    def posterior_cov(self, x: Any, t: Any, form: str = "full", max_bytes: int = 2**30) -> Any:
        """Cov(x_0 | x_t = x), in units of x_0 squared; zero at σ_t = 0.

        form : "full" (..., d, d), "diag" (..., d), "trace" (...). Only the trace has a kernel for a GPU: the others of
               an x there are computed on the host, and refused where backend is "cupy"
        Refuses a result of more than max_bytes.
        """
        if form not in _FORMS:
            raise InvalidParameterError(
                f"Oracle.posterior_cov: form must be one of {', '.join(_FORMS)}; got {form!r}"
            )
        if form != "trace" and array_module(x) is not np:
            if self.backend == "cupy":
                raise InvalidParameterError(
                    f'Oracle.posterior_cov: there is no cupy kernel for form={form!r}; ask for form="trace", or an '
                    'Oracle with backend="auto", which computes the others on the host'
                )
            return array_module(x).asarray(self.posterior_cov(to_numpy(x), to_numpy(t), form, max_bytes))
        d = self.q0.d
        tail: tuple[int, ...] = {"full": (d, d), "diag": (d,), "trace": ()}[form]
        needed = 8 * math.prod(np.shape(x)[:-1]) * math.prod(tail)
        if needed > max_bytes:
            raise InvalidParameterError(
                f"Oracle.posterior_cov: the result needs {needed:,} bytes, more than max_bytes = {max_bytes:,}. "
                'Ask for form="diag" or "trace", fewer points, or raise max_bytes'
            )

        def spread(x: Array, a: Array, s: Array) -> Array:
            if form == "trace":
                return self._moments(x, a, s)[1]
            out = np.empty((len(x), *tail))
            for block in self.q0.blocks(len(x)):
                p = self.q0.posterior(x[block], a[block], s[block])
                out[block] = p.covariance() if form == "full" else p.diagonal()
            return out

        return self._predict(
            "posterior_cov", x, t, spread, tail, clean=lambda x, a: array_module(x).zeros((len(x), *tail))
        )

    def log_prob(self, x: Any, t: Any) -> Any:
        """(...,) log q_t(x), in nats."""
        return self._log_prob(x, t)

    @foreign_or_gpu
    def _log_prob(self, x: Any, t: Any) -> Any:
        return self._predict("log_prob", x, t, lambda *row: self._density(*row)[0], ())

    def _density(self, x: Array, a: Array, sigma: Array) -> tuple[Array, Array]:
        return self.q0.density(x, a, sigma, self.backend, self.precision)

    def _moments(self, x: Array, a: Array, sigma: Array) -> tuple[Array, Array]:
        return self.q0.moments(x, a, sigma, self.backend, self.precision)

    def mmse(
        self,
        t: Any,
        num_samples: int = 1000,
        rng: np.random.Generator | int | None = None,
        *,
        method: str | None = None,
        progress: Progress | None = None,
    ) -> Estimate:
        """V_t = E Tr Cov(x_0 | x_t) / d, in units of x_0 squared, for every entry of t.

        method : None chooses "exact" (one Gaussian), "quadrature" (up to 16 components in d <= 2, or with one shared
                 isotropic covariance and means that span at most two dimensions, in any d), else "trace". Asked for
                 by name, "quadrature" takes any number of components. Monte Carlo, with num_samples and rng; all t
                 see the same (x_0, ε):
                   "trace"     Tr Cov(x_0|x_t)/d
                   "pair"      half the squared distance of x_0 to another draw from the posterior, over d
                   "residual"  ‖x_0 - E[x_0|x_t]‖²/d
                   "score"     (σ²/a²)(1 - σ²‖∇log q_t(x_t)‖²/d)            [bao2022, Theorem 1]
                 "pair" is by far the fastest, above all in many dimensions, and for points or one shared isotropic
                 covariance all are faster than otherwise
        progress : called as progress(done, total), in samples
        Returns an Estimate whose error is a bound for "exact" and "quadrature" (about 1e-11 of the value; it takes the
        mixture's numbers as exact), else a standard error.
        """
        return self._expected("mmse", t, num_samples, rng, method, progress)

    def gamma(
        self,
        t: Any,
        num_samples: int = 1000,
        rng: np.random.Generator | int | None = None,
        *,
        method: str | None = None,
        progress: Progress | None = None,
    ) -> Estimate:
        """Γ_t = E‖∇ log q_t(x_t)‖² / d, in units of 1/x²; inf at σ_t = 0 if a covariance is singular.

        method : as for `mmse`, like progress; every Monte Carlo method but "score" goes through
                 Γ = (1 - (a²/σ²) V) / σ²
        """
        return self._expected("gamma", t, num_samples, rng, method, progress)

    def reverse(self, x_t: Any, s: Any, t: Any, lam2: float | None = None) -> GaussianMixture:
        r"""The exact reverse kernel q(x_s | x_t) for one x_t (d,), a mixture again.

        .. math:: q(x_s|x_t) = \sum_i r_i(x_t)\, N(c\, m_i(x_t) + c_1 x_t,\; c^2 S_i + \lambda^2 I), \quad
           c_1 = \sqrt{\sigma_s^2 - \lambda^2}/\sigma_t, \quad c = a_s - c_1 a_t

        with r_i, m_i, S_i the weights, means and covariances of q(x_0|x_t), each carried through the forward
        posterior q(x_s|x_t, x_0) = N(c x_0 + c_1 x_t, λ² I) [bao2022, Section 2].

        lam2 : forward-posterior variance in [0, σ_s²]; None is that of the Markov chain (DDPM), for which this is
               Bayes' rule q_s(x_s) q(x_t|x_s)/q_t(x_t). Any other value gives the pairwise law of that DDIM family.
        Raises InvalidParameterError unless s is less noisy than t and lam2 is in its range.
        """
        who = "Oracle.reverse"
        x = to_numpy(x_t, who, "x_t")
        if x.shape != (self.q0.d,):
            raise InvalidParameterError(
                f"{who}: x_t must be one point of shape ({self.q0.d},); got {x.shape}. Loop over a batch"
            )
        flat, _ = self.q0.rows(who, x, "x_t")
        at_s, at_t = self._levels(who, s, (), "s"), self._levels(who, t, ())
        fresh = _fresh_noise(self.process, s, t, at_s, at_t)
        if not fresh > 0:
            raise InvalidParameterError(f"{who}: s must be less noisy than t; got s = {s}, t = {t}")
        a_s, sigma_s, sigma_t = float(at_s[0][0]), float(at_s[1][0]), float(at_t[1][0])
        share = fresh if lam2 is None else _share(who, lam2, sigma_s * sigma_s)
        # c = a_s (1 - √r) with r = (1 - λ²/σ_s²) u_t/u_s, multiplied out by 1 + √r: neighbouring s, t lose no digits.
        root = np.sqrt((1 - share) * (1 - fresh))
        c = a_s * (fresh + share * (1 - fresh)) / (1 + root)
        c1 = np.sqrt(1 - share) * sigma_s / sigma_t
        variance = share * sigma_s * sigma_s
        return self.q0.given(self.q0.posterior(flat, *at_t), c, c1 * flat[0], variance)

    def flow(self, x: Any, t: Any, s: Any, rtol: float = 1e-10) -> Any:
        """(..., d) where the exact probability flow carries x from time t to time s; see `dpmoracle.flow.flow`."""
        from .flow import flow

        return flow(self, x, t, s, rtol)

    def _levels(
        self, who: str, t: Any, shape: tuple[int, ...], name: str = "t", xp: Any = np
    ) -> tuple[Array, Array]:
        """(a, σ) at t, broadcast to `shape` and flattened, as arrays of xp."""
        if isinstance(self.process, Schedule) and xp is not np and array_module(t) is xp:
            times = as_steps(who, name, t, 0, self.process.N, gpu=True)  # looked up where they are
            levels = [
                xp.asarray(level)[times] for level in self.process.levels(np.arange(self.process.N + 1))
            ]
        else:
            times = self.process.check_times(to_numpy(t, who, name), who)
            levels = [xp.asarray(level) for level in self.process.levels(times)]
        try:
            a, sigma = (xp.broadcast_to(level, shape).reshape(-1) for level in levels)
        except ValueError:
            raise InvalidParameterError(
                f"{who}: {name} must be a scalar or broadcast against x.shape[:-1] = {shape}; got {times.shape}"
            ) from None
        return a, sigma

    def _predict(
        self,
        name: str,
        x: Any,
        t: Any,
        compute: Callable[[Array, Array, Array], Array],
        tail: tuple[int, ...],
        clean: Callable[[Array, Array], Array] | None = None,
    ) -> Array:
        """compute(x, a, σ) of the rows of x; those without noise go to `clean` where there is one."""
        who = f"Oracle.{name}"
        flat, lead = self.q0.rows(who, x)
        xp: Any = array_module(flat)
        a, sigma = self._levels(who, t, lead, xp=xp)
        noisy = sigma > 0
        if noisy.all() or (clean is None and not self.q0.is_singular):
            return compute(flat, a, sigma).reshape((*lead, *tail))
        if clean is None:
            raise InvalidParameterError(
                f"{who}: at sigma = 0 (t = 0) the mixture has no density because a covariance is singular. "
                "Ask at t > 0, or use positive-definite covariances"
            )
        out: Array = xp.empty((len(flat), *tail))
        out[~noisy] = clean(flat[~noisy], a[~noisy])
        out[noisy] = compute(flat[noisy], a[noisy], sigma[noisy])
        return out.reshape((*lead, *tail))

    def _expected(
        self,
        quantity: str,
        t: Any,
        num_samples: int,
        rng: np.random.Generator | int | None,
        method: str | None,
        progress: Progress | None,
    ) -> Estimate:
        who = f"Oracle.{quantity}"
        check_count(who, "num_samples", num_samples, low=2)
        if method is not None and method not in METHODS:
            raise InvalidParameterError(f"{who}: method must be one of {', '.join(METHODS)}; got {method!r}")
        times = self.process.check_times(to_numpy(t, who, "t"), who)
        a, sigma = self.process.levels(times.reshape(-1))
        ways = (method, self.backend, self.precision, progress)
        found = expected(self.q0, a, sigma, quantity, num_samples, generator(who, rng), *ways)
        return Estimate(
            found.value.reshape(times.shape),
            found.error.reshape(times.shape),
            found.method,
            found.effective_count.reshape(times.shape),
        )


def _fresh_noise(process: Any, s: Any, t: Any, at_s: tuple[Array, Array], at_t: tuple[Array, Array]) -> float:
    """1 - u_t/u_s, the share of the noise at t that came after s; nan or <= 0 unless s is less noisy.

    A Schedule knows it without cancellation from its betas; for real times it is as good as the times themselves.
    """
    if isinstance(process, Schedule):
        return float(process.beta(s, t) / process.beta_bar[t]) if s < t else 0.0
    (a_s, sigma_s), (a_t, sigma_t) = at_s, at_t
    if not a_s[0] * sigma_t[0] > 0:
        return 0.0
    root = a_t[0] * sigma_s[0] / (a_s[0] * sigma_t[0])
    return float((1 - root) * (1 + root))


def _share(who: str, lam2: Any, limit: float) -> float:
    """λ²/σ_s²; what is within a few ulps of the limit, as from `lambda2_ddpm`, is taken as the limit."""
    value = as_float(who, "lam2", lam2)
    if value.ndim or not 0 <= value <= limit * (1 + _ULPS):
        raise InvalidParameterError(
            f"{who}: lam2 must be one number in [0, sigma_s^2] = [0, {limit:.17g}]; got {lam2!r}"
        )
    if limit == 0:
        return 0.0
    return 1.0 if value > limit * (1 - _ULPS) else float(value) / limit
