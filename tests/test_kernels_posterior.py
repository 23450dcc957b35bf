"""The kernels of scores and posterior moments against the plain functions, which are tested in 50 digits."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpmoracle import GaussianMixture, Oracle, Schedule
from dpmoracle.pairs import find
from dpmoracle.posterior import mixture_moments, mixture_score
from dpmoracle_kernels.cpu import posterior, posterior_careful, posterior_lanes, posterior_single
from kernel_cases import DTYPES, LAYOUTS, alike_on_threads, broken, laid_out
from mutation import mutant

KINDS = ("spherical", "diag", "tied", "full", "points")
NAMES = ("mixture_score", "mixture_moments")
PLAIN = {"mixture_score": mixture_score, "mixture_moments": mixture_moments}


def mixture(rng, kind, size, d, scale=2.0):
    means = np.round(scale * rng.standard_normal((size, d)), 2)
    if size > 2:
        means[1] = means[0]
        means[2] = means[0] + 1e-6
    if kind == "points":
        return GaussianMixture.from_points(means)
    factor = rng.standard_normal((size, d, d + 2)) / np.sqrt(d)
    covariances = {
        "spherical": rng.exponential(size=size),
        "diag": rng.exponential(size=(size, d)) * 10.0 ** rng.integers(-3, 1, (size, 1)),
        "tied": factor[0] @ factor[0].T,
        "full": factor @ factor.swapaxes(1, 2),
    }[kind]
    weights = rng.exponential(size=size)
    return GaussianMixture(weights / weights.sum(), means, covariances, kind)


def rows(rng, q, count, levels, far=0.1):
    """x_t at a few levels, some of them far outside, and one at a mean exactly."""
    s = rng.choice(levels, count)
    a, sigma = s / np.hypot(1, s), 1 / np.hypot(1, s)
    x = a[:, None] * q.sample(count, rng) + sigma[:, None] * rng.standard_normal((count, q.d))
    x[rng.random(count) < far] *= 1e4
    x[0] = a[0] * q.means[0]
    return x, a, sigma


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    q = mixture(rng, draw(st.sampled_from(KINDS)), draw(st.integers(1, 5)), draw(st.integers(1, 12)))
    levels = 10.0 ** rng.uniform(-1, 1, draw(st.integers(1, 4))) ** draw(st.sampled_from([1, 6]))
    count = draw(st.sampled_from([1, 3, 40, 300]))
    x, a, sigma = rows(rng, q, count, levels)
    x = x.astype(draw(st.sampled_from(DTYPES)))
    log_weights, means, spectrum, basis = q.parts()
    x, a, sigma, log_weights, means, spectrum = (
        laid_out(value, draw(st.sampled_from(LAYOUTS)))
        for value in (x, a, sigma, log_weights, means, spectrum)
    )
    return x, a, sigma, log_weights, means, spectrum, basis


def difference(found, expected, name, arguments):
    """The largest difference of either result, in units of what its terms are as large as."""
    x, a, sigma = (np.asarray(value, np.float64) for value in arguments[:3])
    means, spectrum = (np.asarray(value, np.float64) for value in arguments[4:6])
    narrow = np.square(a)[:, None, None] * spectrum + np.square(sigma)[:, None, None]
    size = np.abs(x).max(1) + a * np.abs(means).max()
    if name == "mixture_score":
        # What a last place of x does to either.
        slope = np.abs(expected[1]).max(1) + size / narrow.min((1, 2))
        scales = 1 + np.abs(expected[0]) + slope * size, slope
    else:
        wide = np.square(a)[:, None] * 0 + np.abs(expected[0]).max(1)[:, None] + np.abs(means).max()
        scales = wide.max(1) + expected[1], np.abs(means).max() ** 2 + expected[1] + spectrum.max()
        scales = (scales[1], scales[0])
        found, expected = found[::-1], expected[::-1]
    worst = 0.0
    for ours, theirs, scale in zip(found, expected, scales):
        off = np.abs(ours.astype(np.float64) - theirs)
        off = off if off.ndim == 1 else off.max(1)
        worst = max(worst, float((off / scale).max()))
    return worst


def agrees(kernel, name, arguments):
    found = kernel(*arguments)
    wide = (arguments[0].astype(np.float64), *arguments[1:])
    expected = PLAIN[name](*wide)
    dtype = arguments[0].dtype
    if any(o.shape != e.shape or o.dtype != dtype for o, e in zip(found, expected)):
        return False
    pair = find(name)
    tolerance = pair.tolerance if dtype == np.float64 else pair.single
    return bool(difference(found, expected, name, arguments) < tolerance)


@settings(max_examples=150, deadline=None)
@given(cases(), st.sampled_from(NAMES))
def test_kernel_is_the_plain_function(arguments, name):
    assert agrees(getattr(posterior, name), name, arguments)


@settings(max_examples=25, deadline=None)
@given(cases(), st.sampled_from(NAMES))
def test_threads_change_nothing(arguments, name):
    many = tuple(np.concatenate([np.asarray(value)] * 40) for value in arguments[:3])
    assert alike_on_threads(getattr(posterior, name), *many, *arguments[3:])


@pytest.mark.parametrize("kind", KINDS)
def test_float64_keeps_the_digits_of_small_traces_and_far_scores(kind):
    """Entry by entry, where a float32 way or plain differences of distances would have none left."""
    rng = np.random.default_rng(3)
    q = mixture(rng, kind, 5, 3)
    x, a, sigma = rows(rng, q, 200, np.array([1e-3, 1.0, 50.0]), far=0.3)
    law = q.parts()
    for name in NAMES:
        for ours, theirs in zip(getattr(posterior, name)(x, a, sigma, *law), PLAIN[name](x, a, sigma, *law)):
            size = np.abs(theirs) if theirs.ndim == 1 else np.abs(theirs).max(1, keepdims=True)
            assert (np.abs(ours - theirs) <= 3e-11 * size + 1e-300).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("d", [2, 12])
def test_float32_is_as_good_as_its_input(kind, d):
    """At moderate SNR: 1e-5 of the size of each row's result, in all three of its ways."""
    rng = np.random.default_rng(4)
    q = mixture(rng, kind, 5, d)
    x, a, sigma = rows(rng, q, 500, np.array([0.3, 1.0, 3.0]))
    x = x.astype(np.float32)
    law = q.parts()
    for name in NAMES:
        found = getattr(posterior, name)(x, a, sigma, *law)
        for ours, theirs in zip(found, PLAIN[name](x.astype(np.float64), a, sigma, *law)):
            size = np.abs(theirs) if theirs.ndim == 1 else np.abs(theirs).max(1, keepdims=True)
            assert (np.abs(ours - theirs) <= 2e-5 * size + 1e-4).all()


