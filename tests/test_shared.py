"""The shared-covariance estimators against Bayes' rule in 700 digits, a plain softmax, and quadrature.

So many digits because weights reach 1e-300, and x_0 - E[x_0|x_t] is then a difference in the 300th digit.
"""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, replace

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from dpmoracle import shared
from dpmoracle.errors import InvalidParameterError
from dpmoracle.shared import ESTIMATORS, shared_mmse, shared_moments, shared_samples

# |exponent| of a weight reaches 700 before it underflows, and costs that many roundings.
RTOL = 1e-12


@dataclass(frozen=True)
class Case:
    """Arguments of shared_samples without the estimator."""

    x0: np.ndarray
    noise: np.ndarray
    own: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    tau2: float
    a: np.ndarray
    sigma: np.ndarray

    def samples(self, estimator: str) -> np.ndarray:
        return shared_samples(*self._arguments(), estimator)

    def moments(self, estimator: str) -> shared.Moments:
        return shared_moments(*self._arguments(), estimator)

    def _arguments(self) -> tuple:
        return self.x0, self.noise, self.own, self.weights, self.means, self.tau2, self.a, self.sigma


def case(
    seed: int, weights: list[float], means: np.ndarray, tau2: float, snr: list[float], M: int = 3
) -> Case:
    rng = np.random.default_rng(seed)
    w, u = np.array(weights), np.array(snr)
    own = rng.choice(len(w), size=M, p=w / w.sum())
    x0 = means[own] + np.sqrt(tau2) * rng.standard_normal((M, means.shape[1]))
    return Case(
        x0, rng.standard_normal(x0.shape), own, w, means, tau2, np.sqrt(u / (1 + u)), np.sqrt(1 / (1 + u))
    )


def bayes(c: Case, m: int, t: int) -> dict[str, tuple[mp.mpf, mp.mpf]]:
    """The five values of sample m at level t from Bayes' rule, and the size of the terms each is made of."""

    def vector(x: np.ndarray) -> mp.matrix:
        return mp.matrix([mp.mpf(float(v)) for v in x])

    def norm2(x: mp.matrix) -> mp.mpf:
        return mp.fsum(v * v for v in x)

    with mp.workdps(700):
        a, sigma, tau2 = mp.mpf(float(c.a[t])), mp.mpf(float(c.sigma[t])), mp.mpf(c.tau2)
        x0, eps, y = vector(c.x0[m]), vector(c.noise[m]), [vector(row) for row in c.means]
        d = len(x0)
        x = a * x0 + sigma * eps
        v = a**2 * tau2 + sigma**2
        r = [mp.mpf(float(w)) * mp.exp(-norm2(x - a * yi) / (2 * v)) for w, yi in zip(c.weights, y)]
        r = [ri / mp.fsum(r) for ri in r]
        centres = [yi + a * tau2 / v * (x - a * yi) for yi in y]
        variance = tau2 - (a * tau2) ** 2 / v
        mean = sum((ri * mi for ri, mi in zip(r, centres)), mp.zeros(d, 1))
        pair = mp.fsum(ri * (d * variance + norm2(x0 - mi)) for ri, mi in zip(r, centres)) / (2 * d)
        trace = variance + mp.fsum(ri * norm2(mi - mean) for ri, mi in zip(r, centres)) / d
        residual = norm2(x0 - mean) / d
        slope = sum((ri * (a * yi - x) / v for ri, yi in zip(r, y)), mp.zeros(d, 1))
        gamma = norm2(slope) / d
        size = residual + trace
        middle = sum((ri * yi for ri, yi in zip(r, y)), mp.zeros(d, 1))
        spread = mp.fsum(ri * norm2(yi - middle) for ri, yi in zip(r, y))
        big = (a**2 * (norm2(x0 - middle) + spread) + sigma**2 * norm2(eps)) / d / v**2
        values = {"pair": (pair, size), "trace": (trace, size), "residual": (residual, size)}
        values["gamma"] = (gamma, big)
        if a > 0:
            values["score"] = (
                sigma**2 / a**2 * (1 - sigma**2 * gamma),
                sigma**2 / a**2 * (1 + sigma**2 * big),
            )
        return values


