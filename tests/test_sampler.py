"""One step in 50 digits, chains by their exact joint law, mixtures by Pinsker's inequality, DDIM by quantiles."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import norm

from chain_truths import forward_joint, residual_variances, reverse_joint
from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Process, Schedule, Trajectory
from dpmoracle.likelihood import trajectory_kl
from dpmoracle.reverse_step import lambda2_ddim, lambda2_ddpm
from dpmoracle.sampler import ancestral_step, clean_prediction, reverse_chain, sample
from dpmoracle.trajectory import even_grid, optimal_trajectory
from dpmoracle.variance import optimal_variance_from_mmse
from dpmoracle.variance_rules import reverse_variances
from exact_steps import cases

LINEAR = Schedule.linear(1000)
COARSE = Schedule.from_alpha_bar([1, 0.95, 0.8, 0.6, 0.3, 0.1, 0.03])
TERMINAL = Schedule.from_alpha_bar([1, 0.9, 0.5, 0.2, 0.0])
LINE = GaussianMixture([0.25, 0.75], [[-1.5], [1.0]], [0.01, 0.04], covariance_type="spherical")
PLANE = GaussianMixture(
    [0.4, 0.6], [[-1.0, 0.0], [0.5, 0.7]], [[[0.5, 0.2], [0.2, 0.3]], [[0.3, 0], [0, 0.6]]]
)
sqrt = mp.sqrt

# -- one step, noise injected, 50 digits -----------------------------------------------------------------------

# Where lam2 nearly reaches beta_bar_s its own rounding shows in the mean, by a square root (up to 6e-11).
CASES = [case for case in cases() if case.kind == "all" or case.exact.lam2 < 0.99 * case.exact.B_s]
X_T, X_0, Z, SIGMA2 = 0.7, -1.3, 0.9, 0.35


def exact_step(e):
    """Eq. (1) of the notes with skips, plus noise."""
    root = sqrt(max(e.B_s - e.lam2, mp.mpf(0))) if abs(e.B_s - e.lam2) > mp.mpf(10) ** -45 else mp.mpf(0)
    mean = sqrt(e.A_s) * mp.mpf(X_0) + root * (mp.mpf(X_T) - sqrt(e.A_t) * mp.mpf(X_0)) / sqrt(e.B_t)
    return mean + sqrt(mp.mpf(SIGMA2)) * mp.mpf(Z)


def our_step(case):
    return ancestral_step(case.sch, case.s, case.t, [X_T], [X_0], case.lam2, SIGMA2, [Z])[0]


def with_mean(form, noise=lambda: sqrt(mp.mpf(SIGMA2)) * mp.mpf(Z)):
    return lambda case: form(case.exact) + noise()


def right_mean(e):
    return exact_step(e) - sqrt(mp.mpf(SIGMA2)) * mp.mpf(Z)


def direction(e):
    return (mp.mpf(X_T) - sqrt(e.A_t) * mp.mpf(X_0)) / sqrt(e.B_t)


STEPS = {
    "ours": our_step,
    "variance for deviation": with_mean(right_mean, lambda: mp.mpf(SIGMA2) * mp.mpf(Z)),
    "noise subtracted": with_mean(right_mean, lambda: -sqrt(mp.mpf(SIGMA2)) * mp.mpf(Z)),
    "no noise": with_mean(right_mean, lambda: mp.mpf(0)),
    "no root over beta_bar - lam2": with_mean(
        lambda e: sqrt(e.A_s) * mp.mpf(X_0) + (e.B_s - e.lam2) * direction(e)
    ),
    "lam2 left out": with_mean(lambda e: sqrt(e.A_s) * mp.mpf(X_0) + sqrt(e.B_s) * direction(e)),
    "lam2 added": with_mean(lambda e: sqrt(e.A_s) * mp.mpf(X_0) + sqrt(e.B_s + e.lam2) * direction(e)),
    "sigma2 for lam2": with_mean(
        lambda e: sqrt(e.A_s) * mp.mpf(X_0) + sqrt(abs(e.B_s - mp.mpf(SIGMA2))) * direction(e)
    ),
    "alpha for alpha_bar": with_mean(
        lambda e: sqrt(e.a) * mp.mpf(X_0) + sqrt(abs(e.B_s - e.lam2)) * direction(e)
    ),
    "beta_t for beta_bar_t": with_mean(
        lambda e: (
            sqrt(e.A_s) * mp.mpf(X_0) + sqrt(abs(e.B_s - e.lam2)) * direction(e) * sqrt(e.B_t / e.beta_t)
        )
    ),
    "x_0 at t for s": with_mean(
        lambda e: sqrt(e.A_t) * mp.mpf(X_0) + sqrt(abs(e.B_s - e.lam2)) * direction(e)
    ),
    "sign of the direction": with_mean(
        lambda e: sqrt(e.A_s) * mp.mpf(X_0) - sqrt(abs(e.B_s - e.lam2)) * direction(e)
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_in_50_digits(name):
    worst = 0.0
    for case in CASES:
        worst = max(worst, float(abs(mp.mpmathify(STEPS[name](case)) - exact_step(case.exact))))
    assert (worst < 2e-15) if name == "ours" else (worst > 1e-3)  # measured 6e-16


def test_a_step_without_noise_is_the_mean_and_sigma2_defaults_to_lam2():
    lam2 = 0.1
    mean = ancestral_step(COARSE, 2, 4, [X_T], [X_0], lam2)
    noisy = ancestral_step(COARSE, 2, 4, [X_T], [X_0], lam2, noise=[Z])
    assert abs(noisy - mean - np.sqrt(lam2) * Z).max() < 1e-15
    assert (ancestral_step(COARSE, 2, 4, [X_T], [X_0], lam2, 0.0, [Z]) == mean).all()
    assert ancestral_step(COARSE, 0, 4, [X_T], [X_0], 0.0)[0] == X_0
    half = ancestral_step(COARSE, 2, 4, np.float32([X_T]), np.float32([X_0]), lam2, noise=np.float32([Z]))
    assert half.dtype == np.float32


def test_a_step_broadcasts():
    x = np.arange(6.0).reshape(3, 2)
    got = ancestral_step(COARSE, [1, 2, 3], 4, x, -x, [0.01, 0.1, 0.2], 0.5, np.ones((3, 2)))
    for k in range(3):
        one = ancestral_step(COARSE, k + 1, 4, x[k], -x[k], [0.01, 0.1, 0.2][k], 0.5, np.ones(2))
        np.testing.assert_array_equal(got[k], one)


@pytest.mark.parametrize(
    ("sigma2", "noise", "words"),
    [
        (-0.1, [Z], "sigma2 must be finite and >= 0; got -0.1"),
        (0.1, [Z, Z], "with one d"),
        (np.nan, [Z], "sigma2"),
    ],
)
def test_a_bad_step_is_refused(sigma2, noise, words):
    with pytest.raises(InvalidParameterError, match=words):
        ancestral_step(COARSE, 2, 4, [X_T], [X_0], 0.1, sigma2, noise)


# -- Gaussian data: the law of the chain, exactly --------------------------------------------------------------


def law_of_chain(orc, nodes, lam2, sigma2, start=None):
    """Means and covariances of every state of `reverse_chain`, read off by feeding it unit vectors as noise.

    start : (mean, cov) at the last node; None is N(0, I). For data for which the prediction is affine.
    """
    d, steps = orc.q0.d, len(nodes) - 1
    inputs = d * (steps + 1)
    unit = np.vstack([np.zeros(inputs), np.eye(inputs)]).reshape(inputs + 1, steps + 1, d)
    mean, cov = (np.zeros(d), np.eye(d)) if start is None else start
    x = mean + unit[:, -1] @ np.linalg.cholesky(cov).T
    states = list(reverse_chain(orc.x0, orc.process, np.array(nodes), x, lam2, sigma2, lambda k: unit[:, k]))
    centres = [state[0] for _, state in states]
    slopes = [(state[1:] - state[0]).T for _, state in states]
    return [t for t, _ in states], centres, [slope @ slope.T for slope in slopes], slopes


def lam2_of(kind, nodes, rng):
    tilde = lambda2_ddpm(COARSE, nodes[:-1], nodes[1:])
    return {
        "ddpm": tilde,
        "ddim": np.zeros(len(tilde)),
        "eta": 0.3 * tilde,
        "any": rng.uniform(0, 1, len(tilde)) * COARSE.beta_bar[nodes[:-1]],
    }[kind]


def drift_of_isotropic(nodes, lam2, change=lambda sigma2, mmse: sigma2):
    """Largest departure from q_t over the nodes, from x_T ~ q_N, with the optimal variances of N(m, 0.3 I)."""
    q0 = GaussianMixture([1.0], [[0.4, -1.0]], [0.3], "spherical")
    orc = Oracle(q0, COARSE)
    v = orc.mmse(nodes[1:]).value
    sigma2 = change(optimal_variance_from_mmse(COARSE, nodes[:-1], nodes[1:], v, lam2), v)
    a, s = COARSE.levels(nodes)
    start = a[-1] * q0.means[0], (0.3 * a[-1] ** 2 + s[-1] ** 2) * np.eye(2)
    times, centres, covs, _ = law_of_chain(orc, nodes, lam2, sigma2, start)
    assert times == [*nodes[::-1], 0]
    worst = 0.0
    for t, centre, cov in list(zip(times, centres, covs))[:-1]:
        a, s = COARSE.levels(t)
        worst = max(worst, np.abs(centre - a * q0.means[0]).max())
        worst = max(worst, np.abs(cov - (0.3 * a**2 + s**2) * np.eye(2)).max())
    return worst


@pytest.mark.parametrize("kind", ["ddpm", "ddim", "eta", "any"])
def test_optimal_variances_keep_the_marginals_of_isotropic_data(kind):
    """Every pair (x_s, x_t) is Gaussian with an isotropic residual: the chain is exact for every lam2."""
    rng = np.random.default_rng(2)
    for nodes in ([1, 6], [1, 3, 4, 6], [2, 5, 6], [1, 2, 3, 4, 5, 6]):
        nodes = np.array(nodes)
        assert drift_of_isotropic(nodes, lam2_of(kind, nodes, rng)) < 1e-13  # measured 1e-15


@pytest.mark.parametrize(
    "change",
    [
        lambda s, v: np.roll(s, 1),
        lambda s, v: 1.01 * s,
        lambda s, v: v,
        lambda s, v: np.sqrt(s),
        lambda s, v: np.zeros_like(s),
    ],
    ids=["shifted by a step", "1% more", "V", "deviation", "none"],
)
def test_other_variances_do_not(change):
    nodes = np.array([1, 3, 4, 6])
    assert drift_of_isotropic(nodes, lam2_of("ddpm", nodes, np.random.default_rng(2)), change) > 1e-3


@settings(max_examples=30, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_ddpm_chain_of_any_gaussian_data_and_variances(d, K, seed):
    """The joint law of all nodes is that of the regressions, from N(0, I), with the variances given."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(d, d))
    mean, cov = rng.normal(size=d), root @ root.T + 0.05 * np.eye(d)
    nodes = np.sort(rng.choice(np.arange(1, 7), K, replace=False))
    variances = rng.uniform(0, 1, K - 1)
    orc = Oracle(GaussianMixture([1.0], [mean], [cov]), COARSE)
    _, centres, covs, slopes = law_of_chain(orc, nodes, lam2_of("ddpm", nodes, rng), variances)
    p_mean, p_cov = reverse_joint(*forward_joint(mean, cov, COARSE.alpha_bar[nodes]), d, variances)
    joint = np.concatenate(slopes[:-1][::-1])
    np.testing.assert_allclose(np.concatenate(centres[:-1][::-1]), p_mean, atol=1e-11)
    np.testing.assert_allclose(joint @ joint.T, p_cov, atol=1e-11)
    a, s = COARSE.levels(nodes[0])
    gain = a * cov @ np.linalg.inv(a * a * cov + s * s * np.eye(d))
    np.testing.assert_allclose(centres[-1], mean + gain @ (centres[-2] - a * mean), atol=1e-11)
    np.testing.assert_allclose(covs[-1], gain @ covs[-2] @ gain.T, atol=1e-11)  # the mean alone: no noise


