"""Curves (u, V) that the trajectory tests draw: exact V of several distributions by plain roads, and noisy V."""

from __future__ import annotations

import inspect

import numpy as np
from hypothesis import strategies as st


def with_zero(values, first):
    """Values at 1..N as an array over 0..N."""
    return np.concatenate([[first], values])


def linear_snr(N, beta_start=1e-4, beta_end=2e-2):
    alpha_bar = np.cumprod(1 - np.linspace(beta_start, beta_end, N))
    return with_zero(alpha_bar / (1 - alpha_bar), np.inf)


def product_mmse(u, precisions, weights=None):
    """V of independent Gaussian coordinates, E 1/(u + p): exact for data of any dimension, in closed form."""
    p = np.asarray(precisions, dtype=float)
    return with_zero(np.average(1 / (u[1:, None] + p), axis=1, weights=weights), 0.0)


def product_integral(high, low, precisions, weights=None):
    """Integral of that V over u from low to high."""
    p = np.asarray(precisions, dtype=float)
    return float(np.average(np.log1p((high - low) / (low + p)), weights=weights))


def two_point_mmse(u):
    """V of x_0 = -1 or 1 with equal weights: E sech(y)^2, y ~ N(u, u), by the trapezoid rule in y.

    The integrand is analytic within pi/2 of the real axis and at least as wide as sqrt(u), so the rule is exact to
    rounding; V underflows to 0 for u above about 1400.
    """
    values = []
    for x in u[1:]:
        if x == 0:
            values.append(1.0)
            continue
        width = np.sqrt(x)
        h = min(0.1, width / 6)
        y = np.arange(-min(45.0, 40 * width + x), min(45.0, 40 * width + x), h)
        density = np.exp(-((y - x) ** 2) / (2 * x)) / (width * np.sqrt(2 * np.pi))
        values.append(h * np.sum(density / np.cosh(y) ** 2))
    return with_zero(np.array(values), 0.0)


def mixture_mmse(u, weights, means, variances):
    """V of a one-dimensional Gaussian mixture: the posterior variance averaged over the noisy density, trapezoid."""
    w, m, s2 = (np.asarray(a, dtype=float)[:, None] for a in (weights, means, variances))
    values = []
    for x in u[1:]:
        if x == 0:
            mean = (w * m).sum()
            values.append(float((w * (s2 + (m - mean) ** 2)).sum()))
            continue
        noise = 1 / x
        width = np.sqrt(s2 + noise)
        y = np.arange((m - 12 * width).min(), (m + 12 * width).max(), min(np.sqrt(noise), width.min()) / 4)
        joint = w * np.exp(-((y - m) ** 2) / (2 * width**2)) / (width * np.sqrt(2 * np.pi))
        marginal = joint.sum(0)
        share = np.divide(joint, marginal, out=np.zeros_like(joint), where=marginal > 0)
        centre = (s2 * y + noise * m) / (s2 + noise)
        spread = s2 * noise / (s2 + noise) + (centre - (share * centre).sum(0)) ** 2
        values.append(float((share * spread).sum(0) @ marginal * (y[1] - y[0])))
    return with_zero(np.array(values), 0.0)


@st.composite
def schedules(draw, min_N=3, max_N=30):
    """snr over 0..N: random steps in log u, a linear-beta schedule, or one with zero terminal SNR."""
    N = draw(st.integers(min_N, max_N))
    kind = draw(st.sampled_from(["random", "linear", "terminal"]))
    if kind == "linear":
        return linear_snr(N, 1e-4, draw(st.floats(1e-3, 0.3)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    u = np.exp(np.sort(rng.uniform(-5, 7, N))[::-1])
    u *= np.exp(-1e-6 * np.arange(N))  # distinct
    if kind == "terminal":
        u[-1] = 0.0
    return with_zero(u, np.inf)


@st.composite
def exact_curves(draw, min_N=3, max_N=30, quadrature=True):
    """(snr, mmse) of a random distribution."""
    u = draw(schedules(min_N, max_N))
    kinds = ["product", "isotropic", "point"] + (["mixture", "two points"] if quadrature else [])
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if kind == "product":
        C = int(rng.integers(2, 6))
        return u, product_mmse(u, np.exp(rng.uniform(-6, 10, C)), rng.dirichlet(np.ones(C)))
    if kind == "isotropic":
        return u, product_mmse(u, [np.exp(rng.uniform(-5, 8))])
    if kind == "point":
        return u, np.zeros_like(u)
    if kind == "two points":
        return u, two_point_mmse(u)
    C = int(rng.integers(2, 4))
    means, variances = rng.uniform(-2, 2, C), np.exp(rng.uniform(-4, 0, C))
    return u, mixture_mmse(u, rng.dirichlet(2 * np.ones(C)), means, variances)


@st.composite
def noisy_curves(draw, min_N=3, max_N=30):
    """(snr, mmse) with mmse disturbed at each timestep on its own, at most 1/u, sometimes 0: no certificate."""
    u, v = draw(exact_curves(min_N, max_N, quadrature=False))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.sampled_from([1e-12, 1e-9, 1e-3, 0.1, 1.0]))
    v = v * np.exp(size * rng.standard_normal(v.size))
    with np.errstate(divide="ignore"):
        v = np.minimum(v, 1 / u)
    if draw(st.booleans()):
        v[rng.integers(1, v.size, 2)] = 0.0
    return u, v


class Counted(float):
    """A float that counts the differences and the products it takes part in."""

    differences = 0
    products = 0

    def __sub__(self, other):
        Counted.differences += 1
        return float(self) - float(other)

    def __rmul__(self, other):
        Counted.products += 1
        return float(other) * float(self)

    __mul__ = __rmul__


def counted(values):
    """An object array of Counted, and the counters set to zero."""
    Counted.differences = Counted.products = 0
    out = np.empty(len(values), dtype=object)
    out[:] = [Counted(x) for x in values]
    return out


def rebuilt(module, function, old, new):
    """A program of `module` whose source is changed in one place."""
    source = inspect.getsource(module)
    assert source.count(old) >= 1, old
    space = {"__name__": module.__name__, "__package__": module.__package__}
    exec(compile(source.replace(old, new), "mutant", "exec"), space)
    return space[function]
