"""The kernel of shared_samples against the plain function, which is tested against Bayes' rule in 700 digits."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle.errors import InvalidParameterError
from dpmoracle.gamma_curve import DataRecord
from dpmoracle.gamma_run import GammaRun
from dpmoracle.moments import Moments
from dpmoracle.pairs import find
from dpmoracle.processes.schedule import Schedule
from dpmoracle.shared import ESTIMATORS, shared_mmse, shared_moments, shared_samples
from dpmoracle_kernels.cpu import levels, moments, nodes, products
from kernel_cases import DTYPES, LAYOUTS, alike_on_threads, broken, laid_out, threads

#: Of the size of the terms. float32 rounds exponents of up to 87, at 3e-5 of their value.
TOLERANCE = {np.float64: find("shared_samples").tolerance, np.float32: 5e-3}
#: Weights below the smallest normal number (in float32 far below rounding) count as 0, relative to the own.
GONE = {np.float64: 1e-300, np.float32: 2e-9}
LEVELS = levels.BLOCK + 5  # more than one block


@st.composite
def cases(draw, dtypes=DTYPES):
    """Arguments without the estimator: ties, coincident components, weights of 0, extreme levels, any layout."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, d, samples = draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    dtype = draw(st.sampled_from(dtypes))
    means = rng.standard_normal((size, d)) * draw(st.sampled_from([1e-3, 1.0, 30.0]))
    means += draw(st.sampled_from([0.0, 0.0, 100.0]))
    if draw(st.booleans()):
        means = np.round(means)
    means = means.astype(dtype)
    weights = rng.exponential(size=size)
    if draw(st.booleans()):
        weights[rng.random(size) < 0.4] = 0.0
        weights[0] = 1.0
    tau2 = draw(st.sampled_from([0.0, 0.0, 1e-8, 0.3, 1e4]))
    wide = draw(st.sampled_from([1.0, 1e2, 1e6]))
    s = np.sort(wide ** rng.uniform(-1, 1, draw(st.integers(1, LEVELS))))
    if draw(st.booleans()):
        s = rng.permutation(np.append(s, s[0]))
    a = s / np.hypot(1, s)
    sigma = 1 / np.hypot(1, s)
    own = rng.choice(size, samples, p=weights / weights.sum())
    x0 = means[own] + np.sqrt(tau2) * rng.standard_normal((samples, d))
    noise = rng.standard_normal((samples, d))
    out = [laid_out(x, draw(st.sampled_from(LAYOUTS))) for x in (x0, noise, own, weights, means)]
    return (*out, tau2, a, sigma)


def sizes(case):
    """What the terms of each estimator are as large as, (M, T)."""
    x0, noise, own, weights, means, tau2, a, sigma = case
    wide = (x0.astype(float), noise.astype(float), own, weights, means.astype(float), tau2, a, sigma)
    found = {name: shared_samples(*wide, name) for name in ESTIMATORS}
    v = a * a * tau2 + sigma * sigma
    variance = found["residual"] + found["pair"] + found["trace"] + tau2 * (sigma**2 / v)
    square = np.square(noise).mean(1)[:, None]
    norm = found["gamma"] + square * (sigma / v) ** 2
    return found, {
        "pair": variance,
        "trace": variance,
        "residual": variance,
        "gamma": norm,
        "score": (sigma / a) ** 2 * (1 + sigma**2 * norm),
    }


def agrees(kernel, case, estimator):
    means = case[4]
    dtype = means.dtype.type
    expected, size = sizes(case)
    found = kernel(*case, estimator)
    if found.shape != expected[estimator].shape or found.dtype != np.float64:
        return False
    apart = np.square(means.astype(float)[:, None] - means.astype(float)).sum(-1).max() / means.shape[1]
    rates = {"gamma": (case[6] / (case[6] ** 2 * case[5] + case[7] ** 2)) ** 2}
    rates["score"] = rates["gamma"] * case[7] ** 4 / case[6] ** 2
    gone = GONE[dtype] * (1 + apart) * len(means) * (1 + rates.get(estimator, 0.0))
    off = np.abs(found - expected[estimator])
    return bool((off <= TOLERANCE[dtype] * size[estimator] + gone).all())


