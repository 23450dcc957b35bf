"""Other reverse covariances: costs against closed forms and sampling, corrected optima against summation; polish."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle.covariance_cost import KINDS, covariance_cost
from dpmoracle.covariance_rules import npr_variance, optimal_covariance, residual_covariance, sn_variance
from dpmoracle.trajectory import evaluate_trajectory, trajectory_cost
from dpmoracle.trajectory.density import sqrt_kappa_grid
from dpmoracle.trajectory.monge import monge_defect
from dpmoracle.trajectory.polish import polish_trajectory

SCH = dpm.Schedule.linear(60, 2e-3, 0.3)
NODES = np.array([1, 4, 11, 23, 40, 60])
UPPER = np.triu_indices(len(NODES), 1)
TILTED = np.array([[0.5, 0.3], [0.3, 0.4]])
GAUSSIAN = dpm.GaussianMixture([1.0], [[0.3, -1.0]], [TILTED], "full")
CURVED = dpm.GaussianMixture(
    [0.5, 0.5],
    [[0.8, -0.2], [-0.5, 0.3]],
    [[[0.2, 0.1], [0.1, 0.3]], [[0.9, -0.3], [-0.3, 0.5]]],
    "full",
)


def gaussian_cost():
    """J of Gaussian data, whose posterior covariance (S⁻¹ + u)⁻¹ does not depend on x."""
    out = {}
    u = SCH.snr[NODES]
    inner = [np.linalg.inv(np.linalg.inv(TILTED) + ut * np.eye(2)) for ut in u]
    for kind in KINDS:
        cost = np.full((len(u), len(u)), np.inf)
        for i, j in zip(*UPPER):
            c, du = inner[j], u[i] - u[j]
            if kind == "isotropic":
                cost[i, j] = np.log1p(np.trace(c) / 2 * du)
            elif "diagonal" in kind:
                cost[i, j] = np.log1p(np.diag(c) * du).mean()
            else:
                cost[i, j] = np.linalg.slogdet(np.eye(2) + c * du)[1] / 2
        out[kind] = cost
    return out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", ["quadrature", "monte carlo"])
def test_gaussian_data_has_a_closed_form(kind, method):
    found = covariance_cost(dpm.Oracle(GAUSSIAN, SCH), kind, NODES, method=method, num_samples=20, rng=0)
    np.testing.assert_allclose(found.cost, gaussian_cost()[kind], rtol=1e-12)
    assert (found.error[UPPER] < 1e-12).all()
    assert (found.error[np.tril_indices(len(NODES))] == 0).all()
    assert found.method == method


MUTANTS = {
    "a sum over d, not a mean": lambda cost: 2 * cost,
    "the moments of the other end": lambda cost: np.where(np.isfinite(cost), cost[::-1, ::-1].T, np.inf),
    "V Δu without the logarithm": np.expm1,
    "half of it": lambda cost: 0.5 * cost,
}


@pytest.mark.parametrize("name", MUTANTS)
@pytest.mark.parametrize("kind", KINDS)
def test_mutants_are_caught_by_the_closed_form(name, kind):
    found = covariance_cost(dpm.Oracle(GAUSSIAN, SCH), kind, NODES)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(MUTANTS[name](found.cost), gaussian_cost()[kind], rtol=1e-12)


def test_kinds_are_told_apart_by_the_closed_form():
    """The tilted Gaussian has three different costs: one for each form of the covariance."""
    cost = gaussian_cost()
    assert cost["isotropic"][0, 5] > cost["diagonal"][0, 5] + 1e-3
    assert cost["diagonal"][0, 5] > cost["full"][0, 5] + 1e-3


def test_isotropic_is_the_trajectory_cost():
    orc = dpm.Oracle(CURVED, SCH)
    found = covariance_cost(orc, "isotropic", NODES)
    v = np.zeros(61)
    v[NODES] = orc.mmse(NODES, method="quadrature").value
    wanted = trajectory_cost(SCH.snr, v)[np.ix_(NODES, NODES)]
    np.testing.assert_allclose(found.cost, wanted, rtol=1e-7)
    assert (np.abs(found.cost[UPPER] - wanted[UPPER]) <= found.error[UPPER] + 1e-12).all()


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_agrees_with_quadrature_within_its_error(kind):
    orc = dpm.Oracle(CURVED, SCH)
    exact = covariance_cost(orc, kind, NODES)
    sampled = covariance_cost(orc, kind, NODES, method="monte carlo", num_samples=3000, rng=1)
    z = (sampled.cost[UPPER] - exact.cost[UPPER]) / sampled.error[UPPER]
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize("kind", KINDS)
def test_linearised_error_against_the_spread_of_repeats(kind):
    """The standard error is that of the mean, also where the cost is a curved function of the moments."""
    orc = dpm.Oracle(CURVED, SCH)
    runs = [
        covariance_cost(orc, kind, NODES[[0, 3, 5]], method="monte carlo", num_samples=200, rng=seed)
        for seed in range(40)
    ]
    spread = np.std([run.cost[0, 2] for run in runs], ddof=1)
    claimed = np.mean([run.error[0, 2] for run in runs])
    assert spread == pytest.approx(claimed, rel=0.4)  # 40 repeats know a spread to 11%


def test_richer_covariances_cost_less():
    orc = dpm.Oracle(CURVED, SCH)
    cost = {kind: covariance_cost(orc, kind, NODES).cost[UPPER] for kind in KINDS}
    for dearer, cheaper in (
        ("isotropic", "diagonal"),
        ("diagonal", "full"),
        ("diagonal", "state_diagonal"),
        ("full", "state_full"),
        ("state_diagonal", "state_full"),
    ):
        assert (cost[cheaper] <= cost[dearer] + 1e-9).all()
        assert (cost[cheaper] < cost[dearer] - 1e-4).any()


@pytest.mark.parametrize("kind", KINDS)
def test_monge_so_that_shortest_paths_have_monotone_predecessors(kind):
    nodes = np.arange(1, 61, 3)
    cost = covariance_cost(dpm.Oracle(CURVED, SCH), kind, nodes).cost
    assert monge_defect(cost) <= 1e-9
    paths = dpm.shortest_paths(cost, 6)
    assert (np.diff(paths.costs[1:]) < 0).all()
    assert (np.diff(np.diff(paths.costs[1:])) > -1e-9).all()  # convex in K
    best = [paths.predecessors[3][j] for j in range(3, len(nodes))]
    assert (np.diff(best) >= 0).all()


def shifted(x, t):
    return np.full_like(x, 0.2) + 0.0 * t


@pytest.mark.parametrize("kind", KINDS)
def test_a_known_error_of_the_mean_adds_its_outer_product(kind):
    """For Gaussian data and a constant error the corrected covariance is C + δδᵀ, the same for every x."""
    found = covariance_cost(dpm.Oracle(GAUSSIAN, SCH), kind, NODES, mean_error=shifted)
    u = SCH.snr[NODES]
    for i, j in zip(*UPPER):
        c = np.linalg.inv(np.linalg.inv(TILTED) + u[j] * np.eye(2)) + 0.04
        du = u[i] - u[j]
        if kind == "isotropic":
            wanted = np.log1p(np.trace(c) / 2 * du)
        elif "diagonal" in kind:
            wanted = np.log1p(np.diag(c) * du).mean()
        else:
            wanted = np.linalg.slogdet(np.eye(2) + c * du)[1] / 2
        assert found.cost[i, j] == pytest.approx(wanted, rel=1e-12)


def test_more_dimensions_are_sampled():
    q0 = dpm.GaussianMixture([0.5, 0.5], [[1.0, 0, 0], [-1.0, 0, 0]], [0.1, 0.1], "spherical")
    found = covariance_cost(dpm.Oracle(q0, SCH), "full", [1, 20, 60], num_samples=300, rng=0)
    assert found.method == "monte carlo"
    flat = covariance_cost(dpm.Oracle(q0, SCH), "isotropic", [1, 20, 60], num_samples=300, rng=0)
    assert (found.cost[np.triu_indices(3, 1)] <= flat.cost[np.triu_indices(3, 1)]).all()


# -- optimal covariances ---------------------------------------------------------------------------------------


def brute(q0, t, x, guess):
    """(Var, E[(x_0 - x̂_0)²], E[ε²], E[(ε - ε̂)²]) of a two-point prior by Bayes' rule in one dimension."""
    a, sigma = map(float, SCH.levels(t))
    nodes = q0.means[:, 0]
    w = q0.weights * np.exp(-0.5 * ((x - a * nodes) / sigma) ** 2)
    w = w / w.sum()
    eps, eps_hat = (x - a * nodes) / sigma, (x - a * guess) / sigma
    mean = w @ nodes
    return w @ (nodes - mean) ** 2, w @ (nodes - guess) ** 2, w @ eps**2, w @ (eps - eps_hat) ** 2, eps_hat


