"""What is measured on a GPU: V and Γ at all timesteps, dense programs of all K, scores of full covariances."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import MissingExtraError
from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..pairs import find
from ..processes.process import Process
from ..trajectory import trajectory_cost
from . import gpu_peers as peers
from .gpu_limits import DeviceLimits, synchronized
from .harness import Contender
from .moments import draw, patches, sizes
from .peers import Missing, load
from .results import Result, compare
from .scores import SIGMA, A, full_mixture
from .softmax import Work
from .suite import Setting
from .trajectories import curve

__all__ = ["PARTS", "DeviceSetting", "dense", "images_32", "images_64", "scores"]

Array = NDArray[Any]

_FRACTION = 16  # of ImageNet's 1,281,167 images one sixteenth is taken
_RANK = 256
_CHECKED = 5000  # points with which V is held against the plain function


@dataclass(frozen=True)
class DeviceSetting(Setting):
    """As on the host, with the limits of the device."""

    device: DeviceLimits = field(default_factory=DeviceLimits)

    def precisions(self) -> list[tuple[str, Any, bool]]:
        """Name, dtype, and whether float32 products are to be tf32."""
        return [("float32", np.float32, False), ("tf32", np.float32, True), ("float64", np.float64, False)]


def images_32(setting: DeviceSetting) -> Iterator[Result]:
    """V and Γ at all timesteps for 50,000 images of 32 x 32 in colour, M = 1000, all of it on the device."""
    try:
        points, of = patches(setting), "patches of photographs"
    except MissingExtraError:
        points, of = _smooth(2000 if setting.quick else 50_000, 3072, setting.seed), "smooth random images"
    for name, dtype, tf32 in setting.precisions():
        work = draw(points, 1000, dtype, setting)
        others: list[Contender | Missing] = []
        if name == "float32":
            others = peers.usable(peers.of_v(work, 10))
        yield _v(f"V and Γ, {sizes(work)} ({of}), {name}", work, dtype, tf32, others, setting)


def images_64(setting: DeviceSetting) -> Iterator[Result]:
    """The same for a sixteenth of ImageNet at 64 x 64: on the device, and streamed from the host in blocks."""
    count = 100 if setting.quick else 1_281_167 // _FRACTION
    points = _smooth(count, 48 if setting.quick else 12_288, setting.seed)
    work = draw(points, 1000, np.float32, setting)
    text = f"V and Γ, {sizes(work)} (1/{_FRACTION} of ImageNet-64, smooth random images), float32"
    for tf32 in (False, True):
        yield _v(text + (", tf32" if tf32 else ""), work, np.float32, tf32, [], setting)
    bound = points.nbytes / setting.device.upload
    yield _v(f"{text}, streamed", work, np.float32, False, [], setting, streamed=bound)


def _v(
    text: str,
    work: Work,
    dtype: Any,
    tf32: bool,
    others: list[Contender | Missing],
    setting: DeviceSetting,
    streamed: float | None = None,
) -> Result:
    """Γ is (1 - u V)/σ², so V is all that is timed.

    streamed : seconds that the upload takes at least, where the points stay on the host
    """
    import cupy

    from dpmoracle_kernels import gpu

    on = Work(*(cupy.asarray(part) for part in work)) if streamed is None else _host_points(work)
    weights = cupy.ones(len(work.points))
    law = (on.x0, on.noise, on.own, weights, on.points, 0.0, on.a, on.sigma, "pair")

    def call() -> None:
        with gpu.tf32() if tf32 else nullcontext():
            gpu.shared_samples(*law)

    (size, d), count, levels = work.points.shape, len(work.own), len(work.a)
    device = setting.device
    rate = device.gemm64 if dtype == np.float64 else device.tf32 if tf32 else device.gemm32
    exponentials = device.exp64 if dtype == np.float64 else device.exp32
    least = 4.0 * count * size * d / rate + float(count) * size * levels / exponentials
    limit = "its products and exponentials at the measured rates"
    if streamed is not None and streamed > least:
        least, limit = streamed, "the upload of the points at the measured rate"
    return compare(
        text,
        Contender("one product, fused sums", synchronized(call)),
        others,
        turns=setting.turns(5),
        error=_error_of_v(work, tf32),
        measure=f"of the mean of V over 2 samples, at 5 timesteps, {_CHECKED} of the points, relative to its largest",
        limit=(limit, partial(_share, least)),
        target={"limit": 0.6, **{peer.name: 1.0 for peer in others if "compile" in peer.name}},
    )


def _share(least: float, seconds: float) -> float:
    return least / seconds


def _host_points(work: Work) -> Work:
    import cupy

    return Work(*(part if part is work.points else cupy.asarray(part) for part in work))


def _error_of_v(work: Work, tf32: bool) -> float:
    """Against the plain function in float64, which takes minutes for all points."""
    import cupy

    from dpmoracle_kernels import gpu

    points, own = work.points[:_CHECKED], np.arange(2)
    drawn = (points[own], work.noise[own], own)
    few, weights = work.some(5), np.ones(len(points))
    wide = (*(part.astype(float) for part in drawn[:2]), own, weights, points.astype(float), 0.0)
    truth = find("shared_samples").plain(*wide, few.a, few.sigma, "pair").mean(0)
    there = [cupy.asarray(part) for part in (*drawn, weights, points)]
    levels = cupy.asarray(few.a), cupy.asarray(few.sigma)
    with gpu.tf32() if tf32 else nullcontext():
        found = cupy.asnumpy(gpu.shared_samples(*there, 0.0, *levels, "pair")).mean(0)
    return float(np.abs(found - truth).max() / np.abs(truth).max())


def _smooth(count: int, d: int, seed: int) -> Array:
    """(count, d) float32 of size 1/2 or so that vary along few directions, the k-th by 1/k, as images do."""
    import cupy

    rng, rank = np.random.default_rng(seed), min(_RANK, d)
    spread = rng.standard_normal((count, rank), dtype=np.float32) / np.arange(1, rank + 1, dtype=np.float32)
    axes = 0.4 * rng.standard_normal((rank, d), dtype=np.float32)
    host: Array = cupy.asnumpy(cupy.asarray(spread) @ cupy.asarray(axes))
    return host


def dense(setting: DeviceSetting) -> Iterator[Result]:
    """Shortest paths of all K for a general cost, that of a trajectory: N = 1000, which fits in L2, and 4000."""
    import cupy

    from dpmoracle_kernels import gpu

    for N in (40,) if setting.quick else (1000, 4000):
        host = trajectory_cost(*curve(N), backend="numpy")[1:, 1:]
        F, n = cupy.asarray(np.ascontiguousarray(host)), N
        # The first layers decide whether all are right: the plain program of all K takes minutes at N = 4000.
        checked = min(20, n - 1)
        plain = find("dense_layers").plain(host, checked)
        found = [cupy.asnumpy(part) for part in gpu.dense_layers(F, checked)]
        error = 0.0 if all(map(np.array_equal, found, plain)) else np.inf
        least = n**3 / 6 / setting.device.compare64
        others = peers.usable(peers.of_costs(host))
        yield compare(
            f"trajectories of all K by the dense program, N = {N}, float64",
            Contender("all layers at once", synchronized(partial(gpu.dense_layers, F, n - 1))),
            others,
            turns=setting.turns(3),
            error=error,
            measure=f"in costs and predecessors of {checked} layers",
            limit=(
                "its N³/6 sums, compared at the measured rate",
                partial(_share, least),
            ),
            target={"limit": 0.5, **{peer.name: 1.0 for peer in others if "compile" in peer.name}},
        )


def scores(setting: DeviceSetting) -> Iterator[Result]:
    """Scores of a million points of a mixture with full covariances, C = 10, d = 64, at one level."""
    import cupy

    from dpmoracle_kernels import gpu

    rng = np.random.default_rng(setting.seed)
    size, d, count = (3, 4, 300) if setting.quick else (10, 64, 1_000_000)
    q = full_mixture(size, d, rng)
    points = A * q.sample(count, rng) + SIGMA * rng.standard_normal((count, d))
    some = slice(0, 2000)
    truth = find("mixture_score").plain(
        points[some], *np.full((2, len(points[some])), [[A], [SIGMA]]), *q.parts()
    )[1]
    for name, dtype, tf32 in setting.precisions():
        x = cupy.asarray(points.astype(dtype))
        law = (cupy.full(count, A), cupy.full(count, SIGMA), *q.parts(cupy))

        def call(x: Any = x, law: Any = law, tf32: bool = tf32) -> Any:
            with gpu.tf32() if tf32 else nullcontext():
                return gpu.mixture_score(x, *law)

        found = cupy.asnumpy(call()[1][some])
        rate = {"float32": "gemm32", "tf32": "tf32", "float64": "gemm64"}[name]
        products = 2.0 * count * size * d * d / getattr(setting.device, rate)
        moved = 2.0 * x.nbytes / setting.device.copy
        least, by = max((products, "its products"), (moved, "x and the scores, moved"))
        others = (
            peers.usable([*peers.of_scores(q, points.astype(dtype)), *_public(q, points)])
            if name == "float32"
            else []
        )
        yield compare(
            f"scores of {count} points, C = {size}, d = {d}, full covariances, {name}",
            Contender("mixture_score", synchronized(call)),
            others,
            turns=setting.turns(9),
            error=float(np.abs(found - truth).max() / np.abs(truth).max()),
            measure="relative to the largest entry, over 2000 points",
            limit=(f"{by} at the measured rate", partial(_share, least)),
            target={peer.name: 1.0 for peer in others if "compile" in peer.name},
        )


def _public(q: GaussianMixture, points: Array) -> list[Contender | Missing]:
    """`Oracle.score` of a million points on the device in float32, with its checks."""
    import cupy

    orc = Oracle(q, Process.edm(), precision="float32")
    x = cupy.asarray(points.astype(np.float32))
    ways: list[Contender | Missing] = [
        Contender("Oracle.score of a CuPy array", synchronized(lambda: orc.score(x, SIGMA / A)))
    ]
    torch: Any = load("torch")
    if not isinstance(torch, Missing) and torch.cuda.is_available():
        tensor = torch.from_numpy(points.astype(np.float32)).cuda()
        ways.append(
            Contender("Oracle.score of a CUDA tensor", synchronized(lambda: orc.score(tensor, SIGMA / A)))
        )
    return ways


#: name -> (what yields its Results, seconds that it may take and that must be left when it begins)
PARTS = {
    "dense": (dense, 90),
    "scores": (scores, 60),
    "images_32": (images_32, 100),
    "images_64": (images_64, 70),
}