def worst(c: Case, estimators: tuple[str, ...] = ESTIMATORS) -> float:
    """Largest error against Bayes' rule, relative to the terms that a value is made of."""
    found = {e: c.samples(e) for e in estimators}
    errors = [0.0]
    for m, t in itertools.product(range(len(c.x0)), range(len(c.a))):
        truth = bayes(c, m, t)
        for e in estimators:
            value, size = truth[e]
            error = abs(mp.mpf(float(found[e][m, t])) - value)
            errors.append(float(error / size) if size > mp.mpf("1e-290") else float(error > 1e-290))
    return max(errors)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """SNR 1e-12..1e12, means on scales 1e-6..1e2, coincident and near components, weights 1e-300 and 0."""
    d, C = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    means = 10.0 ** draw(st.integers(-6, 2)) * rng.standard_normal((C, d))
    if C > 1 and draw(st.booleans()):
        means[1] = means[0] + draw(st.sampled_from([0.0, 1e-6])) * means[1]
    weights = [1.0, *(draw(st.sampled_from([1.0, 0.3, 1e-3, 1e-300, 0.0])) for _ in range(C - 1))]
    tau2 = draw(st.sampled_from([0.0, 1e-10, 1e-3, 1.0, 30.0]))
    snr = [10.0 ** draw(st.floats(-12, 12)) for _ in range(2)]
    return case(seed, weights, means, tau2, snr, M=2)


@given(cases())
@settings(max_examples=120, deadline=None)
def test_equals_bayes_rule_in_700_digits(c: Case) -> None:
    assert worst(c) < RTOL


PLAIN = case(5, [0.5, 0.2, 0.3], np.array([[0.0, 1.0], [1.5, -0.5], [-1.0, 0.3]]), 0.3, [0.2, 1.0, 30.0])


def _changed(**fields: Callable[[shared._Levels], np.ndarray]) -> Callable[..., shared._Levels]:
    right = shared._levels

    def levels(a: np.ndarray, sigma: np.ndarray, tau2: float) -> shared._Levels:
        level = right(a, sigma, tau2)
        return level._replace(**{name: change(level) for name, change in fields.items()})

    return levels


LEVEL_MUTANTS = {
    "a for a²": _changed(distance=lambda x: x.a / x.total),
    "tau² forgotten in the distance": _changed(distance=lambda x: x.a**2 / x.sigma**2),
    "tau² forgotten in the noise": _changed(noise=lambda x: x.a / x.sigma),
    "sigma² for sigma": _changed(noise=lambda x: x.a * x.sigma**2 / x.total),
    "sign of the noise": _changed(noise=lambda x: -x.noise),
    "mean not shrunk": _changed(shrink=lambda x: np.ones_like(x.a)),
    "sigma for sigma² in the shrinking": _changed(shrink=lambda x: x.sigma / x.total),
    "sign of the push": _changed(push=lambda x: -x.push),
    "no push": _changed(push=lambda x: 0 * x.push),
    "prior variance within": _changed(within=lambda x: x.within / x.shrink),
    "no variance within": _changed(within=lambda x: 0 * x.within),
    "sigma² for v": _changed(total=lambda x: x.sigma**2),
}


def test_the_plain_case_passes() -> None:
    assert worst(PLAIN) < RTOL


@pytest.mark.parametrize("name", LEVEL_MUTANTS)
def test_wrong_levels_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "_levels", LEVEL_MUTANTS[name])
    assert worst(PLAIN) > 1e3 * RTOL