@settings(max_examples=120, deadline=None)
@given(cases(), st.sampled_from(ESTIMATORS))
def test_kernel_is_the_plain_function(case, estimator):
    assert agrees(moments.shared_samples, case, estimator)


@settings(max_examples=25, deadline=None)
@given(cases(), st.sampled_from(ESTIMATORS))
def test_threads_change_nothing(case, estimator):
    many = tuple(np.concatenate([np.asarray(x)] * 4) for x in case[:3])
    assert alike_on_threads(moments.shared_samples, *many, *case[3:], estimator)


def digits_like(samples=37, size=300, d=12, seed=0):
    rng = np.random.default_rng(seed)
    means = np.round(rng.standard_normal((size, d)) * 4) / 4
    own = rng.integers(size, size=samples)
    a, sigma = Schedule.linear(100, 1e-3, 0.1).levels(np.arange(1, 101))
    noise = rng.standard_normal((samples, d))
    return means[own], noise, own, np.ones(size), means, 0.0, a, sigma


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_many_components_in_chunks(monkeypatch, dtype, estimator):
    """Small chunks, blocks of rows and pieces give what the plain function gives."""
    for name, value in {"_CHUNK": 64, "_ROWS": 8, "_LEVELS": 48, "_PIECE": 3}.items():
        monkeypatch.setattr(moments, name, value)
    case = digits_like()
    case = (*case[:4], case[4].astype(dtype), *case[5:])
    assert agrees(moments.shared_samples, case, estimator)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_pruned_is_below_the_bound(dtype):
    """Every component that a block of levels does not see has f < -cut at all of its levels, and many are not seen."""
    rng = np.random.default_rng(3)
    for tau2 in (0.0, 1e-3, 0.5):
        size = 4000
        g = (10.0 ** rng.uniform(-6, 4, size)).astype(dtype)
        g[::7] *= dtype(-0.01)
        e = (rng.standard_normal(size) * np.sqrt(2 * np.abs(g))).astype(dtype)
        s = np.exp(np.linspace(-5, 5, 203))
        a, sigma = s / np.hypot(1, s), 1 / np.hypot(1, s)
        level = levels.sorted_levels(a, sigma, tau2, dtype, size, 0.0)
        last, order = np.empty(size, np.float32), np.empty(size, np.int32)
        columns = np.stack([g, e, np.arange(size, dtype=dtype)])
        ordered = np.empty_like(columns)
        levels.leaving(g, e, level.cut, tau2, last)
        blocks = -(-len(s) // levels.BLOCK)
        extent = np.empty((3, blocks + 1))
        alive = levels.sorted_by_leaving(
            last, level.table, level.base, blocks, columns, ordered, order, extent
        )
        for k in range(blocks):
            some = order[: alive[k]]
            ends = e[some].min(initial=0), e[some].max(initial=0), g[some].max(initial=0)
            assert tuple(extent[:, k + 1]) == ends
        assert sorted(order) == list(range(size))
        assert (ordered == columns[:, order]).all()
        assert (np.diff(alive) <= 0).all()
        f = (e.astype(float) * s[:, None] - g.astype(float) * s[:, None] ** 2) / (1 + tau2 * s[:, None] ** 2)
        missed = 0
        for k in range(blocks):
            unseen = f[k * levels.BLOCK : (k + 1) * levels.BLOCK, order[alive[k] :]]
            assert (unseen < -level.cut * (1 - 1e-6)).all()
            missed += unseen.size
        seen_in_vain = (f < -level.cut).sum() - missed
        assert seen_in_vain < 0.1 * f.size
        assert missed > 0.02 * f.size or tau2 == 0.5


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-11), (np.float32, 1e-4)])
def test_nodes_in_place_of_many_levels(monkeypatch, dtype, tolerance):
    """Over 16 levels in each place the plain function agrees, sample by sample, where its values are no dust."""
    case = digits_like(samples=5)
    levels = Schedule.linear(1000, 1e-4, 2e-2).levels(np.arange(1, 1001))
    law = (*case[:4], case[4].astype(dtype), 0.0)
    used = []
    monkeypatch.setattr(
        moments, "_pair_rows", lambda *all, rows=moments._pair_rows: (used.append(all[-3]), rows(*all))
    )
    found = moments.shared_samples(*law, *levels, "pair")
    assert used[0] == moments._ACCURACY[np.dtype(dtype)][0] > 0
    expected = shared_samples(*case[:6], *levels, "pair")
    shown = expected > (1e-300 if dtype == np.float64 else 1e-6)
    assert (np.abs(found - expected)[shown] <= tolerance * expected[shown]).all()
    assert shown.mean() > 0.5