@settings(max_examples=50)
@given(st.floats(-2, 2), st.floats(-1, 1), st.integers(2, 60), st.floats(0, 1))
def test_optimal_covariances_of_points(x, off, t, share):
    q0 = dpm.GaussianMixture([0.3, 0.7], [[-1.0], [0.8]], [0.0, 0.0], "spherical")
    orc = dpm.Oracle(q0, SCH)
    guess = float(orc.x0(np.array([x]), t)[0]) + off
    _, spread, _, g, _ = brute(q0, t, x, guess)
    got = residual_covariance(orc, [x], t, [guess])
    assert got[0] == pytest.approx(spread, rel=1e-9, abs=1e-15)
    assert npr_variance(SCH, t, [g])[0] == pytest.approx(spread, rel=1e-9, abs=1e-15)
    s = t // 2
    lam2 = share * float(SCH.beta_bar[s])
    c = float(dpm.reverse_coefficient(SCH, s, t, lam2))
    assert optimal_covariance(SCH, s, t, got, lam2)[0] == pytest.approx(lam2 + c * c * spread, rel=1e-9)


def test_sn_needs_the_exact_mean():
    q0 = dpm.GaussianMixture([0.3, 0.7], [[-1.0], [0.8]], [0.0, 0.0], "spherical")
    orc = dpm.Oracle(q0, SCH)
    mean = float(orc.x0(np.array([0.1]), 40)[0])
    variance, _, h, _, eps_hat = brute(q0, 40, 0.1, mean)
    assert sn_variance(SCH, 40, [h], [eps_hat])[0] == pytest.approx(variance, rel=1e-12)
    _, spread, h, _, eps_hat = brute(q0, 40, 0.1, mean + 0.4)
    assert abs(sn_variance(SCH, 40, [h], [eps_hat])[0] / spread - 1) > 0.1


