"""Whole solutions, step by step with the exact network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mpmath as mp

from .schedules import exact
from .steps import (
    Net,
    ddim,
    deis,
    half_log,
    halved,
    heun_between,
    integrate,
    multistep,
    sde,
    singlestep,
    unip,
    unipc_scale,
    vp,
)


def solution(run: Callable[..., list[Any]], prediction: str = "") -> Callable[..., Any]:
    """run(net, nodes, x, **options) on every row."""

    def truth(mixture: Any, nodes: Any, x: Any, **options: Any) -> Any:
        net = Net(mixture, options.pop("prediction", prediction))
        noise = options.pop("noise", None)
        rows = exact(x)
        extra = [{}] * len(rows) if noise is None else [{"noise": list(z)} for z in zip(*noise)]
        return [run(net, exact(nodes), row, **options, **more) for row, more in zip(rows, extra)]

    return truth


def run_ddim(net: Net, nodes: Any, x: Any) -> Any:
    for start, end in itertools.pairwise(nodes):
        x = ddim(net.prediction, start, end, x, net(start, x))
    return x


def run_heun(net: Net, nodes: Any, x: Any) -> Any:
    for start, end in itertools.pairwise(nodes):
        x = heun_between(net, start, end, x)
    return x


def run_singlestep(net: Net, nodes: Any, x: Any, order: int) -> Any:
    r1, r2 = {2: (mp.mpf(1) / 2, None), 3: (mp.mpf(1) / 3, mp.mpf(2) / 3)}[order]
    for start, end in itertools.pairwise(nodes):
        x = singlestep(net, start, end, x, order, "paper", r1, r2)
    return x


def run_multistep(net: Net, nodes: Any, x: Any, order: int, form: str, start: str, lower_end: bool) -> Any:
    steps, levels, outputs = len(nodes) - 1, [], []
    for i in range(steps):
        levels, outputs = [nodes[i], *levels], [net(nodes[i], x), *outputs]
        k = min(order, i + 1, steps - i) if lower_end else min(order, i + 1)
        end = nodes[i + 1]
        if start == "singlestep" and i < order - 1:
            x = run_singlestep(net, nodes[i : i + 2], x, order)
        elif k == 1:
            x = ddim(net.prediction, nodes[i], end, x, outputs[0])
        else:
            x = multistep(net.prediction, levels[:k], outputs[:k], end, x, form if k == 2 else "taylor")
    return x


def run_unipc(net: Net, nodes: Any, x: Any, order: int, variant: str) -> Any:
    kind, levels, outputs, before = net.prediction, [], [], x
    for i in range(len(nodes) - 1):
        f = net(nodes[i], x)
        if i:
            k = min(order, i)
            if k == 1:
                scale = unipc_scale(kind, levels[0], nodes[i], variant)
                change = [one - two for one, two in zip(f, outputs[0])]
                x = halved(kind, levels[0], nodes[i], before, outputs[0], change, scale)
            else:
                x = integrate(kind, levels[0], nodes[i], before, [*levels[:k], nodes[i]], [*outputs[:k], f])
        levels, outputs, before = [nodes[i], *levels], [f, *outputs], x
        k = min(order, i + 1)
        x = unip(kind, levels[:k], outputs[:k], nodes[i + 1], x, variant)
    return x


def run_deis(net: Net, nodes: Any, x: Any, order: int, clock: str) -> Any:
    levels, outputs = [], []
    for i in range(len(nodes) - 1):
        levels, outputs = [nodes[i], *levels][:order], [net(nodes[i], x), *outputs][:order]
        x = deis(levels, outputs, nodes[i + 1], x, clock)
    return x


def run_sde(net: Net, nodes: Any, x: Any, order: int, form: str, noise: Any) -> Any:
    levels, outputs = [], []
    for i in range(len(nodes) - 1):
        levels, outputs = [nodes[i], *levels][:order], [net(nodes[i], x), *outputs][:order]
        x = sde(levels, outputs, nodes[i + 1], x, noise[i], form)
    return x


def run_adaptive(net: Net, nodes: Any, x: Any, order: int, atol: float, rtol: float, h_init: float) -> Any:
    at, end, h, previous = half_log(nodes[0]), half_log(nodes[-1]), mp.mpf(h_init), x
    third, half = mp.mpf(1) / 3, mp.mpf(1) / 2
    while at < end:
        h = min(h, end - at)
        span = vp(at), vp(at + h)
        if order == 2:
            low = integrate(net.prediction, *span, x, [span[0]], [net(span[0], x)])
            high = singlestep(net, *span, x, 2, "paper", half, None)
        else:
            low = singlestep(net, *span, x, 2, "paper", third, None)
            high = singlestep(net, *span, x, 3, "paper", third, 2 * third)
        scale = [max(mp.mpf(atol), rtol * max(abs(one), abs(two))) for one, two in zip(low, previous)]
        error = mp.sqrt(mp.fsum(((p - q) / s) ** 2 for p, q, s in zip(low, high, scale)) / len(x))
        if error <= 1:
            at, x, previous = at + h, high, low
        h = mp.mpf("0.9") * h * error ** (-mp.mpf(1) / order)
    return x


TRUTH = {
    "solve_ddim": solution(run_ddim),
    "solve_heun": solution(run_heun),
    "solve_singlestep": solution(run_singlestep),
    "solve_multistep": solution(run_multistep),
    "solve_unipc": solution(run_unipc),
    "solve_deis": solution(run_deis),
    "solve_sde_dpm": solution(run_sde, "data"),
    "solve_adaptive": solution(run_adaptive),
}