def test_levels_in_any_order():
    case = digits_like()
    order = np.random.default_rng(1).permutation(100)
    for estimator in ESTIMATORS:
        straight = moments.shared_samples(*case, estimator)
        shuffled = moments.shared_samples(*case[:6], case[6][order], case[7][order], estimator)
        assert (shuffled == straight[:, order]).all()


def test_moments_and_mmse_take_the_kernel():
    case = digits_like(samples=2100)
    seen = []
    ours = shared_moments(*case, "pair", backend="numba", progress=lambda *at: seen.append(at))
    plain = shared_moments(*case, "pair", backend="numpy")
    for name in ("mean", "deviation"):
        np.testing.assert_allclose(getattr(ours, name), getattr(plain, name), rtol=1e-9, atol=1e-280)
    assert seen[-1] == (2100, 2100)
    assert len(seen) > 1
    assert all(b[0] > a[0] for a, b in itertools.pairwise(seen))
    single = shared_moments(*case, "pair", backend="numba", precision="float32")
    np.testing.assert_allclose(single.mean[20:], plain.mean[20:], rtol=1e-5)
    law = (case[3], case[4], 0.0, case[6], case[7])
    both = [
        shared_mmse(*law, num_samples=50, rng=0, backend=b, precision="float32") for b in ("numba", "numpy")
    ]
    np.testing.assert_allclose(both[0].value[20:], both[1].value[20:], rtol=1e-5)
    assert isinstance(ours, Moments)


def test_a_run_takes_one_way_for_all_its_batches():
    """Small jobs never load a kernel, loaded or not; the way is a setting that a checkpoint must agree on."""
    points, schedule = digits_like()[4], Schedule.linear(100, 1e-3, 0.1)
    data = DataRecord.of(points, "points")
    small = GammaRun(points, schedule, data, "pair", 2, 0)
    large = GammaRun(points, schedule, data, "trace", 2000, 0)
    assert (small.way, large.way) == ("numpy", "numba")
    assert large.settings()["backend"] == "numba"
    kernel = GammaRun(points, schedule, data, "pair", 2, 0, backend="numba", precision="float32")
    assert kernel.settings()["precision"] == "float32"
    np.testing.assert_allclose(kernel.batch(3, 2).mean[20:], small.batch(3, 2).mean[20:], rtol=1e-4)


def test_refusals():
    case = digits_like(samples=2)
    with pytest.raises(
        InvalidParameterError, match=r"precision must be one of .*'float64', 'float32'.*'half'"
    ):
        shared_moments(*case, "pair", precision="half")
    with pytest.raises(InvalidParameterError, match=r"shared_samples: there is no cupy|cupy"):
        shared_moments(*case, "pair", backend="torch")


def passes(kernels):
    """A few cases that between them show every mistake below."""
    ok = True
    with np.errstate(all="ignore"), threads(1):
        for seed, tau2, shift in ((0, 0.0, 0.0), (1, 0.2, 0.0), (2, 1e-9, 50.0), (3, 0.0, 0.0)):
            rng = np.random.default_rng(seed)
            means = rng.standard_normal((7, 2)) + shift
            means[6] = means[2]
            means[5] = means[3] + 1e-7
            weights = rng.exponential(size=7) * (3e-308 if seed == 1 else 1.0)
            weights[1] = 0
            own = np.array([2, 3, 6])
            x0 = means[own] + np.sqrt(tau2) * rng.standard_normal((3, 2))
            s = rng.permutation(np.exp(np.linspace(9, -3, 40)))
            names = ESTIMATORS
            if seed == 3:  # nodes pay, and what has left before matters
                means[0] = 6.0
                s, names = np.append(np.linspace(0.01, 0.5, 90), np.linspace(20, 30, 60)), ("pair",)
            case = (x0, rng.standard_normal((3, 2)), own, weights, means, tau2)
            case = (*case, s / np.hypot(1, s), 1 / np.hypot(1, s))
            ok = ok and all(agrees(kernels.shared_samples, case, name) for name in names)
    return ok


