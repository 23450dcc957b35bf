"""The quadrature of V and Γ against their definitions: its error bound must bound the error."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle.quadrature
from dpmoracle import GaussianMixture, InvalidParameterError, strategies
from dpmoracle import expectation as expectations
from dpmoracle.projection import project
from dpmoracle.quadrature import between
from mp_expected import expected, levels
from mutation import mutant

# weights, means, variances; one dimension
LAWS = {
    "two points": ([0.5, 0.5], [-1.0, 1.0], [0.0, 0.0]),
    "uneven points": ([0.02, 0.98], [0.3, 1.1], [0.0, 0.0]),
    "Gaussian": ([1.0], [0.4], [0.6]),
    "three": ([0.2, 0.5, 0.3], [-1.5, 0.2, 1.0], [0.05, 0.3, 0.01]),
    "narrow in wide": ([0.3, 0.7], [0.1, 0.0], [1e-6, 1.0]),
    "point in wide": ([0.05, 0.95], [0.3, 0.0], [0.0, 0.5]),
    "far apart": ([0.4, 0.6], [0.0, 1e6], [1.0, 0.01]),
    "needle": ([0.5, 0.499999, 1e-6], [-1.0, 1.0, 0.2], [1.0, 1.0, 1e-6]),
    "light": ([1e-12, 1 - 1e-12], [0.0, 2.0], [0.1, 0.1]),
}
CASES = [
    ("two points", 1e-12), ("two points", 1.0), ("two points", 400.0), ("uneven points", 30.0), ("Gaussian", 2.0),
    ("three", 0.3), ("three", 1e4), ("narrow in wide", 1.0), ("narrow in wide", 1e4), ("point in wide", 100.0),
    ("far apart", 1e-12), ("far apart", 1e12), ("needle", 1e4), ("light", 1.0),
]  # fmt: skip
CLOSE = 5e-11  # what the bound may be of the value: measured 2e-11
ROUNDING = 1e-13  # of the inputs' own last places, where a test turns or stretches them


@functools.lru_cache
def truth(law: str, snr: float) -> tuple[float, float]:
    """(V, Γ) by mpmath's quadrature of their definitions."""
    v, gamma = expected(*LAWS[law], *levels(snr))
    return float(v), float(gamma)


def line(law: str) -> GaussianMixture:
    weights, means, variances = LAWS[law]
    return GaussianMixture(weights, np.array(means)[:, None], variances, "spherical")


def product(one: str, two: str, turn: bool = False) -> GaussianMixture:
    """The law of independent coordinates, in the plane; V and Γ are then the means of the two."""
    (w, m, s), (w2, m2, s2) = LAWS[one], LAWS[two]
    weights = np.outer(w, w2).ravel()
    means = np.array([[x, y] for x in m for y in m2])
    blocks = np.array([np.diag([x, y]) for x in s for y in s2])
    frame = np.array([[0.6, -0.8], [0.8, 0.6]]) if turn else np.eye(2)
    blocks = frame @ blocks @ frame.T
    blocks = 0.5 * (blocks + blocks.swapaxes(1, 2))
    return GaussianMixture(weights / weights.sum(), means @ frame.T, blocks, "full")


def integrated(
    q: GaussianMixture, snr: float, quantity: str, quadrature: Any = between
) -> tuple[float, float]:
    """(value, bound) of V or Γ."""
    a, sigma = levels(snr)
    within = expectations._within(q, a, sigma, quantity)
    sign = 1 if quantity == "mmse" else -1
    spread, bound = quadrature(project(q), a, sigma, quantity, sign * within)
    return (within + sign * spread) / q.d, (bound + 2e-15 * within) / q.d + 2.3e-308


def check(q: GaussianMixture, snr: float, true: tuple[float, float], slack: float = 0.0) -> None:
    for quantity, wanted in zip(("mmse", "gamma"), true):
        value, bound = integrated(q, snr, quantity)
        assert abs(value - wanted) <= bound + slack * max(wanted, 1e-20), (quantity, value, wanted, bound)
        assert bound <= CLOSE * max(wanted, 1e-290)