def test_oracle_takes_either_precision():
    rng = np.random.default_rng(5)
    q, schedule = mixture(rng, "full", 3, 4), Schedule.linear(100, 1e-3, 0.1)
    x, t = rng.standard_normal((200, 4)), np.repeat([5, 60], 100)
    truth = Oracle(q, schedule, "numpy")
    for precision, tolerance in (("float64", 1e-11), ("float32", 1e-4)):
        orc = Oracle(q, schedule, "numba", precision)
        for name in ("score", "eps", "x0", "v", "log_prob"):
            found, expected = (getattr(o, name)(x, t) for o in (orc, truth))
            assert found.dtype == np.float64
            assert np.abs(found - expected).max() < tolerance * (1 + np.abs(expected).max())
        for form in ("full", "diag", "trace"):
            found, expected = (o.posterior_cov(x, t, form=form) for o in (orc, truth))
            assert np.abs(found - expected).max() < tolerance * np.abs(expected).max()


def test_no_rows():
    q = mixture(np.random.default_rng(6), "full", 3, 4)
    for dtype in DTYPES:
        for name in NAMES:
            found = getattr(posterior, name)(np.empty((0, 4), dtype), np.empty(0), np.empty(0), *q.parts())
            assert sorted(part.shape for part in found) == [(0,), (0, 4)]


def far_rows_agree(kernels, dtype):
    """Two components that differ across, far away along: their distances agree in more digits than float32 has."""
    q = GaussianMixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.0]], [0.5, 0.5], "spherical")
    x = np.stack([np.linspace(-1, 1, 64), np.full(64, 3e4)], axis=1).astype(dtype)
    level = np.full(64, 0.7)
    found, truth = (f(x, level, level, *q.parts())[0] for f in (kernels.mixture_moments, mixture_moments))
    return np.abs(found[:, 0] - truth[:, 0]).max() < 1e-5


