"""Solver steps: the integral of the polynomial that a step stands for, by quadrature of Lagrange's polynomials."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath as mp

from .formulas import optimal_mean, pair
from .oracle import every, law
from .schedules import exact


def half_log(level: list[Any]) -> Any:
    return mp.log(mp.mpf(level[0]) / mp.mpf(level[1]))


def vp(lam: Any) -> list[Any]:
    return [1 / mp.sqrt(1 + mp.exp(-2 * lam)), 1 / mp.sqrt(1 + mp.exp(2 * lam))]


def integrals(prediction: str, knots: list[Any], start: Any, end: Any) -> list[Any]:
    """∫ of the flow's weight times each Lagrange polynomial through `knots`, from λ = start to end."""
    return list(_integrals(prediction, tuple(knots), start, end))


@functools.cache
def _integrals(prediction: str, knots: tuple[Any, ...], start: Any, end: Any) -> tuple[Any, ...]:
    weight = {
        "data": mp.exp,
        "noise": lambda lam: -mp.exp(-lam),
        "rho": lambda rho: mp.mpf(1),
        "sde": lambda lam: 2 * mp.exp(2 * lam),
    }[prediction]

    def basis(j: int) -> Callable[[Any], Any]:
        others = [knot for i, knot in enumerate(knots) if i != j]
        return lambda lam: weight(lam) * mp.fprod((lam - knot) / (knots[j] - knot) for knot in others)

    return tuple(mp.quad(basis(j), [start, end]) for j in range(len(knots)))


def integrate(prediction: str, start: Any, end: Any, x: Any, levels: Any, outputs: Any) -> list[Any]:
    """The flow from level start to level end with the polynomial through outputs at levels for the network."""
    (a, sigma), (b, r) = exact(start), exact(end)
    keep, scale = (r / sigma, r) if prediction == "data" else (b / a, b)
    parts = integrals(prediction, [half_log(level) for level in levels], half_log(start), half_log(end))
    return [
        keep * value + scale * mp.fsum(part * f[k] for part, f in zip(parts, outputs))
        for k, value in enumerate(x)
    ]


def weight(prediction: str, start: Any, end: Any) -> Any:
    """W: what a constant output of 1 adds."""
    return integrate(prediction, start, end, [mp.mpf(0)], [start], [[mp.mpf(1)]])[0]


def halved(prediction: str, start: Any, end: Any, x: Any, f: Any, slope: Any, scale: Any = None) -> list[Any]:
    """The constant output f, and half of the slope over h."""
    scale = weight(prediction, start, end) if scale is None else scale
    base = integrate(prediction, start, end, x, [start], [f])
    return [value + scale / 2 * d for value, d in zip(base, slope)]


def ddim(prediction: str, start: Any, end: Any, x: Any, output: Any) -> list[Any]:
    (a, sigma), (b, r) = exact(start), exact(end)
    inverse = mp.matrix([[a, sigma], [1, 0] if prediction == "data" else [0, 1]])
    pairs = [mp.lu_solve(inverse, mp.matrix([v, f])) for v, f in zip(exact(x), exact(output))]
    return [b * x0 + r * eps for x0, eps in pairs]


def slope_over(start: Any, end: Any, levels: Any, outputs: Any) -> list[Any]:
    """h times the difference quotient of two outputs."""
    h = half_log(end) - half_log(start)
    share = h / (half_log(levels[0]) - half_log(levels[1]))
    return [share * (one - two) for one, two in zip(outputs[0], outputs[1])]


def multistep(prediction: str, levels: Any, outputs: Any, end: Any, x: Any, form: str) -> list[Any]:
    levels, outputs, x = exact(levels), exact(outputs), exact(x)
    if form == "paper":
        return halved(prediction, levels[0], end, x, outputs[0], slope_over(levels[0], end, levels, outputs))
    return integrate(prediction, levels[0], end, x, levels, outputs)


def unip(prediction: str, levels: Any, outputs: Any, end: Any, x: Any, variant: str) -> list[Any]:
    levels, outputs, x, end = exact(levels), exact(outputs), exact(x), exact(end)
    if len(levels) != 2:
        return integrate(prediction, levels[0], end, x, levels, outputs)
    slope = slope_over(levels[0], end, levels, outputs)
    return halved(
        prediction, levels[0], end, x, outputs[0], slope, unipc_scale(prediction, levels[0], end, variant)
    )


def unipc_scale(prediction: str, start: Any, end: Any, variant: str) -> Any:
    if variant == "bh2":
        return weight(prediction, start, end)
    return (half_log(end) - half_log(start)) * (end[0] if prediction == "data" else -end[1])


def deis(levels: Any, outputs: Any, end: Any, x: Any, clock: str) -> list[Any]:
    levels, outputs, end = exact(levels), exact(outputs), exact(end)
    if clock == "log_rho":
        return integrate("noise", levels[0], end, exact(x), levels, outputs)
    knots = [sigma / a for a, sigma in levels]
    parts = integrals("rho", knots, knots[0], end[1] / end[0])
    return [
        end[0] * (value / levels[0][0] + mp.fsum(part * f[k] for part, f in zip(parts, outputs)))
        for k, value in enumerate(exact(x))
    ]