# -- one dimension -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("law", "snr"), CASES)
def test_bound_holds_on_the_line(law: str, snr: float) -> None:
    check(line(law), snr, truth(law, snr))


@pytest.mark.parametrize("power", [-12, -6, -2, 0, 1, 2, 2.6, 3, 6, 12])
def test_two_points_by_their_integral(power: float) -> None:
    """V = e^{-u/2} ∫ φ(t) sech(√u t) dt for ±1, down to e^-700 and then 0."""
    snr = 10.0**power
    with mp.workdps(30):
        a, sigma = (mp.mpf(value) for value in levels(snr))
        root = a / sigma
        edges = [k * mp.mpf(4) / max(1, root) for k in range(60)] if root > 1 else [0, 2, 4, 8, 16, 24]
        integral = 2 * mp.fsum(
            mp.quad(lambda t: mp.npdf(t) * mp.sech(root * t), pair) for pair in itertools.pairwise(edges)
        )
        wanted = float(mp.exp(-root * root / 2) * integral)
    value, bound = integrated(line("two points"), snr, "mmse")
    assert abs(value - wanted) <= bound
    assert bound <= 2e-11 * wanted + 3e-308


def trapezoid(q: GaussianMixture, a: float, sigma: float) -> tuple[float, float]:
    """(d V, d Γ) on a fine uniform grid over everything, from densities, plainly; for mild laws."""
    if q.covariance_type == "spherical":
        blocks = q.covariances[:, None, None] * np.eye(q.d)
    elif q.covariance_type == "diag":
        blocks = q.covariances[:, :, None] * np.eye(q.d)
    else:
        blocks = np.broadcast_to(q.covariances, (q.n_components, q.d, q.d))
    total = a * a * blocks + sigma * sigma * np.eye(q.d)
    precision = np.linalg.inv(total)
    widths = np.sqrt(np.linalg.eigvalsh(total))
    step = widths.min() / (24 if q.d == 1 else 10)
    axes = [
        np.arange(
            a * q.means[:, k].min() - 9 * widths.max(), a * q.means[:, k].max() + 9 * widths.max(), step
        )
        for k in range(q.d)
    ]
    x = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, q.d)
    away = x[:, None, :] - a * q.means
    pull = np.einsum("cjk,bck->bcj", precision, away)
    density = q.weights * np.exp(-0.5 * (away * pull).sum(-1)) / np.sqrt(np.linalg.det(2 * np.pi * total))
    evidence = density.sum(1)
    share = density / np.where(evidence > 0, evidence, 1)[:, None]
    there = q.means + a * np.einsum("cjk,bck->bcj", blocks, pull)
    mean = (share[..., None] * there).sum(1)
    inner = np.trace(blocks - a * a * blocks @ precision @ blocks, axis1=1, axis2=2)
    spread = (share * (inner + np.square(there - mean[:, None, :]).sum(-1))).sum(1)
    score = (share[..., None] * pull).sum(1)
    cell = step**q.d
    return float(evidence @ spread * cell), float(evidence @ np.square(score).sum(1) * cell)


@settings(max_examples=60, deadline=None)
@given(strategies.mixtures(max_dim=1, singular=True), st.floats(-2, 1.5))
def test_any_law_on_the_line(q: GaussianMixture, power: float) -> None:
    wanted = trapezoid(q, *levels(10.0**power))
    check(q, 10.0**power, (wanted[0] / q.d, wanted[1] / q.d), slack=1e-11)


@settings(max_examples=12, deadline=None)
@given(strategies.mixtures(max_components=3, max_dim=2, singular=True), st.floats(-2, 0.5))
def test_any_law_in_the_plane(q: GaussianMixture, power: float) -> None:
    wanted = trapezoid(q, *levels(10.0**power))
    check(q, 10.0**power, (wanted[0] / q.d, wanted[1] / q.d), slack=1e-11)


# -- two dimensions and more ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "two", "snr"),
    [
        ("two points", "Gaussian", 1.0),
        ("two points", "uneven points", 30.0),
        ("two points", "two points", 400.0),
        ("three", "two points", 0.3),
        ("point in wide", "three", 1.0),
        ("three", "uneven points", 1e4),
    ],
)
def test_bound_holds_in_the_plane(one: str, two: str, snr: float) -> None:
    true = tuple(float(np.mean(pair)) for pair in zip(truth(one, snr), truth(two, snr)))
    check(product(one, two), snr, true)
    check(product(one, two, turn=True), snr, true, ROUNDING)