def test_optimal_rule_is_the_residual_of_the_regressions():
    cov = np.array([[2.0, 0.3], [0.3, 0.4]])
    nodes = np.array([1, 3, 6])
    orc = Oracle(GaussianMixture([1.0], [[0.0, 0.0]], [cov]), COARSE)
    mmse = np.full(7, np.nan)
    mmse[nodes] = orc.mmse(nodes).value
    truth = residual_variances(forward_joint(np.zeros(2), cov, COARSE.alpha_bar[nodes])[1], 2)
    np.testing.assert_allclose(reverse_variances(COARSE, nodes, "optimal", mmse=mmse), truth, rtol=1e-13)


# -- sample(): the chain by hand -------------------------------------------------------------------------------


def by_hand(orc, nodes, lam2, sigma2, x, noise):
    """The chain with plain arithmetic on eps, step by step."""
    sch = orc.process
    for k in range(len(nodes) - 1, 0, -1):
        s, t = nodes[k - 1], nodes[k]
        eps = orc.eps(x, t)
        x0 = (x - np.sqrt(sch.beta_bar[t]) * eps) / np.sqrt(sch.alpha_bar[t])
        x = np.sqrt(sch.alpha_bar[s]) * x0 + np.sqrt(sch.beta_bar[s] - lam2[k - 1]) * eps
        x = x + np.sqrt(sigma2[k - 1]) * noise[k - 1]
    return (x - np.sqrt(sch.beta_bar[nodes[0]]) * orc.eps(x, nodes[0])) / np.sqrt(sch.alpha_bar[nodes[0]])


