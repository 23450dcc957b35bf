"""Benchmarks of Γ and V at all timesteps: one product for all of them against a softmax at each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..datasets import digits
from ..errors import require
from ..mixture import GaussianMixture
from ..pairs import find
from ..processes.schedule import Schedule
from .harness import Contender, interleave, ratio
from .peak import at_peak, share_of_peak
from .peers import Missing, load
from .results import Result, compare
from .softmax import Work, per_timestep
from .suite import Setting

__all__ = [
    "data",
    "draw",
    "exponentials",
    "features",
    "images",
    "images_gemm",
    "patches",
    "reduction",
    "sizes",
]

Array = NDArray[Any]

_SOME = 10  # timesteps that a peer is timed on where all would take minutes


def images(setting: Setting) -> Iterator[Result]:
    """50,000 patches of photographs, shaped as CIFAR, in float32: every timestep against a softmax per timestep."""
    work = draw(patches(setting), 100, np.float32, setting)
    scale, note = len(work.a) / _SOME, f"{_SOME} of {len(work.a)} timesteps, scaled"
    yield compare(
        f"V of {sizes(work)}, float32",
        Contender("one product", work.ours),
        per_timestep(work.some(_SOME), scale, note, ("numpy", "torch", "torch cdist", "jax")),
        turns=setting.turns(3),
        error=_error(work.some(20)),
        measure="of the mean of V, at 20 timesteps, relative to its largest",
        target={"NumPy": 600.0, "torch": 1000.0, "JAX": 1000.0},
    )


def images_gemm(setting: Setting) -> Iterator[Result]:
    """The same with many samples, as a share of its two matrix products at the peak of the machine."""
    work = draw(patches(setting), 1000, np.float32, setting)
    peak = at_peak(2 * 2.0 * len(work.own) * work.points.size, np.float32)
    yield share_of_peak(
        f"V of {sizes(work)}, float32", Contender("one product", work.ours), peak, setting.turns(3), 0.55
    )


def data(setting: Setting) -> Iterator[Result]:
    """The 1797 digits in float64."""
    work = draw(digits(), 500, np.float64, setting)
    few = work.some(_SOME)
    scale, note = len(work.a) / _SOME, f"{_SOME} of {len(work.a)} timesteps, scaled"
    yield compare(
        f"V of {sizes(work)}, float64",
        Contender("one product", work.ours),
        per_timestep(few, scale, note, ("numpy", "torch", "torch cdist", "jax", "scikit-learn")),
        turns=setting.turns(5),
        error=_error(work.some(50)),
        measure="of the mean of V, at 50 timesteps, relative to its largest",
        target={"torch": 15.0, "scikit-learn": 65.0},
    )


def reduction(setting: Setting) -> Iterator[Result]:
    """The sums of exponentials over components at all levels, products given: the same sums by others."""
    kernels = require("dpmoracle_kernels.cpu.moments", "numba", "dpmoracle bench")
    work = draw(patches(setting), 50, np.float32, setting)
    mixture = kernels.cloud(np.ones(len(work.points)), work.points, 0.0)
    level = kernels.sorted_levels(work.a, work.sigma, 0.0, mixture.dtype, len(work.points), 0.0)
    products = mixture.products(work.x0, work.noise)
    p, noise = np.zeros(work.x0.shape), work.noise.astype(np.float64)
    out = np.empty((len(work.own), len(work.a)))
    ours = partial(kernels._pairs, mixture, level, 0.0, p, noise, work.own, products, "pair", out)

    count = len(work.own)
    rows = np.arange(count)
    g = mixture.half - mixture.half[work.own][:, None] - products[:count]
    g += products[rows, work.own][:, None]
    e = products[count:] - products[count + rows, work.own][:, None]
    few = work.some(_SOME)
    scale, note = len(work.a) / _SOME, f"{_SOME} of {len(work.a)} timesteps, scaled"
    s = (few.a / few.sigma).astype(np.float32)
    yield compare(
        f"the exponentials and their sums alone, {sizes(work)}, float32",
        Contender("fused", ours),
        [_torch_reduction(g, e, s, scale, note), _jax_reduction(g, e, s, scale, note)],
        turns=setting.turns(5),
        target={"torch": 50.0, "JAX": 30.0},
    )


def exponentials(setting: Setting) -> Iterator[Result]:
    """One core, all in cache: exponentials that are summed per second, against exponentials alone."""
    kernels = require("dpmoracle_kernels.cpu.moments", "numba", "dpmoracle bench")
    rng = np.random.default_rng(setting.seed)
    for dtype in (np.float32, np.float64):
        g, e = rng.random(1024).astype(dtype), rng.standard_normal(1024).astype(dtype)
        share, distance, noise = np.zeros_like(g), *rng.random((2, 64)).astype(dtype)
        total, weighted, out = np.zeros(64), np.zeros(64), np.empty((64, 1024), dtype)
        given = (g, e, share, distance, noise)
        exponents = np.linspace(-80, 0, 1024, dtype=dtype)

        def by_numpy(exponents: Array = exponents, out: Array = out) -> None:
            for row in out:
                np.exp(exponents, out=row)

        timings = interleave(
            [
                Contender(
                    "exponents, exponentials and two sums", partial(kernels._sums, *given, total, weighted)
                ),
                Contender("exponents and exponentials", partial(kernels._weights, *given, out)),
                Contender("NumPy's exponentials", by_numpy),
            ],
            setting.turns(21),
        )
        fastest = min(ratio(other, timings[0]) for other in timings[1:])
        yield Result(
            f"sums of 64 x 1024 exponentials, {np.dtype(dtype).name}, one core, in cache",
            timings,
            limit=("the faster way to exponentials that are not summed", fastest),
            target={"limit": 0.85},
            figures={"exponentials per second, 1e9": out.size / timings[0].median / 1e9},
        )


def features(setting: Setting) -> Iterator[Result]:
    """V of a mixture with full covariances at all timesteps: quadratic features against scores per timestep."""
    for d in (16, 32):
        rng = np.random.default_rng(setting.seed)
        size, count = 10, 100 if setting.quick else 1000
        factor = rng.standard_normal((size, d, 2 * d)) / np.sqrt(2 * d)
        q = GaussianMixture(
            np.full(size, 1 / size), 2 * rng.standard_normal((size, d)), factor @ factor.swapaxes(1, 2)
        )
        a, sigma = _levels()
        x0, noise = q.sample(count, rng), rng.standard_normal((count, d))
        pair = find("pair_samples")
        arguments = (x0, noise, *q.parts(), a, sigma)
        at = np.linspace(0, len(a) - 1, 20).astype(int)
        few = (*arguments[:-2], a[at], sigma[at])
        found, plain = pair.kernel()(*few), pair.plain(*few)
        scale, note = len(a) / 20, f"20 of {len(a)} timesteps, scaled"
        yield compare(
            f"V of {size} full covariances, d = {d}, M = {count}, {len(a)} timesteps, float64",
            Contender("features", partial(pair.kernel(), *arguments)),
            [
                Contender("features, NumPy", partial(pair.plain, *arguments)),
                _torch_scores(q, x0, noise, a[at], sigma[at], scale, note),
                Contender(
                    "plain scores", partial(_plain_scores, q, x0, noise, a[at], sigma[at]), scale, note
                ),
            ],
            turns=setting.turns(3),
            error=float(np.abs(found / plain - 1).max()),
            measure="of each sample, relative",
            target={"torch, score at each timestep": 12.0},
        )


def _levels(steps: int = 1000) -> tuple[Array, Array]:
    return Schedule.linear(steps, 1e-4, 2e-2).levels(np.arange(1, steps + 1))


def draw(points: Array, count: int, dtype: Any, setting: Setting) -> Work:
    rng = np.random.default_rng(setting.seed)
    count = min(count, 20) if setting.quick else count
    own = rng.integers(len(points), size=count)
    points = np.asarray(points, dtype)
    return Work(
        points[own], rng.standard_normal((count, points.shape[1])).astype(dtype), own, points, *_levels()
    )


def patches(setting: Setting) -> Array:
    """(50000, 3072) patches of 32 x 32 pixels of scikit-learn's two photographs, in [-1, 1]."""
    photographs = require("sklearn.datasets", "cli", "dpmoracle bench").load_sample_images().images
    windows = np.lib.stride_tricks.sliding_window_view
    parts = [windows(image, (32, 32, 3))[::3, ::3, 0].reshape(-1, 3072) for image in photographs]
    count = 2000 if setting.quick else 50_000
    chosen = np.random.default_rng(0).permutation(sum(map(len, parts)))[:count]
    return np.concatenate(parts)[chosen].astype(np.float32) / np.float32(127.5) - 1