def embedded(q: GaussianMixture, d: int, tau2: float, seed: int = 0) -> GaussianMixture:
    """The means of q in a random plane of d dimensions, around a random point, with covariance τ² I."""
    rng = np.random.default_rng(seed)
    frame = np.linalg.qr(rng.standard_normal((d, q.d)))[0].T
    variances = np.full(q.n_components, tau2)
    return GaussianMixture(q.weights, rng.standard_normal(d) + q.means @ frame, variances, "spherical")


@pytest.mark.parametrize("snr", [1e-3, 0.3, 4.0, 30.0])
@pytest.mark.parametrize("rank", [1, 2])
def test_shared_covariance_in_ten_dimensions(rank: int, snr: float) -> None:
    """V = [r V_r + (d - r) τ²σ²/(a²τ²+σ²)]/d, Γ = [r Γ_r + (d - r)/(a²τ²+σ²)]/d."""
    tau2, d, (a, sigma) = 0.04, 10, levels(snr)
    weights, means = [0.2, 0.5, 0.3], [-1.5, 0.2, 1.0]
    inner = GaussianMixture(weights, np.array(means)[:, None], [tau2] * 3, "spherical")
    wanted = np.array(trapezoid(inner, a, sigma))
    if rank == 2:
        wanted += trapezoid(GaussianMixture([0.5, 0.5], [[0.0], [0.7]], [tau2] * 2, "spherical"), a, sigma)
        both = np.array([[x, y] for x in means for y in (0.0, 0.7)])
        inner = GaussianMixture(np.repeat(weights, 2) / 2, both, [tau2] * 6, "spherical")
    total = a * a * tau2 + sigma * sigma
    wanted += (d - rank) * np.array([tau2 * sigma * sigma / total, 1 / total])
    q = embedded(inner, d, tau2)
    assert project(q).d == rank
    check(q, snr, tuple(wanted / d), 1e-13)


@pytest.mark.parametrize("thin", [1e-3, 1e-9, 1e-13, 1e-17])
def test_means_that_nearly_lie_on_a_line(thin: float) -> None:
    """A second direction so thin that it changes V by its square; below rounding it is no direction."""
    flat = np.array([[-1.5, 0.0], [0.2, 0.0], [1.0, 0.0]])
    bent = flat + thin * np.array([[0.0, 1.0], [0.0, -1.0], [0.0, 0.5]])
    one, two = (
        embedded(GaussianMixture([0.2, 0.5, 0.3], means, [0.1] * 3, "spherical"), 5, 0.1)
        for means in (flat, bent)
    )
    assert project(one).d == 1
    assert project(two).d == (2 if thin > 1e-15 else 1)
    for quantity in ("mmse", "gamma"):
        (value, bound), (other, slack) = integrated(one, 3.0, quantity), integrated(two, 3.0, quantity)
        assert abs(value - other) <= bound + slack + 10 * thin**2 + ROUNDING * value


def test_equal_means_make_one_gaussian() -> None:
    q = GaussianMixture([0.3, 0.7], np.full((2, 5), 2.0), [0.2, 0.2], "spherical")
    assert project(q).d == 1
    value, bound = integrated(q, 1.0, "mmse")
    assert value == pytest.approx(0.2 * 0.5 / 0.6, rel=1e-15)
    assert bound < 1e-14


def test_what_no_plane_holds() -> None:
    rng = np.random.default_rng(0)
    assert project(GaussianMixture.from_points(rng.standard_normal((4, 5)))) is None
    assert project(GaussianMixture([0.5, 0.5], rng.standard_normal((2, 3)), [0.1, 0.2], "spherical")) is None
    unused = GaussianMixture([0.5, 0.5, 0.0], rng.standard_normal((3, 5)), [0.1, 0.1, 7.0], "spherical")
    assert project(unused).d == 1