NODES = [1, 40, 300, 999, 1000]
ORACLE = Oracle(PLANE, LINEAR)
TILDE = lambda2_ddpm(LINEAR, NODES[:-1], NODES[1:])
ETA = lambda2_ddim(LINEAR, NODES[:-1], NODES[1:], 0.5)
V = np.append(0.0, ORACLE.mmse(np.arange(1, 1001), 200, 0, method="trace").value)


def star(lam2):
    return optimal_variance_from_mmse(LINEAR, NODES[:-1], NODES[1:], V[NODES[1:]], lam2)


RULES = {
    "default": ({}, TILDE, TILDE),
    "beta_tilde": ({"variance": "beta_tilde"}, TILDE, TILDE),
    "beta": ({"variance": "beta"}, TILDE, 1 - LINEAR.alpha_bar[NODES[1:]] / LINEAR.alpha_bar[NODES[:-1]]),
    "optimal": ({"variance": "optimal", "mmse": V}, TILDE, star(TILDE)),
    "ddim": ({"lam2": "ddim"}, 0 * TILDE, 0 * TILDE),
    "ddim by numbers": ({"lam2": 0.0, "variance": 0.0}, 0 * TILDE, 0 * TILDE),
    "ddim, optimal": ({"lam2": "ddim", "variance": "optimal", "mmse": V}, 0 * TILDE, star(0 * TILDE)),
    "eta": ({"lam2": ETA}, ETA, ETA),
    "eta, beta_tilde": ({"lam2": ETA, "variance": "beta_tilde"}, ETA, TILDE),
    "array": ({"variance": [0.1, 0.2, 0.3, 0.4]}, TILDE, np.array([0.1, 0.2, 0.3, 0.4])),
    "clipped": (
        {"variance": "optimal", "mmse": 3 * V, "clip": (-0.5, 0.5)},
        TILDE,
        np.minimum(
            TILDE + 3 * (star(TILDE) - TILDE),
            np.minimum(
                optimal_variance_from_mmse(LINEAR, NODES[:-1], NODES[1:], np.full(4, 0.25), TILDE),
                optimal_variance_from_mmse(LINEAR, NODES[:-1], NODES[1:], 1 / LINEAR.snr[NODES[1:]], TILDE),
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["oracle", "eps", "x0", "v"])
def test_sample_is_the_chain_by_hand(name, kind):
    options, lam2, sigma2 = RULES[name]
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((20, 2)), rng.standard_normal((4, 20, 2))
    model = ORACLE if kind == "oracle" else getattr(ORACLE, kind)
    told = {} if kind == "oracle" else {"predicts": kind}
    got = sample(model, LINEAR, NODES, 20, x_T=x, noise=noise, **told, **options)
    truth = by_hand(ORACLE, NODES, lam2, sigma2, x, noise)
    np.testing.assert_allclose(got, truth, atol=1e-9)  # measured 3e-11: eps at t = 1000 times 158


def test_every_rule_gives_something_else():
    rng = np.random.default_rng(0)
    x, noise = rng.standard_normal((3, 2)), rng.standard_normal((4, 3, 2))
    distinct = [name for name in RULES if name not in ("beta_tilde", "ddim by numbers")]
    found = [sample(ORACLE, LINEAR, NODES, 3, x_T=x, noise=noise, **RULES[name][0]) for name in distinct]
    for i in range(len(found)):
        for j in range(i):
            assert np.abs(found[i] - found[j]).max() > 1e-4, (distinct[i], distinct[j])


def test_an_oracle_finds_its_own_optimal_variances():
    orc = Oracle(LINE, LINEAR)
    mmse = np.full(1001, np.nan)
    mmse[NODES] = orc.mmse(NODES).value
    given = sample(orc, LINEAR, NODES, 5, 0, variance="optimal", mmse=mmse)
    np.testing.assert_array_equal(sample(orc, LINEAR, NODES, 5, 0, variance="optimal"), given)


def test_zero_terminal_snr_needs_x0_or_v():
    orc = Oracle(PLANE, TERMINAL)
    x, noise = np.ones((2, 2)), np.ones((2, 2, 2))
    truth = sample(orc, TERMINAL, [1, 3, 4], 2, x_T=x, noise=noise)
    for kind in ("x0", "v"):
        got = sample(getattr(orc, kind), TERMINAL, [1, 3, 4], 2, x_T=x, noise=noise, predicts=kind)
        np.testing.assert_allclose(got, truth, atol=1e-13)
    with pytest.raises(InvalidParameterError, match=r"at t = 4 alpha_bar is 0 and eps says nothing.*x0"):
        sample(orc.eps, TERMINAL, [1, 3, 4], 2, x_T=x, noise=noise)


def test_predictions_of_the_clean_point():
    x0, eps = np.array([0.3, -1.0]), np.array([0.5, 0.2])
    a, s = (float(z) for z in COARSE.levels(3))
    x = a * x0 + s * eps
    for output, kind in ((eps, "eps"), (x0, "x0"), (a * eps - s * x0, "v")):
        np.testing.assert_allclose(clean_prediction(COARSE, 3, x, output, kind), x0, atol=1e-15)


# -- sample(): the rest of its promises ------------------------------------------------------------------------


def test_what_a_model_is_called_with():
    seen = []

    def model(x, t):
        seen.append((x.shape, x.dtype, t.shape, t.dtype, set(t.tolist())))
        eps = ORACLE.eps(x, t)
        x[:] = np.nan  # a model may use its input as scratch
        return eps

    reports = []
    got = sample(model, LINEAR, NODES, 7, 3, d=2, progress=lambda done, total: reports.append((done, total)))
    np.testing.assert_allclose(got, sample(ORACLE, LINEAR, NODES, 7, 3), atol=1e-9)
    assert [times for *_, times in seen] == [{1000}, {999}, {300}, {40}, {1}]
    assert {entry[:4] for entry in seen} == {((7, 2), np.dtype("f8"), (7,), np.dtype("i8"))}
    assert reports == [(k, 5) for k in range(1, 6)]


def test_seeds_dtype_and_trajectory_objects():
    one, two = (sample(ORACLE, LINEAR, NODES, 4, seed) for seed in (0, 1))
    np.testing.assert_array_equal(one, sample(ORACLE, LINEAR, NODES, 4, np.random.default_rng(0)))
    assert np.abs(one - two).max() > 1e-3
    assert one.dtype == np.float64
    assert sample(ORACLE, LINEAR, NODES, 4, x_T=np.ones((4, 2), np.float32)).dtype == np.float32
    assert sample(ORACLE, LINEAR, NODES, 4, x_T=np.ones((4, 2), int)).dtype == np.float64
    given = Trajectory(np.array(NODES), 0.0, "given")
    np.testing.assert_array_equal(sample(ORACLE, LINEAR, given, 4, 0), one)


def test_a_trajectory_may_start_below_N_and_end_above_1():
    assert sample(ORACLE, LINEAR, [20, 300, 900], 3, 0).shape == (3, 2)


# -- mixtures, by statistics -----------------------------------------------------------------------------------

EVENTS = {
    "narrow component": lambda x: x < -0.5,
    "within a deviation of it": lambda x: np.abs(x + 1.5) < 0.1,
    "wide component, lower half": lambda x: (x > -0.5) & (x < 1.0),
    "within a deviation": lambda x: np.abs(x - 1.0) < 0.2,
    "beyond two": lambda x: x > 1.4,
}
COUNT = 6000


def probabilities(orc, node):
    """P(x̂_0(x_node) in each event) under the forward process, by the trapezoidal rule."""
    a, s = (float(z) for z in orc.process.levels(node))
    x = np.arange(-6, 6, 1e-4)
    density = sum(
        w * norm.pdf(x, a * m, np.sqrt(a * a * v + s * s))
        for w, m, v in zip(orc.q0.weights, orc.q0.means[:, 0], orc.q0.covariances)
    )
    clean = orc.x0(x[:, None], node)[:, 0]
    return {name: float(density @ event(clean)) * 1e-4 for name, event in EVENTS.items()}


def misses(orc, nodes, x, kl):
    """By how much each frequency leaves what Pinsker's inequality and 5 binomial deviations allow."""
    out = {}
    for name, p in probabilities(orc, nodes[0]).items():
        slack = np.sqrt(kl / 2) + 5 * np.sqrt(p * (1 - p) / COUNT)
        out[name] = abs(EVENTS[name](x[:, 0]).mean() - p) - slack
    return out


def test_a_mixture_is_sampled_as_exactly_as_the_kl_says():
    orc = Oracle(LINE, LINEAR)
    mmse = np.append(0.0, orc.mmse(np.arange(1, 1001)).value)
    nodes = optimal_trajectory(LINEAR.snr, mmse, 200).timesteps
    kl = float(trajectory_kl(orc, nodes).value)
    assert kl < 2e-2
    x = sample(orc, LINEAR, nodes, COUNT, 5, variance="optimal", mmse=mmse)
    assert max(misses(orc, nodes, x, kl).values()) < 0  # false alarm 3e-6 by chance alone
    blurred = x + 0.3 * np.random.default_rng(0).standard_normal(x.shape)
    shifted = x + 0.2
    other = np.where(np.random.default_rng(0).random(x.shape) < 0.3, -1.5, x)
    for wrong in (blurred, shifted, other):
        assert max(misses(orc, nodes, wrong, kl).values()) > 0.01


def test_within_a_component_mean_and_variance_are_right():
    """Every variance rule on a fine trajectory; means and variances with 5 standard errors and the rule's own error."""
    orc = Oracle(LINE, LINEAR)
    nodes = even_grid(1000, 250)
    for options, allowed in (({}, 0.12), ({"variance": "optimal"}, 0.05), ({"variance": "beta"}, 0.2)):
        x = sample(orc, LINEAR, nodes, 4000, 1, **options)[:, 0]
        for side, mean, variance in ((x < -0.5, -1.5, 0.01), (x > -0.5, 1.0, 0.04)):
            part = x[side]
            assert abs(part.mean() - mean) < 5 * np.sqrt(variance / len(part)) + 0.01
            assert abs(part.var() / variance - 1) < 5 * np.sqrt(2 / len(part)) + allowed
        assert abs((x < -0.5).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / 4000) + 0.01


def test_ddim_tends_to_the_quantile_map():
    """On a line the probability flow keeps the order of points, so it maps quantiles to quantiles; DDIM is order 1."""
    orc = Oracle(LINE, LINEAR)

    def cdf(t, x):
        a, s = (float(z) for z in LINEAR.levels(t))
        return sum(
            w * norm.cdf(x, a * m, np.sqrt(a * a * v + s * s))
            for w, m, v in zip(LINE.weights, LINE.means[:, 0], LINE.covariances)
        )

    start = np.array([-2.0, -1.0, -0.3, 0.4, 1.5])
    shares = cdf(1000, start)
    truth = [brentq(lambda y, p=p: cdf(1, y) - p, -9, 9, xtol=1e-13) for p in shares]
    errors = []
    for K in (126, 251, 501):
        nodes = even_grid(1000, K)
        states = dict(
            reverse_chain(
                orc.x0, LINEAR, nodes, start[:, None], np.zeros(K - 1), np.zeros(K - 1), lambda k: None
            )
        )
        errors.append(np.abs(states[1][:, 0] - truth).max())
    assert errors[2] < 0.02
    assert 1.5 < errors[0] / errors[1] < 2.6
    assert 1.5 < errors[1] / errors[2] < 2.6


# -- wrong use -------------------------------------------------------------------------------------------------


def nan_at(bad):
    def model(x, t):
        eps = ORACLE.eps(x, t)
        if t[0] == bad:
            eps[1, 0] = np.nan
        return eps

    return model


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((ORACLE, LINEAR, [1], 2), {}, "at least 2 nodes"),
        ((ORACLE, LINEAR, [1000, 1], 2), {}, "must increase strictly"),
        ((ORACLE, LINEAR, [0, 1000], 2), {}, r"1\.\.1000"),
        ((ORACLE, LINEAR, [1, 1001], 2), {}, r"1\.\.1000"),
        ((ORACLE, LINEAR, [1.0, 2.0], 2), {}, "integer timestep"),
        ((ORACLE, LINEAR, NODES, 0), {}, "num must be a whole number >= 1"),
        ((ORACLE, LINEAR, NODES, 2.0), {}, "num must be a whole number"),
        ((ORACLE, COARSE, [1, 6], 2), {}, "sch must be the schedule of the oracle"),
        ((ORACLE, Process.vp_linear(), [1, 6], 2), {}, "sch must be a Schedule; got Process"),
        (("model", LINEAR, NODES, 2), {}, r"an Oracle or a function f\(x, t\); got str"),
        ((ORACLE.eps, LINEAR, NODES, 2), {}, "d must be given"),
        ((ORACLE.eps, LINEAR, NODES, 2), {"d": 0}, "d must be a whole number >= 1"),
        ((ORACLE, LINEAR, NODES, 2), {"d": 3}, "d is that of the oracle, 2; got 3"),
        ((ORACLE.eps, LINEAR, NODES, 2), {"d": 2, "predicts": "score"}, "one of eps, x0, v; got 'score'"),
        (
            (ORACLE, LINEAR, NODES, 2),
            {"x_T": np.ones((3, 2))},
            r"x_T must have shape .* \(2, 2\); got \(3, 2\)",
        ),
        ((ORACLE, LINEAR, NODES, 2), {"x_T": np.full((2, 2), np.inf)}, "x_T must be finite"),
        ((ORACLE, LINEAR, NODES, 2), {"noise": np.ones((5, 2, 2))}, r"noise must have shape .*\(4, 2, 2\)"),
        ((ORACLE, LINEAR, NODES, 2), {"noise": np.full((4, 2, 2), np.nan)}, "noise must be finite"),
        (
            (ORACLE, LINEAR, NODES, 2),
            {"variance": "fixed"},
            "one of lam2, beta, beta_tilde, optimal.*'fixed'",
        ),
        ((ORACLE, LINEAR, NODES, 2), {"variance": [0.1]}, r"one for each of the 4 steps"),
        ((ORACLE, LINEAR, NODES, 2), {"variance": -0.1}, "variance must be >= 0; it is -0.1 .* from 40 to 1"),
        (
            (ORACLE, LINEAR, NODES, 2),
            {"variance": 0.1, "clip": "bounds"},
            "clip goes with a rule.*clip_variance",
        ),
        ((ORACLE, LINEAR, NODES, 2), {"lam2": "DDPM"}, "one of ddpm, ddim"),
        ((ORACLE, LINEAR, NODES, 2), {"lam2": -0.1}, "lam2 must lie in"),
        ((ORACLE, LINEAR, NODES, 2), {"lam2": 0.5}, r"lam2 must lie in \[0, beta_bar_s\]"),
        ((ORACLE.eps, LINEAR, NODES, 2), {"d": 2, "variance": "optimal"}, 'rule "optimal" needs mmse'),
        ((ORACLE, LINEAR, NODES, 2), {"variance": "optimal", "mmse": -V}, 'V < 0 gives such: clip="bounds"'),
        ((ORACLE, LINEAR, NODES, 2), {"rng": "seed"}, "rng must be"),
        ((nan_at(300), LINEAR, NODES, 2), {"d": 2}, r"at t = 300 1 of 4 are nan or inf, at .*\[1, 0\]"),
        (
            (lambda x, t: x[:, :1], LINEAR, NODES, 2),
            {"d": 2},
            r"shape of x, \(2, 2\); at t = 1000 .* \(2, 1\)",
        ),
        ((lambda x, t: ["a"], LINEAR, NODES, 2), {"d": 2}, "output at t = 1000 must be real numbers"),
    ],
)
def test_wrong_arguments_are_refused(arguments, options, words):
    with pytest.raises(InvalidParameterError, match=words):
        sample(*arguments, **options)
