"""The probability-flow ODE (song2021): its exact map against closed forms, ranks, and densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..flow import flow, log_prob_flow
from ..mixture import GaussianMixture
from ..oracle import Oracle
from ..processes.process import Process
from .registry import Measurement, holds
from .roads import worst
from .world import World

__all__ = ["CLAIMS"]

Array = NDArray[np.float64]
#: flow(orc, x, t, s) -> x_s
Map = Callable[..., Array]


def _ways(world: World) -> dict[str, tuple[Any, Any, Any]]:
    """(process, t, s) in both directions, pure noise and data among the ends."""
    return {
        "VP linear, 1 to 0": (Process.vp_linear(), 1.0, 0.0),
        "VP cosine, pure noise to 0.01": (Process.vp_cosine(t_max=1.0), 1.0, 0.01),
        "VE, 1 to 0": (Process.ve(), 1.0, 0.0),
        "EDM, 0.1 to 80": (Process.edm(), 0.1, 80.0),
        "rectified flow, 0 to 1": (Process.rectified_flow(), 0.0, 1.0),
        "linear schedule, 1000 to 1": (world.schedule, 1000, 1),
    }


def _levels(process: Any, *times: Any) -> list[tuple[float, float]]:
    found = []
    for t in times:
        a, sigma = process.levels(t)
        found.append((float(a), float(sigma)))
    return found


def _gaussian(carry: Map, world: World) -> Measurement:
    """x_s = a_s m + V_s^{1/2} V_t^{-1/2} (x_t - a_t m) with V = a² S + σ² I, in root mean squares of x_s."""
    rng, errors = world.rng("song2021.gaussian"), {}
    mean = np.array([0.4, -1.0, 0.2])
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    spread = np.array([1.5, 0.1, 1e-4])
    q0 = GaussianMixture([1.0], [mean], [(axes * spread) @ axes.T], "full")
    for name, (process, t, s) in _ways(world).items():
        (a_t, sigma_t), (a_s, sigma_s) = _levels(process, t, s)
        x = q0.diffuse(a_t, sigma_t).sample(64, rng)
        stretch = np.sqrt((a_s**2 * spread + sigma_s**2) / (a_t**2 * spread + sigma_t**2))
        true = a_s * mean + ((x - a_t * mean) @ axes * stretch) @ axes.T
        off = carry(Oracle(q0, process), x, t, s) - true
        errors[name] = float(np.abs(off).max() / np.sqrt(np.square(true).mean()))
    error, where = worst(errors)
    return Measurement(error, f"Gaussian data with variances 1.5, 0.1, 1e-4, worst for {where}")


def _ranks(carry: Map, world: World) -> Measurement:
    """In one dimension the flow keeps order, so P(X_s <= x_s) = P(X_t <= x_t); as a distance in x, in sqrt(V_s)."""
    rng, errors = world.rng("song2021.ranks"), {}
    for data, q0 in world.lines.items():
        for name, (process, t, s) in _ways(world).items():
            (a_t, sigma_t), (a_s, sigma_s) = _levels(process, t, s)
            if q0.is_singular and sigma_s * sigma_t == 0.0:
                continue
            x = q0.diffuse(a_t, sigma_t).sample(64, rng)
            before, after = q0.diffuse(a_t, sigma_t), q0.diffuse(a_s, sigma_s)
            landed = carry(Oracle(q0, process), x, t, s)
            below, above = (_tails(after, landed)[i] - _tails(before, x)[i] for i in (0, 1))
            # The smaller tail keeps its digits.
            with np.errstate(
                all="ignore"
            ):  # far from the data, where only a wrong map lands, the density is 0
                off = np.minimum(np.abs(below), np.abs(above)) / np.exp(after.log_prob(landed))
            error = float(off.max() / np.sqrt(after.trace_cov()))
            errors[f"{data}, {name}"] = error if np.isfinite(error) else np.inf
    error, where = worst(errors)
    return Measurement(error, f"largest of 64 samples, worst for {where}")


def _tails(q: GaussianMixture, x: Array) -> tuple[Array, Array]:
    """P(X <= x) and P(X > x) of a one-dimensional mixture."""
    from scipy.special import ndtr

    z = (x - q.means[:, 0]) / np.sqrt(q.eigenvalues()[:, 0])
    return ndtr(z) @ q.weights, ndtr(-z) @ q.weights


def _density(log_prob: Map, world: World) -> Measurement:
    """log q_t by the change of variables to s, against the mixture's own density at t, in nats."""
    rng, errors = world.rng("song2021.density"), {}
    for data, q0 in {"three gaussians": world.lines["three gaussians"], **world.planes}.items():
        for name, (process, t, s) in list(_ways(world).items())[:: 2 if data == "three gaussians" else 3]:
            orc = Oracle(q0, process)
            x = q0.diffuse(*_levels(process, t)[0]).sample(16, rng)
            errors[f"{data}, {name}"] = float(np.abs(log_prob(orc, x, t, s) - orc.log_prob(x, t)).max())
    error, where = worst(errors)
    return Measurement(error, f"nats, worst for {where}")


_ODE = r"\frac{dz}{d\varphi}=-\sin\varphi\,\mathrm{E}[x_0|z]+\cos\varphi\,\mathrm{E}[\varepsilon|z]"
CLAIMS = (
    holds(
        id="song2021.flow.gaussian",
        source="song2021 eq. (13), in φ = atan2(σ, a)",
        statement=_ODE + r":\ x_s=a_sm+V_s^{1/2}V_t^{-1/2}(x_t-a_tm)\text{ for Gaussian data}",
        road="closed form, five processes and a schedule",
        tolerance=1e-8,
        formula=flow,
        check=_gaussian,
    ),
    holds(
        id="song2021.flow.ranks",
        source="song2021 eq. (13), in φ = atan2(σ, a)",
        statement=_ODE + r":\ P(X_s\le x_s)=P(X_t\le x_t)\text{ for }d=1",
        road="distribution functions of the mixtures at both ends",
        tolerance=1e-8,
        formula=flow,
        check=_ranks,
    ),
    holds(
        id="song2021.flow.density",
        source="song2021 eq. (39), with the exact divergence",
        statement=r"\log q_t(x_t)=\log q_s(x_s)+\log|\det\partial x_s/\partial x_t|",
        road="the mixture's density at t",
        tolerance=1e-8,
        formula=log_prob_flow,
        check=_density,
    ),
)
