"""The peers of the benchmarks on a GPU: torch, torch.compile and JAX, all on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from .gpu_limits import synchronized
from .harness import Contender
from .peers import Missing, load
from .scores import jax_scores, torch_scores
from .softmax import Work, jax_softmax, torch_softmax

__all__ = ["of_costs", "of_scores", "of_v", "usable"]

Array = NDArray[Any]


def of_v(work: Work, softmaxes: int, place: str = "cuda") -> list[Contender | Missing]:
    """V by a softmax at each timestep (`softmaxes` of them, scaled), and by the algorithm of our kernel."""
    few = work.some(softmaxes)
    scale, note = len(work.a) / len(few.a), f"{len(few.a)} of {len(work.a)} timesteps, scaled"
    peers: list[Contender | Missing] = []
    if isinstance(torch := _torch(place), Missing):
        peers.append(torch)
    else:
        plain = torch_softmax(few, scale, note, place)
        peers += [_named(plain, "torch, softmax"), _compiled(torch, plain, "torch.compile, softmax")]
        peers += [_products(torch, work, place, compiled) for compiled in (False, True)]
    absent = _no_jax()
    return [*peers, absent or _named(jax_softmax(few, scale, note), "JAX, softmax")]


def of_scores(q: GaussianMixture, x: Array, place: str = "cuda") -> list[Contender | Missing]:
    """Scores in float32, as they are commonly written and with one product for all components."""
    peers: list[Contender | Missing] = []
    if isinstance(torch := _torch(place), Missing):
        peers.append(torch)
    else:
        for plain in torch_scores(q, x, place):
            peers.append(plain)
            if isinstance(plain, Contender):
                peers.append(_compiled(torch, plain, plain.name.replace("torch", "torch.compile")))
    return [*peers, _no_jax() or jax_scores(q, x)]


def of_costs(F: Array, place: str = "cuda") -> list[Contender | Missing]:
    """The dense program, one layer after the other: (min,+) products of a row with the matrix."""
    n = len(F)
    above = np.where(np.tri(n, dtype=bool), np.inf, F)
    peers: list[Contender | Missing] = []
    if isinstance(torch := _torch(place), Missing):
        peers.append(torch)
    else:
        costs = torch.from_numpy(above).to(place)

        def layer(reached: Any) -> Any:
            return (reached[:, None] + costs).min(0)

        def program(layer: Callable[[Any], Any]) -> Callable[[], Any]:
            def call() -> Any:
                reached = torch.full((n,), np.inf, dtype=torch.float64, device=place)
                reached[0] = 0.0
                table = torch.empty((n, n), dtype=torch.int64, device=place)
                for k in range(1, n):
                    reached, table[k] = layer(reached)
                return table

            return call

        peers += [
            Contender(name, synchronized(program(each)))
            for name, each in (("torch", layer), ("torch.compile", _compile(torch, layer)))
        ]
    return [*peers, _no_jax() or _jax_program(above)]


def _jax_program(above: Array) -> Contender:
    jax: Any = load("jax")
    n = len(above)
    with jax.enable_x64(True):
        costs = jax.numpy.asarray(above)

    def layer(reached: Any, _: Any) -> Any:
        sums = reached[:, None] + costs
        return sums.min(0), sums.argmin(0)

    start = np.where(np.arange(n) == 0, 0.0, np.inf)
    run = jax.jit(lambda first: jax.lax.scan(layer, first, None, length=n - 1))

    def call() -> Any:
        with jax.enable_x64(True):
            return run(start)[1].block_until_ready()

    return Contender("JAX", call)


def _products(torch: Any, work: Work, place: str, compiled: bool) -> Contender:
    """Two products, then exponentials and two sums at every level: what our kernel does."""
    x0, noise, y = (torch.from_numpy(value).to(place) for value in (work.x0, work.noise, work.points))
    own = torch.from_numpy(work.own).to(place)
    levels = torch.from_numpy((work.a / work.sigma).astype(work.points.dtype)).to(place).unbind()

    def sums(g: Any, e: Any, level: Any) -> Any:
        w = torch.exp(level * e - level * level * g)
        return (w * g).sum(1) / w.sum(1)

    each = _compile(torch, sums) if compiled else sums

    def call() -> list[Any]:
        half = 0.5 * y.square().sum(1)
        g, e = x0 @ y.T, noise @ y.T
        g = (half - half[own][:, None]) - (g - g.gather(1, own[:, None]))
        e = e - e.gather(1, own[:, None])
        return [each(g, e, level) for level in levels]

    name = "torch.compile" if compiled else "torch"
    return Contender(f"{name}, products and all timesteps", synchronized(call))


def _compile(torch: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """torch.compile at the first call: the compiler takes seconds to load."""
    made: list[Callable[..., Any]] = []

    def call(*values: Any) -> Any:
        if not made:
            made.append(torch.compile(function))
        return made[0](*values)

    return call


def _torch(place: str) -> Any:
    torch: Any = load("torch")
    if isinstance(torch, Missing):
        return Missing("torch, torch.compile", torch.reason)
    if place == "cuda" and not torch.cuda.is_available():
        return Missing("torch, torch.compile", "sees no GPU")
    return torch


def _no_jax() -> Missing | None:
    jax: Any = load("jax")
    if isinstance(jax, Missing):
        return Missing("JAX", jax.reason)
    return None if jax.default_backend() == "gpu" else Missing("JAX", f"runs on {jax.default_backend()} only")


def _named(peer: Contender | Missing, name: str) -> Contender | Missing:
    if isinstance(peer, Missing):
        return Missing(name, peer.reason)
    return Contender(name, synchronized(peer.call), peer.scale, peer.note)


def _compiled(torch: Any, peer: Contender | Missing, name: str) -> Contender | Missing:
    if isinstance(peer, Missing):
        return Missing(name, peer.reason)
    return Contender(name, synchronized(_compile(torch, peer.call)), peer.scale, peer.note)


def usable(peers: Sequence[Contender | Missing]) -> list[Contender | Missing]:
    """Those that run; one that fails on its first call (a compiler that is not there, memory) is missing, with why."""
    found: list[Contender | Missing] = []
    for peer in peers:
        if isinstance(peer, Contender):
            try:
                peer.call()
            except Exception as error:  # whatever a peer raises must not cost our figures
                peer = Missing(peer.name, f"fails: {type(error).__name__}: {str(error).strip()[:200]}")
        found.append(peer)
    return found