def sizes(work: Work) -> str:
    (size, d), count, T = work.points.shape, len(work.own), len(work.a)
    return f"{size} x {d} points, M = {count}, {T} timesteps"


def _error(work: Work) -> float:
    """Largest difference of the mean over three samples from the plain function in float64, over the largest mean."""
    few = work._replace(x0=work.x0[:3], noise=work.noise[:3], own=work.own[:3])
    wide = (few.x0.astype(float), few.noise.astype(float), few.own)
    law = (np.ones(len(few.points)), few.points.astype(float), 0.0, few.a, few.sigma, "pair")
    truth = find("shared_samples").plain(*wide, *law).mean(0)
    return float(np.abs(few.ours().mean(0) - truth).max() / np.abs(truth).max())


def _torch_reduction(g: Array, e: Array, s: Array, scale: float, note: str) -> Contender | Missing:
    torch: Any = load("torch")
    if isinstance(torch, Missing):
        return torch
    first, second = torch.from_numpy(g), torch.from_numpy(e)

    def call() -> list[Any]:
        found = []
        for level in s.tolist():
            w = torch.exp(level * second - (level * level) * first)
            found.append((w * first).sum(1) / w.sum(1))
        return found

    return Contender("torch", call, scale, note)


def _jax_reduction(g: Array, e: Array, s: Array, scale: float, note: str) -> Contender | Missing:
    jax: Any = load("jax")
    if isinstance(jax, Missing):
        return Missing("JAX", jax.reason)
    first, second, levels = (jax.numpy.asarray(value) for value in (g, e, s))

    def every(g: Any, e: Any, levels: Any) -> Any:
        def one(level: Any) -> Any:
            w = jax.numpy.exp(level * e - (level * level) * g)
            return (w * g).sum(1) / w.sum(1)

        return jax.lax.map(one, levels)

    compiled = jax.jit(every)
    return Contender("JAX", lambda: compiled(first, second, levels).block_until_ready(), scale, note)