def test_full_and_diagonal_forms_agree():
    orc = dpm.Oracle(CURVED, SCH)
    x = np.random.default_rng(0).normal(size=(3, 2))
    guess = orc.x0(x, 30) + 0.1
    full, diag = (residual_covariance(orc, x, 30, guess, form) for form in ("full", "diag"))
    np.testing.assert_allclose(np.diagonal(full, axis1=1, axis2=2), diag, rtol=1e-13)
    lam2 = dpm.lambda2_ddpm(SCH, 20, 30)
    best = optimal_covariance(SCH, 20, 30, full, lam2, "full")
    np.testing.assert_allclose(
        np.diagonal(best, axis1=1, axis2=2), optimal_covariance(SCH, 20, 30, diag, lam2), rtol=1e-13
    )
    assert (np.linalg.eigvalsh(best) > lam2).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda o: covariance_cost(o, "banded"), "kind must be one of isotropic, diagonal"),
        (lambda o: covariance_cost(o, "full", [3]), "timesteps must be a list of at least 2"),
        (lambda o: covariance_cost(o, "full", method="exact"), "method must be"),
        (lambda o: covariance_cost("x", "full"), "must be an Oracle on a Schedule"),
        (
            lambda o: covariance_cost(o, "full", [1, 60], mean_error=lambda x, t: x[:1]),
            "mean_error must return",
        ),
        (lambda o: covariance_cost(o, "full", [1, 60], mean_error=lambda x, t: x * np.nan), "must be finite"),
        (lambda o: optimal_covariance(SCH, 1, 5, np.ones((2, 3)), 0.0, "full"), r"\(..., d, d\)"),
        (lambda o: optimal_covariance(SCH, 1, 5, np.ones(2), 0.0, "band"), "form must be one of diag, full"),
        (lambda o: residual_covariance(o, np.ones((2, 2)), 5, np.ones((3, 2))), "must have one shape"),
        (lambda o: npr_variance(dpm.Schedule.cosine(9, max_beta=1.0), 9, [0.1]), "alpha_bar > 0"),
    ],
)
def test_wrong_use(call, message):
    with pytest.raises(dpm.InvalidParameterError, match=message):
        call(dpm.Oracle(CURVED, SCH))


# -- polish ----------------------------------------------------------------------------------------------------


def curve(N=400, scales=(1e-2, 1e2)):
    """V of a product of Gaussians of very different variances: kappa vanishes between their scales."""
    u = np.append(np.inf, np.geomspace(1e5, 1e-3, N))
    return u, np.append(0.0, np.mean([1 / (u[1:] + p) for p in scales], axis=0))


@pytest.mark.parametrize("K", [3, 8, 25, 90])
def test_polished_is_optimal_and_never_dearer(K):
    u, v = curve()
    for start in (sqrt_kappa_grid(u, K, v), dpm.even_grid(400, K)):
        found = polish_trajectory(u, v, start)
        best = dpm.optimal_trajectory(u, v, K)
        assert found.cost <= evaluate_trajectory(u, v, start).cost
        assert found.cost == pytest.approx(best.cost, rel=1e-9)
        assert found.timesteps.size == K


def test_a_band_that_covers_everything_is_the_whole_program():
    u, v = curve(9)
    costs = {
        inner: evaluate_trajectory(u, v, [1, *inner, 9]).cost
        for inner in itertools.combinations(range(2, 9), 2)
    }
    found = polish_trajectory(u, v, [1, 2, 3, 9], window=9)
    assert found.cost == pytest.approx(min(costs.values()), rel=1e-14)
    assert found.method == "polished, 2 rounds"


def test_polish_refuses_what_is_no_trajectory():
    u, v = curve(20)
    with pytest.raises(dpm.InvalidParameterError, match="runs from timestep 1 to N"):
        polish_trajectory(u, v, [2, 20])
    with pytest.raises(dpm.InvalidParameterError, match="window must be a whole number"):
        polish_trajectory(u, v, [1, 5, 20], window=0)
