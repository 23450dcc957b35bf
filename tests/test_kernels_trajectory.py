"""Kernels of the trajectory programs against their plain twins, bit for bit; broken ones; what they count and hold."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle.pairs import find
from dpmoracle.trajectory.dense import backtrack, table_bytes
from dpmoracle.trajectory.hull import hull_layers
from dpmoracle.trajectory.step_cost import path_cost, sum_cost
from kernel_cases import (
    EXTREMES,
    TIES,
    alike_on_threads,
    broken,
    caught,
    in_any_layout,
    same,
    threads,
    values,
)
from trajectory_cases import Counted, counted, exact_curves, linear_snr, noisy_curves, product_mmse, with_zero

from dpmoracle_kernels.cpu import dense, hull, li_chao, monge, multiplier  # isort: skip

#: of the plain multiplier and its kernel, which sum costs in another order
TOL = find("multiplier_path").tolerance


@st.composite
def extreme_curves(draw):
    """u over 600 decades, with equal neighbours, and V from a list in which products underflow and overflow."""
    N = draw(st.integers(2, 12))
    u = -np.sort(-draw(values((N,), EXTREMES)))
    return with_zero(np.abs(u), np.inf), with_zero(np.abs(draw(values((N,), EXTREMES))), 0.0)


any_curve = st.one_of(
    exact_curves(quadrature=False), noisy_curves(), noisy_curves(min_N=2, max_N=3), extreme_curves()
)


@pytest.mark.parametrize("backend", ["numpy", "numba"])
def test_an_snr_whose_range_overflows_is_refused(backend):
    u = np.array([np.inf, 1e140, 1e100, 1.0, 1e-130, 1e-150])
    v = with_zero(0.9 / u[1:], 0.0)
    for method in ("auto", "li_chao", "dense"):
        found = dpm.optimal_trajectory(u, v, 3, backend, method)
        assert found.cost == pytest.approx(dpm.optimal_trajectory(u, v, 3, method="brute_force").cost)
    u[1] = 1e200
    v[1] = 0.9 / u[1]
    with pytest.raises(dpm.InvalidParameterError, match=r"must be below 1e300, or exp\(cost\) overflows"):
        dpm.optimal_trajectory(u, v, 3, backend)


@st.composite
def matrices(draw):
    """Ties, infinities, every size from one node to several tiles."""
    n = draw(st.sampled_from([1, 2, 3, 5, 8, 63, 64, 66, 257]))
    return draw(values((n, n), draw(st.sampled_from([TIES, (np.inf, 1.0), (*EXTREMES, np.inf)]))))


def calls(name, u, v, edges):
    """The arguments of every use of a kernel on a curve."""
    return {
        "certify": [(u, v)],
        "hull_layers": [(u, v, edges, True), (u, v, edges, False)],
        "lagrange_pass": [(u, v, 1.0 + 2.0**-edges), (u, v, 3.0)],
        "li_chao_layers": [(u, v, edges)],
    }[name]


@pytest.mark.parametrize("name", ["certify", "hull_layers", "lagrange_pass", "li_chao_layers"])
@given(data=st.data(), curve=any_curve, edges=st.integers(1, 40))
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_curves_in_any_layout(name, data, curve, edges):
    pair = find(name)
    u, v = data.draw(in_any_layout(*curve))
    for arguments in calls(name, u, v, edges):
        try:
            expected = pair.plain(*(np.float64(x) if isinstance(x, np.ndarray) else x for x in arguments))
        except (ArithmeticError, IndexError):  # exp(cost) overflows: the programs refuse such curves
            continue
        assert same(pair.kernel()(*arguments), expected, pair.tolerance)
        assert alike_on_threads(pair.kernel(), *arguments)


@given(data=st.data(), F=matrices(), edges=st.sampled_from([1, 2, 7, 70]))
@settings(max_examples=60)
@pytest.mark.filterwarnings("ignore:.*encountered:RuntimeWarning")
def test_matrices_in_any_layout(data, F, edges):
    pair = find("dense_layers")
    (F,) = data.draw(in_any_layout(F))
    assert same(pair.kernel()(F, edges), pair.plain(F, edges), pair.tolerance)
    assert alike_on_threads(pair.kernel(), F, edges)


def costs_match(u, v, found, expected, edges):
    """One may prove what the other leaves open; what is found is a trajectory, and costs the same."""
    if found is None:
        return expected is None or not dpm.monge_certificate(u, v, rtol=0)
    if found.size != edges + 1 or found[0] != 1 or found[-1] != u.size - 1 or not (np.diff(found) > 0).all():
        return False
    if expected is None:
        expected = backtrack(hull_layers(u, v, edges, False)[1], edges, u.size - 1)
    best = sum_cost(u, v, expected)
    return abs(sum_cost(u, v, found) - best) <= TOL * max(1.0, best)


@given(curve=st.one_of(exact_curves(quadrature=False), noisy_curves()), i=st.integers(0, 100), data=st.data())
@settings(max_examples=150)
def test_multiplier_costs_what_its_twin_does(curve, i, data):
    pair = find("multiplier_path")
    edges = 1 + i % (curve[0].size - 2)
    expected, _ = pair.plain(*curve, edges)
    u, v = data.draw(in_any_layout(*curve, dtypes=[np.float64]))
    for count in (1, 2):
        with threads(count):
            found, sweeps = pair.kernel()(u, v, edges)
        assert costs_match(*curve, found, expected, edges)
        assert sweeps <= 40


def test_tables_beyond_int16():
    u = linear_snr(40_000, 1e-6, 1e-3)
    v = product_mmse(u, [0.1, 10.0, 1000.0])
    for name, arguments in (("hull_layers", (u, v, 2, True)), ("li_chao_layers", (u, v, 1))):
        pair = find(name)
        found = pair.kernel()(*arguments)
        assert same(found, pair.plain(*arguments), 0.0)
        assert found[1].dtype == np.int32


# --- broken kernels ---------------------------------------------------------------------------------------------


def curve_cases():
    rng = np.random.default_rng(5)
    for i in range(24):
        N = int(rng.integers(3, 25))
        u = np.concatenate([[np.inf], np.exp(np.sort(rng.uniform(-5, 7, N))[::-1])])
        v = product_mmse(u, np.exp(rng.uniform(-4, 8, 3)))
        if i % 2:
            v[1:] = np.minimum(v[1:] * np.exp((1.0, 0.1)[i % 4 // 2] * rng.standard_normal(N)), 1 / u[1:])
        if i % 6 == 5:
            v[rng.integers(1, v.size, 2)] = 0.0
        yield u, v
    u = np.array([np.inf, 9.0, 7.0, 3.0, 1.0, 0.5])
    yield u, np.array([0.0, 1e-90, 1e-70, 1e-50, 1e-30, 0.6])  # slopes that round to one


def matrix_cases():
    rng = np.random.default_rng(1)
    for n in (1, 2, 3, 4, 6, 7, 9):
        for _ in range(6):
            F = rng.integers(0, 3, (n, n)).astype(float)
            F[rng.random((n, n)) < 0.2] = np.inf
            yield F


def same_on_curves(name):
    pair = find(name)

    def passes(module):
        kernel = getattr(module, name)
        with np.errstate(all="ignore"):
            return all(
                same(kernel(*arguments), pair.plain(*arguments), pair.tolerance)
                for u, v in curve_cases()
                for arguments in calls(name, u, v, u.size)
            )

    return passes


def same_on_matrices(module):
    module._ROWS, module._COLUMNS = 4, 8  # several tiles at sizes that Python can bear
    pair = find("dense_layers")
    return all(
        same(module.dense_layers(F, edges), pair.plain(F, edges), pair.tolerance)
        for F in matrix_cases()
        for edges in (1, 3, len(F) + 1)
    )


def same_costs(module):
    plain = find("multiplier_path").plain
    for u, v in curve_cases():
        for edges in range(1, u.size - 1):
            found, sweeps = module.multiplier_path(u, v, edges)
            if sweeps > 40 or not costs_match(u, v, found, plain(u, v, edges)[0], edges):
                return False
    u = linear_snr(1200)
    v = product_mmse(u, [0.1, 10.0, 1000.0])
    for edges in (2, 9, 18):  # of so many nodes some are tried first, and tell the multiplier
        (found, sweeps), (expected, as_many) = module.multiplier_path(u, v, edges), plain(u, v, edges)
        if sweeps != as_many or not costs_match(u, v, found, expected, edges):
            return False
    return True


PASSES = {
    "hull_layers": (hull, same_on_curves("hull_layers")),
    "lagrange_pass": (hull, same_on_curves("lagrange_pass")),
    "li_chao_layers": (li_chao, same_on_curves("li_chao_layers")),
    "certify": (monge, same_on_curves("certify")),
    "dense_layers": (dense, same_on_matrices),
    "multiplier_path": (multiplier, same_costs),
}

BROKEN = {
    "hull_layers": [
        ("for k in range(1, min(totals.size, last)):", "for k in range(1, min(totals.size, last - 1)):"),
        ("reached, following = following, reached", "reached = following"),
        ("line_e[size - 1] >= e", "line_e[size - 1] <= e"),
        ("(e_middle - e_left) < (b_left", "(e_middle - e_left) > (b_left"),
        ("line_s[size] = e, u_s, t - 1", "line_s[size] = e, u_s, t"),
        ("high = middle\n", "high = at\n"),
    ],
    "lagrange_pass": [
        ("out[t] = factor * value", "out[t] = value"),
        ("best[t] = line_s[at]", "best[t] = t - 1"),
        ("while at <= start and at > 0:", "while False:"),
        ("if not ahead <= value:", "if True:"),
        ("(b_middle - b) * (e_middle", "(b_middle + b) * (e_middle"),
    ],
    "li_chao_layers": [
        ("or (ours == theirs and s > held)", "or (ours == theirs and s < held)"),
        ("out=np.full(u.size - 2, np.inf)", "out=np.zeros(u.size - 2)"),
        ("low = middle + 1\n                elif", "break\n                elif"),
        ("high = middle - 1\n                else", "break\n                else"),
        ("s, e, u_s, e_held = held, e_held, u_held, e", "e_held = e"),
        ("tree[0][:] = 0", "pass"),
        ("if goal < middle:", "if goal > middle:"),
    ],
    "certify": [
        ("max(abs(here), abs(there)), u[i + 2])", "abs(here), u[i + 2])"),
        ("(here - there) / scale", "(there - here) / scale"),
        ("int(np.isinf(here)) - int(np.isinf(there))", "int(np.isinf(there)) - int(np.isinf(here))"),
        ("1.0 / v[i + 3] - u[i + 3]", "1.0 / v[i + 3] - u[i + 2]"),
    ],
    "dense_layers": [
        ("if total < reached[t]:", "if total <= reached[t]:"),
        ("total = before_2 + row_2[t]", "total = before_2 + row_1[t]"),
        ("step(s), step(s + 1), step(s + 2), step(s + 3)", "step(s), step(s + 1), step(s + 3), step(s + 2)"),
        ("for i in range(s, within):", "for i in range(s, s):"),
        ("for top in range(0, left, _ROWS):", "for top in range(0, left - 4, _ROWS):"),
        ("reached[0, 0] = 0.0", "reached[0] = 0.0"),
        ("_relax(cost, i, before, i + 1,", "_relax(cost, i, before, i,"),
        ("(total, s_3) if total < least", "(total, s_3) if total <= least"),
    ],
    "multiplier_path": [
        ("if k == num_edges:", "if k >= num_edges:"),
        ("path if gap <= _GAP * max(1.0, bound + gap) else path[:0]", "path"),
        ("1.0 + v[t] * (u[s] - u[t])", "1.0 + v[s] * (u[s] - u[t])"),
        ("while few[i + 1] < many", "while few[i + 1] > many"),
        ("shift = num_edges - (few.size - 1)", "shift = num_edges - few.size"),
        ("return total + log(product)", "return total"),
        ("curve[1 + (i - 1) * stride]", "curve[i]"),
        ("elif guess < 0 or sweeps > 0:", "else:"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", PASSES)
def test_kernels_pass_when_they_are_interpreted(name):
    module, passes = PASSES[name]
    assert passes(broken(module))
    assert len(BROKEN[name]) >= 3


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, some in BROKEN.items() for change in some]
)
def test_broken_kernels_are_caught(name, change):
    module, passes = PASSES[name]
    assert caught(module, [change], passes)


# --- counting, by Python -----------------------------------------------------------------------------------------


def swept(N, noise, monotone):
    """Line evaluations per node of one sweep over N."""
    u = linear_snr(N)
    v = product_mmse(u, [0.1, 10.0, 1000.0]) * np.exp(noise * np.random.default_rng(0).standard_normal(N + 1))
    v[1:] = np.minimum(v[1:], 1 / u[1:])
    program = broken(hull)
    reached = np.full(N + 1, np.inf)
    reached[1] = 1.0
    room = program.empty_hull(N + 1), np.empty(N + 1, np.int64)
    program.sweep(u, counted(v), reached, reached, 1, 1.001, monotone, *room)
    return Counted.products / N


def test_a_sweep_evaluates_few_lines_per_node():
    assert swept(800, 0.0, True) <= 5
    assert swept(800, 0.0, True) <= 1.15 * swept(100, 0.0, True)
    assert swept(800, 0.3, False) <= 2 * np.log2(800) + 3


def test_li_chao_evaluates_logarithmically_many_lines():
    per_node = {}
    for N in (100, 800):
        u = linear_snr(N)
        v = product_mmse(u, [0.1, 10.0, 1000.0]) * np.exp(
            0.3 * np.random.default_rng(0).standard_normal(N + 1)
        )
        order = np.argsort(1 / v[2:] - u[2:], kind="stable") + 2
        position = np.zeros(N + 1, np.int64)
        position[order] = np.arange(N - 1)
        slopes = with_zero(1.0 + np.arange(N) / N, np.inf)
        tree = np.zeros(N - 1, np.int64), np.empty(N - 1), np.empty(N - 1)
        program, v_at = broken(li_chao), counted(v[order])
        program._layer(u, u[order], v_at, position, slopes, slopes.copy(), 1, tree, np.empty(N + 1, np.int64))
        per_node[N] = Counted.products / N
    assert per_node[800] <= 4 * np.log2(800) + 3


class Sum(float):
    """Counts the additions to it."""

    additions = 0

    def __add__(self, other):
        Sum.additions += 1
        return Sum(float(self) + float(other))


def test_each_step_of_a_matrix_is_tried_once_per_layer():
    n, edges = 40, 5
    program = broken(dense)
    program._ROWS, program._COLUMNS = 8, 16
    reached = np.empty((edges + 1, n), dtype=object)
    reached[:] = [[Sum(np.inf)] * n for _ in range(edges + 1)]
    reached[0, 0] = Sum(0.0)
    F = np.random.default_rng(0).random((n, n))
    Sum.additions = 0
    program._tiles(F, reached, np.empty((edges + 1, n), np.int16))
    assert Sum.additions <= edges * n * (n - 1) / 2
    np.testing.assert_array_equal(
        reached[:, -1].astype(float), dpm.shortest_paths(F, edges, backend="numpy").costs
    )


# --- sizes, memory, and who waits for a compiler -------------------------------------------------------------------


def test_a_million_timesteps():
    N = 10**6
    u = linear_snr(N, 1e-7, 2e-5)
    v = product_mmse(u, [0.1, 10.0, 1000.0])
    found = dpm.optimal_trajectory(u, v, 10, backend="numba")
    assert found.method == "multiplier"
    layers = dpm.optimal_trajectory(u, v, 10, backend="numba", method="hull")
    assert found.cost == pytest.approx(layers.cost, rel=1e-12)
    assert dpm.mmse_integral(u, v).value < found.cost < path_cost(u, v, dpm.even_grid(N, 10))


def test_all_K_of_sixteen_thousand_fit_in_half_a_gigabyte():
    assert table_bytes(15_999, 16_001) == 2 * 16_000 * 16_001
    N = 2000
    u = linear_snr(N)
    v = product_mmse(u, [0.1, 10.0, 1000.0])
    every = dpm.optimal_trajectories(u, v, N, backend="numba")
    assert every.predecessors.nbytes == table_bytes(N - 1, N + 1)
    assert len(every) == N - 1
    for K in (2, 37, N):
        assert every[K].cost == pytest.approx(dpm.optimal_trajectory(u, v, K, "numba").cost, rel=1e-12)


@pytest.mark.parametrize("method", ["auto", "li_chao", "dense"])
def test_what_does_not_fit_is_refused_with_what_it_needs(method):
    u = linear_snr(300)
    v = product_mmse(u, [0.1, 10.0])
    needed = r"1[0-9]{2},[0-9]{3}" if method != "dense" else r"1,[0-9]{3},[0-9]{3}"
    with pytest.raises(
        dpm.InvalidParameterError,
        match=rf"optimal_trajectories: the tables need {needed} bytes, more than max_bytes = 100,000\. .*raise",
    ):
        dpm.optimal_trajectories(u, v, 299, method=method, max_bytes=100_000)
    with pytest.raises(dpm.InvalidParameterError, match="shortest_paths: the tables need"):
        dpm.shortest_paths(np.ones((300, 300)), 3, max_bytes=100_000)


def test_small_work_never_waits_for_a_compiler():
    """Nor does any single trajectory of N = 1000, certified or not, with as many nodes as there are."""
    code = """
import sys
import numpy as np
import dpmoracle as dpm
u = dpm.Schedule.linear(1000, beta_start=1e-4, beta_end=2e-2).snr
v = np.r_[0, 1 / (u[1:] + 10.0) + 1 / (u[1:] + 0.1)] / 2
noisy = np.r_[0, np.minimum(v[1:] * np.exp(0.1 * np.random.default_rng(0).standard_normal(1000)), 1 / u[1:])]
for K in (2, 10, 1000):
    dpm.optimal_trajectory(u, v, K)
    assert dpm.optimal_trajectory(u, noisy, K).method == "hull_search"
assert "numba" not in sys.modules
assert "dpmoracle_kernels.cpu" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_help_loads_nothing_heavy():
    code = """
import sys
from dpmoracle.cli import main
assert main(["--help"]) == 0
heavy = {"numba", "scipy", "sklearn", "matplotlib", "torch", "jax", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, stdout=subprocess.DEVNULL)
