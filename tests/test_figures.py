"""Figures: what is drawn is what was found; every figure speaks, is deterministic, and leaves Matplotlib as it was."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

import dpmoracle as dpm
from dpmoracle import report
from dpmoracle.bench.harness import Timing
from dpmoracle.bench.results import Result, Run
from dpmoracle.comparison import ChainRow, compare_chains
from dpmoracle.estimate import Estimate
from dpmoracle.gamma_curve import DataRecord, GammaCurve
from dpmoracle.report.figures import (
    bench,
    conformance,
    cost_map,
    curves,
    kl,
    orders,
    records,
    samples,
    style,
    terminal,
    trajectories,
    variances,
)
from dpmoracle.report.svg import inline
from dpmoracle.solvers.order import OrderFit

SCH = dpm.Schedule.linear(40, 2e-3, 0.4)
LINE = dpm.GaussianMixture([0.2, 0.5, 0.3], [[-1.6], [0.1], [1.3]], [0.09, 0.25, 0.04], "spherical")
PLANE = dpm.GaussianMixture([0.4, 0.6], [[1.0, 0.2], [-0.8, -0.3]], [0.1, 0.3], "spherical")
T = np.arange(1, 41)
V = np.append(0.0, dpm.Oracle(LINE, SCH).mmse(T).value)
U = SCH.snr
EVEN, BEST = dpm.even_grid(40, 8), dpm.optimal_trajectory(U, V, 8)
PATHS = {"optimal, K = 8": BEST, "even, K = 8": EVEN}
EXACT = dpm.MmseEstimate(V[1:], np.zeros(40), 1000, T, SCH, method="quadrature")
NOISY = replace(EXACT, mmse=V[1:] * 1.1, stderr=0.2 * V[1:], method="pair")
WILD = replace(EXACT, mmse=V[1:] - 0.5 * V[-1], stderr=V[1:], method="score")
CURVE = GammaCurve(
    mmse=V,
    gamma=np.append(np.inf, (1 - U[1:] * V[1:]) / SCH.beta_bar[1:]),
    mmse_stderr=0.05 * V,
    gamma_stderr=np.append(0.0, 0.05 * U[1:] * V[1:] / SCH.beta_bar[1:]),
    effective_count=np.full(41, 100.0),
    schedule=SCH,
    data=DataRecord("toy", (10, 1), "0" * 64, (-2.0, 2.0)),
    estimator="trace",
    num_samples=100,
    batch_size=50,
    seed=0,
)
ROWS = compare_chains(dpm.Oracle(LINE, SCH), (5, 12, 40))
FITS = {
    "ddim": OrderFit((10, 20, 40, 80), (0.1, 0.05, 0.025, 0.0125), (10, 20, 40, 80)),
    "heun": OrderFit((10, 20, 40, 80), (1e-2, 2.5e-3, 6.25e-4, 1.5625e-4), (20, 40, 80, 160)),
    "multistep 3": OrderFit((10, 20, 40), (1e-3, 1.25e-4, 1.5625e-5), (14, 24, 44)),
    "multistep 2": OrderFit((10, 20, 40), (1e-2, 2e-3, 5e-4), (11, 21, 41)),
}
ENDS = [
    {"sampler": s, "K": K, "ratio": 1 + c / K, "error": e}
    for s, c, e in (("β", 3, 0), ("β̃", -2, 0.1))
    for K in (10, 5)
]
SAID = "say <b>so</b>"
RESULTS = [
    {
        "subject": s,
        "config": {"order": o},
        "check": c,
        "status": v,
        "measured": 0.1 * o,
        "bound": 0.25,
        "detail": "say <b>so</b>",
    }
    for s, c, v, o in (
        ("Euler", "finite", "passed", 1),
        ("Euler", "order", "passed", 1),
        ("DPM", "finite", "passed", 2),
        ("DPM", "finite", "failed", 3),
        ("DPM", "order", "xfailed", 2),
        ("DPM", "order", "note", 3),
        ("Heun", "order", "skipped", 2),
        ("Heun", "finite", "xpassed", 2),
    )
]
RUN = Run(
    {},
    {},
    {},
    {
        "one": [
            Result(
                "N = 1000",
                (Timing("ours", (1e-3,)), Timing("official", (1.0,)), Timing("numpy", (5e-4,))),
                target={"official": 2000.0, "exp": 0.5},
                limit=("exp", 0.8),
            )
        ],
        "two": [Result("N = 10", (Timing("ours", (1.0,)), Timing("torch", (30.0,))))],
    },
)


def drawn(axes):
    """Label -> (x, y) of every line with a label of its own."""
    return {
        line.get_label(): (np.asarray(line.get_xdata()), np.asarray(line.get_ydata()))
        for line in axes.get_lines()
        if not line.get_label().startswith("_")
    }


FIGURES = {
    "estimators": lambda: curves.curve_figure("a", "mmse", {"pair": NOISY, "score": WILD}, EXACT, "a line"),
    "gamma": lambda: curves.curve_figure("b", "gamma", CURVE, where="a line"),
    "variances": lambda: variances.variance_figure("c", EVEN, SCH, V, "a line", (-2.0, 2.0)),
    "costs": lambda: cost_map.cost_figure("d", U, V, PATHS, "a line"),
    "trajectories": lambda: trajectories.trajectory_figure("e", U, V, PATHS, "a line"),
    "kl": lambda: kl.kl_figure("f", ROWS, "a line", 1e-4, 0.3),
    "orders": lambda: orders.order_figure("g", FITS, "a line"),
    "conformance": lambda: conformance.conformance_figure("h", RESULTS, "toys 1.0"),
    "terminal": lambda: terminal.terminal_figure("i", ENDS, "a Gaussian"),
    "samples": lambda: samples.sample_figure(
        "j", {"data": PLANE.sample(9, 0)}, PLANE, "toys", {"data": "distance 0"}
    ),
    "ratios": lambda: bench.ratio_figure("k", RUN),
    "shares": lambda: bench.share_figure("l", RUN),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_speaks_and_is_deterministic(name):
    before = dict(mpl.rcParams)
    figure = FIGURES[name]()
    assert dict(mpl.rcParams) == before
    assert figure == FIGURES[name]()
    assert len(figure.caption) > 60
    assert len(figure.alt) > 40
    head, *rows = csv.reader(io.StringIO(figure.csv))
    assert rows
    assert all(len(row) == len(head) for row in rows)
    root = ElementTree.fromstring(figure.svg)
    assert root.tag.endswith("svg")
    assert not re.search(r"<metadata|<style|font-family: 'DejaVu|nan", figure.svg)
    assert re.search(r"<text[^>]*>[^<]", figure.svg), "text must stay text"
    assert "white" not in figure.svg
    assert 'role="img"' in inline(figure.svg, figure.name, figure.alt)


def test_figures_ignore_the_style_of_the_session():
    plain = FIGURES["kl"]()
    with mpl.rc_context(
        {"text.usetex": True, "font.size": 30, "axes.facecolor": "red", "lines.linewidth": 9}
    ):
        assert FIGURES["kl"]() == plain


def test_nothing_of_pyplot_is_touched():
    program = (
        "import sys, dpmoracle.report as r; assert not any('matplotlib' in m for m in sys.modules), 'at import'\n"
        "r.plot_terminal_variance([dict(sampler='a', K=5, ratio=1.5)]).figure\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
        "assert set(r.__all__) <= set(dir(r)); [getattr(r, name) for name in r.__all__]"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="plot_nothing"):
        report.plot_nothing  # noqa: B018


@pytest.mark.parametrize("colour", style.PALETTE)
@pytest.mark.parametrize("paper", ["#ffffff", "#161616"])
def test_colours_are_read_on_light_and_dark(colour, paper):
    """WCAG 2.1, contrast ratio of graphics at least 3."""

    def luminance(name):
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        return float(np.dot([0.2126, 0.7152, 0.0722], parts))

    low, high = sorted((luminance(colour), luminance(paper)))
    assert (high + 0.05) / (low + 0.05) >= 3


CALLS = {
    "plot_gamma": lambda ax: report.plot_gamma(CURVE, ax),
    "plot_mmse": lambda ax: report.plot_mmse(NOISY, ax),
    "plot_relative_error": lambda ax: report.plot_relative_error(NOISY, ax),
    "plot_variances": lambda ax: report.plot_variances(EVEN, SCH, V, ax),
    "plot_cost": lambda ax: report.plot_cost(U, V, ax),
    "plot_trajectories": lambda ax: report.plot_trajectories(U, PATHS, ax),
    "plot_kl": lambda ax: report.plot_kl(ROWS, ax),
    "plot_orders": lambda ax: report.plot_orders(FITS, ax),
    "plot_conformance": lambda ax: report.plot_conformance(RESULTS, ax),
    "plot_terminal_variance": lambda ax: report.plot_terminal_variance(ENDS, ax),
    "plot_samples": lambda ax: report.plot_samples([[0.0, 1.0]], PLANE, ax),
    "plot_ratios": lambda ax: report.plot_ratios(RUN, ax),
    "plot_limit_shares": lambda ax: report.plot_limit_shares(RUN, ax),
}


@pytest.mark.parametrize("name", report.__all__)
def test_axes_are_the_callers_or_new(name):
    mine = Figure().add_subplot()
    assert CALLS[name](mine) is mine
    assert CALLS[name](None).figure is not mine.figure
    with pytest.raises(dpm.InvalidParameterError, match=f"{name}: ax must be Matplotlib Axes.*got int"):
        CALLS[name](7)


def test_curves_are_the_estimates():
    lines = drawn(report.plot_mmse({"pair": NOISY, "curve": CURVE, "score": WILD}, exact=EXACT))
    for label, value in {
        "pair": 1.1 * V,
        "curve": V,
        "score": V - 0.5 * V[-1],
        "exact (quadrature)": V,
    }.items():
        np.testing.assert_array_equal(lines[label][0], T)
        np.testing.assert_array_equal(lines[label][1], value[1:])
    np.testing.assert_array_equal(drawn(report.plot_gamma(CURVE))["trace"][1], CURVE.gamma[1:])
    np.testing.assert_allclose(drawn(report.plot_relative_error(NOISY))["pair"][1], 0.2 / 1.1)


def test_bands_hold_their_level():
    (band,) = report.plot_mmse(NOISY, level=0.9).collections
    corners = band.get_paths()[0].vertices
    at = corners[corners[:, 0] == 20, 1]
    np.testing.assert_allclose(at.max() - 1.1 * V[20], 1.6448536269514722 * 0.2 * V[20])
    np.testing.assert_allclose(at.min() - 1.1 * V[20], -1.6448536269514722 * 0.2 * V[20])


def test_a_score_norm_estimate_is_drawn_as_v_and_as_gamma():
    found = dpm.GammaEstimate(CURVE.gamma[1:] * 0.9, np.zeros(40), 10, T, SCH)
    np.testing.assert_array_equal(drawn(report.plot_gamma(found))["score norm"][1], found.gamma)
    np.testing.assert_array_equal(drawn(report.plot_mmse(found))["score norm"][1], found.mmse().mmse)


def test_variances_in_the_form_of_the_snr():
    """With λ² = β̃: σ*²/β̃ - 1 = V Δu, the bounds Δu/u_t and (b-a)²/4 Δu, β/β̃ - 1 = β̄_t/β̄_s - 1: no c, no Γ."""
    lines = drawn(report.plot_variances(EVEN, SCH, V, data_range=(-2.0, 1.0)))
    s, t = EVEN[:-1], EVEN[1:]
    span = U[s] - U[t]
    true = {
        "σ̂², optimal": V[t] * span,
        "upper bound, any data": span / U[t],
        "upper bound, data in the box": np.minimum(span / U[t], 2.25 * span),
        "β": SCH.beta_bar[t] / SCH.beta_bar[s] - 1,
    }
    assert set(lines) == set(true)
    for label, value in true.items():
        np.testing.assert_array_equal(lines[label][0], t)
        np.testing.assert_allclose(lines[label][1], value, rtol=1e-9)
    assert "upper bound, data in the box" not in drawn(report.plot_variances(EVEN, SCH, V))


def test_cost_map_and_its_marks():
    axes = report.plot_cost(U, V, trajectories=PATHS)
    for label, nodes in {"optimal, K = 8": BEST.timesteps, "even, K = 8": EVEN}.items():
        x, y = drawn(axes)[label]
        np.testing.assert_allclose(np.sort(x), np.sort(np.log10(U[nodes[1:]])))
        np.testing.assert_allclose(np.sort(y), np.sort(np.log10(U[nodes[:-1]])))
        assert (y > x).all(), "a step ends nearer to the data than it starts"
    (mesh,) = (c for c in axes.collections if type(c).__name__ == "QuadMesh")
    cost = np.ma.filled(mesh.get_array(), np.nan)
    true = dpm.trajectory_cost(U, V)[1:, 1:][::-1, ::-1]
    assert cost.shape == (40, 40)
    assert np.isnan(cost[~np.isfinite(true)]).all()
    np.testing.assert_allclose(cost[np.isfinite(true)], np.maximum(true[np.isfinite(true)], 1e-3))


def test_cost_figure_tells_each_step():
    rows = list(csv.DictReader(io.StringIO(FIGURES["costs"]().csv)))
    assert sum(float(row["J"]) for row in rows if row["trajectory"] == "optimal, K = 8") == pytest.approx(
        BEST.cost
    )


def test_trajectories_stand_at_their_snr_below_the_density():
    axes = report.plot_trajectories(U, PATHS, mmse=V)
    lines = drawn(axes)
    np.testing.assert_allclose(lines["optimal, K = 8"][0], np.log10(U[BEST.timesteps]))
    np.testing.assert_allclose(lines["even, K = 8"][0], np.log10(U[EVEN]))
    assert [label.get_text() for label in axes.get_yticklabels()] == [*list(PATHS)[::-1], "√κ density"]
    assert lines["optimal, K = 8"][1][0] == 1
    x, y = lines["sqrt(κ)"]
    share = np.cumsum((y - y.min()) * np.gradient(x))
    middle = np.interp(0.5, share / share[-1], x)
    _, half, _ = dpm.sqrt_kappa_grid(U, 3, mmse=V)
    assert np.log10(U[half + 1]) < middle < np.log10(U[half - 1])


def test_zero_terminal_snr_has_a_place():
    u = U.copy()
    u[-1] = 0.0
    for axes in (
        report.plot_trajectories(u, {"even": EVEN}, mmse=V),
        report.plot_cost(u, V, trajectories={"even": EVEN}),
    ):
        assert all(np.isfinite(line.get_xdata()).all() for line in axes.get_lines())


def test_kl_lines_are_the_rows():
    axes = report.plot_kl(ROWS[::-1], limit=1e-4, law=0.3)
    lines = drawn(axes)
    for grid in ("even", "optimal"):
        for rule, sign in (("beta", "β"), ("beta_tilde", "β̃"), ("optimal", "σ̂²")):
            x, y = lines[f"{sign}, {grid} grid"]
            np.testing.assert_array_equal(x, [5, 12, 40])
            true = [
                next(float(r.kl.value) for r in ROWS if (r.K, r.grid, r.rule) == (K, grid, rule)) for K in x
            ]
            np.testing.assert_array_equal(y, true)
    np.testing.assert_allclose(lines["√κ law"][1], 1e-4 + 0.3 / (lines["√κ law"][0] - 1))
    assert set(lines["I-MMSE limit, Σ J = ∫ V du"][1]) == {1e-4}


def test_a_limit_far_below_is_named_and_takes_no_room():
    low = report.plot_kl(ROWS, limit=1e-30)
    assert low.get_ylim()[0] > 1e-7
    assert "1e-30" in low.texts[0].get_text()
    assert report.plot_kl(ROWS, limit=1e-3).get_ylim()[0] < 1e-3


def test_kl_bars_end_above_zero():
    row = ROWS[0]
    wide = replace(row, kl=Estimate(np.asarray(1.0), np.asarray(5.0), "monte carlo", np.asarray(np.inf)))
    (bars,) = report.plot_kl([wide]).collections
    np.testing.assert_allclose(bars.get_paths()[0].vertices[:, 1], [0.1, 6.0])


def test_order_slopes_and_points():
    axes = report.plot_orders(FITS)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["1.00  ddim", "2.00  heun", "2.16  multistep 2", "3.00  multistep 3"]
    lines = drawn(axes)
    np.testing.assert_array_equal(lines["2.00  heun"][0], FITS["heun"].evaluations)
    np.testing.assert_array_equal(lines["2.00  heun"][1], FITS["heun"].errors)
    colours = {line.get_label()[6:]: line.get_color() for line in axes.get_lines()}
    assert colours["multistep 2"] == colours["multistep 3"] != colours["heun"]
    fitted = [line for line in axes.get_lines() if line.get_label().startswith("_")][1]
    np.testing.assert_allclose(fitted.get_ydata(), [1e-2, 1.5625e-4])


def test_slopes_are_those_of_the_largest_numbers_of_steps():
    bent = OrderFit((10, 20, 40, 80), (1.0, 1.0, 0.25, 0.0625), (10, 20, 40, 80))
    assert orders.fitted_slope(bent) == pytest.approx(2.0)


def test_conformance_cells_tell_their_values():
    root = ElementTree.fromstring(FIGURES["conformance"]().svg)
    titles = ["".join(e.itertext()) for e in root.iter() if e.tag.endswith("}title")]
    assert len(titles) == 6
    both = next(title for title in titles if title.startswith("DPM, finite"))
    first, second = both.split("\n")[1:]
    assert first == "order = 3: failed, measured 0.3, bound 0.25. say <b>so</b>"
    assert second.startswith("order = 2: passed")
    axes = report.plot_conformance(RESULTS)
    assert [text.get_text() for text in axes.texts] == ["✓", "✓", "✗1", "×1", "·", "!"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Euler", "DPM", "Heun"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["finite", "order"]
    assert "1 failed, 1 xpassed, 1 xfailed, 1 note, 3 passed, 1 skipped. Most often failed: finite (1)" in (
        FIGURES["conformance"]().caption
    )


def test_many_configurations_are_counted_not_listed():
    many = [{**RESULTS[0], "config": f"c{i}"} for i in range(50)]
    (box,) = report.plot_conformance(many).patches
    assert box.get_gid().count("\u2028") == 9
    assert box.get_gid().endswith("and 42 more")


def test_terminal_ratios_and_their_errors():
    axes = report.plot_terminal_variance(ENDS)
    lines = drawn(axes)
    np.testing.assert_array_equal(lines["β"][0], [5, 10])
    np.testing.assert_allclose(lines["β"][1], [1.6, 1.3])
    np.testing.assert_allclose(lines["β̃"][1], [0.6, 0.8])
    assert set(lines["the data"][1]) == {1.0}
    np.testing.assert_allclose(axes.collections[1].get_paths()[0].vertices[:, 1], [0.5, 0.7])


def test_sample_dots():
    x = PLANE.sample(20, 0)
    axes = report.plot_samples(x, PLANE)
    np.testing.assert_array_equal(axes.get_lines()[0].get_xydata(), x)
    assert "distance 0" in FIGURES["samples"]().alt


def test_bench_bars():
    axes = report.plot_ratios(RUN)
    np.testing.assert_allclose(bar_ends(axes), [(1.0, 1000.0), (1.0, 0.5), (1.0, 30.0)])
    colours = [to_rgb(bar.get_facecolor()) for bar in axes.patches]
    assert colours == [to_rgb(style.RED), to_rgb(style.BLUE), to_rgb(style.BLUE)], "1000 is short of 2000"
    assert axes.get_lines()[0].get_xdata()[0] == 2000.0
    assert bar_ends(report.plot_limit_shares(RUN)) == [(0.0, 0.8)]


def bar_ends(axes):
    """From where to where each bar goes: from no gain to what was found."""
    return [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in axes.patches]


def test_bench_reads_its_own_json():
    import json

    stored = json.loads(RUN.dumps())
    assert bar_ends(report.plot_ratios(stored)) == bar_ends(report.plot_ratios(RUN))
    assert bench.share_figure("l", stored) == FIGURES["shares"]()


def test_hostile_text_stays_text():
    evil = "<script>alert(1)</script>&\"'$x$"
    fits = {evil: FITS["ddim"]}
    svg = orders.order_figure("evil", fits, evil).svg
    assert "<script" not in svg
    assert evil in "".join(ElementTree.fromstring(svg).itertext())
    hostile = [{**RESULTS[0], "subject": evil, "detail": evil}]
    assert "<script" not in inline(conformance.conformance_figure("evil", hostile, evil).svg, "evil", evil)


WRONG = {
    r"plot_mmse: result must be a GammaCurve, .*got list": lambda: report.plot_mmse([1, 2]),
    r"plot_gamma: result must be a GammaCurve or GammaEstimate.*got MmseEstimate": lambda: report.plot_gamma(
        EXACT
    ),
    r"plot_mmse: result must have one curve at least": lambda: report.plot_mmse({}),
    r"plot_mmse: level must lie in \(0, 1\); got 95": lambda: report.plot_mmse(EXACT, level=95),
    r"plot_relative_error: quantity must be one of gamma, mmse": lambda: report.plot_relative_error(
        EXACT, quantity="v"
    ),
    r"plot_kl: rows must be what compare_chains returns": lambda: report.plot_kl([]),
    r"plot_kl: rows must be what compare_chains": lambda: report.plot_kl([{"K": 3}]),
    r"plot_orders: fits must be a dict with a label for each solver.*got nothing": lambda: report.plot_orders(
        {}
    ),
    r"plot_orders: fits must be a dict.*got list": lambda: report.plot_orders([FITS["ddim"]]),
    r"plot_orders: fits must hold an OrderFit of 2 .*'a' has OrderFit of 1": lambda: report.plot_orders(
        {"a": OrderFit((1,), (1.0,), (1,))}
    ),
    r"plot_cost: trajectories must be a dict": lambda: report.plot_cost(U, V, trajectories=[EVEN]),
    r"plot_cost: mmse must be >= 0": lambda: report.plot_cost(U, -V),
    r"plot_trajectories: .*runs from timestep 1 to N = 40": lambda: report.plot_trajectories(
        U, {"a": EVEN[1:]}
    ),
    r"plot_conformance: every record must have subj.*; status missing in one with": lambda: (
        report.plot_conformance([{k: v for k, v in RESULTS[0].items() if k != "status"}])
    ),
    r"plot_conformance: every record must have .*missing in int": lambda: report.plot_conformance([3]),
    r"plot_conformance: status must be one of failed, .*got 'fine'": lambda: report.plot_conformance(
        [{**RESULTS[0], "status": "fine"}]
    ),
    r"plot_conformance: results must hold one result": lambda: report.plot_conformance([]),
    r"plot_terminal_variance: ratio must be finite and > 0.*got -1 for a": lambda: (
        report.plot_terminal_variance([{"sampler": "a", "K": 5, "ratio": -1}])
    ),
    r"plot_terminal_variance: records must hold one": lambda: report.plot_terminal_variance([]),
    r"plot_samples: samples must have shape \(M, 2\).*got \(3, 3\)": lambda: report.plot_samples(np.eye(3)),
    r"plot_samples: samples must be finite": lambda: report.plot_samples([[np.nan, 0.0]]),
    r"plot_samples: q0 must be a GaussianMixture in two dimensions.*d = 1": lambda: report.plot_samples(
        [[0, 1]], LINE
    ),
    r"plot_ratios: every record must have results": lambda: report.plot_ratios({}),
    r"plot_ratios: run must be a Run": lambda: report.plot_ratios({"results": []}),
    r"plot_limit_shares: run must have one result at least with a share": lambda: report.plot_limit_shares(
        {"results": {}}
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_input_is_explained(message):
    with pytest.raises(dpm.InvalidParameterError, match=f"(?s){message}"):
        WRONG[message]()


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(800.4, 2, "800"), (0.00123, 2, "0.0012"), (318.2, 3, "318"), (0.0, 2, "0")]
)
def test_plain_numbers(value, digits, text):
    assert style.plain(value, digits) == text


def test_powers_of_ten_are_characters():
    axes = Figure().add_subplot()
    axes.set(yscale="log", ylim=(1e-12, 1e3))
    style.decades(axes.yaxis)
    assert axes.yaxis.get_major_formatter()(1e-12, 0) == "10⁻¹²"
    assert axes.yaxis.get_major_formatter()(1000.0, 0) == "10³"
    assert records.read_fields("f", {"a": 1}, ("a", "b"), missing=None) == [1, None]
    assert isinstance(ROWS[0], ChainRow)


def test_pictures_of_the_readme_bring_paper_and_ink():
    import runpy
    from pathlib import Path

    folder = Path(__file__).parent.parent / "docs"
    svg = runpy.run_path(str(folder / "pictures.py"))["standalone"](FIGURES["kl"]())
    for text in (svg, *(path.read_text(encoding="utf-8") for path in folder.glob("*.svg"))):
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert "prefers-color-scheme:dark" in text
        assert "currentColor" in text
    assert {path.stem for path in folder.glob("*.svg")} == {"optimum", "orders"}
