"""Samplers with one mistake each, by the check that must fail them."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from dpmoracle.conformance import Forward, StepLaw
from dpmoracle.conformance.own import ancestral, even_nodes, solver
from dpmoracle.solvers import dpm_multistep, dpm_singlestep
from step_samplers import (
    DDIM,
    DDPM,
    SCHEDULE,
    Euler,
    Renoise,
    TwoStep,
    rows_of,
    stock_levels,
    subject,
    timesteps,
)

N = SCHEDULE.N


# -- structure -----------------------------------------------------------------------------------------------


class NanEveryThird(TwoStep):
    """Divides 0 by 0 where K leaves 2 modulo 3, as a plan of orders that ends on an empty history."""

    def __call__(self, x0, i, x, noise):
        x = super().__call__(x0, i, x, noise)
        return x if len(self.nodes) % 3 or i < len(self.nodes) - 2 else np.full_like(x, np.nan)


class RaisesForOddK(Euler):
    def prepare(self, K):
        super().prepare(K)
        if K % 2:
            raise IndexError("index 7 is out of bounds")


class OverflowsInSingle(Euler):
    """Squares a number near the largest of float32; in float64 nothing is seen."""

    def __call__(self, eps, i, x, noise):
        if i == len(self.nodes) - 2:
            big = np.array(1e30, dtype=x.dtype)
            with np.errstate(over="ignore", invalid="ignore"):
                x = x * (big * big) / (big * big)
        return super().__call__(eps, i, x, noise)


def rounded(K):
    """K + 1 points from N to 1, rounded: they repeat at K = N."""
    return np.linspace(N, 1, K + 1).round()[:-1].astype(int)


def rounded_levels(K):
    return np.stack(SCHEDULE.levels(np.append(rounded(K), 0)), axis=1)


def with_runs(change):
    """A right sampler whose runs are changed: change(model, x, K, noise, run) -> x_end."""
    right = subject(Euler)
    return replace(right, name=change.__name__, run=lambda *given: change(*given, right.run))


def asks_twice(model, x, K, noise, run):
    """Spends its first evaluation on nothing."""
    model(x, *map(float, stock_levels(K)[0]), time=float(timesteps(K)[0]))
    return run(model, x, K, noise)


def repeats_in_single(K):
    """Two nodes that are one in float32."""
    nodes = stock_levels(K).astype(np.float32).astype(float)
    return np.insert(nodes, 2, nodes[1] + [1e-12, -1e-12], axis=0)


def repeats_last_node(K):
    return np.concatenate([stock_levels(K)[:-1], stock_levels(K)[-2:]])


class Probe:
    """Passes calls on to a model, with other time values."""

    def __init__(self, model, time):
        self.model, self.time = model, time

    def __call__(self, x, a, sigma, time=None):
        return self.model(x, a, sigma, time=self.time(time))


def passes(time, name):
    """A right sampler that tells the network another time: time(t) in place of t."""
    right = subject(Euler)
    return replace(
        right, name=name, run=lambda model, x, K, noise: right.run(Probe(model, time), x, K, noise)
    )


# -- steps to another level ----------------------------------------------------------------------------------


class StrideOfTraining(DDIM):
    """Goes N // K timesteps down, whatever the spacing of the grid."""

    def prepare(self, K):
        super().prepare(K)
        t = rounded(K)
        self.landing = np.stack(SCHEDULE.levels(np.maximum(t - N // K, 0)), axis=1)

    def __call__(self, x0, i, x, noise):
        (a_t, s_t), (a_s, s_s) = self.nodes[i], self.landing[i]
        return a_s * x0 + s_s * (x - a_t * x0) / s_t


class NextButOne(Euler):
    """σ of the level that is left, with a of the one that is reached."""

    def __call__(self, eps, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        return a_s * (x - s_t * eps) / a_t + (s_t if s_s > 0 else 0.0) * eps


# -- order ---------------------------------------------------------------------------------------------------


class DoubledDifference(TwoStep):
    """The difference quotient of the two-step method without its 1/2."""

    def __call__(self, x0, i, x, noise):
        if self.seen and i < len(self.nodes) - 2:
            a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
            step = -math.log(s_s * a_t / (a_s * s_t))
            x0_twice = x0 + (x0 - self.seen[-1][1]) * (math.log(a_t / s_t) - self.seen[-1][0]) / step / 2
            moved = super().__call__(x0, i, x, noise)
            return moved + a_s * (1 - math.exp(-step)) * (x0_twice - x0)
        return super().__call__(x0, i, x, noise)


class ForEvenSteps(TwoStep):
    """Two-step with the coefficients of even steps."""

    def __call__(self, x0, i, x, noise):
        if self.seen:
            a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
            now, step = math.log(a_t / s_t), math.log(a_s * s_t / (a_t * s_s)) if s_s > 0 else 1.0
            self.seen[-1] = (now - step, self.seen[-1][1])
        return super().__call__(x0, i, x, noise)


class SlopeTooLong(Euler):
    def __call__(self, eps, i, x, noise):
        return super().__call__(1.05 * eps, i, x, noise)


# -- precision -----------------------------------------------------------------------------------------------


class Cancels(Euler):
    """Adds a large number and takes it away again."""

    def __call__(self, eps, i, x, noise):
        large = np.array(3e4, dtype=x.dtype)
        return super().__call__(eps, i, (x + large) - large, noise)


# -- stochastic steps ----------------------------------------------------------------------------------------


class DDPMWith(DDPM):
    """DDPM with its mean and its noise changed: edit(mean, variance, noise, levels) -> x."""

    def __init__(self, levels, edit):
        super().__init__(levels)
        self.edit = edit

    def __call__(self, v, i, x, noise):
        levels = rows_of(self.nodes, i)
        a_t, s_t, a_s, s_s = levels
        mean = super().__call__(v, i, x, np.zeros_like(x))
        variance = (1 - (a_t / a_s) ** 2) * (s_s / s_t) ** 2
        return self.edit(mean, variance, noise, levels)


def ddpm_with(name, edit, law=None):
    return subject(DDPMWith, name, law or StepLaw(), arguments={"edit": edit})


BETA_FOR_ITS_ROOT = ddpm_with("beta for its root", lambda mean, var, z, _: mean + var * z)
NO_NOISE = ddpm_with("no noise", lambda mean, var, z, _: mean)
THRICE_THE_NOISE = ddpm_with(
    "three times the variance", lambda mean, var, z, _: mean + math.sqrt(3 * var) * z
)
MEAN_OF_DDIM = ddpm_with("shrunk mean", lambda mean, var, z, n: 0.98 * mean + math.sqrt(var) * z)
SMALL_SOLD_AS_LARGE = subject(DDPM, "fixed small sold as fixed large", StepLaw(variance="beta"))
LARGE_SOLD_AS_SMALL = subject(
    DDPM, "fixed large sold as fixed small", StepLaw(), arguments={"variance": "large"}
)
POINT_SOLD_AS_OPTIMAL = replace(
    ancestral(StepLaw()), name="DDPM sold as optimal", law=StepLaw(1.0, "optimal")
)


class MeanOfTheWrongLevel(DDPM):
    """The factor of x_0 with ᾱ_t where ᾱ_s belongs."""

    def __call__(self, v, i, x, noise):
        a_t, s_t, a_s, _ = rows_of(self.nodes, i)
        x0 = a_t * x - s_t * v
        return super().__call__(v, i, x, noise) + (a_t - a_s) * (1 - (a_t / a_s) ** 2) / s_t**2 * x0


# -- the forward side ----------------------------------------------------------------------------------------


def level_at(i, K):
    a, sigma = stock_levels(K)[i]
    return float(a), float(sigma)


def ve_level_at(i, K):
    a, sigma = level_at(i, K)
    return 1.0, sigma / a


def forward_of(level=level_at, **parts):
    """A forward side that is right but for the parts given, as functions of (a, σ)."""

    add = parts.get("add", lambda a, sigma: (a, sigma))
    velocity = parts.get(
        "velocity", lambda a, sigma: (-sigma / math.hypot(a, sigma), a / math.hypot(a, sigma))
    )
    scale = parts.get("scale", lambda a, sigma: 1 / math.hypot(a, sigma))
    init = parts.get("init", lambda a, sigma: math.hypot(a, sigma))

    def mixed(pair, x0, eps, i, K):
        one, other = pair(*level(i, K))
        return np.asarray(one * x0 + other * eps, dtype=x0.dtype)

    def input_level(i, K):
        a, sigma = level(i, K)
        return a / math.hypot(a, sigma), sigma / math.hypot(a, sigma)

    return Forward(
        level=level,
        add_noise=partial(mixed, add),
        velocity=partial(mixed, velocity),
        scale_input=lambda x, i, K: x * scale(*level(i, K)),
        input_level=input_level,
        init_sigma=lambda K: init(*level(0, K)),
    )


def with_forward(name, level=level_at, **parts):
    return replace(subject(Euler), name=name, forward=forward_of(level, **parts))


BROKEN = {
    "finite": [subject(NanEveryThird), subject(RaisesForOddK), subject(OverflowsInSingle, dtype="float32")],
    "every_step": [subject(Euler, "rounded", levels=rounded_levels, max_steps=N)],
    "grid": [
        with_runs(asks_twice),
        replace(subject(Euler), name="repeats its last node", levels=repeats_last_node),
        replace(
            subject(Euler, "repeats a node in float32", dtype="float32"),
            levels=lambda K: repeats_in_single(K).astype(np.float32),
            promoted=lambda: replace(subject(Euler), levels=repeats_in_single),
        ),
        replace(solver(dpm_singlestep, 3), name="levels of another grid", levels=even_nodes),
        passes(lambda t: 1000 - t, "time runs up"),
        passes(lambda t: t + 100, "time out of range"),
        passes(lambda t: 100.0 * round(t / 100) + 1, "time rounded to hundreds"),
    ],
    "landing": [subject(StrideOfTraining, levels=rounded_levels), subject(NextButOne), MEAN_OF_DDIM],
    "time_values": [
        passes(lambda t: max(t - 1, 1), "one too early"),
        passes(lambda t: t + 1 if t < 1000 else t, "late"),
    ],
    "fed_by_time": [
        passes(lambda t: max(t - 20, 1), "twenty too early"),
        passes(lambda t: 500.0, "one time for all"),
    ],
    "exact_on_gaussian": [
        BETA_FOR_ITS_ROOT,
        NO_NOISE,
        THRICE_THE_NOISE,
        SMALL_SOLD_AS_LARGE,
        POINT_SOLD_AS_OPTIMAL,
        subject(NextButOne),
    ],
    "prediction_types": [
        replace(
            ancestral(StepLaw()),
            name="reads v as its negative",
            predicting={"v": lambda: replace(ancestral(StepLaw(), "v"), output_type="eps")},
        )
    ],
    "converges": [subject(SlopeTooLong), subject(NextButOne)],
    "order": [
        subject(DoubledDifference),
        subject(Euler, "Euler sold as order 2", order=2),
        solver(partial(dpm_multistep, order=3, form="common"), 3),
        solver(partial(dpm_singlestep, order=2), 3),
    ],
    "order_uneven": [subject(ForEvenSteps), solver(partial(dpm_multistep, order=3, form="common"), 3)],
    "stability": [subject(Cancels, dtype="float32"), subject(OverflowsInSingle, dtype="float32")],
    "step_mean": [
        subject(MeanOfTheWrongLevel, law=StepLaw()),
        MEAN_OF_DDIM,
        subject(DDIM, "eta", StepLaw(0.5), arguments={"eta": 0.6}),
    ],
    "step_noise": [
        BETA_FOR_ITS_ROOT,
        NO_NOISE,
        SMALL_SOLD_AS_LARGE,
        LARGE_SOLD_AS_SMALL,
        POINT_SOLD_AS_OPTIMAL,
    ],
    "terminal": [
        NO_NOISE,
        THRICE_THE_NOISE,
        MEAN_OF_DDIM,
        subject(Renoise, "noise around the mean", StepLaw(math.inf)),
    ],
    "add_noise": [
        with_forward("swaps a and sigma", add=lambda a, sigma: (sigma, a)),
        with_forward("beta for its root", add=lambda a, sigma: (a, sigma**2)),
    ],
    "velocity": [with_forward("turned round", velocity=lambda a, sigma: (sigma, -a))],
    "input_scale": [
        with_forward("the root is missing", ve_level_at, scale=lambda a, sigma: 1 / (a**2 + sigma**2)),
        with_forward("not scaled", ve_level_at, scale=lambda a, sigma: 1.0),
    ],
    "init_sigma": [with_forward("starts at the noise ratio", init=lambda a, sigma: sigma / a)],
}
