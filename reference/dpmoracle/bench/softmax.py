"""The peers of the benchmarks of V: a softmax over the points at each timestep, as it is commonly written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..pairs import find
from .harness import Contender
from .peers import Missing, load

__all__ = ["Work", "jax_softmax", "per_timestep", "torch_softmax"]

Array = NDArray[Any]


class Work(NamedTuple):
    """V of a set of points at levels a, sigma (T,) from M samples, all of one dtype but for own."""

    x0: Array
    noise: Array
    own: NDArray[np.int64]
    points: Array
    a: Array
    sigma: Array

    def ours(self) -> Array:
        """(M, T) samples of V by the pair estimator."""
        kernel = find("shared_samples").kernel()
        weights = np.ones(len(self.points))
        found: Array = kernel(
            self.x0, self.noise, self.own, weights, self.points, 0.0, self.a, self.sigma, "pair"
        )
        return found

    def some(self, count: int) -> Work:
        """The same at `count` of the timesteps, evenly spread."""
        at = np.linspace(0, len(self.a) - 1, count).round().astype(int)
        return self._replace(a=self.a[at], sigma=self.sigma[at])


def per_timestep(work: Work, scale: float, note: str, which: tuple[str, ...]) -> list[Contender | Missing]:
    """V by Tr Cov(x_0|x_t) at each timestep, with the weights as a softmax over the points."""
    makers: dict[str, Callable[[Work, float, str], Contender | Missing]] = {
        "numpy": _numpy_softmax,
        "torch": torch_softmax,
        "torch cdist": _torch_cdist,
        "jax": jax_softmax,
        "scikit-learn": _sklearn,
    }
    return [makers[name](work, scale, note) for name in which]


def _numpy_softmax(work: Work, scale: float, note: str) -> Contender:
    y, squares = work.points, np.square(work.points).sum(1)

    def call() -> list[Any]:
        found = []
        for a, s in zip(*_scalars(work)):
            x = a * work.x0 + s * work.noise
            logits = (a / (s * s)) * (x @ y.T - (0.5 * a) * squares)
            logits -= logits.max(1, keepdims=True)
            weights = np.exp(logits)
            weights /= weights.sum(1, keepdims=True)
            mean = weights @ y
            found.append((weights @ squares - np.square(mean).sum(1)).mean() / y.shape[1])
        return found

    return Contender("NumPy", call, scale, note)


def torch_softmax(work: Work, scale: float, note: str, place: str = "cpu") -> Contender | Missing:
    """V at each timestep in torch, on the device `place`."""
    torch: Any = load("torch")
    if isinstance(torch, Missing):
        return torch
    x0, noise, y = (torch.from_numpy(v).to(place) for v in (work.x0, work.noise, work.points))
    squares = y.square().sum(1)

    def call() -> list[Any]:
        found = []
        for a, s in zip(work.a.tolist(), work.sigma.tolist()):
            x = a * x0 + s * noise
            weights = torch.softmax((a / (s * s)) * (x @ y.T - (0.5 * a) * squares), 1)
            found.append((weights @ squares - (weights @ y).square().sum(1)).mean() / y.shape[1])
        return found

    return Contender("torch", call, scale, note)


def _torch_cdist(work: Work, scale: float, note: str) -> Contender | Missing:
    torch: Any = load("torch")
    if isinstance(torch, Missing):
        return Missing("torch, cdist", torch.reason)
    x0, noise, y = (torch.from_numpy(v) for v in (work.x0, work.noise, work.points))
    squares = y.square().sum(1)

    def call() -> list[Any]:
        found = []
        for a, s in zip(work.a.tolist(), work.sigma.tolist()):
            far = torch.cdist(a * x0 + s * noise, a * y).square()
            weights = torch.softmax(-far / (2 * s * s), 1)
            found.append((weights @ squares - (weights @ y).square().sum(1)).mean() / y.shape[1])
        return found

    return Contender("torch, cdist", call, scale, note)


def jax_softmax(work: Work, scale: float, note: str) -> Contender | Missing:
    """V at each timestep in JAX, on its default device."""
    jax: Any = load("jax")
    if isinstance(jax, Missing):
        return Missing("JAX", jax.reason)
    wide = work.points.dtype == np.float64
    with jax.enable_x64(wide):
        x0, noise, y = (jax.numpy.asarray(v) for v in (work.x0, work.noise, work.points))

    def one(x0: Any, noise: Any, y: Any, a: Any, s: Any) -> Any:
        squares = (y * y).sum(1)
        logits = (a / (s * s)) * ((a * x0 + s * noise) @ y.T - (0.5 * a) * squares)
        weights = jax.nn.softmax(logits, 1)
        return (weights @ squares - ((weights @ y) ** 2).sum(1)).mean() / y.shape[1]

    compiled = jax.jit(one)

    def call() -> list[Any]:
        with jax.enable_x64(wide):
            return [compiled(x0, noise, y, a, s).block_until_ready() for a, s in zip(*_scalars(work))]

    return Contender("JAX", call, scale, note)


def _sklearn(work: Work, scale: float, note: str) -> Contender | Missing:
    mixture: Any = load("sklearn.mixture")
    if isinstance(mixture, Missing):
        return mixture
    size = len(work.points)
    law = mixture.GaussianMixture(size, covariance_type="spherical")
    law.weights_ = np.full(size, 1 / size)
    squares = np.square(work.points).sum(1)

    def call() -> list[Any]:
        found = []
        for a, s in zip(work.a, work.sigma):
            law.means_, law.covariances_ = a * work.points, np.full(size, s * s)
            law.precisions_cholesky_ = np.full(size, 1 / s)
            weights = law.predict_proba(a * work.x0 + s * work.noise)
            mean = weights @ work.points
            found.append((weights @ squares - np.square(mean).sum(1)).mean() / mean.shape[1])
        return found

    return Contender("scikit-learn", call, scale, note)


def _scalars(work: Work) -> tuple[Array, Array]:
    """Levels in the dtype of the data, so that nothing is promoted."""
    return work.a.astype(work.points.dtype), work.sigma.astype(work.points.dtype)
