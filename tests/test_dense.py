"""The dense program and the brute force against every path, with integer costs full of ties."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError, shortest_paths
from dpmoracle.trajectory import dense as program
from dpmoracle.trajectory.dense import ShortestPaths, brute_force_path, dense_layers
from trajectory_cases import Counted, rebuilt


def every_path(F, k):
    """(cost, nodes) of the best path by enumeration; of equals the one whose predecessors, last first, are least."""
    n = len(F)
    best = None
    for inner in combinations(range(1, n - 1), k - 1):
        nodes = (0, *inner, n - 1)
        key = (sum(F[a][b] for a, b in pairwise(nodes)), nodes[::-1])
        best = key if best is None or key < best else best
    return best[0], list(best[1][::-1])


@st.composite
def integer_costs(draw, max_n=8):
    """Small integers, negative ones too, with some steps forbidden and anything below the diagonal."""
    n = draw(st.integers(2, max_n))
    values = st.sampled_from([0, 0, 1, 1, 2, 5, -1, np.inf])
    F = np.array(draw(st.lists(values, min_size=n * n, max_size=n * n)), dtype=float).reshape(n, n)
    F[np.tri(n, dtype=bool)] = draw(st.sampled_from([0.0, -7.0, np.inf, np.nan]))
    return F


def agrees(solve, F):
    """Costs and paths of every number of edges: the comparison that each mutant below fails."""
    found = solve(F)
    for k in range(1, len(F)):
        cost, nodes = every_path(F.tolist(), k)
        if found.costs[k] != cost or (np.isfinite(cost) and found.path(k).tolist() != nodes):
            return False
    return True


@given(integer_costs())
@settings(max_examples=200)
def test_every_path_is_beaten_and_ties_go_to_the_smallest_predecessor(F):
    assert agrees(lambda F: shortest_paths(F, len(F) - 1), F)
    for k in range(1, len(F)):
        cost, nodes = every_path(F.tolist(), k)
        found = brute_force_path(F, k)
        assert found[0] == cost
        assert not np.isfinite(cost) or found[1].tolist() == nodes


@given(st.integers(2, 12), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_brute_force_and_program_agree_in_every_digit(n, seed):
    F = np.random.default_rng(seed).exponential(size=(n, n))
    found = shortest_paths(F, n - 1)
    for k in range(1, n):
        cost, nodes = brute_force_path(F, k)
        assert found.costs[k] == cost
        assert found.path(k).tolist() == nodes.tolist()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("np.tri(n, dtype=bool).T", "np.tri(n, k=-1, dtype=bool).T"),  # a step from a node to itself
        ("F.T)", "F)"),  # costs of the steps backwards
        ("sums.argmin(axis=1)", "(n - 1 - sums[:, ::-1].argmin(axis=1))"),  # the largest predecessor
        ("into + reached", "into + reached.min()"),
        ("reached[0] = 0.0", "reached[:] = 0.0"),  # any first node
        ("reached = sums[rows, best]", "reached = np.minimum(reached, sums[rows, best])"),  # at most k edges
        ("costs[k] = reached[-1]", "costs[k] = reached.min()"),  # any last node
    ],
)
def test_mutants_are_caught(old, new):
    rng = np.random.default_rng(1)
    cases = []
    for n in range(2, 8):
        for _ in range(12):
            F = rng.integers(0, 3, (n, n)).astype(float)
            F[0, 0] = -1.0
            cases.append(F)
    assert all(agrees(lambda F: shortest_paths(F, len(F) - 1), F) for F in cases)
    layers = rebuilt(program, "dense_layers", old, new)
    assert not all(agrees(lambda F: ShortestPaths(*layers(F, len(F) - 1)), F) for F in cases)


def test_costs_by_number_of_edges():
    F = np.array([[9, 1, 5, 20], [9, 9, 1, 9], [9, 9, 9, 1], [9, 9, 9, 9]])
    found = shortest_paths(F, 5)
    assert found.costs.tolist() == [np.inf, 20, 6, 3, np.inf, np.inf]
    assert found.path(2).tolist() == [0, 2, 3]
    assert found.path(2).dtype == np.int64


def test_one_node():
    found = shortest_paths(np.zeros((1, 1)), 2)
    assert found.costs.tolist() == [0, np.inf, np.inf]
    assert found.path(0).tolist() == [0]


@pytest.mark.parametrize("n", [20, 40])
def test_cost_evaluations_are_at_most_K_n_squared(n):
    class Sum(Counted):
        additions = 0

        def __add__(self, other):
            Sum.additions += 1
            return Sum(float(self) + float(other))

    rng = np.random.default_rng(0)
    F = np.empty((n, n), dtype=object)
    F[:] = [[Sum(x) for x in row] for row in rng.random((n, n))]
    costs, _ = dense_layers(F, 5)
    assert 5 * n * (n - 1) / 2 <= Sum.additions <= 5 * n * n
    np.testing.assert_allclose(costs, shortest_paths(F.astype(float), 5).costs)


@pytest.mark.parametrize(
    ("F", "words"),
    [
        (np.ones((2, 3)), r"F must be a square matrix.*\(2, 3\)"),
        (np.ones(4), r"square matrix.*\(4,\)"),
        (np.ones((0, 0)), r"square matrix.*\(0, 0\)"),
        (
            [[0, np.nan, 1], [0, 0, 1], [0, 0, 0]],
            r"nan or -inf stands at \[0, 1\] and would decide.*\+inf to forbid",
        ),
        ([[0, 1, -np.inf], [0, 0, 1], [0, 0, 0]], r"nan or -inf stands at \[0, 2\]"),
        ([["a"]], r"real numbers"),
        (np.ones((2, 2), dtype=complex), r"real numbers; got an array of complex128"),
    ],
)
def test_wrong_costs(F, words):
    with pytest.raises(InvalidParameterError, match=f"shortest_paths: .*{words}"):
        shortest_paths(F, 2)
    with pytest.raises(InvalidParameterError, match=f"brute_force_path: .*{words}"):
        brute_force_path(F, 2)


@pytest.mark.parametrize("K", [0, -1, 2.0, True, "2"])
def test_wrong_number_of_edges(K):
    with pytest.raises(InvalidParameterError, match="K must be a whole number >= 1"):
        shortest_paths(np.ones((3, 3)), K)


def test_paths_that_are_not_there():
    F = np.ones((4, 4))
    F[0, 3] = np.inf
    found = shortest_paths(F, 5)
    for k in (0, 1, 4, 6):
        with pytest.raises(InvalidParameterError, match=rf"no allowed path with k = {k} edges.* 2..3 edges"):
            found.path(k)
    with pytest.raises(InvalidParameterError, match="have no number edges"):
        shortest_paths(np.full((3, 3), np.inf), 2).path(1)
    with pytest.raises(InvalidParameterError, match="k must be a whole number >= 0"):
        found.path(2.0)


@pytest.mark.parametrize(("n", "k"), [(13, 2), (3, 3), (1, 1)])
def test_brute_force_is_for_small_problems(n, k):
    with pytest.raises(InvalidParameterError, match=rf"k < n <= 12 nodes.*k = {k} edges and n = {n}"):
        brute_force_path(np.ones((n, n)), k)
