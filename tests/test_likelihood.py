"""trajectory_kl against joint covariance matrices, quadrature over joint densities, and entropies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chain_truths import gaussian_chain_kl, pair_kl
from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Process, Schedule, Trajectory
from dpmoracle.likelihood import kl_to_normal, snr_integral, trajectory_kl
from dpmoracle.likelihood.entropy_road import trajectory_kl_by_entropies
from dpmoracle.reverse_step import lambda2_ddim, lambda2_ddpm

LINEAR = Schedule.linear(1000)
COARSE = Schedule.from_alpha_bar([1, 0.95, 0.8, 0.6, 0.3, 0.1, 0.03])
TERMINAL = Schedule.from_alpha_bar([1, 0.9, 0.5, 0.2, 0.0])
LINE = GaussianMixture(
    [0.2, 0.5, 0.3], [[-1.5], [0.2], [1.0]], [0.05, 0.3, 0.01], covariance_type="spherical"
)
PLANE = GaussianMixture(
    [0.4, 0.6], [[-1.0, 0.0], [0.5, 0.7]], [[[0.5, 0.2], [0.2, 0.3]], [[0.3, 0], [0, 0.6]]]
)
POINTS = GaussianMixture.from_points([[-1.0], [0.3], [1.0]])
SPREAD = GaussianMixture([1.0], [[0.3, -1.0, 0.5]], [[[2.0, 0.3, 0.1], [0.3, 0.4, -0.2], [0.1, -0.2, 0.9]]])


def relative_to(truth):
    return lambda value: abs(value - truth) / max(1.0, abs(truth))


# -- the formula, mutated -------------------------------------------------------------------------------------


class Pieces:
    """What the formula is made of, for chains whose truth is a joint covariance or a quadrature."""

    def __init__(self, q0, sch, nodes, variances, truth):
        self.q0, self.sch, self.nodes, self.variances, self.truth = q0, sch, np.array(nodes), variances, truth
        self.d = q0.d
        self.s, self.t = self.nodes[:-1], self.nodes[1:]
        self.u = sch.snr[self.nodes]
        self.v = Oracle(q0, sch).mmse(self.nodes).value
        self.prior = float(kl_to_normal(q0.diffuse(*map(float, sch.levels(self.nodes[-1])))).value)
        self.integral = float(snr_integral(q0, self.u[-1], self.u[0]).value)
        self.tilde = lambda2_ddpm(sch, self.s, self.t)

    def formula(self, *, v=None, tilde=None, integral=None, prior=None, half=None, bracket=None):
        gain = 1 + (self.v[1:] if v is None else v) * (self.u[:-1] - self.u[1:])
        best = (self.tilde if tilde is None else tilde) * gain
        sigma2 = best if self.variances is None else self.variances
        base = self.tilde if tilde is None else tilde
        cost = np.log(sigma2 / base) + best / sigma2 - 1 if bracket is None else bracket(sigma2, best, base)
        integral = self.integral if integral is None else integral
        half = self.d / 2 if half is None else half
        return (self.prior if prior is None else prior) + half * (cost.sum() - integral)


def line_truth(nodes, variance=None):
    covs = LINE.covariances[:, None, None]
    return pair_kl(LINE.weights, LINE.means, covs, COARSE.alpha_bar[nodes], variance, step=0.125)[0]


def gaussian_truth(nodes, variances=None):
    return gaussian_chain_kl(SPREAD.means[0], SPREAD.covariances[0], COARSE.alpha_bar[nodes], variances)


CASES = [
    Pieces(LINE, COARSE, [1, 6], None, line_truth([1, 6])),
    Pieces(LINE, COARSE, [2, 5], np.array([0.7]), line_truth([2, 5], 0.7)),
    Pieces(SPREAD, COARSE, [1, 2, 4, 6], None, gaussian_truth([1, 2, 4, 6])),
    Pieces(SPREAD, COARSE, [1, 3, 6], np.array([0.2, 0.9]), gaussian_truth([1, 3, 6], [0.2, 0.9])),
]
TOLERANCE = 1e-9  # of the quadratures; measured 2e-12

MUTANTS = {
    "no factor d/2": lambda p: p.formula(half=1.0),
    "d for d/2": lambda p: p.formula(half=p.d),
    "no integral": lambda p: p.formula(integral=0.0),
    "integral added": lambda p: p.formula(integral=-p.integral),
    "integral from 0": lambda p: p.formula(integral=float(snr_integral(p.q0, 0, p.u[0]).value)),
    "integral to the second node": lambda p: p.formula(
        integral=float(snr_integral(p.q0, p.u[-1], p.u[1]).value)
    ),
    "half the integral": lambda p: p.formula(integral=0.5 * p.integral),
    "no prior": lambda p: p.formula(prior=0.0),
    "prior at the first node": lambda p: p.formula(
        prior=float(kl_to_normal(p.q0.diffuse(*map(float, p.sch.levels(p.nodes[0])))).value)
    ),
    "V of the node arrived at": lambda p: p.formula(v=p.v[:-1]),
    "beta for beta_tilde": lambda p: p.formula(tilde=p.sch.beta(p.s, p.t)),
    "beta_bar_s for beta_tilde": lambda p: p.formula(tilde=p.sch.beta_bar[p.s]),
    "no -1": lambda p: p.formula(bracket=lambda s, b, t: np.log(s / t) + b / s),
    "J for any variance": lambda p: p.formula(bracket=lambda s, b, t: np.log(s / t)),
    "optimum for any variance": lambda p: p.formula(bracket=lambda s, b, t: np.log(b / t)),
    "beta_tilde / sigma^2 - 1": lambda p: p.formula(bracket=lambda s, b, t: np.log(s / t) + t / s - 1),
    "ratio upside down": lambda p: p.formula(bracket=lambda s, b, t: np.log(s / t) + s / b - 1),
    "log of the deviations": lambda p: p.formula(bracket=lambda s, b, t: 0.5 * np.log(s / t) + b / s - 1),
    "reversed sign of the logarithm": lambda p: p.formula(bracket=lambda s, b, t: np.log(t / s) + b / s - 1),
}


@pytest.mark.parametrize("case", CASES, ids=["line, best", "line, given", "d = 3, best", "d = 3, given"])
def test_the_formula_is_the_kl(case):
    found = trajectory_kl(Oracle(case.q0, case.sch), case.nodes, case.variances)
    assert relative_to(case.truth)(float(found.value)) < TOLERANCE
    assert abs(found.value - case.truth) < found.error + 1e-11  # the truth's own quadrature
    assert found.method in ("exact", "quadrature")
    assert relative_to(case.truth)(case.formula()) < TOLERANCE


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_of_the_formula_are_caught(name):
    assert max(relative_to(case.truth)(MUTANTS[name](case)) for case in CASES) > 1e3 * TOLERANCE


# -- Gaussian data: exact for any chain -----------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([1, 3]),
    st.integers(2, 6),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
def test_gaussian_data_any_chain(d, K, given_variances, include_x0, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    mean, cov = rng.normal(size=d), root @ root.T + 0.05 * np.eye(d)
    sch = Schedule.from_betas(rng.uniform(0.02, 0.5, 8))
    nodes = np.sort(rng.choice(np.arange(1, 9), K, replace=False))
    variances = rng.uniform(0.05, 2.0, K - 1 + include_x0) if given_variances else None
    found = trajectory_kl(
        Oracle(GaussianMixture([1.0], [mean], [cov]), sch), nodes, variances, include_x0=include_x0
    )
    truth = gaussian_chain_kl(
        mean, cov, sch.alpha_bar[np.append(0, nodes) if include_x0 else nodes], variances
    )
    assert found.method == "exact"
    assert abs(found.value - truth) < 1e-11 * max(1, abs(truth))  # measured 3e-13, of the joint matrices


def test_one_variance_for_all_steps():
    orc = Oracle(SPREAD, COARSE)
    assert trajectory_kl(orc, [1, 3, 6], 0.4).value == trajectory_kl(orc, [1, 3, 6], [0.4, 0.4]).value


def test_every_trajectory_of_isotropic_gaussian_data_costs_the_prior():
    orc = Oracle(GaussianMixture([1.0], [[0.5, -0.2]], [0.3], covariance_type="spherical"), LINEAR)
    prior = kl_to_normal(orc.q0.diffuse(*map(float, LINEAR.levels(1000)))).value
    for nodes in ([1, 1000], [1, 7, 500, 1000], np.arange(1, 1001)):
        assert abs(trajectory_kl(orc, nodes).value - prior) < 1e-12  # measured 4e-14


def test_zero_terminal_snr():
    """There the chain starts exactly right, and the first step is judged by the whole variance of the data."""
    truth = gaussian_chain_kl(SPREAD.means[0], SPREAD.covariances[0], TERMINAL.alpha_bar[[1, 2, 4]])
    assert abs(trajectory_kl(Oracle(SPREAD, TERMINAL), [1, 2, 4]).value - truth) < 1e-12
    line = trajectory_kl(Oracle(LINE, TERMINAL), [1, 4])
    road = trajectory_kl_by_entropies(Oracle(LINE, TERMINAL), [1, 4])
    assert abs(line.value - road.value) < 1e-11


# -- x_0 in the chain -----------------------------------------------------------------------------------------


def with_x0_truth(alpha_bar, variance=None):
    """E KL(q(x_0|x_1) ‖ p(x_0|x_1)) of LINE from the joint density of x_0 and x_1."""
    alpha_bar = np.array([1.0, alpha_bar])
    whole, _ = pair_kl(LINE.weights, LINE.means, LINE.covariances[:, None, None], alpha_bar, variance, 1 / 16)
    last = LINE.diffuse(np.sqrt(alpha_bar[1]), np.sqrt(1 - alpha_bar[1]))
    return whole - float(kl_to_normal(last).value)


@pytest.mark.parametrize("u", [1e4, 10.0, 1.0])
@pytest.mark.parametrize("share", [None, 1.7])
def test_x0_in_the_chain_adds_the_last_step(u, share):
    sch = Schedule.from_alpha_bar([1, u / (1 + u), 0.3 * u / (1 + u)])
    orc = Oracle(LINE, sch)
    variances = None if share is None else share * np.append(orc.mmse([1]).value, [0.4])
    without = trajectory_kl(orc, [1, 2], None if share is None else variances[1:])
    found = trajectory_kl(orc, [1, 2], variances, include_x0=True)
    truth = with_x0_truth(sch.alpha_bar[1], None if share is None else variances[0])
    assert abs(found.value - without.value - truth) < 1e-9  # measured 5e-11, of the double quadrature
    if share is None:
        assert (truth < 1e-4) if u == 1e4 else (truth > 1e-3)


def test_x0_term_shrinks_with_the_noise():
    terms = []
    for u in (1.0, 10.0, 1e4):
        orc = Oracle(LINE, Schedule.from_alpha_bar([1, u / (1 + u), 0.1 * u / (1 + u)]))
        terms.append(
            float(trajectory_kl(orc, [1, 2], include_x0=True).value - trajectory_kl(orc, [1, 2]).value)
        )
    assert terms[0] > terms[1] > terms[2] > 0


# -- against entropies, in one and more dimensions ------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(2, 5), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_both_roads_agree_in_one_dimension(C, K, with_density, given_variances, seed):
    rng = np.random.default_rng(seed)
    covs = np.exp(rng.uniform(-4, 0, C)) if with_density else np.zeros(C)
    q0 = GaussianMixture(
        rng.dirichlet(np.ones(C)), rng.uniform(-2, 2, (C, 1)), covs, covariance_type="spherical"
    )
    nodes = np.sort(rng.choice(np.arange(20, 1001), K, replace=False))
    variances = rng.uniform(0.05, 1.0, K - 1 + with_density) if given_variances else None
    orc = Oracle(q0, LINEAR)
    found = trajectory_kl(orc, nodes, variances, include_x0=with_density)
    road = trajectory_kl_by_entropies(orc, nodes, variances, include_x0=with_density)
    assert road.method == "quadrature"
    assert abs(found.value - road.value) < found.error + road.error + 1e-9  # measured 2e-10, sharp boundaries
    assert found.value > -1e-12


def test_plane_not_isotropic_by_four_dimensional_quadrature():
    orc = Oracle(PLANE, COARSE)
    nodes = [2, 5]
    found = trajectory_kl(orc, nodes, method="quadrature")
    truth, _ = pair_kl(
        PLANE.weights, PLANE.means, PLANE.covariances, COARSE.alpha_bar[nodes], step=0.5, reach=7.0
    )
    assert abs(found.value - truth) < 3e-7  # measured 3e-8, of the coarse product grid
    wrong = float(found.value) + 0.5 * float(snr_integral(PLANE, *COARSE.snr[nodes[::-1]]).value)
    assert abs(wrong - truth) > 1e-2  # d = 1 where it is 2


def test_monte_carlo_agrees_with_quadrature_and_knows_its_error():
    orc = Oracle(LINE, LINEAR)
    nodes = [1, 150, 500, 1000]
    truth = float(trajectory_kl(orc, nodes).value)
    found = [trajectory_kl(orc, nodes, method="monte carlo", num_samples=200, rng=k) for k in range(60)]
    z = np.array([(e.value - truth) / e.error for e in found])
    assert (
        abs(z.mean()) < 0.6
    )  # 4.6 standard errors: false alarms below 1e-5, but for a bias of log at M = 200
    assert 0.65 < z.std() < 1.4  # chi-square with 59 degrees of freedom leaves this with probability 1e-4


def test_monte_carlo_of_the_road_agrees():
    for q0, nodes, variances in (
        (LINE, [1, 150, 500, 1000], None),
        (POINTS, [30, 300, 1000], [0.4, 0.7]),
        (SPREAD, [1, 400, 1000], [0.5, 0.9]),
    ):
        orc = Oracle(q0, LINEAR)
        truth = float(trajectory_kl(orc, nodes, variances).value)
        road = trajectory_kl_by_entropies(
            orc, nodes, variances, method="monte carlo", num_samples=6000, rng=5
        )
        assert abs(road.value - truth) < 4 * road.error  # false alarm 6e-5 each
        assert road.error < 0.05
        with_x0 = None if variances is None else np.append(0.01, variances)
        if not q0.is_singular:
            truth = float(trajectory_kl(orc, nodes, with_x0, include_x0=True).value)
            road = trajectory_kl_by_entropies(
                orc, nodes, with_x0, include_x0=True, method="monte carlo", num_samples=6000, rng=6
            )
            assert abs(road.value - truth) < 4 * road.error


def test_many_dimensions_by_monte_carlo_both_ways():
    rng = np.random.default_rng(3)
    q0 = GaussianMixture(
        rng.dirichlet(np.ones(4)),
        rng.normal(size=(4, 5)),
        rng.uniform(0.05, 0.5, (4, 5)),
        covariance_type="diag",
    )
    orc = Oracle(q0, LINEAR)
    for include_x0 in (False, True):
        one = trajectory_kl(orc, [1, 200, 500, 1000], include_x0=include_x0, num_samples=1500, rng=1)
        two = trajectory_kl_by_entropies(
            orc, [1, 200, 500, 1000], include_x0=include_x0, num_samples=4000, rng=2
        )
        assert one.method == two.method == "monte carlo"
        assert abs(one.value - two.value) < 4.5 * np.hypot(one.error, two.error)  # false alarm 1e-5
        assert one.effective_count > 30


def test_means_in_a_plane_of_many_dimensions_by_quadrature():
    rng = np.random.default_rng(4)
    frame = np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]
    q0 = GaussianMixture([0.3, 0.7], np.array([[1.0, 0], [-0.5, 0]]) @ frame + 0.4, [0.2, 0.2], "spherical")
    orc = Oracle(q0, LINEAR)
    found = trajectory_kl(orc, [1, 300, 1000])
    road = trajectory_kl_by_entropies(orc, [1, 300, 1000], num_samples=8000, rng=2)
    assert found.method == "quadrature"
    assert found.error < 1e-9
    assert abs(found.value - road.value) < 4 * road.error  # false alarm 6e-5


# -- the inequality behind it ---------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 3), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_costs_are_never_below_the_integral(C, K, seed):
    """Σ J >= ∫ V du for every trajectory, so that the KL is at least that of its start; refining never hurts."""
    rng = np.random.default_rng(seed)
    q0 = GaussianMixture(
        rng.dirichlet(np.ones(C)), rng.uniform(-2, 2, (C, 1)), np.exp(rng.uniform(-5, 0, C)), "spherical"
    )
    orc = Oracle(q0, LINEAR)
    nodes = np.sort(np.append(rng.choice(np.arange(2, 1000), K - 2 + 1, replace=False), [1, 1000]))
    coarse = np.delete(nodes, 1)
    prior = kl_to_normal(q0.diffuse(*map(float, LINEAR.levels(1000)))).value
    fine_kl, coarse_kl = (trajectory_kl(orc, n).value for n in (nodes, coarse))
    assert prior - 1e-10 <= fine_kl <= coarse_kl + 1e-10


# -- wrong use ------------------------------------------------------------------------------------------------

ORACLE = Oracle(LINE, LINEAR)


def test_lam2_of_ddpm_is_the_default_and_may_be_given():
    tilde = lambda2_ddpm(LINEAR, [1, 500], [500, 1000])
    assert (
        trajectory_kl(ORACLE, [1, 500, 1000], lam2=tilde).value == trajectory_kl(ORACLE, [1, 500, 1000]).value
    )


@pytest.mark.parametrize(
    ("lam2", "words"),
    [
        ("ddim", r"lam2 must be beta_tilde.*from 500 to 1.*no Markov chain.*elbo"),
        (lambda2_ddim(LINEAR, [1, 500], [500, 1000], 0.9), "lam2 must be beta_tilde"),
        ([1e-4], r"one for each of the 2 steps.*shape \(1,\)"),
        (0.5, "lam2 must lie in"),
        ("ddpm++", r"one of ddpm, ddim"),
    ],
)
def test_other_lam2_is_refused(lam2, words):
    with pytest.raises(InvalidParameterError, match=words):
        trajectory_kl(ORACLE, [1, 500, 1000], lam2=lam2)


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([1], "at least 2 nodes"),
        ([1000, 500, 1], "must increase strictly.*reversed"),
        ([1, 500, 500, 1000], "must increase strictly"),
        ([0, 1000], r"in 1\.\.1000.*got 0|must lie in 1\.\.1000"),
        ([1, 1001], r"1\.\.1000"),
        ([1.0, 1000.0], "integer timestep"),
        ([[1, 1000]], "list of at least 2 nodes"),
    ],
)
def test_bad_trajectories_are_refused(nodes, words):
    for function in (trajectory_kl, trajectory_kl_by_entropies):
        with pytest.raises(InvalidParameterError, match=words):
            function(ORACLE, nodes)


def test_a_trajectory_object_is_taken():
    given = Trajectory(np.array([1, 500, 1000]), 0.0, "given")
    assert trajectory_kl(ORACLE, given).value == trajectory_kl(ORACLE, [1, 500, 1000]).value


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda f: f(ORACLE, [1, 1000], [0.1, 0.2]), r"one for each of the 1 steps"),
        (lambda f: f(ORACLE, [1, 500, 1000], [0.1, 0.0]), "sigma2 must be positive; entry 1.*DDIM"),
        (lambda f: f(ORACLE, [1, 500, 1000], [0.1, np.nan]), "sigma2 must be finite"),
        (
            lambda f: f(ORACLE, [1, 1000], [0.1], include_x0=True),
            r"one number or one for each of the 2 steps|one for",
        ),
        (
            lambda f: f(Oracle(POINTS, LINEAR), [1, 1000], include_x0=True),
            "not defined for data points.*elbo",
        ),
        (lambda f: f(ORACLE, [1, 1000], method="guess"), "method must be"),
        (lambda f: f(Oracle(LINE, Process.vp_linear()), [1, 1000]), "Oracle on a Schedule.*got Process"),
        (lambda f: f(LINE, [1, 1000]), "Oracle on a Schedule.*got GaussianMixture"),
        (lambda f: f(ORACLE, [1, 1000], num_samples=1), "num_samples must be a whole number >= 2"),
        (lambda f: f(ORACLE, [1, 1000], rng="7"), "rng must be"),
    ],
)
def test_wrong_arguments_are_refused(call, words):
    for function in (trajectory_kl, trajectory_kl_by_entropies):
        with pytest.raises(InvalidParameterError, match=words):
            call(function)


def test_methods_that_do_not_apply_are_refused():
    cube = Oracle(GaussianMixture.from_points(np.eye(4)), LINEAR)
    with pytest.raises(InvalidParameterError, match=r'"quadrature" does not reach.*monte carlo'):
        trajectory_kl(cube, [1, 1000], method="quadrature")
    with pytest.raises(InvalidParameterError, match='"exact"'):
        trajectory_kl(ORACLE, [1, 1000], method="exact")
    with pytest.raises(InvalidParameterError, match='for d = 1, or "monte carlo"'):
        trajectory_kl_by_entropies(cube, [1, 1000], method="quadrature")
    narrow = GaussianMixture([0.5, 0.5], [[0.0], [1.0]], [1e-13, 1.0], "spherical")
    sch = Schedule.from_alpha_bar([1, 1 - 1e-12, 0.5])
    with pytest.raises(InvalidParameterError, match=r"grid of .*monte carlo"):
        trajectory_kl_by_entropies(Oracle(narrow, sch), [1, 2], method="quadrature")
