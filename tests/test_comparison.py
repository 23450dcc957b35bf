"""Tables: rows against `trajectory_kl` and `elbo`, sample distances against closed forms and a road free of noise."""

from __future__ import annotations

import numpy as np
import pytest

import dpmoracle as dpm
from dpmoracle import sample_comparison
from dpmoracle.claims.comparison import _named
from dpmoracle.claims.quantile_road import distance_to, quantiles_of_chain
from dpmoracle.comparison import GRIDS, RULES, compare_chains
from dpmoracle.distances import energy_distance, sliced_wasserstein
from dpmoracle.likelihood import trajectory_kl
from dpmoracle.likelihood.entropy_road import trajectory_kl_by_entropies
from dpmoracle.likelihood.variational import elbo
from dpmoracle.sample_comparison import compare_samples
from dpmoracle.variance_rules import reverse_variances

SCH = dpm.Schedule.linear(40, 2e-3, 0.4)
LINE = dpm.GaussianMixture([0.2, 0.5, 0.3], [[-1.6], [0.1], [1.3]], [0.09, 0.25, 0.04], "spherical")
POINTS = dpm.GaussianMixture.from_points([[0.0, 1.0], [0.5, -0.5], [-1.0, 0.5]])


@pytest.fixture(scope="module")
def table():
    return compare_chains(dpm.Oracle(LINE, SCH), (5, 12, 40))


def nodes_of(row, mmse):
    return (
        dpm.even_grid(40, row.K)
        if row.grid == "even"
        else dpm.optimal_trajectory(SCH.snr, mmse, row.K).timesteps
    )


def test_rows_against_the_entropies(table):
    """Every line by a road that knows nothing of V."""
    orc = dpm.Oracle(LINE, SCH)
    mmse = np.append(0.0, orc.mmse(np.arange(1, 41)).value)
    assert [(r.K, r.grid, r.rule) for r in table] == [
        (K, g, v) for K in (5, 12, 40) for g in GRIDS for v in RULES
    ]
    for row in table:
        nodes = nodes_of(row, mmse)
        sigma2 = reverse_variances(SCH, nodes, row.rule, mmse=mmse)
        true = trajectory_kl_by_entropies(orc, nodes, sigma2)
        assert float(row.kl.value) == pytest.approx(float(true.value), abs=1e-9 + float(true.error))
        assert row.bits_per_dim == pytest.approx(float(true.value) / np.log(2), rel=1e-7)
        assert row.bound is None


def test_order_of_the_lines(table):
    price = {(r.K, r.grid, r.rule): float(r.kl.value) for r in table}
    for K in (5, 12, 40):
        for grid in GRIDS:
            assert price[K, grid, "optimal"] == min(price[K, grid, rule] for rule in RULES)
        assert price[K, "optimal", "optimal"] <= price[K, "even", "optimal"] + 1e-14
    assert price[40, "even", "beta"] == pytest.approx(price[40, "optimal", "beta"], rel=1e-12)
    assert price[40, "even", "optimal"] < price[12, "even", "optimal"] < price[5, "even", "optimal"]