STATISTIC_MUTANTS: dict[str, tuple[str, Callable[..., np.ndarray]]] = {
    "whole pair": ("pair", lambda *x: 2 * shared._pair(*x)),
    "pair without S": ("pair", lambda *x: shared._pair(*x) - 0.5 * x[3].within),
    "pair with G and E exchanged": ("pair", lambda s, *x: shared._pair(s[..., ::-1], *x)),
    "second moment for the trace": ("trace", lambda s, *x: shared._trace(s * [1, 0, 0], *x)),
    "trace not over d": ("trace", lambda *x: 2 * shared._trace(*x)),
    "sign of the mean in the residual": ("residual", lambda s, *x: shared._residual(-s, *x)),
    "sign of the mean in the score": ("gamma", lambda s, *x: shared._gamma(-s, *x)),
    "score norm with sigma for sigma²": (
        "score",
        lambda *x: (x[3].sigma / x[3].a) ** 2 * (1 - x[3].sigma * shared._gamma(*x)),
    ),
    "score norm with beta_bar forgotten": (
        "score",
        lambda *x: (x[3].sigma / x[3].a) ** 2 * (1 - shared._gamma(*x)),
    ),
    "score norm with a for a²": (
        "score",
        lambda *x: x[3].sigma ** 2 / x[3].a * (1 - x[3].sigma ** 2 * shared._gamma(*x)),
    ),
}


@pytest.mark.parametrize("name", STATISTIC_MUTANTS)
def test_wrong_statistics_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    estimator, wrong = STATISTIC_MUTANTS[name]
    monkeypatch.setitem(shared._STATISTICS, estimator, wrong)
    assert worst(PLAIN, (estimator,)) > 1e3 * RTOL


@pytest.mark.parametrize("threshold", [-1.0, -300.0])
def test_leaving_out_too_much_is_caught(threshold: float, monkeypatch: pytest.MonkeyPatch) -> None:
    far = case(6, [0.5, 0.5], np.array([[0.0, 0.0], [30.0, 0.0]]), 0.0, [1.0, 1.1], M=1)
    assert worst(far) < RTOL
    monkeypatch.setattr(shared, "_UNDERFLOW", threshold)
    assert worst(far) > 1e3 * RTOL


def naive(c: Case, t: int) -> dict[str, np.ndarray]:
    """(M,) values at one level by a softmax over ‖x_t - a y_i‖², on the definitions."""
    a, sigma = c.a[t], c.sigma[t]
    x = a * c.x0 + sigma * c.noise
    v = a * a * c.tau2 + sigma * sigma
    apart = x[:, None, :] - a * c.means
    logits = np.log(c.weights) - np.square(apart).sum(-1) / (2 * v)
    r = np.exp(logits - logits.max(1, keepdims=True))
    r /= r.sum(1, keepdims=True)
    centres = c.means + a * c.tau2 / v * apart
    variance, d = c.tau2 * sigma**2 / v, x.shape[1]
    mean = np.einsum("mc,mcd->md", r, centres)
    far = np.square(c.x0[:, None, :] - centres).sum(-1)
    spread = np.square(centres - mean[:, None, :]).sum(-1)
    gamma = np.square(np.einsum("mc,mcd->md", r, apart) / v).sum(-1) / d
    return {
        "pair": 0.5 * ((r * far).sum(1) / d + variance),
        "trace": (r * spread).sum(1) / d + variance,
        "residual": np.square(c.x0 - mean).sum(-1) / d,
        "gamma": gamma,
        "score": sigma**2 / a**2 * (1 - sigma**2 * gamma),
    }


