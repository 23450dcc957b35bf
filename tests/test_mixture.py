"""GaussianMixture: its density, its samples, its closure under noising, where it comes from, and what it refuses."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import dpmoracle.covariances
from dpmoracle import GaussianMixture, InvalidParameterError, strategies
from dpmoracle.covariances import decompose
from mutation import mutant

KINDS = ("spherical", "diag", "tied", "full")


def build(kind: str, count: int = 3, d: int = 2, seed: int = 0) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((count, d, 2 * d))
    full = root @ root.swapaxes(1, 2) / d
    covariances = {
        "spherical": full[:, 0, 0],
        "diag": np.diagonal(full, axis1=1, axis2=2),
        "tied": full[0],
        "full": full,
    }[kind]
    return GaussianMixture(
        np.arange(1, count + 1) / (count * (count + 1) / 2),
        rng.standard_normal((count, d)),
        covariances,
        kind,
    )


def blocks(q: GaussianMixture) -> np.ndarray:
    """(C, d, d) covariances of every component."""
    s = q.covariances
    if q.covariance_type == "spherical":
        return s[:, None, None] * np.eye(q.d)
    if q.covariance_type == "diag":
        return s[:, :, None] * np.eye(q.d)
    return np.broadcast_to(s, (q.n_components, q.d, q.d))


# -- density and score ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_density_is_a_sum_of_scipys(kind: str) -> None:
    q, x = build(kind), np.random.default_rng(1).standard_normal((4, 5, 2))
    density = sum(
        w * stats.multivariate_normal(m, s).pdf(x)
        for w, m, s in zip(q.weights, q.means, blocks(q), strict=True)
    )
    assert q.log_prob(x).shape == (4, 5)
    assert np.allclose(q.log_prob(x), np.log(density), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_score_is_the_gradient(kind: str) -> None:
    q, x, h = build(kind), np.random.default_rng(2).standard_normal((6, 2)), 1e-4
    for k in range(2):
        step = h * np.eye(2)[k]
        # fourth order; the error is h^4 in truncation and 1e-16/h in rounding: measured 5e-12
        far, near = (q.log_prob(x + n * step) - q.log_prob(x - n * step) for n in (2, 1))
        assert np.allclose(q.score(x)[:, k], (8 * near - far) / (12 * h), atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_score_of_one_point_has_its_shape(kind: str) -> None:
    q = build(kind)
    assert q.score(np.zeros(2)).shape == (2,)
    assert np.ndim(q.log_prob(np.zeros(2))) == 0
    assert q.score(np.zeros((0, 2))).shape == (0, 2)


def test_weight_zero_changes_nothing() -> None:
    """Nor does a component of weight 0 that has no density."""
    q = build("diag", 2)
    padded = GaussianMixture(
        [*q.weights, 0.0], [*q.means, np.full(2, 7.0)], [*q.covariances, np.zeros(2)], "diag"
    )
    x = np.random.default_rng(0).standard_normal((5, 2))
    assert np.array_equal(padded.score(x), q.score(x))
    assert np.array_equal(padded.log_prob(x), q.log_prob(x))
    assert not padded.is_singular
    assert padded.n_components == 3
    assert padded.support.n_components == 2
    assert q.support is q


@pytest.mark.parametrize("kind", KINDS)
def test_two_halves_make_one(kind: str) -> None:
    """Splitting a component into two equal ones changes no number."""
    q, x = build(kind, 2), np.random.default_rng(3).standard_normal((5, 2))
    covariances = q.covariances if kind == "tied" else q.covariances[[0, 1, 1]]
    split = GaussianMixture(q.weights[[0, 1, 1]] * [1, 0.25, 0.75], q.means[[0, 1, 1]], covariances, kind)
    assert np.allclose(split.score(x), q.score(x), rtol=1e-13)
    assert np.allclose(split.log_prob(x), q.log_prob(x), rtol=1e-13)


# -- noising -------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    strategies.mixtures(singular=True),
    st.floats(0.0, 1.0),
    st.floats(0.1, 2.0),
    st.floats(0.0, 1.0),
    st.floats(0.0, 2.0),
)
def test_noising_twice_is_noising_once(
    q: GaussianMixture, a: float, sigma: float, b: float, tau: float
) -> None:
    twice, once = q.diffuse(a, sigma).diffuse(b, tau), q.diffuse(a * b, float(np.hypot(b * sigma, tau)))
    x = np.linspace(-2, 2, 3)[:, None] * np.ones(q.d)
    if twice.is_singular or once.is_singular:
        return
    assert np.allclose(twice.log_prob(x), once.log_prob(x), rtol=1e-10, atol=1e-10)
    # the score of a narrow law is as ill-conditioned as x/sd
    assert np.allclose(twice.score(x), once.score(x), rtol=1e-9, atol=1e-9 / once.eigenvalues().min())


@pytest.mark.parametrize("kind", KINDS)
def test_noised_covariances(kind: str) -> None:
    q = build(kind)
    noised = q.diffuse(0.6, 0.8)
    assert np.allclose(noised.means, 0.6 * q.means, rtol=1e-15)
    assert np.allclose(blocks(noised), 0.36 * blocks(q) + 0.64 * np.eye(2), rtol=1e-14)
    assert noised.covariance_type == kind
    assert np.allclose(blocks(q.diffuse(0.0, 1.0)), np.eye(2), rtol=1e-14)


# -- samples -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_samples_have_the_moments(kind: str) -> None:
    """z-scores of 5 moments and 3 counts below 4.5: one false alarm in 18,000 a kind; seeded."""
    q, m = build(kind), 20_000
    x, own = q.sample_labelled(m, np.random.default_rng(5))
    mean = q.weights @ q.means
    away = q.means - mean
    cov = np.einsum("c,cjk->jk", q.weights, blocks(q)) + np.einsum("c,cj,ck->jk", q.weights, away, away)
    assert np.allclose(q.mean(), mean, rtol=1e-14)
    assert q.trace_cov() == pytest.approx(np.trace(cov), rel=1e-14)
    for j in range(2):
        assert abs(x[:, j].mean() - mean[j]) < 4.5 * np.sqrt(cov[j, j] / m)
        for k in range(j + 1):
            products = (x[:, j] - mean[j]) * (x[:, k] - mean[k])
            assert abs(products.mean() - cov[j, k]) < 4.5 * products.std() / np.sqrt(m)
    counts = np.bincount(own, minlength=3)
    assert (np.abs(counts - m * q.weights) < 4.5 * np.sqrt(m * q.weights * (1 - q.weights))).all()


def test_each_component_is_sampled_in_its_own_basis() -> None:
    """Rosenblatt: Mahalanobis distances of a component's samples are chi-squared; one false alarm in 1,000."""
    q = build("full", 3, 3)
    x, own = q.sample_labelled(6000, np.random.default_rng(6))
    for i, block in enumerate(blocks(q)):
        away = x[own == i] - q.means[i]
        distance = (away * np.linalg.solve(block, away.T).T).sum(1)
        assert stats.kstest(distance, stats.chi2(3).cdf).pvalue > 1e-3 / 3


