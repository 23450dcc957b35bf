"""The certificate against every quadruple of J in exact rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import InvalidParameterError
from dpmoracle.trajectory.monge import monge_certificate, monge_defect
from dpmoracle.trajectory.step_cost import trajectory_cost
from trajectory_cases import exact_curves, linear_snr, noisy_curves, product_mmse, two_point_mmse


def is_monge_exactly(u, v):
    """Every quadruple s < s' <= t < t' of exp(J), J(t, t) = 0, in rationals: no rounding decides.

    The quadruples with s' = t say that splitting a step never costs; without them t = 2 would have no say.
    """
    U, V = [Fraction(x) for x in u[1:].tolist()], [Fraction(x) for x in v[1:].tolist()]

    def step(s, t):
        return 1 + V[t] * (U[s] - U[t])

    return all(
        step(a, c) * step(b, d) <= step(a, d) * step(b, c)
        for a, b, d in combinations(range(len(U)), 3)
        for c in range(b, d)
    )


def falls(g):
    return all(y <= x for x, y in pairwise(g))


rational_curves = (
    st.integers(4, 7)
    .flatmap(
        lambda N: st.tuples(
            st.lists(st.integers(1, 40), min_size=N, max_size=N, unique=True).map(
                lambda u: sorted(u, reverse=True)
            ),
            st.lists(st.integers(1, 60), min_size=N, max_size=N),
            st.booleans(),
        )
    )
    .map(lambda d: (d[0], sorted(d[1], reverse=True) if d[2] else d[1]))
)


@given(rational_curves)
@settings(max_examples=300)
def test_certificate_is_equivalent_to_monge(data):
    """V = 1/(g + u) with integer u and g: a rise of g is far above rounding, so both tests must agree."""
    u, g = data
    snr = np.array([np.inf, *u], dtype=float)
    mmse = np.array([0.0, *(1 / (a + b) for a, b in zip(g, u))])
    certificate = monge_certificate(snr, mmse)
    assert certificate.holds == falls(g[1:])
    if not falls(g[1:]):  # equal g differ by the rounding of V, which exact arithmetic sees
        assert not is_monge_exactly(snr, mmse)
    assert certificate.where.tolist() == [t for t in range(2, len(u)) if g[t] > g[t - 1]]
    assert bool(certificate) == certificate.holds


@pytest.mark.parametrize(
    "mutant",
    [
        lambda u, v: 1 / v + u,
        lambda u, v: 1 / v,
        lambda u, v: -1 / v - u,
        lambda u, v: v - u,
        lambda u, v: 1 / v**2 - u,
    ],
)
def test_mutants_of_g_are_caught(mutant):
    """Each gives another verdict than the quadruples on some of these curves; 1/V - u never does."""
    rng = np.random.default_rng(0)
    right, wrong = 0, 0
    for _ in range(60):
        u = np.sort(rng.choice(np.arange(1, 200), 6, replace=False))[::-1] / 100.0
        g = np.sort(rng.choice(np.arange(1, 300), 6, replace=False))[::-1] / 100.0
        if rng.random() < 0.5:
            g[2:4] = g[3:1:-1]
        v = 1 / (g + u)
        exact = is_monge_exactly(np.array([np.inf, *u]), np.array([0, *v]))
        right += falls((1 / v - u)[1:]) == exact
        wrong += falls(mutant(u, v)[1:]) == exact
    assert right == 60
    assert wrong < 60


def test_timestep_1_has_no_say():
    """No step between the nodes ends at 1: a rise of g from 1 to 2 harms nothing."""
    u = np.array([np.inf, 4.0, 3.0, 2.0, 1.0])
    g = np.array([1.0, 9.0, 5.0, 2.0])
    v = np.array([0.0, *(1 / (g + u[1:]))])
    assert monge_certificate(u, v).holds
    assert is_monge_exactly(u, v)


@given(exact_curves(max_N=40))
def test_exact_mmse_holds(curve):
    certificate = monge_certificate(*curve)
    assert certificate.holds
    assert certificate.margin >= -1e-11  # rounding of the quadrature


@given(noisy_curves(min_N=5))
def test_defect_and_certificate_agree_on_noise(curve):
    u, v = curve
    certificate, defect = monge_certificate(u, v), monge_defect(trajectory_cost(u, v)[1:, 1:])
    if certificate.margin > 1e-9:
        assert defect <= 1e-13
    if defect > 1e-9:
        assert not certificate.holds


def test_isotropic_gaussian_needs_the_tolerance():
    u = linear_snr(1000)
    v = product_mmse(u, [1.0])
    assert not monge_certificate(u, v, rtol=0).holds
    assert monge_certificate(u, v).holds
    assert -1e-13 < monge_certificate(u, v).margin < 0


def test_margin_is_the_smallest_fall():
    u = np.array([np.inf, 5.0, 4.0, 2.0, 1.0])
    g = np.array([9.0, 8.0, 6.0, 7.0])
    certificate = monge_certificate(u, np.array([0.0, *(1 / (g + u[1:]))]))
    assert certificate.margin == pytest.approx(-1 / 7)
    assert certificate.where.tolist() == [3]
    assert not certificate.holds


def test_underflow_is_an_infinite_g():
    u = linear_snr(1000)
    v = two_point_mmse(u)
    assert (v[1:] == 0).any()
    assert monge_certificate(u, v).holds
    v[900] = 0.0  # a zero after positive V: no distribution
    certificate = monge_certificate(u, v)
    assert certificate.where.tolist() == [899]
    assert certificate.margin == -1
    v[900] = 1e-320  # 1/V overflows
    assert monge_certificate(u, v).where.tolist() == [899]
    assert monge_certificate(u, np.zeros_like(u)).margin == 0


def test_two_timesteps_hold_trivially():
    certificate = monge_certificate([np.inf, 2.0, 1.0], [0, 0.1, 0.2])
    assert certificate.holds
    assert certificate.margin == np.inf


def test_noise_is_seen():
    u = linear_snr(1000)
    v = product_mmse(u, [0.1, 10.0, 1000.0]) * np.exp(0.1 * np.random.default_rng(0).standard_normal(1001))
    certificate = monge_certificate(u, v)
    assert not certificate.holds
    assert 300 < certificate.where.size < 700


@given(st.integers(4, 6), st.integers(0, 2**32 - 1))
def test_defect_decides_as_all_quadruples_do(n, seed):
    F = np.random.default_rng(seed).integers(0, 6, (n, n)).astype(float)
    largest = max(F[a, c] + F[b, d] - F[a, d] - F[b, c] for a, b, c, d in combinations(range(n), 4))
    assert (monge_defect(F) > 0) == (largest > 0)
    F[np.tri(n, dtype=bool)] = np.inf
    assert (monge_defect(F) > 0) == (largest > 0)


def test_defect_of_few_nodes():
    assert monge_defect(np.ones((3, 3))) == -np.inf


def test_wrong_use():
    u = linear_snr(10)
    with pytest.raises(InvalidParameterError, match=r"monge_certificate: rtol must be in \[0, 1\)"):
        monge_certificate(u, product_mmse(u, [1.0]), rtol=-1)
    with pytest.raises(InvalidParameterError, match=r"monge_certificate: mmse.*negative at timestep 3"):
        monge_certificate(u, np.where(np.arange(11) == 3, -1.0, 0.1))
    with pytest.raises(InvalidParameterError, match=r"monge_defect: F must be a square matrix.*\(2, 3\)"):
        monge_defect(np.ones((2, 3)))
    with pytest.raises(InvalidParameterError, match=r"monge_defect: F\[i, j\] must be finite"):
        monge_defect(np.full((4, 4), np.inf))