@pytest.mark.parametrize("tau2", [0.0, 0.05])
def test_equals_a_softmax_per_timestep(tau2: float) -> None:
    rng = np.random.default_rng(3)
    c = case(
        4,
        list(rng.uniform(0.5, 2.0, 60)),
        rng.standard_normal((60, 16)),
        tau2,
        list(np.geomspace(1e-3, 1e3, 40)),
        M=30,
    )
    truth = [naive(c, t) for t in range(len(c.a))]
    for e in ESTIMATORS:
        np.testing.assert_allclose(c.samples(e), np.stack([x[e] for x in truth], 1), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_blocks_do_not_change_the_values(estimator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    c = case(4, [1.0] * 40, rng.standard_normal((40, 5)), 0.02, list(np.geomspace(1e-4, 1e6, 90)), M=11)
    whole = c.samples(estimator)
    before = c.moments(estimator)
    np.testing.assert_allclose(before.mean, whole.mean(0), rtol=1e-12)
    np.testing.assert_allclose(before.stderr, whole.std(0, ddof=1) / np.sqrt(11), rtol=1e-11)
    monkeypatch.setattr(shared, "_CACHED", 64)
    monkeypatch.setattr(shared, "_HELD", 200)
    np.testing.assert_allclose(c.samples(estimator), whole, rtol=1e-12)
    np.testing.assert_allclose(c.moments(estimator).mean, before.mean, rtol=1e-12)
    slack = 1e-14 * before.mean.max()
    np.testing.assert_allclose(c.moments(estimator).stderr, before.stderr, rtol=1e-11, atol=slack)


def two_modes(u: float, tau2: float, d: int) -> tuple[float, float]:
    """V and Γ of ½N(e, tau2 I) + ½N(-e, tau2 I), |e| = 1, by quadrature along e and closed form across."""
    a, sigma = np.sqrt(u / (1 + u)), np.sqrt(1 / (1 + u))
    v = a * a * tau2 + sigma**2

    def along(f: Callable[[float], float]) -> float:
        def integrand(z: float) -> float:
            return f(a + np.sqrt(v) * z) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

        return quad(integrand, -12, 12, epsabs=1e-13, epsrel=1e-12, limit=400)[0]

    within = tau2 * sigma**2 / v
    mmse = within + (sigma**2 / v) ** 2 * along(lambda x: 1 / np.cosh(min(abs(a * x / v), 300.0)) ** 2) / d
    slope = along(lambda x: ((x - a * np.tanh(a * x / v)) / v) ** 2)
    return mmse, (slope + (d - 1) / v) / d


LEVELS = [0.05, 0.5, 2.0, 6.0]


@pytest.mark.parametrize("tau2", [0.0, 0.2])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_mean_is_the_quadrature(estimator: str, tau2: float) -> None:
    """|z| < 5 in 40 comparisons: a false alarm in 2e-5 of the seeds."""
    e = np.array([0.6, 0.0, 0.8])
    u = np.array(LEVELS)
    a, sigma = np.sqrt(u / (1 + u)), np.sqrt(1 / (1 + u))
    got = shared_mmse([1, 1], [e, -e], tau2, a, sigma, num_samples=20_000, rng=8, estimator=estimator)
    want = np.array([two_modes(x, tau2, 3)[estimator == "gamma"] for x in LEVELS])
    assert got.method == estimator
    assert (got.error < 0.4 * want).all()
    assert (np.abs(got.value - want) < 5 * got.error).all()


def test_the_four_estimators_agree_in_mean() -> None:
    """Differences sample by sample, |z| < 5 in 36 comparisons: a false alarm in 2e-5 of the seeds."""
    rng = np.random.default_rng(0)
    c = case(9, [0.5, 0.2, 0.1, 0.2], rng.standard_normal((4, 2)), 0.1, [0.03, 0.3, 1, 3, 10, 100], M=20_000)
    found = {e: c.samples(e) for e in ESTIMATORS if e != "gamma"}

    def z(difference: np.ndarray) -> float:
        return float(np.abs(difference.mean(0) / (difference.std(0) / np.sqrt(len(difference)))).max())

    for one, other in itertools.combinations(found, 2):
        assert z(found[one] - found[other]) < 5
        assert z(found[one] - 1.05 * found[other]) > 5, "5% would not be seen"
    assert (found["trace"].std(0) < found["pair"].std(0)).all()  # the trace is the pair's conditional mean


def test_no_signal_leaves_the_prior() -> None:
    c = replace(PLAIN, a=np.zeros(2), sigma=np.array([1.0, 80.0]))
    assert worst(c, ("pair", "trace", "residual", "gamma")) < 1e-15


def test_coincident_points_have_no_error_at_all() -> None:
    c = case(0, [0.3, 0.7], np.full((2, 3), 1 / 3), 0.0, [1e-12, 1.0, 1e12])
    for e in ("pair", "trace", "residual"):
        np.testing.assert_array_equal(c.samples(e), 0.0)


def test_single_gaussian_is_the_closed_form() -> None:
    c = case(0, [1.0], np.array([[3.0, -1.0]]), 0.5, list(np.geomspace(1e-12, 1e12, 9)))
    want = 0.5 * c.sigma**2 / (c.a**2 * 0.5 + c.sigma**2)
    np.testing.assert_allclose(c.samples("trace"), np.tile(want, (3, 1)), rtol=1e-14)


def test_levels_without_noise_where_the_components_have_width() -> None:
    """sigma = 0 and tau2 > 0: V is 0, and Γ is the Fisher information, here 1/tau2 far from the other mode."""
    c = replace(
        case(2, [1, 1], np.array([[-50.0], [50.0]]), 0.25, [1.0], M=4000), a=np.ones(1), sigma=np.zeros(1)
    )
    assert (c.samples("trace") == 0).all()
    fisher = c.moments("gamma")
    assert abs(fisher.mean[0] - 4.0) < 5 * fisher.stderr[0] < 1.0


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_high_dimension_and_wild_scales_are_finite(estimator: str) -> None:
    rng = np.random.default_rng(1)
    u = list(np.geomspace(1e-12, 1e12, 7))
    for d, scale in ((10_000, 1.0), (1, 1e6), (50, 1e-8)):
        assert np.isfinite(
            case(1, [1, 1e-300, 0], scale * rng.standard_normal((3, d)), 0.0, u).samples(estimator)
        ).all()


def test_memory_is_bounded() -> None:
    """2000 points in d = 300 at 2000 levels: one array of samples by levels by points would be 160 MB."""
    rng = np.random.default_rng(0)
    c = case(0, [1.0] * 2000, rng.standard_normal((2000, 300)), 0.0, list(np.geomspace(1e4, 1e8, 2000)), M=5)
    for e in ("pair", "trace"):
        tracemalloc.start()
        c.moments(e)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64e6


def test_the_score_says_nothing_without_signal() -> None:
    c = replace(PLAIN, a=np.array([0.5, 0.0]), sigma=np.ones(2))
    with pytest.raises(InvalidParameterError, match=r'"score" needs a > 0; a\[1\] is 0'):
        c.moments("score")
    with pytest.raises(InvalidParameterError, match=r"estimator must be one of .* got 'best'"):
        c.moments("best")


RIGHT = {"weights": [1.0, 1.0], "means": [[0.0], [1.0]], "tau2": 0.1, "a": [0.5], "sigma": [0.5]}
WRONG = {
    "weights": ({"weights": [1.0, -1.0]}, "weights must be >= 0; got -1.0"),
    "no weight": ({"weights": [0.0, 0.0]}, "some weight must be > 0; all 2 are 0"),
    "count of weights": ({"weights": [1.0]}, r"\(C,\) and means \(C, d\); got \(1,\) and \(2, 1\)"),
    "means": ({"means": [[0.0], [np.nan]]}, r"means must be finite; 1 of 2 .* \[1, 0\]"),
    "flat means": ({"means": [0.0, 1.0]}, r"got \(2,\) and \(2,\)"),
    "tau2": ({"tau2": -0.1}, "tau2 must be >= 0; got -0.1"),
    "many tau2": ({"tau2": [0.1, 0.2]}, r"tau2 must be a number, shared by all; got shape \(2,\)"),
    "levels": ({"a": [0.5, 0.4]}, r"one shape \(T,\), T >= 1; got \(2,\) and \(1,\)"),
    "no levels": ({"a": [], "sigma": []}, "T >= 1"),
    "a": ({"a": [-0.5]}, "a must be >= 0"),
    "sigma": ({"sigma": [0.0]}, "sigma must be > 0; got 0.0"),
    "text": ({"a": ["x"]}, "a must be real numbers"),
    "count": ({"num_samples": 0}, "num_samples must be a whole number >= 1; got 0"),
    "rng": ({"rng": "seed"}, "rng must be a numpy.random.Generator"),
    "estimator": ({"estimator": "mean"}, "estimator must be one of"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused(name: str) -> None:
    change, words = WRONG[name]
    shared_mmse(**RIGHT, num_samples=2, rng=0)
    with pytest.raises(InvalidParameterError, match=words):
        shared_mmse(**{**RIGHT, **change})