def test_samples_repeat_with_the_seed() -> None:
    q = build("full")
    assert np.array_equal(q.sample(7, 3), q.sample(7, np.random.default_rng(3)))
    assert not np.array_equal(q.sample(7, 3), q.sample(7, 4))
    assert q.sample(1).shape == (1, 2)


def test_points_are_sampled_as_they_are() -> None:
    y = np.arange(6.0).reshape(3, 2)
    x, own = GaussianMixture.from_points(y).sample_labelled(50, 0)
    assert np.array_equal(x, y[own])


# -- where mixtures come from --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_from_sklearn_scores_as_sklearn(kind: str, dtype: Any) -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    data = np.random.default_rng(0).standard_normal((300, 3)).astype(dtype)
    data[:150] += 3
    fitted = mixture.GaussianMixture(3, covariance_type=kind, random_state=0).fit(data)
    q = GaussianMixture.from_sklearn(fitted)
    assert q.covariance_type == kind
    tolerance = (
        1e-10 if dtype is np.float64 else 1e-4
    )  # sklearn's own precisions are of the dtype of its data
    assert np.allclose(q.log_prob(data[:50]), fitted.score_samples(data[:50]), rtol=tolerance, atol=tolerance)
    assert q.log_prob(data[:50]).dtype == dtype


