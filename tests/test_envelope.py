"""The line programs against the dense one: exact V, noisy V, underflow, ties; how often they look at a line."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle.trajectory import hull as hull_module
from dpmoracle.trajectory import li_chao as li_chao_module
from dpmoracle.trajectory import multiplier as multiplier_module
from dpmoracle.trajectory.dense import backtrack, shortest_paths
from dpmoracle.trajectory.hull import hull_layers, lagrange_pass
from dpmoracle.trajectory.li_chao import li_chao_layers
from dpmoracle.trajectory.monge import monge_certificate
from dpmoracle.trajectory.multiplier import multiplier_path, splice
from dpmoracle.trajectory.step_cost import path_cost, trajectory_cost
from trajectory_cases import (
    Counted,
    counted,
    exact_curves,
    linear_snr,
    noisy_curves,
    product_mmse,
    rebuilt,
    schedules,
    two_point_mmse,
)

#: the promise of the closed-form programs
TOL = 1e-12

LAYERS = {
    "walk": lambda u, v, n: hull_layers(u, v, n, True),
    "bisect": lambda u, v, n: hull_layers(u, v, n, False),
    "li_chao": li_chao_layers,
}


def best_costs(u, v):
    """Least cost by number of edges, by the dense program."""
    return shortest_paths(trajectory_cost(u, v)[1:, 1:], u.size - 2).costs


def agree(layers, u, v):
    """The path and the total of every number of edges cost what the dense program says."""
    best, N = best_costs(u, v), u.size - 1
    totals, predecessors = layers(u, v, N - 1)
    for k in range(1, N):
        nodes = backtrack(predecessors, k, N)
        if nodes[0] != 1 or not (np.diff(nodes) > 0).all():
            return False
        tol = TOL * max(1.0, best[k])
        if abs(path_cost(u, v, nodes) - best[k]) > tol or abs(np.log(totals[k]) - best[k]) > tol:
            return False
    return True


@pytest.mark.parametrize("name", LAYERS)
@given(curve=exact_curves())
def test_layers_on_exact_mmse(name, curve):
    assert agree(LAYERS[name], *curve)


@pytest.mark.parametrize("name", LAYERS)
@given(curve=noisy_curves())
@settings(max_examples=150)
def test_layers_on_noise_without_a_certificate(name, curve):
    """The hull needs no certificate: only the time of the walk does."""
    assert agree(LAYERS[name], *curve)


@given(st.one_of(exact_curves(), noisy_curves()), st.integers(0, 100))
@settings(max_examples=150)
def test_lagrange_pass_minimises_cost_plus_penalty(curve, i):
    u, v = curve
    best = best_costs(u, v)[1:]
    slopes = np.abs(np.diff(best)) if best.size > 1 else np.array([1.0])
    penalty = float(slopes[i % slopes.size] * (0.5 + i / 100))
    least = (best + penalty * np.arange(1, u.size - 1)).min()
    nodes = lagrange_pass(u, v, np.exp(penalty))
    assert nodes[0] == 1
    assert nodes[-1] == u.size - 1
    assert path_cost(u, v, nodes) + penalty * (nodes.size - 1) == pytest.approx(
        least, abs=TOL * max(1, least)
    )


@given(st.one_of(exact_curves(), noisy_curves()))
@settings(max_examples=100)
def test_multiplier_is_optimal_or_says_it_is_not(curve):
    u, v = curve
    best = best_costs(u, v)
    margin = monge_certificate(u, v).margin
    for n in range(1, u.size - 1):
        nodes, _ = multiplier_path(u, v, n, lagrange_pass)
        if nodes is None:
            assert margin < -1e-15  # rounding of V has broken the certificate, if only within its tolerance
            continue
        assert nodes.size == n + 1
        assert path_cost(u, v, nodes) == pytest.approx(best[n], abs=TOL * max(1.0, best[n]))


@given(schedules(min_N=6), st.floats(1e-3, 1e3))
def test_isotropic_gaussian_by_every_program(u, precision):
    """All ties: any path will do, and every program must return one."""
    v = product_mmse(u, [precision])
    exact = np.log1p((u[1] - u[-1]) / (u[-1] + precision))
    for layers in LAYERS.values():
        np.testing.assert_allclose(np.log(layers(u, v, u.size - 2)[0][1:]), exact, rtol=TOL)
    n = u.size // 2
    nodes, _ = multiplier_path(u, v, n, lagrange_pass)
    if nodes is not None:
        assert nodes.size == n + 1


def test_underflowing_mmse():
    u = linear_snr(60, 1e-5, 0.02)
    v = two_point_mmse(u)
    assert (v[1:] == 0).sum() >= 2
    assert all(agree(layers, u, v) for layers in LAYERS.values())
    v[1:30] = 0.0
    assert all(agree(layers, u, v) for layers in LAYERS.values())


def test_last_mmse_zero_and_subnormal():
    u = linear_snr(20)
    for value in (0.0, 5e-324, 1e-310):
        v = product_mmse(u, [0.1, 10.0])
        v[[3, 11, 20]] = value
        assert all(agree(layers, u, v) for layers in LAYERS.values())


def test_slopes_increase_where_the_certificate_holds():
    """E_k[t] increases with t in every layer: the claim behind the hull that is not searched."""
    rng = np.random.default_rng(3)
    for _ in range(20):
        N = 25
        u = np.concatenate([[np.inf], np.exp(np.sort(rng.uniform(-5, 7, N))[::-1])])
        v = product_mmse(u, np.exp(rng.uniform(-4, 7, 3)))
        J = trajectory_cost(u, v)[1:, 1:]
        reached = np.r_[0.0, np.full(N - 1, np.inf)]
        for k in range(1, N):
            reached = (reached[:, None] + J).min(0)
            assert (np.diff(reached[k:]) >= -1e-13).all()


@pytest.mark.parametrize("name", LAYERS)
def test_line_evaluations_per_layer(name):
    """O(N) of the walk on certified V, O(N log N) of the searches on any."""
    per_query = {}
    for N in (100, 800):
        u = linear_snr(N)
        v = product_mmse(u, [0.1, 10.0, 1000.0])
        if name != "walk":
            v *= np.exp(0.3 * np.random.default_rng(0).standard_normal(N + 1))
            v[1:] = np.minimum(v[1:], 1 / u[1:])
        LAYERS[name](counted(u), v, 6)
        per_query[N] = Counted.differences / (6 * N)
        assert Counted.products <= 6 * 8 * N  # intercepts, at the pushes
    if name == "walk":
        assert per_query[800] <= 5
        assert per_query[800] <= 1.05 * per_query[100]
    else:
        assert per_query[800] <= (2 if name == "bisect" else 4) * np.log2(800) + 3


def test_line_evaluations_of_a_lagrange_pass():
    for N in (100, 1000):
        u = linear_snr(N)
        lagrange_pass(counted(u), product_mmse(u, [0.1, 10.0, 1000.0]), 1.001)
        assert Counted.differences <= 5 * N
        assert Counted.products <= 8 * N


@pytest.mark.parametrize("precisions", [[1.0], [0.1, 10.0], [1e-3, 0.1, 1.0, 30.0, 5e3, 1e6], [1e5, 1e8]])
def test_few_passes_settle_one_K(precisions):
    u = linear_snr(1000)
    v = product_mmse(u, precisions)
    passes = {
        n: multiplier_path(u, v, n, lagrange_pass)[1] for n in (1, 2, 4, 9, 24, 49, 199, 499, 899, 998, 999)
    }
    assert max(passes.values()) <= 16
    assert passes[1] == passes[999] == 0


def nodes_swept(solve, u, v, n):
    """Nodes that the sweeps for n edges go over, all together."""
    swept = []

    def sweep(u, v, penalty):
        swept.append(u.size - 1)
        return lagrange_pass(u, v, penalty)

    nodes, sweeps = solve(u, v, n, sweep)
    assert swept.count(u.size - 1) == sweeps
    assert nodes.size == n + 1
    return sum(swept), nodes


def settled_on_few_nodes(solve):
    """With many nodes for each edge hardly more than one sweep over all of them, and still the optimum."""
    for precisions in ([0.1, 10.0], [0.1, 10.0, 1000.0], [1e-3, 0.1, 1.0, 30.0, 5e3, 1e6]):
        u = linear_snr(8192)
        v = product_mmse(u, precisions)
        for n in (2, 9):
            swept, nodes = nodes_swept(solve, u, v, n)
            best = np.log(hull_layers(u, v, n, True)[0][n])
            if swept > 1.9 * 8192 or path_cost(u, v, nodes) > best + TOL * max(1.0, best):
                return False
    return True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sweep, guess)[2]", "sweep, -1.0)[2] * 0 - 1"),
        ("while STRIDE * stride * PER_EDGE", "while stride > 1 and PER_EDGE"),
        ("elif guess < 0 or sweeps > 0:", "else:"),
    ],
)
def test_thinned_nodes_tell_the_multiplier(old, new):
    assert settled_on_few_nodes(multiplier_path)
    assert not settled_on_few_nodes(rebuilt(multiplier_module, "multiplier_path", old, new))


def splices(splice_it, few, many):
    """Every number of edges between the two: a trajectory of that many, from 1 to N."""
    try:
        for n in range(few.size, many.size - 1):
            nodes = splice_it(few, many, n)
            if nodes.size != n + 1 or nodes[0] != 1 or nodes[-1] != few[-1] or not (np.diff(nodes) > 0).all():
                return False
    except (IndexError, ValueError):
        return False
    return True


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("few[1:] >= tails", "few[1:] <= tails"),
        ("many[1 + shift :]", "many[shift:]"),
        ("many[: i + shift + 1]", "many[: i + shift]"),
        ("few[i + 1 :]", "few[i:]"),
        ("shift = num_edges - (few.size - 1)", "shift = num_edges - few.size"),
    ],
)
def test_mutants_of_the_splice_are_caught(old, new):
    pairs = [
        (np.array(few), np.array(many))
        for few, many in (
            ([1, 9], [1, 2, 3, 9]),
            ([1, 9], [1, 7, 8, 9]),
            ([1, 2, 9], [1, 3, 4, 5, 6, 9]),
            ([1, 8, 9], [1, 2, 3, 4, 9]),
            ([1, 3, 5, 9], [1, 2, 3, 4, 5, 6, 9]),
        )
    ]
    assert all(splices(splice, *pair) for pair in pairs)
    broken = rebuilt(multiplier_module, "splice", old, new)
    assert not all(splices(broken, *pair) for pair in pairs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if k == num_edges:", "if k >= num_edges:"),
        ("return path if cost - bound <=", "return path if bound - cost <="),
        ("cost_few + slope * (k_few - k) - cost", "cost - cost_few - slope * (k_few - k)"),
    ],
)
def test_mutants_of_the_multiplier_are_caught(old, new):
    """Wrong, or given up where the certificate holds."""
    u = linear_snr(20)
    curves = [(u, product_mmse(u, [1.0])), *cases()]  # a Gaussian is one linear piece, closed by splicing

    def right(solve):
        for u, v in curves:
            best, holds = best_costs(u, v), monge_certificate(u, v).holds
            for n in range(1, u.size - 1):
                nodes, _ = solve(u, v, n, lagrange_pass)
                if nodes is None and holds:
                    return False
                if nodes is None:
                    continue
                if nodes.size != n + 1 or path_cost(u, v, nodes) > best[n] + TOL * max(1, best[n]):
                    return False
        return True

    assert right(multiplier_path)
    assert not right(rebuilt(multiplier_module, "multiplier_path", old, new))


@given(st.integers(2, 14), st.integers(0, 2**32 - 1))
def test_splice_exchanges_tails(N, seed):
    """Of any two paths, and never at a loss where the cost is Monge."""
    rng = np.random.default_rng(seed)
    u = np.concatenate([[np.inf], np.exp(np.sort(rng.uniform(-3, 3, N))[::-1])])
    v = product_mmse(u, np.exp(rng.uniform(-3, 3, 2)))
    inner = np.arange(2, N)
    k_few, k_many = np.sort(rng.integers(0, N - 1, 2))

    def draw(k):
        return np.concatenate([[1], np.sort(rng.choice(inner, k, replace=False)), [N]])

    few, many = draw(k_few), draw(k_many)
    for n in range(few.size, many.size - 1):
        there, back = splice(few, many, n), splice(few, many, few.size - 1 + many.size - 1 - n)
        for nodes, edges in ((there, n), (back, few.size + many.size - 2 - n)):
            assert nodes.size == edges + 1
            assert nodes[0] == 1
            assert nodes[-1] == N
            assert (np.diff(nodes) > 0).all()
        before = path_cost(u, v, few) + path_cost(u, v, many)
        i = int(np.argmax(there[: n + 1] != many[: n + 1])) if (there != many[: n + 1]).any() else n
        other = np.concatenate([few[: few.size - (n + 1 - i)], many[i:]])
        assert other.size - 1 == few.size + many.size - 2 - n
        if (np.diff(other) > 0).all():
            assert path_cost(u, v, there) + path_cost(u, v, other) <= before + 1e-12


def cases():
    rng = np.random.default_rng(5)
    for i in range(40):
        N = int(rng.integers(4, 25))
        u = np.concatenate([[np.inf], np.exp(np.sort(rng.uniform(-5, 7, N))[::-1])])
        v = product_mmse(u, np.exp(rng.uniform(-4, 8, 3)))
        if i % 2:
            # mild noise leaves C(k) falling but not convex, strong noise not even falling
            v[1:] = np.minimum(v[1:] * np.exp((1.0, 0.1)[i % 4 // 2] * rng.standard_normal(N)), 1 / u[1:])
        yield u, v
    u = np.array([np.inf, 9.0, 7.0, 3.0, 1.0, 0.5])
    yield u, np.array([0.0, 1e-90, 1e-70, 1e-50, 1e-30, 0.6])  # slopes that round to one


MUTANTS = [
    (hull_module, True, "(b_middle - b) * (e_middle - e_left) <", "(b_middle + b) * (e_middle - e_left) <"),
    (hull_module, True, "< (b_left - b_middle) * (e - e_middle)", "> (b_left - b_middle) * (e - e_middle)"),
    (hull_module, True, "while at > 0 and", "while False and"),  # forward only, without the certificate
    (hull_module, True, "while at + 1 < len(hull) and", "while False and"),
    (hull_module, True, "_push(hull, slopes, u, t - 1)", "_push(hull, slopes, u, t)"),
    (hull_module, True, "slopes[s] * (1.0 + v_t * (u[s] - u_t))", "slopes[s] * (1.0 + v_t * u[s])"),
    (hull_module, True, "reached[1] = 1.0", "reached[1] = 2.0"),
    (hull_module, False, "low = middle + 1", "low = high"),
    (hull_module, False, "high = middle", "high = low"),
    (li_chao_module, None, "tree[middle], s, held = s, held, s", "tree[middle] = s"),
    (li_chao_module, None, "            high = middle - 1", "            return"),
    (li_chao_module, None, "            low = middle + 1", "            return"),
    (li_chao_module, None, "if slopes[s] < slopes[tree[middle]]", "if slopes[s] > slopes[tree[middle]]"),
    (li_chao_module, None, "1.0 / v[t] - u[t]", "1.0 / v[t] + u[t]"),
    (li_chao_module, None, "if position == middle:", "if held:"),
    (li_chao_module, None, "slopes, u, v), -s) <", "slopes, u, v), s) <"),
    (li_chao_module, None, "if reached[t - 1] < inf:", "if t > k + 1:"),
]


def survives(layers):
    """The comparison of the tests above; a mutant may also run into an error, which is as good."""
    try:
        return all(agree(layers, u, v) for u, v in cases())
    except (IndexError, ValueError, OverflowError, FloatingPointError, RuntimeWarning):
        return False


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("slope * (k - num_edges)", "slope * (num_edges - k)"),
        ("bound = cost + slope", "bound = 2 * cost + slope"),
        ("return path if cost - bound <= GAP * max(1.0, cost) else None", "return path"),
    ],
)
def test_a_spliced_path_above_the_bound_is_not_returned(old, new):
    """With sweeps that find nothing, what is spliced from the ends must lie on their chord."""

    def kept(solve):
        for u, v in cases():
            N = u.size - 1
            low, high = path_cost(u, v, np.arange(1, N + 1)), path_cost(u, v, [1, N])
            for n in range(2, N - 1):
                nodes, _ = solve(u, v, n, lambda u, v, penalty: np.array([1, u.size - 1]))
                chord = high - max(high - low, 0) * (n - 1) / (N - 2)
                if nodes is not None and path_cost(u, v, nodes) > chord + 1e-12:
                    return False
        return True

    assert kept(multiplier_path)
    assert not kept(rebuilt(multiplier_module, "multiplier_path", old, new))


def slopes_increase(push):
    """Whatever arrives, the slopes on the hull increase strictly and the last line is the last that came."""
    rng = np.random.default_rng(2)
    for _ in range(50):
        slopes, u = rng.integers(1, 6, 12).astype(float).tolist(), np.sort(rng.random(12))[::-1].tolist()
        hull: list[int] = []
        for s in range(12):
            push(hull, slopes, u, s)
            if hull[-1] != s or not (np.diff([slopes[i] for i in hull]) > 0).all():
                return False
    return True


def test_slopes_on_the_hull_increase_whatever_V_is():
    # without the first loop the programs stay right, but the reason given for it would be wrong
    assert slopes_increase(hull_module._push)
    assert not slopes_increase(rebuilt(hull_module, "_push", "slopes[hull[-1]] >= e:", "False:"))
    assert not slopes_increase(
        rebuilt(hull_module, "_push", "slopes[hull[-1]] >= e:", "slopes[hull[-1]] > e:")
    )


def test_the_programs_themselves_survive():
    assert all(survives(layers) for layers in LAYERS.values())


@pytest.mark.parametrize(("module", "monotone", "old", "new"), MUTANTS)
def test_mutants_are_caught(module, monotone, old, new):
    if module is hull_module:
        broken = rebuilt(module, "hull_layers", old, new)
        assert not survives(lambda u, v, n: broken(u, v, n, monotone))
    else:
        assert not survives(rebuilt(module, "li_chao_layers", old, new))