MUTANTS = {
    "no start": lambda kl, start, chain: chain,
    "half the chain": lambda kl, start, chain: start + 0.5 * chain,
    "twice the chain": lambda kl, start, chain: start + 2 * chain,
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_sum_are_caught(table, name):
    from dpmoracle.likelihood.entropy import kl_to_normal

    row = table[0]
    nodes = dpm.even_grid(40, 5)
    true = float(
        trajectory_kl_by_entropies(dpm.Oracle(LINE, SCH), nodes, reverse_variances(SCH, nodes, "beta")).value
    )
    start = float(kl_to_normal(LINE.diffuse(*map(float, SCH.levels(40)))).value)
    kl = float(row.kl.value)
    assert abs(MUTANTS[name](kl, start, kl - start) - true) > 1e-8


def test_monte_carlo_within_its_errors(table):
    sampled = compare_chains(dpm.Oracle(LINE, SCH), (5, 12), method="monte carlo", num_samples=2000, rng=3)
    for exact, found in zip(table, sampled):
        assert found.kl.method == "monte carlo"
        # the optimal rule and grid adapt to the samples: a second-order effect beside one standard error
        assert abs(float(found.kl.value - exact.kl.value)) < 5 * float(found.kl.error) + 1e-6


def test_bound_with_bins_against_elbo():
    orc = dpm.Oracle(POINTS, SCH)
    bins = np.arange(-2, 3) / 2
    rows = compare_chains(orc, (5,), num_samples=400, rng=0, bins=bins, method="monte carlo")
    for row in rows:
        if row.grid == "even":
            nodes = dpm.even_grid(40, 5)
            v = np.append(0.0, orc.mmse(np.arange(1, 41), 4000, 1, method="trace").value)
            sigma2 = np.append(max(v[1], 1e-300), reverse_variances(SCH, nodes, row.rule, mmse=v))
            true = elbo(orc, nodes, sigma2, bins=bins, num_samples=4000, rng=1)
            error = 5 * np.hypot(float(row.bound.error), float(true.bits_per_dim.error))
            assert abs(float(row.bound.value - true.bits_per_dim.value)) < error + 1e-9
        assert (
            row.bound.value > row.bits_per_dim - 5 * row.bound.error
        )  # a bound pays for what is known of x_0 too


def test_gaussian_data_are_exact():
    q0 = dpm.GaussianMixture([1.0], [[0.3, 0.0]], [[0.4, 1.3]], "diag")
    for row in compare_chains(dpm.Oracle(q0, SCH), (4,)):
        nodes = nodes_of(row, np.append(0.0, dpm.Oracle(q0, SCH).mmse(np.arange(1, 41)).value))
        v = np.append(0.0, dpm.Oracle(q0, SCH).mmse(np.arange(1, 41)).value)
        true = trajectory_kl(dpm.Oracle(q0, SCH), nodes, reverse_variances(SCH, nodes, row.rule, mmse=v))
        assert row.kl.method == "exact"
        assert float(row.kl.value) == pytest.approx(float(true.value), rel=1e-11)


# -- distances -------------------------------------------------------------------------------------------------


def test_energy_distance_of_two_gaussians():
    """2 E|N(m, 2)| - 2 E|N(0, 2)|, unbiased: the mean over repeats is within its own error."""
    from scipy.special import ndtr

    rng, m = np.random.default_rng(0), 0.7
    seen = [energy_distance(rng.normal(size=(60, 1)), m + rng.normal(size=(50, 1))) for _ in range(300)]
    folded = 2 / np.sqrt(np.pi) * np.exp(-m * m / 4) + m * (1 - 2 * ndtr(-m / np.sqrt(2)))
    true = 2 * (folded - 2 / np.sqrt(np.pi))
    assert abs(np.mean(seen) - true) < 4.5 * np.std(seen) / np.sqrt(300)
    none = [energy_distance(rng.normal(size=(30, 2)), rng.normal(size=(30, 2))) for _ in range(300)]
    assert abs(np.mean(none)) < 4.5 * np.std(none) / np.sqrt(300)
    assert min(none) < 0


def test_energy_distance_by_hand_and_with_scipy():
    from scipy.stats import energy_distance as scipy_energy

    x, y = np.array([[0.0], [1.0]]), np.array([[3.0], [5.0]])
    assert energy_distance(x, y) == pytest.approx(2 * (3 + 5 + 2 + 4) / 4 - 1 - 2)
    x, y = np.random.default_rng(0).normal(size=(2, 400, 1))
    biased = energy_distance(x, y) + sum(np.abs(z - z.T).sum() / (400 * 400 * 399) for z in (x, y))
    assert biased == pytest.approx(scipy_energy(x[:, 0], y[:, 0]) ** 2, rel=1e-9, abs=1e-12)


def test_sliced_wasserstein_of_a_shift():
    """A shift by v moves the projection on a unit direction by <v, e>, of mean |v| 2/π in the plane."""
    x = np.random.default_rng(0).normal(size=(50, 2))
    assert sliced_wasserstein(x, x + np.array([3.0, 4.0]), 20_000, rng=1) == pytest.approx(
        5 * 2 / np.pi, rel=0.02
    )
    line = np.random.default_rng(0).normal(size=(2, 50, 1))
    from scipy.stats import wasserstein_distance

    assert sliced_wasserstein(*line) == pytest.approx(
        wasserstein_distance(line[0][:, 0], line[1][:, 0]), rel=1e-12
    )


# -- samples ---------------------------------------------------------------------------------------------------


def test_sample_distances_against_the_road_without_noise():
    """The law of the chain in quantiles: its distance lies within the error of the sampled one."""
    orc = dpm.Oracle(LINE, SCH)
    v = np.append(0.0, orc.mmse(np.arange(1, 41)).value)
    rows = compare_samples(
        orc, (5,), samplers=("ddim", "analytic-ddim", "ddpm"), mmse=v, num_samples=400, batches=12, rng=0
    )
    nodes = dpm.even_grid(40, 5)
    for row in rows:
        true = distance_to(LINE, quantiles_of_chain(orc, nodes, *_named(row.sampler)(SCH, nodes, v)))
        assert abs(float(row.distance.value) - true) < 4.5 * float(row.distance.error) + 2e-4
        assert row.interval[0] < float(row.distance.value) < row.interval[1]
    assert rows[0].gain == (0.0, 0.0)
    assert rows[1].gain[0] > 0  # Analytic-DDIM is nearer here, by far more than the noise
    assert rows[2].gain[1] < 0  # DDPM with β̃ is farther


def test_an_exact_sampler_has_no_distance():
    """All nodes, optimal variances: the interval of the unbiased distance reaches close to 0."""
    q0 = dpm.GaussianMixture([1.0], [[0.3, 0.0]], [[0.4, 1.3]], "diag")
    rows = compare_samples(
        dpm.Oracle(q0, SCH), (40,), samplers=("analytic-ddpm",), num_samples=200, batches=10, rng=1
    )
    assert rows[0].interval[0] < 5e-3


def test_reproducible_and_sliced():
    orc = dpm.Oracle(LINE, SCH)
    runs = [
        compare_samples(orc, (4,), grids=GRIDS, distance="sliced", num_samples=50, batches=3, rng=seed)
        for seed in (1, 1, 2)
    ]
    values = [[float(r.distance.value) for r in run] for run in runs]
    assert values[0] == values[1] != values[2]
    assert [(r.grid, r.sampler) for r in runs[0]] == [
        (g, s) for g in GRIDS for s in ("ddim", "analytic-ddim")
    ]


def test_a_grid_of_all_timesteps_shares_its_samples():
    orc = dpm.Oracle(LINE, SCH)
    even, best = compare_samples(
        orc, (40,), samplers=("ddim",), grids=GRIDS, num_samples=20, batches=2, rng=0
    )
    assert (even.interval, even.size) == (best.interval, best.size) == (best.interval, (2, 20))


@pytest.mark.parametrize("kind", ["products", "full covariance", "too much rounding"])
def test_means_are_those_of_the_oracle(kind, monkeypatch):
    """By matrix products to 1e-9; by the oracle itself where there is a basis, or where a weight would be unsure."""
    q0 = (
        LINE
        if kind != "full covariance"
        else dpm.GaussianMixture([1.0], [[0.0, 1.0]], [[[2.0, 1.0], [1.0, 3.0]]])
    )
    if kind == "too much rounding":
        monkeypatch.setattr(sample_comparison, "_WEIGHT_ERROR", 1e-20)
    orc = dpm.Oracle(q0, SCH)
    mean = sample_comparison._mean(orc, SCH)
    x = np.random.default_rng(0).standard_normal((50, q0.d))
    for t in (1, 20, 40):
        found, true = mean(x, np.full(50, t)), orc.x0(x, t)
        assert np.abs(found - true).max() <= (1e-9 if kind == "products" else 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: compare_chains(o, (1,)), "K must be a whole number >= 2"),
        (lambda o: compare_chains(o, (41,)), "at most N = 40"),
        (lambda o: compare_chains(o, (5,), method="guess"), "method must be"),
        (lambda o: compare_chains("orc", (5,)), "must be an Oracle"),
        (
            lambda o: compare_samples(o, (5,), samplers=("ddim", "euler")),
            "samplers must be a list of names among",
        ),
        (lambda o: compare_samples(o, (5,), samplers="ddim"), "samplers must be a list"),
        (lambda o: compare_samples(o, (5,), grids=()), "grids must be a list"),
        (lambda o: compare_samples(o, (5,), distance="fid"), "distance must be"),
        (lambda o: compare_samples(o, (5,), level=1.0), r"level must lie in \(0, 1\)"),
        (lambda o: compare_samples(o, (5,), mmse=np.ones(7)), "must be arrays of one length"),
        (lambda o: compare_samples(o, (5,), mmse=np.full(41, np.nan)), r"compare_samples: mmse\[1\] is nan"),
        (lambda o: compare_samples(o, (5,), mmse=np.full(41, -1.0)), "mmse"),
        (lambda o: compare_samples(o, (5,), mmse=1 + 1 / SCH.snr), "mmse"),
        (lambda o: compare_samples(o, (5,), batches=1), "batches must be a whole number >= 2"),
        (lambda o: energy_distance(np.ones((1, 2)), np.ones((3, 2))), "m, n >= 2"),
        (lambda o: sliced_wasserstein(np.ones((4, 2)), np.ones((3, 2))), "equally many rows"),
    ],
)
def test_wrong_use(call, message):
    with pytest.raises(dpm.InvalidParameterError, match=message):
        call(dpm.Oracle(LINE, SCH))