def test_from_sklearn_wants_a_fit() -> None:
    mixture = pytest.importorskip("sklearn.mixture")
    with pytest.raises(InvalidParameterError, match=r"GaussianMixture has no weights_.*Call fit first"):
        GaussianMixture.from_sklearn(mixture.GaussianMixture(2))


def test_from_points() -> None:
    q = GaussianMixture.from_points([[1, 2], [3, 4], [5, 6]])
    assert q.shared_variance == 0.0
    assert q.is_singular
    assert q.weights.sum() == pytest.approx(1, abs=1e-15)
    with pytest.raises(InvalidParameterError, match=r"singular covariance has no density.*diffuse"):
        q.log_prob(np.zeros(2))
    with pytest.raises(InvalidParameterError, match="singular covariance"):
        q.score(np.zeros(2))


@pytest.mark.parametrize("kind", KINDS)
def test_covariances_come_back(kind: str) -> None:
    rng = np.random.default_rng(4)
    given = build(kind, 3, 3).covariances
    back = GaussianMixture(np.full(3, 1 / 3), rng.standard_normal((3, 3)), given, kind).covariances
    assert back.shape == given.shape
    assert np.allclose(back, given, rtol=1e-13)


def test_shared_variance() -> None:
    ones = np.ones((2, 3))
    assert GaussianMixture([0.5, 0.5], ones, [0.3, 0.3], "spherical").shared_variance == 0.3
    assert GaussianMixture([0.5, 0.5], ones, 0.3 * np.ones((2, 3)), "diag").shared_variance == 0.3
    assert GaussianMixture([0.5, 0.5], ones, 0.25 * np.eye(3), "tied").shared_variance == 0.25
    assert GaussianMixture([0.5, 0.5], ones, [0.3, 0.4], "spherical").shared_variance is None
    assert GaussianMixture([1.0, 0.0], ones, [0.3, 0.4], "spherical").shared_variance == 0.3


def test_mixtures_do_not_change() -> None:
    weights, means = np.full(2, 0.5), np.zeros((2, 2))
    q = GaussianMixture(weights, means, np.ones(2), "spherical")
    means[0] = 9.0
    assert (q.means == 0).all()
    with pytest.raises(AttributeError, match="immutable"):
        q.means = means
    with pytest.raises(ValueError, match="read-only"):
        q.means[0] = 1.0
    again = copy.deepcopy(q)
    assert np.array_equal(again.log_prob(np.ones((1, 2))), q.log_prob(np.ones((1, 2))))
    assert pickle.loads(pickle.dumps(q)).d == 2
    assert repr(q) == "GaussianMixture(C=2, d=2, covariance_type='spherical')"


# -- eigenvalues ---------------------------------------------------------------------------------------------


def uneven(seed: int, d: int = 4) -> np.ndarray:
    """Scales from 1e-8 to 1e8 around a correlation matrix that is far from singular."""
    rng = np.random.default_rng(seed)
    scales, root = 10.0 ** rng.uniform(-8, 8, d), np.eye(d) + 0.3 * rng.standard_normal((d, d))
    block = scales[:, None] * (root @ root.T) * scales
    return np.asarray(0.5 * (block + block.T))


def eigenvalue_error(decomposition: Any, seed: int) -> float:
    block = uneven(seed)
    spectrum, basis = decomposition(block, "tied", 1, 4)
    with mp.workdps(60):
        truth = sorted(float(value) for value in mp.eigsy(mp.matrix(block.tolist()), eigvals_only=True))
    assert np.allclose(basis[0].T @ basis[0], np.eye(4), atol=1e-14)
    return float(np.abs(np.sort(spectrum[0]) / truth - 1).max())


@pytest.mark.parametrize("seed", range(10))
def test_small_eigenvalues_keep_their_digits(seed: int) -> None:
    assert eigenvalue_error(decompose, seed) < 1e-14  # measured 2e-15


def test_a_common_eigensolver_would_lose_them() -> None:
    common = mutant(dpmoracle.covariances, ("_UNEVEN = 100.0", "_UNEVEN = np.inf")).decompose
    assert max(eigenvalue_error(common, seed) for seed in range(10)) > 1e-3