def sde(levels: Any, outputs: Any, end: Any, x: Any, noise: Any, form: str) -> list[Any]:
    """Variation of constants for dx_0-driven SDE in λ: weight 2 a_s e^{-2(λ_s - λ)}; the noise is what is lacking."""
    levels, outputs, end = exact(levels), exact(outputs), exact(end)
    if end[1] == 0:
        return outputs[0]
    lams, last = [half_log(level) for level in levels], half_log(end)
    scale = end[0] * mp.exp(-2 * last)
    keep = end[1] / levels[0][1] * mp.exp(lams[0] - last)
    gain = mp.sqrt(end[1] ** 2 - (keep * levels[0][1]) ** 2)
    used = 1 if form == "paper" else len(lams)
    parts = integrals("sde", lams[:used], lams[0], last)
    found = []
    for k, (value, z) in enumerate(zip(exact(x), exact(noise))):
        moved = keep * value + scale * mp.fsum(part * f[k] for part, f in zip(parts, outputs)) + gain * z
        if form == "paper":
            moved += scale * parts[0] / 2 * slope_over(levels[0], end, levels, outputs)[k]
        found.append(moved)
    return found


class Net:
    """The exact network of a mixture."""

    def __init__(self, mixture: Any, prediction: str) -> None:
        self.mixture, self.prediction = mixture, prediction

    def __call__(self, level: Any, x: list[Any]) -> list[Any]:
        q = law(self.mixture, *level, x)
        x0 = q.x0(every(q))
        return x0 if self.prediction == "data" else [(v - q.a * m) / q.sigma for v, m in zip(x, x0)]


def heun_between(net: Net, start: Any, end: Any, x: list[Any]) -> list[Any]:
    """The trapezium rule for dy/dρ = ε, its far end guessed by Euler's rule."""
    (a, sigma), (b, r) = exact(start), exact(end)
    dx = r / b - sigma / a
    slope = net((a, sigma), x)
    guess = [b * (v / a + dx * e) for v, e in zip(x, slope)]
    if r == 0:
        return guess
    return [b * (v / a + dx * (e + f) / 2) for v, e, f in zip(x, slope, net((b, r), guess))]


def singlestep(net: Net, start: Any, end: Any, x: Any, order: int, form: str, r1: Any, r2: Any) -> list[Any]:
    start, end = exact(start), exact(end)
    lam, h, kind = half_log(start), half_log(end) - half_log(start), net.prediction
    f = net(start, x)
    mid1 = vp(lam + r1 * h)
    f1 = net(mid1, integrate(kind, start, mid1, x, [start], [f]))
    if order == 2 and form == "taylor":
        return integrate(kind, start, end, x, [start, mid1], [f, f1])
    if order == 2:
        return halved(kind, start, end, x, f, [(one - two) / r1 for one, two in zip(f1, f)])
    mid2 = vp(lam + r2 * h)
    f2 = net(mid2, integrate(kind, start, mid2, x, [start, mid1], [f, f1]))
    if form == "paper":
        return integrate(kind, start, end, x, [start, mid2], [f, f2])
    return integrate(kind, start, end, x, [start, mid1, mid2], [f, f1, f2])


def singlestep_vector(
    mixture: Any, start: Any, end: Any, x: Any, prediction: str, **points: Any
) -> list[Any]:
    return singlestep(Net(mixture, prediction), start, end, exact(x), **points)


def ancestral(
    schedule: Any, s: int, t: int, x_t: Any, x0: Any, lam2: Any, sigma2: Any, noise: Any
) -> list[Any]:
    p = pair(schedule, s, t, lam2)
    return [
        p.mean(x, c) + mp.sqrt(mp.mpf(sigma2)) * z for x, c, z in zip(exact(x_t), exact(x0), exact(noise))
    ]


def ml_sde_step(schedule: Any, s: int, t: int, x_t: Any, score: Any, mmse_t: Any, noise: Any) -> list[Any]:
    """It is the optimal step of DDPM."""
    p = pair(schedule, s, t)
    mean = optimal_mean(schedule, s, t, p.lam2, x_t, score)
    return [m + mp.sqrt(p.at_mmse(mmse_t)) * z for m, z in zip(mean, exact(noise))]


TRUTH = {
    "ancestral_step": ancestral,
    "ml_sde_step": ml_sde_step,
    "ddim_step": ddim,
    "heun_step": lambda mixture, start, end, x: heun_between(Net(mixture, "noise"), start, end, exact(x)),
    "singlestep_step": singlestep_vector,
    "multistep_step": multistep,
    "unip_step": unip,
    "deis_step": deis,
    "sde_dpm_step": sde,
}
