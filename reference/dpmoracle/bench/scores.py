"""Benchmarks of mixture scores: many points at one level."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..pairs import find
from .harness import Contender
from .peak import at_peak, share_of_peak
from .peers import Missing, load
from .results import Result, compare
from .suite import Setting

__all__ = ["SIGMA", "A", "batch", "full_mixture", "jax_scores", "torch_scores"]

Array = NDArray[Any]

A, SIGMA = 0.6, 0.8


def batch(setting: Setting) -> Iterator[Result]:
    """100,000 points in float32, full covariances: few dimensions, and enough that matrix products decide."""
    for size, d, aim in ((3, 2, 20.0), (10, 64, 1.5)):
        rng = np.random.default_rng(setting.seed)
        count = 2000 if setting.quick else 100_000
        q = full_mixture(size, d, rng)
        x = (A * q.sample(count, rng) + SIGMA * rng.standard_normal((count, d))).astype(np.float32)
        a, sigma = np.full(count, A), np.full(count, SIGMA)
        pair = find("mixture_score")
        found = pair.kernel()(x, a, sigma, *q.parts())[1]
        truth = pair.plain(x.astype(np.float64), a, sigma, *q.parts())[1]
        ours = Contender(
            "rows side by side" if d == 2 else "one product", partial(pair.kernel(), x, a, sigma, *q.parts())
        )
        work = f"scores of {count} points, C = {size}, d = {d}, full covariances, float32"
        yield compare(
            work,
            ours,
            [*torch_scores(q, x), jax_scores(q, x)],
            turns=setting.turns(9),
            error=float(np.abs(found - truth).max() / np.abs(truth).max()),
            measure="relative to the largest entry",
            target={"torch": aim},
        )
        if d > 2:
            peak = at_peak(2.0 * count * size * d * d, np.float32)
            yield share_of_peak(work, ours, peak, setting.turns(9), 0.65)


def full_mixture(size: int, d: int, rng: np.random.Generator) -> GaussianMixture:
    """`size` components of full covariances, of about unit size, with means 2 apart or so in each of d dimensions."""
    factor = rng.standard_normal((size, d, 2 * d)) / np.sqrt(2 * d)
    means = 2 * rng.standard_normal((size, d))
    return GaussianMixture(np.full(size, 1 / size), means, factor @ factor.swapaxes(1, 2))


def _arrays(q: GaussianMixture) -> tuple[Array, Array, Array]:
    """Inverse covariances (C, d, d), means (C, d) and logarithms of weight and determinant (C,) at the level."""
    log_weights, means, spectrum, basis = q.parts()
    v = A * A * spectrum + SIGMA * SIGMA
    inverse = (basis / v[:, None, :]) @ basis.swapaxes(1, 2)  # type: ignore[operator, union-attr]
    arrays = (inverse, A * means, log_weights - 0.5 * np.log(v).sum(1))
    return tuple(value.astype(np.float32) for value in arrays)  # type: ignore[return-value]


def torch_scores(q: GaussianMixture, x: Array, place: str = "cpu") -> list[Contender | Missing]:
    """As it is commonly written, and with the products of all components as one."""
    torch: Any = load("torch")
    if isinstance(torch, Missing):
        return [torch]
    inverse, means, constant, points = (torch.from_numpy(value).to(place) for value in (*_arrays(q), x))
    size, d = means.shape
    side = inverse.permute(1, 0, 2).reshape(d, size * d).contiguous()
    shift = torch.einsum("cd,cde->ce", means, inverse)

    def common() -> Any:
        away = points[:, None, :] - means
        pull = torch.einsum("bcd,cde->bce", away, inverse)
        weights = torch.softmax(constant - 0.5 * (away * pull).sum(-1), 1)
        return -(weights[:, :, None] * pull).sum(1)

    def joined() -> Any:
        pull = (points @ side).view(-1, size, d) - shift
        weights = torch.softmax(constant - 0.5 * ((points[:, None, :] - means) * pull).sum(-1), 1)
        return -torch.einsum("bc,bcd->bd", weights, pull)

    return [Contender("torch", common), Contender("torch, one product", joined)]


def jax_scores(q: GaussianMixture, x: Array) -> Contender | Missing:
    jax: Any = load("jax")
    if isinstance(jax, Missing):
        return Missing("JAX", jax.reason)
    inverse, means, constant, points = (jax.numpy.asarray(value) for value in (*_arrays(q), x))

    def score(points: Any, inverse: Any, means: Any, constant: Any) -> Any:
        away = points[:, None, :] - means
        pull = jax.numpy.einsum("bcd,cde->bce", away, inverse)
        weights = jax.nn.softmax(constant - 0.5 * (away * pull).sum(-1), 1)
        return -(weights[:, :, None] * pull).sum(1)

    compiled = jax.jit(score)
    return Contender("JAX", lambda: compiled(points, inverse, means, constant).block_until_ready())
