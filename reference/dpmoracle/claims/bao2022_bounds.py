"""Analytic-DPM, Theorem 2: bounds on the optimal variance, and how tight they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..mixture import GaussianMixture
from ..processes.schedule import Schedule
from ..reverse_step import lambda2_ddpm
from ..variance import variance_bounds
from .bao2022 import DATA_STEPS, lambdas, variances
from .cloud import Cloud
from .registry import Measurement, holds, refuted
from .roads import Bayes, mean_given_both, relative, worst
from .world import World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]
_STEPS = {2: (1,), 10: (1, 9), 100: (10, 99), 500: (1, 200), 1000: (1, 500, 999)}
_PAIRS = tuple((s, t) for t, earlier in _STEPS.items() for s in earlier)
_FLOOR = 1e-3  # of β̄_s: a variance below it is compared with it


def _weight(sch: Schedule, s: int, t: int, lam2: float) -> float:
    """What one unit of x_0 adds to E[x_s | x_t, x_0]."""
    return float(mean_given_both(sch, s, t, np.zeros(1), np.ones(1), lam2)[0])


def _lower(sch: Schedule, s: int, t: int, lam2: float) -> float:
    return float(variance_bounds(sch, s, t, lam2)[0])


def _upper(sch: Schedule, s: int, t: int, lam2: float) -> float:
    return float(variance_bounds(sch, s, t, lam2)[1])


def _gaussians(world: World) -> Iterator[tuple[str, int, int, float, float]]:
    """(case, s, t, λ², Var(x_s|x_t)) for N(0, τ²), whose precision given x_t is 1/τ² + u."""
    sch = world.schedule
    for s, t in _PAIRS:
        for choice, lam2 in lambdas(sch, s, t).items():
            for tau2 in (1e-8, 1e-2, 1.0, 1e2, 1e4):
                true = lam2 + _weight(sch, s, t, lam2) ** 2 / (1 / tau2 + float(sch.snr[t]))
                yield f"N(0, {tau2:g}), (s, t) = ({s}, {t}), {choice}", s, t, lam2, true


def _cases(world: World) -> Iterator[tuple[str, int, int, float, float]]:
    yield from _gaussians(world)
    for case, _, s, t, lam2, _, true in variances(world, _STEPS, planes_from=500):
        yield case, s, t, lam2, true


def _never_above(lower: Callable[..., float], world: World) -> Measurement:
    return _violation(world, lower, 1.0)


def _never_below(upper: Callable[..., float], world: World) -> Measurement:
    return _violation(world, upper, -1.0)


def _violation(world: World, bound: Callable[..., float], sign: float) -> Measurement:
    """How far the bound is on the wrong side of E Tr Cov(x_s|x_t)/d, relative to it; and how near on the right one."""
    sch, errors, nearest = world.schedule, {}, np.inf
    for case, s, t, lam2, true in _cases(world):
        beyond = sign * (bound(sch, s, t, lam2) - true) / max(true, _FLOOR * sch.beta_bar[s])
        errors[case] = max(float(beyond), 0.0) if np.isfinite(beyond) else np.inf
        nearest = min(nearest, abs(float(beyond)))
    error, where = worst(errors)
    shown = f"worst for {where}" if error > 0 else f"never crossed, nearest by {nearest:.1e}"
    return Measurement(error, f"{len(errors)} cases, {shown}")


def _attained(bound: Callable[..., float], world: World) -> Measurement:
    """The smallest distance of σ*² from the bound over laws from a point to wide Gaussians, at the worst step.

    In units of the distance between the bounds a point lies at 0 and N(0, τ²) at k/(1 + k), k = uτ².
    """
    sch, gaps = world.schedule, {}
    for s, t in _PAIRS:
        for choice, lam2 in lambdas(sch, s, t).items():
            reach = _weight(sch, s, t, lam2) ** 2 / float(sch.snr[t])
            places = [k / (1 + k) for k in (0.0, 1e-4, 1e-2, 1.0, 1e2, 1e4, 1e6)]
            got = (bound(sch, s, t, lam2) - lam2) / reach
            gap = min(abs(got - place) for place in places)
            gaps[f"(s, t) = ({s}, {t}), {choice}"] = float(gap) if np.isfinite(gap) else np.inf
    error, where = worst(gaps)
    return Measurement(error, f"of the distance between the bounds, the law that is nearest, at {where}")


def _approached(upper: Callable[..., float], world: World) -> Measurement:
    """N(0, τ²) with u τ² = 10¹⁴ must come as near to the bound as 10⁻¹⁴."""
    sch, errors = world.schedule, {}
    for s, t in _PAIRS:
        for choice, lam2 in lambdas(sch, s, t).items():
            true = lam2 + _weight(sch, s, t, lam2) ** 2 / (float(sch.snr[t]) * (1 + 1e-14))
            errors[f"(s, t) = ({s}, {t}), {choice}"] = relative(upper(sch, s, t, lam2), true)
    error, where = worst(errors)
    return Measurement(error, f"relative distance of N(0, τ²), uτ² = 1e14, largest at {where}")


def _ddpm_bounds(sch: Schedule, s: int, t: int) -> tuple[float, float]:
    """λ² = β̃: the two variances between which DDPM chose."""
    return float(lambda2_ddpm(sch, s, t)), float(sch.beta(s, t) / sch.alpha(s, t))


def _between_priors(bounds: Callable[..., tuple[float, float]], world: World) -> Measurement:
    """Var(x_s|x_t) of the Markov chain when x_0 is known, and when nothing is known of x_s but x_t."""
    sch, errors = world.schedule, {}
    for s, t in _PAIRS:
        likelihood = float(sch.alpha(s, t) / sch.beta(s, t))
        known = 1 / (likelihood + 1 / float(sch.beta_bar[s]))
        low, high = bounds(sch, s, t)
        errors[f"lower, (s, t) = ({s}, {t})"] = relative(low, known)
        errors[f"upper, (s, t) = ({s}, {t})"] = relative(high, 1 / likelihood)
    error, where = worst(errors)
    return Measurement(error, f"against x_0 known and a flat prior of x_s, worst for {where}")


def _range_upper(sch: Schedule, s: int, t: int, lam2: float, data_range: tuple[float, float]) -> float:
    return float(variance_bounds(sch, s, t, lam2, data_range)[1])


_BOXES: dict[str, tuple[list[float], list[float], tuple[float, float]]] = {
    "two points": ([0.5, 0.5], [-1.0, 1.0], (-1.0, 1.0)),
    "two close points": ([0.5, 0.5], [2.0, 2.5], (2.0, 2.5)),
    "four points": ([0.1, 0.4, 0.2, 0.3], [-0.3, 0.1, 0.5, 1.2], (-0.3, 1.2)),
}


def _in_the_box(upper: Callable[..., float], world: World) -> Measurement:
    sch, errors, nearest = world.schedule, {}, np.inf
    for name, (weights, places, box) in _BOXES.items():
        means = np.array(places)[:, None]
        q0 = GaussianMixture(weights, means, np.zeros(len(means)), "spherical")
        for t, earlier in _STEPS.items():
            bayes = Bayes.of(q0, *(float(level) for level in sch.levels(t)))
            for s in earlier:
                for choice, lam2 in lambdas(sch, s, t).items():
                    x_s = mean_given_both(sch, s, t, bayes.x[:, None], bayes.nodes, lam2)
                    true = lam2 + bayes.expect(bayes.variance(x_s))
                    slack = upper(sch, s, t, lam2, box) - true
                    short = -slack / max(true, _FLOOR * float(sch.beta_bar[s]))
                    errors[f"{name}, (s, t) = ({s}, {t}), {choice}"] = max(short, 0.0)
                    nearest = min(
                        nearest, slack / _weight(sch, s, t, lam2) ** 2 / (0.5 * (box[1] - box[0])) ** 2
                    )
    error, where = worst(errors)
    shown = f"worst for {where}" if error > 0 else f"never crossed, nearest by {nearest:.1e} of c²((b-a)/2)²"
    return Measurement(error, f"{len(errors)} cases, {shown}")


def _box_approached(upper: Callable[..., float], world: World) -> Measurement:
    """Two points at the ends, seen at ᾱ_t = 1e-12, where V is ((b - a)/2)² within 1e-12 of it."""
    sch = Schedule.from_alpha_bar([1.0, 0.5, 1e-3, 1e-12])
    errors = {}
    for low, high in ((-1.0, 1.0), (0.0, 1.0), (2.0, 2.5), (-3.0, 0.2)):
        q0 = GaussianMixture([0.5, 0.5], [[low], [high]], [0.0, 0.0], "spherical")
        bayes = Bayes.of(q0, *(float(level) for level in sch.levels(3)))
        for s in (1, 2):
            for choice, lam2 in lambdas(sch, s, 3).items():
                x_s = mean_given_both(sch, s, 3, bayes.x[:, None], bayes.nodes, lam2)
                true = lam2 + bayes.expect(bayes.variance(x_s))
                got = upper(sch, s, 3, lam2, (low, high))
                errors[f"[{low:g}, {high:g}], s = {s}, {choice}"] = relative(got, true)
    error, where = worst(errors)
    return Measurement(
        error, f"relative distance of two points at the ends, ᾱ_t = 1e-12, largest for {where}"
    )


def _data(bounds: Callable[..., tuple[float, float]], world: World) -> Measurement:
    """σ*² from the posterior traces at draws of x_t; one beyond a bound by chance has a small z."""
    sch, rng = world.schedule, world.rng("bao.thm2.data")
    cloud = Cloud.of(world, rng)
    low, high = float(cloud.points.min()), float(cloud.points.max())
    # A wider box has no square in float64, and no say: β̄_t/ᾱ_t is below 1e5 here.
    box = (low, high) if max(-low, high) < 1e150 else None
    d, times = cloud.points.shape[1], sorted({t for _, t in DATA_STEPS})
    seen = dict(zip(times, cloud.samples(sch.snr[times], rng)))
    scores, tightest = {}, np.inf
    for s, t in DATA_STEPS:
        each = seen[t].trace / d
        spread = float(each.std(ddof=1)) / np.sqrt(len(each))
        for choice, lam2 in lambdas(sch, s, t).items():
            least, most = bounds(sch, s, t, lam2, box)
            share = _weight(sch, s, t, lam2) ** 2
            value = lam2 + share * float(each.mean())
            error = share * spread + 1e-12 * max(value, float(sch.beta_bar[s]))
            beyond = max(least - value, value - most) / error
            scores[f"(s, t) = ({s}, {t}), {choice}"] = float(beyond) if np.isfinite(beyond) else np.inf
            if most > least:
                tightest = min(tightest, (most - value) / (most - least))
    error, where = worst(scores)
    margin = (
        f"nearest to the upper by {tightest:.1%} of the range"
        if np.isfinite(tightest)
        else "the range is empty"
    )
    shown = f"z = {error:.1f} at {where}" if error > 0 else margin
    return Measurement(max(error, 0.0), f"{cloud.label} in [{low:g}, {high:g}], {len(scores)} cases, {shown}")


def _box_bounds(
    sch: Schedule, s: int, t: int, lam2: float, box: tuple[float, float] | None
) -> tuple[float, float]:
    low, high = variance_bounds(sch, s, t, lam2, box)
    return float(low), float(high)


_C2 = r"(\sqrt{\bar\beta_t/\alpha_{t|s}}-\sqrt{\bar\beta_s-\lambda^2})^2"
_ROAD = "E Tr Cov(x_s|x_t)/d by direct summation, Gaussian conditioning and closed form"
CLAIMS = (
    holds(
        id="bao.thm2.lower",
        source="bao2022 Theorem 2",
        statement=r"\lambda^2\le\sigma^{*2}_{s|t}",
        road=_ROAD,
        tolerance=1e-11,
        formula=_lower,
        check=_never_above,
    ),
    holds(
        id="bao.thm2.upper",
        source="bao2022 Theorem 2",
        statement=r"\sigma^{*2}_{s|t}\le\lambda^2+" + _C2,
        road=_ROAD,
        tolerance=1e-11,
        formula=_upper,
        check=_never_below,
    ),
    holds(
        id="bao.thm2.point-mass",
        source="bao2022 Theorem 2; derived here",
        statement=r"\sigma^{*2}_{s|t}=\lambda^2\text{ for a point mass}",
        road="Gaussian conditioning of N(0, τ²), uτ² from 0 to 1e6",
        tolerance=1e-12,
        formula=_lower,
        check=_attained,
    ),
    refuted(
        id="bao.thm2.upper-attained",
        source="derived here, as one might read bao2022 Theorem 2",
        statement=r"\sigma^{*2}_{s|t}=\lambda^2+" + _C2 + r"\text{ for some law}",
        road="Gaussian conditioning of N(0, τ²), uτ² from 0 to 1e6",
        tolerance=1e-9,
        formula=_upper,
        check=_attained,
    ),
    holds(
        id="bao.thm2.upper-approached",
        source="derived here",
        statement=r"\sup_{q_0}\sigma^{*2}_{s|t}=\lambda^2+" + _C2,
        road="Gaussian conditioning of N(0, τ²) as τ² grows",
        tolerance=1e-10,
        formula=_upper,
        check=_approached,
    ),
    holds(
        id="bao.thm2.ddpm",
        source="bao2022 Theorem 2 at λ² = β̃; ho2020",
        statement=r"\lambda^2=\tilde\beta:\ \tilde\beta_{s|t}\le\sigma^{*2}\le\beta_{t|s}/\alpha_{t|s}",
        road="precisions of Gaussians add: x_0 known, or x_s with a flat prior",
        tolerance=1e-12,
        formula=_ddpm_bounds,
        check=_between_priors,
    ),
    holds(
        id="bao.thm2.range",
        source="bao2022 Theorem 2, data in [a, b]^d",
        statement=r"\sigma^{*2}_{s|t}\le\lambda^2+c^2\bigl(\tfrac{b-a}2\bigr)^2",
        road="E Var(x_s|x_t) by direct summation over points in [a, b]",
        tolerance=1e-11,
        formula=_range_upper,
        check=_in_the_box,
    ),
    holds(
        id="bao.thm2.range-approached",
        source="derived here",
        statement=r"\sup_{q_0\text{ on }[a,b]}\sigma^{*2}_{s|t}\to\lambda^2+c^2\bigl(\tfrac{b-a}2\bigr)^2,\ u_t\to0",
        road="E Var(x_s|x_t) of two points at the ends by direct summation",
        tolerance=1e-9,
        formula=_range_upper,
        check=_box_approached,
    ),
    holds(
        id="bao.thm2.data",
        source="bao2022 Theorem 2, on the data",
        statement=r"\lambda^2\le\sigma^{*2}_{s|t}\le\lambda^2+c^2\min\bigl(\bar\beta_t/\bar\alpha_t,(\tfrac{b-a}2)^2\bigr)",
        road="Tr Cov(x_0|x_t) by direct summation over the points, in standard errors beyond a bound",
        tolerance=6.0,
        formula=_box_bounds,
        check=_data,
    ),
)