def passes(kernels, dtype):
    with np.errstate(all="ignore"):
        if not far_rows_agree(kernels, dtype):
            return False
        for seed, (kind, d) in enumerate((("diag", 2), ("tied", 3), ("full", 2), ("full", 9), ("points", 1))):
            rng = np.random.default_rng(seed)
            q = mixture(rng, kind, 4, d)
            x, a, sigma = rows(rng, q, 70, np.array([0.5, 2.0]))
            for name in NAMES:
                if not agrees(getattr(kernels, name), name, (x.astype(dtype), a, sigma, *q.parts())):
                    return False
    return True


def assembled(change=None):
    """The kernels run by Python, with one change in one of their modules."""
    parts = {}
    for module, copy in (
        (posterior_lanes, broken),
        (posterior_single, mutant),
        (posterior_careful, broken),
        (posterior, mutant),
    ):
        parts[module] = copy(module, *([change[1]] if change is not None and change[0] is module else []))
    for source, target in (
        (posterior_lanes, posterior_single),
        (posterior_single, posterior),
        (posterior_careful, posterior),
    ):
        for name in source.__all__:
            setattr(parts[target], name, getattr(parts[source], name))
    return parts[posterior]


CAREFUL = [
    (posterior_careful, ("step * (y[k] - 0.5 * step)", "step * (y[k] + 0.5 * step)")),
    (posterior_careful, ("bend = 0.5 * a * y[k]", "bend = a * y[k]")),
    (posterior_careful, ("h = a * (e[k] * pull[k] - spread[k])", "h = a * (e[k] * pull[k] + spread[k])")),
    (posterior_careful, ("gap[k] = (delta[k] + h) / v[k]", "gap[k] = delta[k] / v[k]")),
    (posterior_careful, ("- log_weights[c] - 0.5 * ratios[slot, i]", "- log_weights[c] + 0.5 * ratios[slot, i]")),
    (posterior_careful, ("s2 * within + s2 * s2 * between", "s2 * within + s2 * between")),
    (posterior_careful, ("score[row, k] = a_ * total_gap[k]", "score[row, k] = total_gap[k]")),
    (posterior_careful, ("own[k] + s2 * total_gap[k]", "own[k]")),
    (posterior_careful, ("            filled[:] = -1\n", "")),
    (posterior, ("return out[0], out[1] @ shared.T,", "return out[0], out[1] @ shared,")),
    (posterior_careful, ("lead + top + math.log(total)", "lead + top")),
    (posterior, ("order = np.lexsort((sigma, a))", "order = np.lexsort((sigma, a))[::2].repeat(2)[: len(x)]")),
]  # fmt: skip
SINGLE = [
    (posterior_single, ("- 0.5 * (np.log(v).sum(1)", "+ 0.5 * (np.log(v).sum(1)")),
    (posterior_single, ("(a, sigma * sigma))\n", "(a, sigma))\n")),
    (posterior_single, ("(sigma * sigma * e / v).sum(1)", "(sigma * sigma * e / v).max(1)")),
    (posterior_single, ("left.append(np.flatnonzero(bad) if isinstance(rows, slice) else rows[bad])", "pass")),
    (posterior_single, ("gradient @ table.frame.T", "gradient @ table.frame")),
    (posterior_lanes, ("w[r] -= p * (column[r] - m) * (beside[r] - n)", "w[r] -= p * (column[r] - m) * beside[r]")),
    (posterior_lanes, ("out[r] -= w[r] * (p * (column[r] - m))", "out[r] += w[r] * (p * (column[r] - m))")),
    (posterior_lanes, ("spread[r] += w[r] * off * off", "spread[r] += w[r] * off")),
    (posterior_lanes, ("(x[j] - centre[j]) * (pull[j] - shift[j])", "(x[j] - centre[j]) * pull[j]")),
    (posterior_lanes, ("draw[j] += start[j]", "draw[j] -= start[j]")),
    (posterior_lanes, ("column, s = columns[j if len(slope) == 1 else k]", "column, s = columns[j]")),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_far_rows(dtype):
    assert far_rows_agree(posterior, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_interpreted_kernels_pass(dtype):
    assert passes(assembled(), dtype)


@pytest.mark.parametrize(
    ("dtype", "change"),
    [(np.float64, change) for change in CAREFUL] + [(np.float32, change) for change in SINGLE],
    ids=lambda c: c[1][1].strip()[:40] if isinstance(c, tuple) else c.__name__,
)
def test_wrong_versions_are_caught(dtype, change):
    kernels = assembled(change)
    with contextlib.suppress(ArithmeticError, LookupError, ValueError):
        assert not passes(kernels, dtype)
