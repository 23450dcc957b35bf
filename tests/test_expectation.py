"""V and Γ: which method, what it gives, and the optimal variances that follow, against closed forms and integrals."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
import dpmoracle.expectation
from dpmoracle import GaussianMixture, Oracle, Schedule, strategies
from integrated_laws import LAWS, integrate
from mutation import mutant
from oracle_cases import LINEAR, TERMINAL, build

# -- V and Γ -------------------------------------------------------------------------------------------------


def test_shapes_of_t_are_kept() -> None:
    orc = Oracle(build(), LINEAR)
    grid = np.array([[1, 10], [100, 1000]])
    for found in (orc.mmse(grid), orc.gamma(grid), orc.mmse(grid, 20, 0, method="pair")):
        assert found.value.shape == found.error.shape == found.effective_count.shape == (2, 2)
    assert orc.mmse(7).value.shape == ()
    assert orc.mmse(grid).value[1, 0] == orc.mmse(100).value


def test_ends_of_v_and_gamma() -> None:
    """V_0 = 0; Γ_0 = inf for points, the Fisher information for densities; V_N = Tr Cov/d where no signal is left."""
    points, one = (
        GaussianMixture.from_points([[0.0], [2.0]]),
        GaussianMixture([1.0], [[0.0]], [0.25], "spherical"),
    )
    for q in (points, one, build("full", 3, 3)):
        orc = Oracle(q, TERMINAL)
        ends = orc.mmse([0, 60], 50, 0)
        assert ends.value[0] == 0
        assert ends.error[0] == 0
        assert ends.value[1] == pytest.approx(q.trace_cov() / q.d, rel=1e-11)
    assert Oracle(points, LINEAR).gamma(0).value == np.inf
    assert Oracle(one, LINEAR).gamma(0).value == pytest.approx(4.0, rel=1e-15)
    q = GaussianMixture([0.4, 0.6], [[-1.0], [1.0]], [0.2, 0.5], "spherical")
    x, step = np.linspace(-8, 8, 4001, retstep=True)
    fisher = float(np.sum(np.exp(q.log_prob(x[:, None])) * q.score(x[:, None])[:, 0] ** 2) * step)
    assert Oracle(q, LINEAR).gamma(0).value == pytest.approx(fisher, rel=1e-11)
    assert Oracle(points, TERMINAL).gamma(60).value == pytest.approx(1.0, rel=1e-13)


def test_methods_are_chosen_by_what_applies() -> None:
    rng = np.random.default_rng(0)
    cases = {
        "exact": [build("full", 1, 7), GaussianMixture([0.5, 0.5], np.ones((2, 4)), [0.1, 0.1], "spherical")],
        "quadrature": [
            build("full", 5, 2),
            build("diag", 4, 1),
            GaussianMixture.from_points(rng.standard_normal((3, 9))),
        ],
        "trace": [build("full", 3, 3), GaussianMixture.from_points(rng.standard_normal((40, 5)))],
    }
    for method, mixtures in cases.items():
        for q in mixtures:
            assert Oracle(q, LINEAR).mmse([100], 20, 0).method == method, q
    assert Oracle(build("full", 3, 3), LINEAR).gamma([100], 20, 0).method == "score"
    assert Oracle(GaussianMixture.from_points(np.eye(4)), LINEAR).gamma([100], 20, 0).method == "trace"


@pytest.mark.parametrize("kind", ["spherical", "diag", "full"])
def test_sampling_agrees_with_quadrature(kind: str) -> None:
    """32 z-scores below 5 a kind: one false alarm in 50,000; seeded. Shared and own covariances take two codes."""
    q = build(kind) if kind != "spherical" else GaussianMixture.from_points(build().means)
    orc, t = Oracle(q, LINEAR), np.array([200, 350, 500, 800])
    for quantity in ("mmse", "gamma"):
        exact = getattr(orc, quantity)(t)
        assert exact.method == "quadrature"
        for seed, method in enumerate(("trace", "pair", "residual", "score")):
            found = getattr(orc, quantity)(t, 4000, seed, method=method)
            assert found.method == method
            sound = found.effective_count > 30  # below, the error flatters: as it does for "score" at low SNR
            assert sound.all() or method == "score"
            assert sound[:2].all()
            assert (np.abs(found.value - exact.value) < 5 * found.error)[sound].all(), (quantity, method)


def test_all_times_see_the_same_draws() -> None:
    for q in (
        build("full", 3, 3),
        GaussianMixture.from_points(np.random.default_rng(0).standard_normal((40, 5))),
    ):
        orc = Oracle(q, LINEAR)
        many, one = orc.mmse([100, 300, 500], 300, 7), orc.mmse(300, 300, 7)
        assert many.value[1] == pytest.approx(float(one.value), rel=1e-12)


@pytest.mark.parametrize("points", [True, False])
def test_exact_v_is_certified(points: bool) -> None:
    """g = 1/V - u does not increase for any distribution; at high SNR V of points is far below 1e-16."""
    q = GaussianMixture.from_points([[-1.0], [0.1], [1.0]]) if points else build("full", 3, 1)
    v = Oracle(q, LINEAR).mmse(np.arange(1, 1001))
    assert v.method == "quadrature"
    assert dpm.monge_certificate(LINEAR.snr, np.append(0, v.value)).holds
    assert (np.diff(v.value) > 0).all() or points
    assert (v.error <= 1e-10 * v.value + 1e-290).all()


def test_spread_in_high_dimension_is_one_gaussians() -> None:
    """d = 10,000, SNR from 1e-12 to 1e12, by eigenvalues."""
    e = 10.0 ** np.random.default_rng(0).uniform(-3, 3, 10_000)
    q = GaussianMixture([1.0], np.zeros((1, 10_000)), e[None], "diag")
    sch = Schedule.from_alpha_bar([1.0, 1 - 1e-12, 0.5, 1e-12])
    found, gamma = Oracle(q, sch).mmse([1, 2, 3]), Oracle(q, sch).gamma([1, 2, 3])
    for k in range(3):
        with mp.workdps(30):
            a2 = mp.mpf(float(sch.alpha_bar[k + 1]))
            total = [(mp.mpf(float(x)), a2 * mp.mpf(float(x)) + 1 - a2) for x in e]
            v = mp.fsum(x * (1 - a2) / y for x, y in total) / 10_000
            wanted = mp.fsum(1 / y for _, y in total) / 10_000
        assert found.value[k] == pytest.approx(float(v), rel=2e-15)
        assert gamma.value[k] == pytest.approx(float(wanted), rel=2e-15)


# -- the optimal variance from V -----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(strategies.schedules(), strategies.mixtures(max_components=1, max_dim=4), st.floats(0, 1), st.data())
def test_variance_of_any_gaussian(sch: Schedule, q: GaussianMixture, eta: float, data: st.DataObject) -> None:
    """σ*² = λ² + c² V against Tr(Cov x_s - Cov(x_s, x_t) Cov(x_t)⁻¹ Cov(x_t, x_s))/d, in 40 digits."""
    s, t = data.draw(strategies.step_pairs(sch))
    lam2 = float(dpm.lambda2_ddim(sch, s, t, eta))
    found = dpm.optimal_variance_from_mmse(sch, s, t, Oracle(q, sch).mmse(t).value, lam2)
    with mp.workdps(40):
        total = mp.mpf(0)
        a2_s, a2_t = (mp.mpf(float(sch.alpha_bar[k])) for k in (s, t))
        b_s, b_t = (mp.mpf(float(sch.beta_bar[k])) for k in (s, t))
        kept = mp.sqrt(max(mp.mpf(0), 1 - mp.mpf(lam2) / b_s)) if s else mp.mpf(0)
        for e in q.eigenvalues()[0]:
            e = mp.mpf(float(e))
            cross = mp.sqrt(a2_s * a2_t) * e + kept * mp.sqrt(b_s * b_t)
            total += a2_s * e + b_s - cross**2 / (a2_t * e + b_t)
        wanted = float(total / q.d)
    # beta_bar is rounded, and that rounding is large beside what the subtraction leaves over a short step
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-14 * (1 + q.eigenvalues().max()))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("s", "t"), [(1, 2), (100, 101), (100, 400), (500, 1000)])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_variance_on_the_line(law: str, s: int, t: int, eta: float) -> None:
    """E Var(x_s|x_t) by a one-dimensional integral: two points, one Gaussian, three components."""
    weights, means, variances = LAWS[law]
    orc = Oracle(GaussianMixture(weights, np.array(means)[:, None], variances, "spherical"), LINEAR)
    lam2 = float(dpm.lambda2_ddim(LINEAR, s, t, eta))
    found = dpm.optimal_variance_from_mmse(LINEAR, s, t, orc.mmse(t).value, lam2)
    wanted = integrate(LAWS[law], LINEAR, s, t, lam2)[2]
    assert found == pytest.approx(wanted, rel=1e-9, abs=1e-14)


@settings(max_examples=15, deadline=None)
@given(
    st.integers(2, 40),
    st.integers(1, 2),
    st.floats(0.1, 1),
    st.integers(0, 10),
    st.sampled_from([(50, 400), (3, 900)]),
)
def test_variance_in_high_dimension(
    extra: int, rank: int, tau: float, seed: int, step: tuple[int, int]
) -> None:
    """Shared τ² I: the span of the means by a line's integrals, every other direction by a Gaussian's."""
    rng, (s, t) = np.random.default_rng(seed), step
    lam2 = float(dpm.lambda2_ddpm(LINEAR, s, t))
    line = ([0.3, 0.7], [-0.9, 0.6], [tau * tau] * 2)
    wanted = rank * integrate(line, LINEAR, s, t, lam2)[2]
    wanted += extra * integrate(([1.0], [0.0], [tau * tau]), LINEAR, s, t, lam2)[2]
    d = rank + extra
    frame = np.linalg.qr(rng.standard_normal((d, rank)))[0].T
    grid = np.stack(np.meshgrid(*[line[1]] * rank, indexing="ij"), -1).reshape(-1, rank)
    weights = functools.reduce(np.multiply.outer, [np.array(line[0])] * rank).ravel()
    q = GaussianMixture(
        weights, grid @ frame + rng.standard_normal(d), np.full(2**rank, tau * tau), "spherical"
    )
    mmse = Oracle(q, LINEAR).mmse(t)
    assert mmse.method == "quadrature"
    found = dpm.optimal_variance_from_mmse(LINEAR, s, t, mmse.value, lam2)
    assert found == pytest.approx(wanted / d, rel=1e-9)


# -- broken versions -----------------------------------------------------------------------------------------

MUTANTS = {
    "gamma of V without u": ("(1 - u * value[todo])", "(1 - value[todo])"),
    "gamma of V without sigma squared": ("/ np.square(sigma[todo])\n        error", "\n        error"),
    "score without sigma": ("q0.d - sigma * sigma *", "q0.d - sigma *"),
    "ratio upside down": ("np.square(sigma / a)", "np.square(a / sigma)"),
    "residual from x": ("np.square(x0 - mean)", "np.square(rows[0] - mean)"),
    "not per dimension": ("return to_numpy(found) / q0.d", "return to_numpy(found)"),
    "within without weights": ("q.weights @ ((e * s2", "np.ones(len(e)) @ ((e * s2"),
    "within without sigma squared": ("(e * s2 if", "(e if"),
    "sum of the parts of gamma": ("within + sign * spread", "within + spread"),
    "quadrature not per dimension": ("return total / q.d,", "return total,"),
    "exact not per dimension": ("quantity) / q.d for level", "quantity) for level"),
    "gamma of points finite at 0": ('"mmse" else np.inf, 0.0)', '"mmse" else 0.0, 0.0)'),
}


def errors(expected: Any) -> Iterator[float]:
    """z-scores over 5, and errors over their bounds, of V and Γ of one Gaussian known by heart and one mixture."""
    one = GaussianMixture([1.0], [[0.3, 1.0]], [[0.5, 2.0]], "diag")
    a, sigma = np.array([0.8, 0.6]), np.array([0.6, 0.8])
    e, a2, s2 = np.array([0.5, 2.0]), a[:, None] ** 2, sigma[:, None] ** 2
    wanted = {"mmse": (e * s2 / (a2 * e + s2)).mean(1), "gamma": (1 / (a2 * e + s2)).mean(1)}
    two = GaussianMixture(
        [0.5, 0.5, 0.0], [[0.3, 1.0], [0.3, 1.0], [5.0, 5.0]], [[0.5, 2.0], [0.5, 2.0], [1.0, 9.0]], "diag"
    )
    for quantity, truth in wanted.items():
        for q, methods in ((one, (None, "trace", "pair", "residual", "score")), (two, ("quadrature",))):
            for method in methods:
                found = expected(q, a, sigma, quantity, 3000, np.random.default_rng(3), method)
                rigour = 1 if found.method in ("exact", "quadrature") else 5
                yield np.abs((found.value - truth) / (rigour * found.error + 1e-14)).max()
    spread = GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [0.1, 0.3], "spherical")
    x, step = np.linspace(-8, 8, 8001, retstep=True)
    for k in range(2):
        noised = spread.diffuse(a[k], sigma[k])
        score = noised.score(x[:, None])[:, 0]
        gamma = np.sum(np.exp(noised.log_prob(x[:, None])) * score**2) * step
        v = sigma[k] ** 2 / a[k] ** 2 * (1 - sigma[k] ** 2 * gamma)
        for quantity, truth in (("mmse", v), ("gamma", gamma)):
            for method in ("quadrature", "trace", "pair", "residual", "score"):
                found = expected(
                    spread, a[k : k + 1], sigma[k : k + 1], quantity, 3000, np.random.default_rng(4), method
                )
                rigour = 1 if method == "quadrature" else 5
                yield float(np.abs(found.value[0] - truth) / (rigour * found.error[0] + 1e-12))
    points = GaussianMixture.from_points([[0.0], [1.0]])
    clean = expected(points, np.ones(1), np.zeros(1), "gamma", 10, np.random.default_rng(0), None)
    yield 0.0 if clean.value[0] == np.inf else np.inf


def test_the_right_one_passes_as_a_copy() -> None:
    assert max(errors(mutant(dpmoracle.expectation).expected)) < 1


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str) -> None:
    broken = mutant(dpmoracle.expectation, MUTANTS[name]).expected
    with np.errstate(all="ignore"):
        assert any(not error < 1 for error in errors(broken))