def _torch_scores(
    q: GaussianMixture, x0: Array, noise: Array, a: Array, sigma: Array, scale: float, note: str
) -> Contender | Missing:
    name = "torch, score at each timestep"
    torch: Any = load("torch")
    if isinstance(torch, Missing):
        return Missing(name, torch.reason)
    log_weights, means, spectrum, basis = (torch.from_numpy(np.array(v)) for v in q.parts())
    clean, eps = torch.from_numpy(x0), torch.from_numpy(noise)
    d = x0.shape[1]

    def call() -> list[Any]:
        found = []
        for level, s in zip(a.tolist(), sigma.tolist()):
            v = level * level * spectrum + s * s
            inverse = (basis / v[:, None, :]) @ basis.mT
            away = (level * clean + s * eps)[None] - level * means[:, None]
            pull = away @ inverse
            logits = (log_weights - 0.5 * v.log().sum(1))[:, None] - 0.5 * (away * pull).sum(2)
            score = -(torch.softmax(logits, 0)[:, :, None] * pull).sum(0)
            found.append((s / level) ** 2 * (1 - s * s * score.square().sum(1).mean() / d))
        return found

    return Contender(name, call, scale, note)


def _plain_scores(q: GaussianMixture, x0: Array, noise: Array, a: Array, sigma: Array) -> list[float]:
    plain = find("mixture_score").plain
    ones = np.ones(len(x0))
    return [
        float(np.square(plain(level * x0 + s * noise, level * ones, s * ones, *q.parts())[1]).mean())
        for level, s in zip(a, sigma)
    ]
