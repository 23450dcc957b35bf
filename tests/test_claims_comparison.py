"""Claims on what the optimum buys: verdicts as expected, and turned by every broken formula."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import dpmoracle as dpm
from claim_worlds import WORLD
from dpmoracle.claims import comparison, judge
from dpmoracle.claims.quantile_road import distance_to, quantiles_of_chain
from dpmoracle.sample_comparison import compare_samples
from dpmoracle.trajectory import even_grid, power_grid
from dpmoracle.variance_rules import reverse_variances, step_lam2

CLAIMS = {claim.id: claim for claim in comparison.CLAIMS}


def optimal_times(factor):
    return lambda sch, nodes, v: factor * reverse_variances(sch, nodes, "optimal", mmse=v)


def without_coefficient(sch, nodes, v):
    """λ² + V, without c²."""
    return step_lam2("test", sch, nodes, "ddpm") + v[nodes[1:]]


def reversed_order(sch, nodes, v):
    return reverse_variances(sch, nodes, "optimal", mmse=v)[::-1]


def louder(factor):
    def sampler(sch, nodes, v):
        lam2, sigma2 = comparison._named("analytic-ddim")(sch, nodes, v)
        return lam2, factor * sigma2

    return sampler


def table(change):
    """The table with the lines that `change` picks made dearer or cheaper."""

    def rows(orc, counts, rng):
        return [change(row) for row in comparison._data_table(orc, counts, rng)]

    return rows


def cheaper(row, grid, rule):
    if (row.grid, row.rule) != (grid, rule):
        return row
    return replace(row, kl=replace(row.kl, value=row.kl.value - 10.0))


BROKEN = {
    "comparison.kl.analytic": [
        optimal_times(2.0),
        optimal_times(0.5),
        without_coefficient,
        reversed_order,
        lambda sch, nodes, v: reverse_variances(sch, nodes, "beta_tilde"),
    ],
    "comparison.kl.estimated": [lambda sch, nodes, v: reverse_variances(sch, nodes, "beta")],
    "comparison.kl.trajectory": [
        lambda u, v, K: power_grid(u.size - 1, K, 0.5),
        lambda u, v, K: np.append(1, np.arange(u.size - K + 1, u.size)),
    ],
    "comparison.samples.everywhere": [comparison._named("ddim")],
    "comparison.samples.optimal-grid": [louder(40.0), comparison._named("ddpm"), louder(15.0)],
    "comparison.samples.every-k": [
        partial(compare_samples, samplers=("analytic-ddim", "ddim")),
        partial(compare_samples, samplers=("analytic-ddim", "ddpm")),
    ],
    "comparison.samples.trajectory": [lambda u, v, K: even_grid(u.size - 1, K)],
    "comparison.data": [
        table(lambda row: cheaper(row, "even", "optimal")),
        table(lambda row: cheaper(row, "optimal", "beta_tilde")),
        table(lambda row: cheaper(row, "optimal", "beta")),
    ],
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_verdict(claim):
    found = judge(claim, WORLD)
    assert found.verdict == claim.expected, found.evidence


@pytest.mark.parametrize(("name", "formula"), [(name, f) for name, fs in BROKEN.items() for f in fs])
def test_a_broken_formula_turns_the_verdict(name, formula):
    found = judge(CLAIMS[name], WORLD, formula)
    assert found.verdict == ("refuted" if CLAIMS[name].expected == "holds" else "holds"), found.evidence


def test_every_claim_is_broken():
    assert set(BROKEN) == set(CLAIMS)


def test_quantile_road_on_gaussian_data():
    """Every law of the chain is then a Gaussian whose mean and variance follow a recursion."""
    sch = dpm.Schedule.linear(100, 1e-3, 0.2)
    orc = dpm.Oracle(dpm.GaussianMixture([1.0], [[0.4]], [0.49], "spherical"), sch)
    v = np.append(0.0, orc.mmse(np.arange(1, 101)).value)
    nodes = even_grid(100, 10)
    for name in ("ddim", "analytic-ddim", "ddpm"):
        lam2, sigma2 = comparison._named(name)(sch, nodes, v)
        mean, variance = 0.0, 1.0
        for k in range(8, -1, -1):
            s, t = int(nodes[k]), int(nodes[k + 1])
            ends = dpm.forward_posterior_mean(
                sch, s, t, [[0.0], [1.0]], orc.x0(np.array([[0.0], [1.0]]), t), lam2[k]
            )[:, 0]
            slope = ends[1] - ends[0]
            mean, variance = slope * mean + ends[0], slope**2 * variance + sigma2[k]
        ends = orc.x0(np.array([[0.0], [1.0]]), 1)[:, 0]
        mean, deviation = (ends[1] - ends[0]) * mean + ends[0], (ends[1] - ends[0]) * np.sqrt(variance)
        x = quantiles_of_chain(orc, nodes, lam2, sigma2)
        assert x.mean() == pytest.approx(mean, abs=2e-3)
        assert x.std() == pytest.approx(deviation, rel=1e-2)


def test_distance_to_itself_is_small_and_to_a_shifted_law_is_known():
    """For N(0, 1) against N(m, 1): 2 ∫ (Φ(x) - Φ(x - m))² dx = 2 (E|Z√2 + m| - E|Z√2|)."""
    from scipy.special import ndtr, ndtri

    q0 = dpm.GaussianMixture([1.0], [[0.0]], [1.0], "spherical")
    z = ndtri((np.arange(2000) + 0.5) / 2000)
    assert distance_to(q0, z) < 1e-6
    m = 0.7
    folded = 2 / np.sqrt(np.pi) * np.exp(-m * m / 4) + m * (1 - 2 * ndtr(-m / np.sqrt(2)))
    assert distance_to(q0, z + m) == pytest.approx(2 * (folded - 2 / np.sqrt(np.pi)), rel=2e-3)
