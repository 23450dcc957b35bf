"""Samplers as a user would write them: one step each, over any levels, wrapped by from_step."""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from dpmoracle import Schedule
from dpmoracle.conformance import StepLaw, from_step
from dpmoracle.conformance.own import uneven_nodes

SCHEDULE = Schedule.linear(1000)


def timesteps(K):
    """K whole timesteps of training from 1000 down, evenly spaced; they end above 0."""
    return np.arange(K, 0, -1) * (SCHEDULE.N // K)


def stock_levels(K):
    return np.stack(SCHEDULE.levels(np.append(timesteps(K), 0)), axis=1)


def even_levels(K):
    """Even in λ, σ/a from 20 to 0.05, variance preserving."""
    rho = np.geomspace(20.0, 0.05, K + 1)
    return np.stack([1 / np.hypot(1, rho), rho / np.hypot(1, rho)], axis=1)


def rows_of(levels, i):
    (a_t, s_t), (a_s, s_s) = levels[i : i + 2]
    return a_t, s_t, a_s, s_s


class Euler:
    """Along ε in σ/a, the network predicts ε."""

    output_type = "eps"
    order = 1

    def __init__(self, levels):
        self.unscaled = levels

    def levels(self, K):
        return self.scaled(self.unscaled(K))

    def scaled(self, nodes):
        return nodes

    def time_level(self, time):
        ((a, sigma),) = self.scaled(np.array([SCHEDULE.levels(round(time))])).tolist()
        return a, sigma

    def prepare(self, K):
        self.nodes = self.levels(K)

    def __call__(self, eps, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        return a_s * (x / a_t + (s_s / a_s - s_t / a_t) * eps)


class DDIM(Euler):
    """The network predicts x_0; η of the forward posterior's noise."""

    output_type = "x0"

    def __init__(self, levels, eta=0.0):
        super().__init__(levels)
        self.eta = eta

    def __call__(self, x0, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        lam2 = self.eta**2 * s_s**2 * (1 - (a_t * s_s / (s_t * a_s)) ** 2)
        x = a_s * x0 + math.sqrt(s_s**2 - lam2) * (x - a_t * x0) / s_t
        return x if noise is None else x + math.sqrt(lam2) * noise


class DDPM(Euler):
    """As in the paper, in betas; the network predicts v. variance: "small" or "large"."""

    output_type = "v"

    def __init__(self, levels, variance="small"):
        super().__init__(levels)
        self.variance = variance

    def __call__(self, v, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        x0 = a_t * x - s_t * v
        alpha = (a_t / a_s) ** 2
        mean = (a_s * (1 - alpha) * x0 + math.sqrt(alpha) * s_s**2 * x) / s_t**2
        variance = (1 - alpha) * ((s_s / s_t) ** 2 if self.variance == "small" else 1.0)
        return mean + math.sqrt(variance if s_s > 0 else 0.0) * noise


class TwoStep(Euler):
    """DPM-Solver++(2M); the network predicts x_0, the last step to σ = 0 and the first are of order 1."""

    output_type = "x0"
    order = 2

    def prepare(self, K):
        super().prepare(K)
        self.seen = []

    def __call__(self, x0, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        lam = math.log(a_t / s_t)
        self.seen.append((lam, x0))
        e = s_s * a_t / (a_s * s_t)  # e^{-h}
        if len(self.seen) > 1 and s_s > 0:
            r = (lam - self.seen[-2][0]) / -math.log(e)
            x0 = x0 + (x0 - self.seen[-2][1]) / (2 * r)
        return s_s / s_t * x + a_s * (1 - e) * x0


class Corrected(TwoStep):
    """UniPC: the two-step predictor, corrected on arrival with the output that the next step needs anyway."""

    def prepare(self, K):
        super().prepare(K)
        self.before = None

    def __call__(self, x0, i, x, noise):
        if i > 0:
            a_t, s_t, a_s, s_s = rows_of(self.nodes, i - 1)
            e = s_s * a_t / (a_s * s_t)
            old = self.seen[-1][1]
            x = s_s / s_t * self.before + a_s * ((1 - e) * old + (1 + (1 - e) / math.log(e)) * (x0 - old))
        self.before = x
        return super().__call__(x0, i, x, noise)


class AdamsBashforth(Euler):
    """Two-step Adams-Bashforth for ε in σ/a, on uneven steps."""

    order = 2

    def prepare(self, K):
        super().prepare(K)
        self.seen = []

    def __call__(self, eps, i, x, noise):
        a_t, s_t, a_s, s_s = rows_of(self.nodes, i)
        now, h = s_t / a_t, s_s / a_s - s_t / a_t
        self.seen.append((now, eps))
        if len(self.seen) > 1:
            before, old = self.seen[-2]
            eps = eps + 0.5 * h / (now - before) * (eps - old)
        return a_s * (x / a_t + h * eps)


class StraightLine(Euler):
    """Rectified flow: a = 1 - σ, and the network predicts the velocity ε - x_0."""

    output_type = "flow"

    def scaled(self, nodes):
        return nodes / nodes.sum(axis=1, keepdims=True)

    def __call__(self, velocity, i, x, noise):
        _, s_t, _, s_s = rows_of(self.nodes, i)
        return x + (s_s - s_t) * velocity


class Karras(Euler):
    """EDM: a = 1, the network is F, and x_0 = c_skip x + c_out F with σ_data = 1/2."""

    output_type = "edm"

    def scaled(self, nodes):
        return nodes / nodes[:, :1]

    def __call__(self, f, i, x, noise):
        _, s_t, _, s_s = rows_of(self.nodes, i)
        total = s_t**2 + 0.25
        x0 = 0.25 / total * x + s_t * 0.5 / math.sqrt(total) * f
        return x + (s_s - s_t) * (x - x0) / s_t


class Renoise(Euler):
    """Consistency sampling: all noise afresh around the prediction."""

    output_type = "x0"

    def __call__(self, x0, i, x, noise):
        _, _, a_s, s_s = rows_of(self.nodes, i)
        return a_s * x0 + s_s * noise


def subject(cls, name=None, law=None, dtype="float64", levels=stock_levels, **more):
    """A sampler of this file, or a broken one, with every capability that from_step can take.

    more : fields of Subject; those in `arguments` go to the sampler itself
    """
    arguments = more.pop("arguments", {})
    made = cls(levels, **arguments)
    facts = {"stochastic": True, "law": law} if law is not None else {"order": cls.order}
    if law is None:
        for name_of, nodes in {"asymptotic": even_levels, "uneven": uneven_nodes}.items():
            other = cls(nodes, **arguments)
            facts[name_of] = partial(
                from_step, other, other.levels, cls.output_type, other.prepare, name=name_of, order=cls.order
            )
    if dtype == "float32":
        facts["promoted"] = partial(subject, cls, name, law, "float64", levels, arguments=arguments, **more)
    if levels is stock_levels:
        facts |= {
            "times": timesteps,
            "time_level": made.time_level,
            "time_range": (1, 1000),
            "max_steps": 1000,
        }
    facts |= more
    return from_step(
        made, made.levels, cls.output_type, made.prepare, name=name or cls.__name__, dtype=dtype, **facts
    )


def right_ones():
    """Hand-written, all right, in float32 and promoted."""
    plain = [subject(cls, dtype="float32") for cls in (Euler, DDIM, TwoStep, Corrected, AdamsBashforth)]
    return [
        *plain,
        subject(StraightLine, dtype="float32"),
        subject(Karras, dtype="float32"),
        subject(Renoise, None, StepLaw(math.inf), "float32", endpoint=True),
        subject(DDIM, "DDIM with noise", StepLaw(0.7), "float32", arguments={"eta": 0.7}),
        subject(DDPM, "DDPM small", StepLaw(), "float32"),
        subject(DDPM, "DDPM large", StepLaw(variance="beta"), "float32", arguments={"variance": "large"}),
    ]
