"""Schedules, processes and grids in many digits."""

from __future__ import annotations

import functools
import itertools
import json
import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath as mp

DIGITS = 40


def exact(value: Any) -> Any:
    """Floats and lists of them as numbers of mpmath."""
    return [exact(part) for part in value] if isinstance(value, list) else mp.mpf(value)


def beta(spec: dict[str, Any], t: int) -> Any:
    kind = spec["kind"]
    if kind == "betas":
        return mp.mpf(spec["betas"][t - 1])
    N = spec["N"]
    if kind == "cosine":
        s = mp.mpf(spec["s"])
        near, before = (mp.cos((mp.mpf(k) / N + s) / (1 + s) * mp.pi / 2) ** 2 for k in (t, t - 1))
        return (
            min(1 - near / before, mp.mpf(spec["max_beta"])) if t < N or spec["max_beta"] < 1 else mp.mpf(1)
        )
    low, high, share = mp.mpf(spec["beta_start"]), mp.mpf(spec["beta_end"]), mp.mpf(t - 1) / (N - 1)
    if kind == "linear":
        return (1 - share) * low + share * high
    if kind == "scaled_linear":
        return ((1 - share) * mp.sqrt(low) + share * mp.sqrt(high)) ** 2
    return low + (high - low) * (1 + mp.tanh(6 * share - 3)) / 2


def alpha_bar(spec: dict[str, Any], t: int) -> Any:
    return _products(json.dumps(spec))[t]


@functools.cache
def _products(spec: str) -> list[Any]:
    with mp.workdps(DIGITS):
        read = json.loads(spec)
        N = read["N"] if "N" in read else len(read["betas"])
        shares = (1 - beta(read, t) for t in range(1, N + 1))
        return list(itertools.accumulate(shares, operator.mul, initial=mp.mpf(1)))


def snr(spec: dict[str, Any], t: int) -> Any:
    p = alpha_bar(spec, t)
    return p / (1 - p) if p < 1 else mp.inf


def log_snr(spec: dict[str, Any], t: int) -> Any:
    u = snr(spec, t)
    return u if u == mp.inf else mp.log(u) / 2 if u > 0 else -mp.inf


def process_level(spec: dict[str, Any], t: Any) -> list[Any]:
    kind, t = spec["kind"], mp.mpf(t)
    if kind == "edm":
        return [mp.mpf(1), t]
    if kind == "rectified_flow":
        return [1 - t, t]
    if kind == "ve":
        low, high = mp.mpf(spec["sigma_min"]), mp.mpf(spec["sigma_max"])
        return [mp.mpf(1), mp.exp((1 - t) * mp.log(low) + t * mp.log(high))]
    if kind == "vp_linear":
        low, high = mp.mpf(spec["beta_min"]), mp.mpf(spec["beta_max"])
        a = mp.exp(-mp.quad(lambda r: low + (high - low) * r, [0, t]) / 2)
    else:
        s = mp.mpf(spec["s"])
        a = mp.cos((t + s) / (1 + s) * mp.pi / 2) / mp.cos(s / (1 + s) * mp.pi / 2)
    return [a, mp.sqrt(1 - a * a)]


def process_time(spec: dict[str, Any], lam: Any) -> Any:
    """By bisection: λ falls with t."""
    low, high = (
        mp.mpf("1e-9"),
        mp.mpf(spec.get("sigma_max", spec.get("t_max", 1)) if spec["kind"] != "ve" else 1),
    )

    def off(t: Any) -> Any:
        a, sigma = process_level(spec, t)
        return mp.log(a / sigma) - lam

    high -= mp.mpf("1e-9")
    return mp.findroot(off, (low, high), solver="anderson", tol=mp.mpf(10) ** -50)


def even(N: int, K: int) -> list[int]:
    return [int(mp.nint(1 + mp.mpf((N - 1) * k) / (K - 1))) for k in range(K)]


def quadratic(N: int, K: int) -> list[int]:
    """Greedy: the next free timestep upwards, then downwards from N."""
    found: list[int] = []
    for k in range(K):
        wish = int(mp.nint(1 + (N - 1) * (mp.mpf(k) / (K - 1)) ** 2))
        found.append(max(wish, found[-1] + 1) if found else wish)
    for k in reversed(range(K)):
        found[k] = min(found[k], N if k == K - 1 else found[k + 1] - 1)
    return found


def spaced(N: int, K: int, spacing: str, steps_offset: int) -> list[int]:
    """By fractions; `round` takes halves to even."""
    if spacing == "linspace":
        return [1 + round(Fraction((N - 1) * k, K - 1)) for k in range(K)]
    if spacing == "trailing":
        return [round(Fraction(N * (k + 1), K)) for k in range(K)]
    return [1 + steps_offset + k * (N // K) for k in range(K)]


def nodes(process: dict[str, Any], grid: str, K: int, t_start: float, t_end: float) -> list[Any]:
    start, end = mp.mpf(t_start), mp.mpf(t_end)
    shares = [mp.mpf(k) / K for k in range(K + 1)]
    if grid == "time":
        return [process_level(process, start + (end - start) * share) for share in shares]
    lams = [mp.log(a / sigma) for a, sigma in (process_level(process, t) for t in (start, end))]
    if grid == "lambda":
        wanted = [lams[0] + (lams[1] - lams[0]) * share for share in shares]
    else:
        roots = [mp.exp(-lam / 7) for lam in lams]
        wanted = [-7 * mp.log(roots[0] + (roots[1] - roots[0]) * share) for share in shares]
    inner = [process_level(process, process_time(process, lam)) for lam in wanted[1:-1]]
    return [process_level(process, start), *inner, process_level(process, end)]


def over_times(at: Callable[[Any, int], Any]) -> Callable[..., Any]:
    return lambda schedule, t: [at(schedule, each) for each in t]


TRUTH = {
    "beta": over_times(beta),
    "alpha_bar": over_times(alpha_bar),
    "beta_bar": over_times(lambda spec, t: 1 - alpha_bar(spec, t)),
    "snr": over_times(snr),
    "half_log_snr": over_times(log_snr),
    "beta_skip": lambda schedule, s, t: [
        1 - alpha_bar(schedule, q) / alpha_bar(schedule, p) for p, q in zip(s, t)
    ],
    "process_levels": lambda process, t: [process_level(process, each) for each in t],
    "process_inverse": lambda process, half_log_snr: [process_time(process, lam) for lam in half_log_snr],
    "even_grid": even,
    "quadratic_grid": quadratic,
    "diffusers_grid": spaced,
    "solver_nodes": nodes,
}