@pytest.mark.parametrize("scale", [1.0, 1e-5])
def test_singular_covariances_are_known_as_such(scale: float) -> None:
    """Rank one, rank two with a variance of 0, and rank 0; even and uneven."""
    scales = np.array([1.0, scale, 1.0])
    line = np.outer(scales, scales)
    plane = np.array([[1.0, 0.0, 0.3], [0.0, 0.0, 0.0], [0.3, 0.0, 1.0]]) * line
    q = GaussianMixture(np.full(3, 1 / 3), np.zeros((3, 3)), [line, plane, np.zeros((3, 3))], "full")
    assert q.is_singular
    assert ((q.eigenvalues() == 0).sum(1) == [2, 1, 3]).all()
    assert np.allclose(q.covariances, [line, plane, np.zeros((3, 3))], rtol=1e-14, atol=1e-16)
    x = q.sample(200, 0)
    assert np.linalg.matrix_rank(x @ np.diag(1 / scales), tol=1e-8) <= 3


# -- wrong inputs --------------------------------------------------------------------------------------------

ONE, MEANS = np.array([0.5, 0.5]), np.zeros((2, 3))
WRONG = {
    "negative weight": (([1.5, -0.5], MEANS, np.ones(2), "spherical"), r"weights must be >= 0; weights\[1\] is -0.5"),
    "nan weight": (([0.5, np.nan], MEANS, np.ones(2), "spherical"), r"weights must be finite; 1 of 2 .* at \[1\]"),
    "weights of 2": (([1.0, 1.0], MEANS, np.ones(2), "spherical"), "must sum to 1 within 1e-8; they sum to 2.*Divide"),
    "weights of 1 + 2e-8": (([0.5, 0.50000002], MEANS, np.ones(2), "spherical"), "they sum to 1.00000002"),
    "huge weights": (([1e308, 1e308], MEANS, np.ones(2), "spherical"), "they sum to inf"),
    "no weights": (([], np.zeros((0, 3)), np.ones(0), "spherical"), r"weights must have shape \(C,\); got \(0,\)"),
    "weights as a table": (([[1.0]], MEANS, np.ones(2), "spherical"), r"weights must have shape \(C,\); got \(1, 1\)"),
    "text": ((["a", "b"], MEANS, np.ones(2), "spherical"), "weights must be real numbers"),
    "means of another count": ((ONE, np.zeros((3, 3)), np.ones(2), "spherical"), r"= \(2, d\) .*got \(3, 3\)"),
    "means as a vector": ((ONE, np.zeros(2), np.ones(2), "spherical"), r"means must have shape .* got \(2,\)"),
    "no dimension": ((ONE, np.zeros((2, 0)), np.ones(2), "spherical"), r"got \(2, 0\)"),
    "inf in the means": ((ONE, [[0.0], [np.inf]], np.ones(2), "spherical"), r"means must be finite; .* at \[1, 0\]"),
    "means beyond 1e100": ((ONE, [[0.0], [1e101]], np.ones(2), "spherical"), r"means must lie within 1e\+100 .*Scale"),
    "unknown kind": ((ONE, MEANS, np.ones(2), "round"), "one of spherical, diag, tied, full; got 'round'"),
    "full for spherical": ((ONE, MEANS, np.ones((2, 3, 3)), "spherical"), r"shape \(C,\) = \(2,\); got \(2, 3, 3\)"),
    "one block for full": ((ONE, MEANS, np.eye(3), "full"), r"shape \(C, d, d\) = \(2, 3, 3\); got \(3, 3\)"),
    "diag of another d": ((ONE, MEANS, np.ones((2, 2)), "diag"), r"shape \(C, d\) = \(2, 3\); got \(2, 2\)"),
    "tied of another d": ((ONE, MEANS, np.eye(2), "tied"), r"shape \(d, d\) = \(3, 3\); got \(2, 2\)"),
    "negative variance": ((ONE, MEANS, [1.0, -2.0], "spherical"), "semi-definite; component 1 .* eigenvalue -2"),
    "negative in a diagonal": ((ONE, MEANS, [[1, 1, 1], [1, -3, 1]], "diag"), "component 1 .* eigenvalue -3"),
    "nan variance": ((ONE, MEANS, [1.0, np.nan], "spherical"), "covariances must be finite"),
    "huge variance": ((ONE, MEANS, [1.0, 1e201], "spherical"), r"stay below 1e\+200; .* at \[1\]"),
    "asymmetric": (
        (ONE, MEANS, [np.eye(3), np.eye(3) + 0.1 * np.tri(3, k=-1)], "full"),
        r"symmetric; component 1 differs from its transpose by 0.1\. Take 0.5 \* \(S \+ S.T\)",
    ),
    "indefinite": (
        ([1.0], [[0.0, 0.0]], [[1.0, 2.0], [2.0, 1.0]], "tied"),
        "positive semi-definite; component 0 has smallest eigenvalue -1",
    ),
    "indefinite at uneven scales": (
        ([1.0], [[0.0, 0.0]], [[1e10, 2.0], [2.0, 1e-10]], "tied"),
        "component 0 has smallest eigenvalue",
    ),
    "slightly indefinite": (([1.0], [[0.0, 0.0]], [[1.0, 1 + 1e-9], [1 + 1e-9, 1.0]], "tied"), "eigenvalue -1e-09"),
    "covariance with a variance of 0": (
        (ONE, MEANS, [np.eye(3), [[0, 1, 0], [1, 1, 0], [0, 0, 1]]], "full"),
        "component 1 has smallest eigenvalue -0.618",
    ),
    "negative variance in full": (([1.0], [[0.0, 0.0]], [np.diag([1.0, -1e-9])], "full"), "eigenvalue -1e-09"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_wrong_mixtures_are_named(name: str) -> None:
    arguments, message = WRONG[name]
    with pytest.raises(InvalidParameterError, match=rf"^GaussianMixture: .*{message}"):
        GaussianMixture(*arguments)  # type: ignore[arg-type]


def test_rounding_is_no_fault() -> None:
    GaussianMixture([0.5, 0.5 + 5e-9], MEANS, [1.0, 0.0], "spherical")
    GaussianMixture([1.0], [[0.0, 0.0]], [[1.0, 1 + 1e-14], [1 + 1e-14, 1.0]], "tied")
    GaussianMixture([1.0], [[0.0, 0.0]], [[1.0, 0.5 + 1e-9], [0.5, 1.0]], "tied")


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 2)), r"x must have shape \(\.\.\., 3\); got \(4, 2\)"),
        (1.0, r"x must have shape \(\.\.\., 3\); got \(\)"),
        ([[0.0, np.nan, 0.0]], r"x must be finite; 1 of 3 .* at \[0, 1\]"),
        ([[0.0, 2e100, 0.0]], r"x must lie within 1e\+100 of 0; got 2e\+100 at \[0, 1\]"),
    ],
)
def test_wrong_x_is_named(x: Any, message: str) -> None:
    q = build("spherical", 2, 3)
    for method in ("log_prob", "score"):
        with pytest.raises(InvalidParameterError, match=rf"^GaussianMixture\.{method}: {message}"):
            getattr(q, method)(x)


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((0, 3)), np.zeros((2, 2, 2)), [[]]])
def test_wrong_points_are_named(points: Any) -> None:
    with pytest.raises(InvalidParameterError, match=r"points must have shape \(C, d\); got .*reshape"):
        GaussianMixture.from_points(points)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, [0.5, 0.5]])
def test_wrong_levels_are_named(value: Any) -> None:
    q = build("spherical")
    with pytest.raises(InvalidParameterError, match="diffuse: a must be one finite number >= 0"):
        q.diffuse(value, 1.0)
    with pytest.raises(InvalidParameterError, match="diffuse: sigma must be one finite number >= 0"):
        q.diffuse(1.0, value)


def test_wrong_sample_sizes_are_named() -> None:
    with pytest.raises(InvalidParameterError, match="sample: m must be a whole number >= 1; got 0"):
        build("spherical").sample(0)
    with pytest.raises(InvalidParameterError, match=r"rng must be a numpy\.random\.Generator"):
        build("spherical").sample(1, "seed")  # type: ignore[arg-type]