def assembled(change=None):
    """The kernels run by Python, with one change in one of their modules, and nodes wherever they pay."""
    parts = {}
    for module in (levels, nodes, products, moments):
        changes = [change[1]] if change is not None and change[0] is module else []
        parts[module] = broken(module, *changes)
    for module in (levels, nodes, products):
        for name in module.__all__:
            if hasattr(parts[moments], name):
                setattr(parts[moments], name, getattr(parts[module], name))
    parts[moments]._MANY = 1
    return parts[moments]


MISTAKES = [
    (moments, ("noise[t] * e[i] - distance[t] * g[i])\n            one += w\n            two += w * g[i]\n",
               "noise[t] * e[i] + distance[t] * g[i])\n            one += w\n            two += w * g[i]\n")),
    (moments, ("            two += w * g[i]\n", "            two += w * e[i]\n")),
    (moments, ("(g[i] + tilt[t] * e[i])", "(g[i] - tilt[t] * e[i])")),
    (moments, ("weighted[t] / total[t]", "weighted[t] / total[0]")),
    (moments, ("min(first + _CHUNK, alive))", "min(first + _CHUNK, alive - 1))")),
    (moments, ("far, out[m, at])", "far, out[m, :count])")),
    (moments, ("_add(ordered, alive[k], *some)", "_add(ordered, alive[-1], *some)")),
    (moments, ("extent[1, k + 1], extent[2, k + 1]", "extent[1, -1], extent[2, -1]")),
    (levels, ("max(far[k], far[k + 1])", "0 * far[k]")),
    (moments, ("out[:, level.order] = found", "out[:] = found[:, level.order]")),
    (moments, ("tilt = (tau2 * ratio)", "tilt = (tau2 / 2 * ratio)")),
    (moments, ("p = x0[some] - ", "p = 0 * x0[some] - ")),
    (moments, ("terms[:, :d], out=terms[:, d])", "terms[:, :d], out=terms[:, d + 1])")),
    (moments, ("count = min(int(alive[start // BLOCK]) - first, len(terms))",
               "count = min(int(alive[-1]) - first, len(terms))")),
    (products, ("(half[i] - half[own]) - (along[i] - along[own])", "half[i] - (along[i] - along[own])")),
    (products, ("type(0.5) * squares - along", "type(0.5) * squares + along")),
    (products, ("_again(means, p, noise, own, i, columns)\n\n", "pass\n\n")),
    (products, ("log_weights[i] - log_weights[own]", "log_weights[i]")),
    (products, ("moved = (y - centre).astype(dtype) if centre.any() else y", "moved = y")),
    (levels, ("(LOG2E * a * sigma / v)", "(LOG2E * a / v)")),
    (levels, ("order = np.argsort(s, kind=\"stable\")", "order = np.arange(len(s))")),
    (levels, ("        largest + cut,\n", "        largest + 1.0,\n")),
    (levels, ("alive = start[1 : blocks + 1].copy()", "alive = start[2 : blocks + 2].copy()")),
    (levels, ("spread = g.dtype.type(cut * tau2)", "spread = g.dtype.type(0)")),
]  # fmt: skip


def test_the_interpreted_kernels_pass():
    assert passes(assembled())


@pytest.mark.parametrize("change", MISTAKES, ids=lambda c: c[1][1].strip()[:40])
def test_wrong_versions_are_caught(change):
    kernels = assembled(change)
    with contextlib.suppress(ArithmeticError, LookupError, ValueError):
        assert not passes(kernels)
