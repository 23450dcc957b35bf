"""Sections: what they say is what was found, for any data, and each terminal variance by a recursion of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

import numpy as np
import pytest

import dpmoracle as dpm
from dpmoracle.claims import World
from dpmoracle.claims.cloud import Cloud
from dpmoracle.claims.results import Report
from dpmoracle.comparison import GRIDS, RULES, ChainRow
from dpmoracle.estimate import Estimate
from dpmoracle.gamma_curve import DataRecord
from dpmoracle.gamma_run import GammaRun, run
from dpmoracle.plan import make_plan
from dpmoracle.report import sections
from dpmoracle.report.page import Section
from dpmoracle.report.sections import distances, laws, optimum, samplers, solvers, validate
from dpmoracle.report.svg import inline
from dpmoracle.sample_comparison import SampleRow
from small_world import CORNERS, ODD


class Short(World):
    """A short schedule: the same sections in a hundredth of the time."""

    @cached_property
    def schedule(self):
        return dpm.Schedule.linear(40, 2e-3, 0.4)


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(validate, "World", Short)
    monkeypatch.setattr(optimum, "NODE_COUNTS", (5, 40))
    monkeypatch.setattr(laws, "SAMPLES", 20)
    monkeypatch.setattr(optimum, "SAMPLES", 20)
    monkeypatch.setattr(distances, "_EXACT_COUNTS", (5, 10))
    monkeypatch.setattr(distances, "NODE_COUNTS", (5, 40))
    monkeypatch.setattr(distances, "_BATCHES", 3)
    monkeypatch.setattr(distances, "_MOST", 20)
    monkeypatch.setattr(samplers, "_COUNTS", (5, 20))
    monkeypatch.setattr(solvers, "_STEPS", (5, 10, 20))


def figures(found):
    return [figure for section in found for figure in section.figures]


def check(found):
    assert found
    assert all(isinstance(section, Section) for section in found)
    names = [figure.name for figure in figures(found)]
    assert len(names) == len(set(names))
    for figure in figures(found):
        inline(figure.svg, figure.name, figure.alt)
        assert "nan" not in figure.caption + figure.alt
        assert figure.csv.count("\n") > 1
    for section in found:
        for text in (section.title, *section.text, *(table.caption for table in section.tables)):
            assert "nan" not in text


def report(name="corners"):
    return Report((), 3, name, {}, 0.0)


def test_validate_sections(short):
    seen = []
    found = sections.validate_sections(report(), CORNERS, lambda *step: seen.append(step))
    check(found)
    assert [section.title for section in found] == [
        "What the optimum buys",
        "V, the variances, the trajectories",
        "Orders of the solvers",
        "Samplers",
    ]
    assert sorted({step[:2] for step in seen}) == [(k, 4) for k in range(4)]
    assert [step[0] for step in seen] == sorted(step[0] for step in seen)
    assert sum("samples of" in step[2] for step in seen) == 4 * 2
    names = {figure.name for figure in figures(found)}
    assert names >= {
        "kl-data",
        "kl-line",
        "estimators-mmse",
        "estimators-gamma",
        "variances",
        "trajectories",
        "costs",
        "orders",
        "terminal",
    }
    assert "corners" in figures(found)[0].caption
    assert samplers.sampler_section(Short(CORNERS, "corners", 3)) == found[-1], (
        "the same seed, the same numbers"
    )


@pytest.mark.parametrize("name", ["1e-200", "1e160"])
def test_any_data_give_a_report(short, name):
    world = Short(ODD[name], name, 0)
    cloud = Cloud.of(world, world.rng("report.data"))
    found = (optimum.optimum_section(world, cloud), validate._step_section(world, cloud))
    check(found)
    refused = "1e160" in name
    assert any("Scale the data" in text for section in found for text in section.text) == refused
    assert ("kl-data" in {figure.name for figure in figures(found)}) != refused


def curve(schedule, points=CORNERS):
    job = GammaRun(points, schedule, DataRecord.of(points, "corners"), "trace", 50, 0)
    return job.curve(run(job, 50))


def test_gamma_and_trajectory_sections():
    found = curve(dpm.Schedule.linear(40, 2e-3, 0.4))
    check(sections.gamma_sections(found))
    assert [figure.name for figure in figures(sections.gamma_sections(found))] == [
        "gamma",
        "mmse",
        "variances",
    ]
    plan = make_plan(found, (12, 5, 8, 20), clip=True)
    trajectories, costs = figures(sections.trajectory_sections(plan))
    assert all(f"K = {K}" in trajectories.alt for K in (5, 8, 12, 20))
    assert "K = 12" in costs.alt
    assert "K = 20" not in costs.alt, "three staircases at most"


@pytest.mark.parametrize("name", ["zeros", "1e-200", "1e8", "far from the origin"])
def test_any_curve_gives_a_report(name):
    found = curve(dpm.Schedule.linear(40, 2e-3, 0.4), ODD[name])
    check(sections.gamma_sections(found))
    check(sections.trajectory_sections(make_plan(found, (5, 40), clip=True)))


def test_check_sections():
    result = {
        "subject": "a",
        "config": "",
        "check": "c",
        "status": "passed",
        "measured": None,
        "bound": None,
        "detail": "",
    }
    assert sections.check_sections([], "lib") == ()
    (bare,) = sections.check_sections([result], "lib 1.0")
    assert [figure.name for figure in bare.figures] == ["conformance"]
    (found,) = sections.check_sections(iter([result, result | {"curve": [(5, 0.5, 0.1)]}]), "lib 1.0")
    check((found,))
    assert [figure.name for figure in found.figures] == ["conformance", "terminal"]


def test_bench_sections():
    from test_figures import RUN

    (found,) = sections.bench_sections(RUN)
    check((found,))
    assert [figure.name for figure in found.figures] == ["ratios", "shares"]
    assert sections.bench_sections(replace(RUN, results={})) == ()


def chain_rows(better):
    """Two laws of one K each; σ̂² wins where `better` says so."""

    def row(grid, rule, value):
        kl = Estimate(np.asarray(value), np.asarray(0.5), "monte carlo", np.asarray(np.inf))
        return ChainRow(10, grid, rule, kl, value / 3, None)

    worth = {"beta": 20.0, "beta_tilde": 900.4}
    return [
        row(grid, rule, worth.get(rule, 1.0 if wins else 30.0) + (grid == "optimal") * (rule == "beta"))
        for wins in better
        for grid in GRIDS
        for rule in RULES
    ]


def test_verdict_on_chains_counts():
    assert "wins everywhere: it is the least of the three in 4 of 4" in optimum.chain_verdict(
        chain_rows([True, True])
    )
    text = optimum.chain_verdict(chain_rows([True, False]))
    assert "does not win everywhere: it is the least of the three in 2 of 4" in text
    assert "worse than the even grid in 2 of 2" in text


def test_layout_of_the_chain_table():
    table = optimum.chain_table(chain_rows([True]), "toys")
    assert table.columns == ("variance, timesteps", "K = 10")
    assert [row[0] for row in table.rows] == [f"{v}, {g} grid" for g in GRIDS for v in ("β", "β̃", "σ̂²")]
    assert [str(row[1]).replace("\u00a0", " ") for row in table.rows][:3] == [
        "20 ± 0.5",
        "900 ± 0.5",
        "1 ± 0.5",
    ]
    assert table.rows[1][1].below == "300 bits"


def sample_rows(*gains):
    """A row of both samplers on both grids for each gain; on the optimal grid DDIM is twice as far."""

    def row(grid, name, low, gain=(0.0, 0.0)):
        far = Estimate(np.asarray(low + 0.05), np.asarray(0.01), "monte carlo", np.asarray(np.inf))
        return SampleRow(10, grid, name, far, (low, low + 0.1), gain, (16, 500))

    return [
        row(grid, name, low, gain if name == "analytic-ddim" else (0.0, 0.0))
        for gain in gains
        for grid, low in (("even", 0.1), ("optimal", 0.21))
        for name in ("ddim", "analytic-ddim")
    ]


def test_verdict_on_samples_needs_an_interval_that_excludes_zero():
    rows = sample_rows((0.1, 0.2), (-0.2, -0.1), (-0.1, 0.1))
    text = distances.sample_verdict(rows)
    assert "is not shown to win everywhere" in text
    assert "of 6 cases 2 nearer, 2 farther, 2 undecided" in text
    assert "nearer in 0 of 3 cases and goes farther in 3" in text
    assert "wins everywhere" in distances.sample_verdict(sample_rows((0.1, 0.2)))
    table = distances.sample_table({"toys": rows[:4], "more": rows[4:]})
    assert [str(row[-1]) for row in table.rows] == ["nearer"] * 2 + ["farther"] * 2 + ["undecided"] * 2
    assert str(table.rows[2][-2]) == "[-0.2, -0.1]"
    assert [str(row[0]) for row in table.rows[:2]] == ["even grid", "optimal grid"]
    assert [row[0].below for row in table.rows] == ["toys"] * 2 + ["more"] * 4


def test_exact_verdict_and_table():
    cells = {
        (10, "even"): (0.1, 0.2),
        (10, "optimal"): (0.3, 0.1),
        (25, "even"): (0.2, 0.1),
        (25, "optimal"): (0.1, 0.05),
    }
    found = {"a": cells, "b": {(10, "even"): (0.1, 0.1), (10, "optimal"): (0.2, 0.1)}}
    text = distances.exact_verdict(found)
    assert "nearer than DDIM in 4 of 6 cases" in text
    assert "farther than on the even grid in 2 of 3" in text
    table = distances.exact_table(found)
    assert [str(row[-1]) for row in table.rows] == [
        "farther",
        "nearer",
        "nearer",
        "nearer",
        "undecided",
        "nearer",
    ]
    assert table.rows[0][1:4] == (10, 0.1, 0.2)


def test_exact_distances_lie_in_the_intervals_of_sampling(monkeypatch):
    """Two roads to the same distance: quantiles, and 8 batches of 2000 samples."""
    monkeypatch.setattr(distances, "_EXACT_COUNTS", (5,))
    monkeypatch.setattr(distances, "NODE_COUNTS", (5,))
    monkeypatch.setattr(distances, "_BATCHES", 8)
    law = laws.Law("line", "a line", WORLD.lines["three gaussians"], None)
    v = laws.law_mmse(WORLD, law)
    exact = distances.exact_distances(WORLD, law, v)
    for row in distances.law_distances(WORLD, law, v, 0.95):
        assert row.size == (8, 2000)
        far = exact[row.K, row.grid][("ddim", "analytic-ddim").index(row.sampler)]
        assert float(row.distance.value) == pytest.approx(far, abs=6 * float(row.distance.error))


def test_fewer_samples_where_a_chain_is_dear():
    """Time of a chain is about rows · K · C (d + 60): never above the budget but for the fewest samples."""
    few, many = WORLD.lines["three gaussians"], dpm.GaussianMixture.from_points(np.zeros((1797, 64)))
    sizes = {
        name: [distances.batch_size(laws.Law(name, name, q0, None, work), K) for K in (10, 100, 1000)]
        for name, q0, work in (("few", few, 4e9), ("many", many, 3.6e10))
    }
    assert sizes["few"][0] == 2000
    assert sizes["few"][2] > 100
    assert sizes["many"][2] == 20
    assert 16 * 10 * sizes["many"][0] * 1797 * 124 == pytest.approx(3.6e10, rel=0.02)


def test_intervals_hold_together():
    """Bonferroni over 2 laws of 13 cases each: with all 1000 timesteps there is one grid."""
    assert (1 - distances.joint_level(World(CORNERS, "corners", 0), 2)) * 2 * 13 == pytest.approx(0.05)


TERMINAL = dpm.GaussianMixture([1.0], [[0.4]], [0.49], "spherical")
ETAS = {"DDPM, β": 1.0, "DDPM, β̃": 1.0, "DDPM, σ̂²": 1.0, "DDIM, η = 0.5": 0.5}


def recursion(world, label, K, wrong=""):
    """Variance of the samples over that of the data: var_s = g² var_t + σ², from the linear mean alone.

    x̂_0 = k_t x with k_t = s² sqrt(ᾱ)/(ᾱ s² + β̄); the step is c_1 x + (sqrt(ᾱ_s) - c_1 sqrt(ᾱ_t)) x̂_0 with
    c_1² = (β̄_s - λ²)/β̄_t.
    """
    a, b, size = world.schedule.alpha_bar, world.schedule.beta_bar, 0.49
    nodes = dpm.even_grid(world.schedule.N, K)
    var = 1.0
    for s, t in zip(nodes[-2::-1], nodes[:0:-1]):
        gain, v = size * np.sqrt(a[t]) / (a[t] * size + b[t]), size * b[t] / (a[t] * size + b[t])
        tilde = b[s] / b[t] * (1 - a[t] / a[s])
        lam2 = ETAS[label] ** 2 * tilde
        along = np.sqrt((b[s] - lam2) / b[t])
        c = np.sqrt(a[s]) - along * np.sqrt(a[t])
        sigma2 = {"DDPM, β": 1 - a[t] / a[s], "DDPM, σ̂²": lam2 + c**2 * v}.get(label, lam2)
        var = (along + c * gain) ** 2 * var + sigma2
    t = nodes[0]
    k = size * np.sqrt(a[t]) / (a[t] * size + b[t])
    if wrong == "noise in the last step":
        return (k**2 * var + b[t]) / size
    if wrong == "no last step":
        return var / size
    if wrong == "deviation":
        return np.sqrt(k**2 * var / size)
    return k**2 * var / size


WORLD = Short(CORNERS, "corners", 0)


@pytest.mark.parametrize("label", ETAS)
@pytest.mark.parametrize("K", [5, 20, 40])
def test_terminal_ratio_by_the_recursion(label, K):
    ratio = dict(samplers.terminal_ratios(WORLD, TERMINAL, K))[label]
    assert ratio == pytest.approx(recursion(WORLD, label, K), rel=1e-9)
    for wrong in ("noise in the last step", "no last step", "deviation"):
        broken = recursion(WORLD, label, K, wrong)
        if abs(ratio - 1) > 1e-3 or wrong != "deviation":  # the root of 1 is 1
            assert ratio != pytest.approx(broken, rel=1e-6)


def test_terminal_ratio_of_the_sde_solver_by_sampling():
    """Both orders against 200,000 samples."""
    from dpmoracle.solvers.network import ExactModel
    from dpmoracle.solvers.stochastic import sde_dpm_solver

    found = dict(samplers.terminal_ratios(WORLD, TERMINAL, 8))
    rng = np.random.default_rng(5)
    for order in (1, 2):
        x = rng.standard_normal((200_000, 1))
        end = sde_dpm_solver(ExactModel(TERMINAL, "data"), x, samplers._levels(WORLD, 8), order, rng=rng)
        # six standard errors of a variance: sqrt(2/M) each, false alarm 2e-9
        assert end.var() / 0.49 == pytest.approx(
            found[f"SDE-DPM-Solver++ {order}, even in λ"], rel=6 * np.sqrt(2 / 2e5)
        )


def test_levels_make_K_evaluations():
    levels = samplers._levels(WORLD, 8)
    assert levels.shape == (9, 2)
    assert levels[-1].tolist() == [1.0, 0.0]
