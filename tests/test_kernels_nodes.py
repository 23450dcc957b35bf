"""Sums of weights at few nodes in place of many levels: never off by more than the bound says, and fewer nodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle_kernels.cpu import nodes
from kernel_cases import broken, caught

LN2 = np.log(2.0)


def worst_error(kernels, s, g, e, weights, accuracy, tame):
    """Largest relative error of a ratio of two sums over one stretch, and (levels, nodes); 0 where none pays."""
    low, high, far = min(e.min(), 0.0), max(e.max(), 0.0), g.max()
    levels, count = kernels.stretch(s, low, high, far, accuracy, tame)
    if levels == 0:
        return 0.0, (0, 0)
    s = s[:levels]
    at, distance, noise, found = np.empty(count), np.empty(count), np.empty(count), np.empty(levels)
    kernels.chebyshev(s, at, distance, noise)
    terms = np.exp(LN2 * (np.outer(noise, e) - np.outer(distance, g)))
    kernels.spread(s, at, *(terms @ weights).T, low, high, far, found)
    direct = np.exp(np.outer(s, e) - np.outer(s * s, g)) @ weights
    return float(np.abs(found * direct[:, 0] / direct[:, 1] - 1).max()), (levels, count)


@st.composite
def cases(draw):
    """Points at the corners of the box of E and G, and within; weights of very different size."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = draw(st.integers(1, 8))
    scale = draw(st.sampled_from([1e-3, 1.0, 1e3]))
    g, e = scale**2 * rng.random(size), scale * rng.standard_normal(size) * 4
    corners = rng.random(size) < draw(st.sampled_from([0.0, 1.0]))
    g = np.where(corners, scale**2 * rng.integers(0, 2, size), g)
    e = np.where(corners, 4 * scale * rng.choice([-1, 1], size), e)
    weights = 10.0 ** rng.uniform(-12, 0, (size, 2))
    start, wide = draw(st.sampled_from([0.0, 1e-2, 1.0, 5.0])), draw(st.sampled_from([0.0, 0.01, 0.3, 2.0]))
    s = np.sort(start + wide * rng.random(draw(st.integers(1, 400)))) / scale
    return s, g, e, weights


@settings(max_examples=300, deadline=None)
@given(cases(), st.sampled_from([(1e-13, 6.0), (3e-8, 3.0), (1e-2, 10.0)]))
def test_the_bound_holds(case, setting):
    error, (levels, count) = worst_error(nodes, *case, *setting)
    rounding = 1e-15 * np.exp(2 * setting[1]) if setting[0] < 1e-2 else 0.0
    assert error <= 2.1 * setting[0] + rounding
    assert levels == 0 or (levels <= len(case[0]) and 1.25 * count < levels)


def dense():
    rng = np.random.default_rng(0)
    s, g, e = np.linspace(0.01, 0.4, 500), 20 * rng.random(50), 5 * rng.standard_normal(50)
    g[0] = e[0] = 0.0
    return s, g, e, np.column_stack([np.ones(50), g])


def test_dense_levels_need_few_nodes():
    error, (levels, count) = worst_error(nodes, *dense(), 1e-13, 6.0)
    assert error < 1e-12
    assert levels > 5 * count > 0


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_no_stretch_of_what_is_not_finite(bad):
    s, ones = np.linspace(0, 1, 100), (-1.0, 1.0, 1.0, 1e-8, 3.0)
    assert nodes.stretch(s, *ones)[0] > 0
    assert nodes.stretch(np.append(s, bad), *ones)[0] <= 100
    assert nodes.stretch(s, -1.0, bad, 1.0, 1e-8, 3.0) == (0, 0)
    assert nodes.stretch(s, -1.0, 1.0, bad, 1e-8, 3.0) == (0, 0)
    assert nodes.stretch(s[:1], *ones) == (0, 0)


def passes(kernels):
    """Points at the corners of the box, where the bound is near, over short and long stretches."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        s = rng.choice([0.0, 0.3, 1.0, 3.0]) + np.linspace(0.0, rng.choice([0.05, 0.3, 1.0]), 300)
        g = rng.choice([0.0, 1.0, 10.0, 50.0]) * rng.integers(0, 2, 4)
        e = rng.choice([-1, 1], 4) * rng.choice([0.0, 5.0, 20.0, 60.0])
        error, _ = worst_error(kernels, s, g, e, 10.0 ** rng.uniform(-12, 0, (4, 2)), 1e-6, 6.0)
        if not error <= 2e-6:
            return False
    return worst_error(kernels, *dense(), 1e-13, 6.0)[0] < 1e-12


MISTAKES = [
    ("(_P[j] + 1) * A", "0 * A"),
    ("(_P[j] * _P[j] + 1) * B - math.log(accuracy)", "math.log(accuracy)"),
    ("1 + math.ceil(bits / _LOG_R[j])", "math.floor(0.5 * bits / _LOG_R[j])"),
    ("h * (0.5 * (high - low) + c * far)", "h * 0.5 * (high - low)"),
    ("(2 * j + 1) / (2 * len(nodes))", "j / len(nodes)"),
    ("LOG2E * at * at, LOG2E * at\n", "LOG2E * at, LOG2E * at * at\n"),
    ("weight = math.sin(math.pi * (2 * j + 1) / (2 * n)) * ", "weight = "),
    ("* math.exp(-common)", "* math.exp(common)"),
    ("        weighted[j] *= weight if j % 2 == 0 else -weight\n", "        weighted[j] *= weight\n"),
    ("one += total[j] / apart", "one += total[j] * apart"),
]


def test_the_interpreted_kernels_pass():
    assert passes(broken(nodes))


@pytest.mark.parametrize("change", MISTAKES, ids=lambda c: c[1].strip()[:40])
def test_wrong_versions_are_caught(change):
    with np.errstate(all="ignore"):
        assert caught(nodes, [change], passes)