@settings(max_examples=25, deadline=None)
@given(strategies.mixtures(max_dim=2, singular=True), st.floats(-6, 3))
def test_two_integrals_one_identity(q: GaussianMixture, power: float) -> None:
    """V = (σ²/a²)(1 - σ² Γ): means against scores."""
    a, sigma = levels(10.0**power)
    (v, v_bound), (gamma, gamma_bound) = (integrated(q, 10.0**power, name) for name in ("mmse", "gamma"))
    if max(v_bound, gamma_bound) == np.inf:  # widths too uneven for the plane
        return
    room = sigma**2 / a**2 * (sigma**2 * gamma_bound + 4e-15) + v_bound
    assert abs(v - sigma**2 / a**2 * (1 - sigma**2 * gamma)) <= room


# -- what it costs, and where it ends ------------------------------------------------------------------------


def test_a_level_takes_few_lattice_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured 48,000 on average for three components in the plane; 1,000 levels take 5 to 10 s on one core."""
    points, plain = [], dpmoracle.quadrature._lattice_sum

    def counted(c: Any, pairs: Any, frame: Any, step: float) -> Any:
        points.append(np.pi * (frame.radius / step) ** 2)
        return plain(c, pairs, frame, step)

    monkeypatch.setattr(dpmoracle.quadrature, "_lattice_sum", counted)
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 2, 4))
    q = GaussianMixture(
        [0.2, 0.5, 0.3], rng.standard_normal((3, 2)), 0.15 * root @ root.swapaxes(1, 2), "full"
    )
    powers = np.linspace(-4, 4, 25)
    for power in powers:
        integrated(q, 10.0**power, "mmse")
    assert sum(points) / len(powers) < 80_000


def test_widths_too_uneven_for_the_plane_are_out_of_reach() -> None:
    """A narrow component between two wide ones; two alone are no trouble, for the lattice follows the narrow one."""
    q = GaussianMixture([0.4, 0.4, 0.2], [[-1, 0], [1, 0], [0, 1]], [1.0, 1.0, 1e-8], "spherical")
    assert integrated(q, 1e6, "mmse")[1] == np.inf
    two = GaussianMixture([0.5, 0.5], np.zeros((2, 2)), [1e-8, 1.0], "spherical")
    assert integrated(two, 1e6, "mmse")[1] < np.inf
    level, rng = [np.array([x]) for x in levels(1e6)], np.random.default_rng(0)
    assert expectations.expected(q, *level, "mmse", 50, rng, None).method == "trace"
    with pytest.raises(InvalidParameterError, match=r"cannot reach 8 digits at 1 of the levels.*Monte Carlo"):
        expectations.expected(q, *level, "mmse", 50, rng, "quadrature")


def test_many_components_are_sampled_unless_asked() -> None:
    q = GaussianMixture.from_points(np.linspace(-1, 1, 17)[:, None])
    level, rng = [np.array([x]) for x in levels(1.0)], np.random.default_rng(0)
    assert expectations.expected(q, *level, "mmse", 50, rng, None).method == "trace"
    found = expectations.expected(q, *level, "mmse", 50, rng, "quadrature")
    assert found.method == "quadrature"
    assert abs(found.value[0] - trapezoid(q, *levels(1.0))[0]) <= found.error[0] + 1e-13


# -- broken versions -----------------------------------------------------------------------------------------

MUTANTS = {
    "gap of means without sigma squared": ("c.s2 * precisions[j] @ delta", "precisions[j] @ delta"),
    "gap without its slope": ("gap[:, None] + slope @ z", "gap[:, None] + 0 * slope @ z"),
    "gains swapped": ("gains[j] - gains[i]", "gains[i] - gains[j]"),
    "scores added": ("precisions[i] - precisions[j]", "precisions[i] + precisions[j]"),
    "score gap without a": ("c.a * precisions[j] @ delta, precisions[i]", "precisions[j] @ delta, precisions[i]"),
    "gain without a": ("c.matrix(c.a * c.spectrum / c.v)", "c.matrix(c.spectrum / c.v)"),
    "one weight only": ("logs[pair.i] + logs[pair.j] - top", "2 * logs[pair.i] - top"),
    "no evidence": ("top - shift) / evidence", "top - shift)"),
    "no 2 pi": ("np.log(2 * np.pi * v)", "np.log(v)"),
    "determinant not halved": ("- 0.5 * np.log(2 * np.pi * v)", "- np.log(2 * np.pi * v)"),
    "cell without the scale": ("step**d * abs(np.linalg.det(frame.scale))", "step**d"),
    "cell of the line": ("step**d * abs", "step * abs"),
    "not turned": ("np.stack([q.to_axes(i, np.eye(q.d)) for", "np.stack([np.eye(q.d) for"),
    "one lattice for all pairs": ("k == 0 or tail <= 1e-4 * _ENOUGH * pair.bound", "True"),
    "first pair only": ("pairs = [pair for pair, ok in zip(pairs, fit) if not ok]", "pairs = []"),
    "narrow components not looked for": ("step = min(step, 2 * float(widths.min()))", "step = 2.0"),
}  # fmt: skip
PAIRS = [("three", "uneven points", 1e4), ("uneven points", "three", 1e4)]


@functools.lru_cache
def tilted() -> tuple[GaussianMixture, float, tuple[float, float]]:
    """Three components, each with its own axes."""
    rng = np.random.default_rng(1)
    root = rng.standard_normal((3, 2, 3))
    q = GaussianMixture(
        [0.2, 0.5, 0.3], rng.standard_normal((3, 2)), 0.2 * root @ root.swapaxes(1, 2), "full"
    )
    v, gamma = trapezoid(q, *levels(3.0))
    return q, 3.0, (v / 2, gamma / 2)


def ratios(quadrature: Any, close: float = np.inf) -> Iterator[float]:
    """Errors over their bounds, up to the rounding of a turned law, and bounds over what they may be."""
    cases = [tilted(), *[(line(law), snr, truth(law, snr)) for law, snr in CASES]]
    for one, two, snr in PAIRS:
        cases.append((product(one, two, turn=True), snr, np.mean([truth(one, snr), truth(two, snr)], axis=0)))
    for q, snr, true in cases:
        for quantity, wanted in zip(("mmse", "gamma"), true):
            value, bound = integrated(q, snr, quantity, quadrature)
            error = abs(value - wanted) / (bound + ROUNDING * wanted)
            yield np.inf if np.isnan(error) else error
            yield bound / (close * max(wanted, 1e-290))


def test_the_right_one_passes_as_a_copy() -> None:
    assert max(ratios(mutant(dpmoracle.quadrature).between, CLOSE)) <= 1


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str) -> None:
    with np.errstate(all="ignore"):
        assert any(ratio > 1 for ratio in ratios(mutant(dpmoracle.quadrature, MUTANTS[name]).between, CLOSE))


# A bound is only put to the test where it is large: by stopping early, or by a lattice that is cut short.
EARLY = [[("_ENOUGH = 1e-11", f"_ENOUGH = {enough}")] for enough in (1e-1, 1e-3, 1e-5)]
SHORT = [
    [("_DROP = 45.0", f"_DROP = {drop}"), ("np.arange(5.0, 20.0)", "np.arange(1.0, 20.0)")] for drop in (2, 6)
]


@pytest.mark.parametrize("changes", [*EARLY, *SHORT])
def test_bound_holds_where_it_is_large(changes: list[tuple[str, str]]) -> None:
    assert max(ratios(mutant(dpmoracle.quadrature, *changes).between)) <= 1


BOUND_MUTANTS = {
    "no step error": (
        EARLY,
        ("return np.asarray(last * np.clip(4 * last / (before + tiny), 0.25, 2.0))", "return 0 * last"),
    ),
    "no pairs left out": (EARLY, ("return value, error + left", "return value, error")),
    "no tail": (SHORT, ("return float(np.exp(edge) * largest", "return 0 * float(np.exp(edge) * largest")),
}


@pytest.mark.parametrize("name", BOUND_MUTANTS)
def test_bounds_that_leave_something_out_are_caught(name: str) -> None:
    where, change = BOUND_MUTANTS[name]
    found = (ratios(mutant(dpmoracle.quadrature, *changes, change).between) for changes in where)
    assert any(ratio > 1 for ratio in itertools.chain.from_iterable(found))
