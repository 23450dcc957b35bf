"""Scores and posterior moments on a GPU: the shipped sources and the Python that launches them, on the host."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cuda_host import hosted, needs_compiler
from dpmoracle import GaussianMixture
from dpmoracle.posterior import Posterior, posterior
from mp_mixture import excess
from mutation import mutant
from posterior_cases import EVERYDAY, NAMED, WIDE
from test_kernels_posterior import KINDS, NAMES, PLAIN, agrees, cases, far_rows_agree, mixture, rows

pytestmark = needs_compiler

#: Ways through the kernels, and rows that take them: see dpmoracle_kernels.gpu.posterior.
WAYS = ("careful", "by level", "by products")


def questions(way):
    """Small cases of one way: shared and own covariances, two levels, rows far outside and at a mean."""
    shapes = {"careful": [(5, 3), (3, 2)], "by level": [(5, 3), (20, 2)], "by products": [(64, 16)]}[way]
    kinds = ["points", "spherical"] if way == "by products" else KINDS
    for seed, kind in enumerate(kinds):
        for size, d in shapes:  # `soften` has eight lanes
            rng = np.random.default_rng(seed)
            q = mixture(rng, kind, size, d)
            if way == "by products" and kind == "spherical":
                q = GaussianMixture(q.weights, q.means, np.full(size, 0.3), "spherical")
            # From 32 rows on a level has tables of its own.
            x, a, sigma = rows(rng, q, 90 if way == "by level" else 9, np.array([0.5, 2.0]))
            yield kind, (x, a, sigma, *q.parts())


def passes(kernels, way, dtype=np.float64):
    with np.errstate(all="ignore"):
        return far_rows_agree(kernels, dtype) and all(
            agrees(getattr(kernels, name), name, (arguments[0].astype(dtype), *arguments[1:]))
            for _, arguments in questions(way)
            for name in NAMES
        )


@settings(max_examples=50, deadline=None)
@given(cases(), st.sampled_from(NAMES))
def test_kernel_is_the_plain_function(built, arguments, name):
    """float64 and float32, every layout, coincident and close components, rows far outside, 1 to 300 rows."""
    with hosted(built) as gpu:
        assert agrees(getattr(gpu, name), name, arguments)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("way", WAYS)
def test_every_way(built, way, dtype):
    with hosted(built) as gpu:
        assert passes(gpu, way, dtype)


@pytest.mark.parametrize("way", WAYS)
def test_rows_go_the_way_they_are_meant_to(built, way):
    with hosted(built) as gpu:
        from dpmoracle_kernels.gpu import posterior_careful, posterior_level

        seen = dict.fromkeys(WAYS, 0)

        def counted(name, function):
            def run(*args):
                seen[name] += 1
                return function(*args)

            return run

        posterior_careful._compare = counted("careful", posterior_careful._compare)
        posterior_careful.related = counted("by products", posterior_careful.related)
        posterior_level._weigh = counted("by level", posterior_level._weigh)
        kind, (x, a, sigma, *law) = next(questions(way))
        near = np.abs(x).max(1) < 100
        gpu.mixture_score(x[near], a[near], sigma[near], *law)
        assert {name for name, calls in seen.items() if calls} == {way}, kind


class Replaced(Posterior):
    """The plain posterior, with what kernels compute in place of its own."""

    def trace(self):
        return self.__dict__["kernel_trace"]


def by_kernels(gpu, repeats):
    """`posterior` whose log density, score, mean and trace come from the kernels, asked for `repeats` equal rows."""

    def run(x, a, sigma, *law):
        plain = posterior(x, a, sigma, *law)
        many = (*(np.repeat(value, repeats, 0) for value in (x, a, sigma)), *law)
        (log_prob, score), (mean, trace) = gpu.mixture_score(*many), gpu.mixture_moments(*many)
        out = Replaced(
            plain.weights, log_prob[:1], score[:1], mean[:1], plain.offsets, plain.spectrum, plain.basis
        )
        out.__dict__["kernel_trace"] = trace[:1]
        return out

    return run


@pytest.mark.parametrize("name", [*NAMED, *list(EVERYDAY)[::3], *WIDE])
def test_row_by_row_keeps_the_bound_of_the_reference(built, name):
    """Against 50 digits: 1e-14 of the value and 8 ulps of the inputs, in all that was hard for the plain function."""
    problem = {**NAMED, **EVERYDAY, **WIDE}[name]
    with hosted(built) as gpu:
        assert max(excess(problem, by_kernels(gpu, 1), draws=1 if name in WIDE else 3).values()) < 1


@pytest.mark.parametrize("name", [name for name in NAMED if "variance alone" not in name])
def test_by_level_keeps_the_bound_of_the_reference(built, name):
    """All but two components in 4000 dimensions, whose distances of 4000 are compared: 50 times the bound, 5e-13."""
    with hosted(built) as gpu:
        assert max(excess(NAMED[name], by_kernels(gpu, 40), draws=3).values()) < 1


@pytest.mark.parametrize("count", [1, 9, 40])
@pytest.mark.parametrize("name", NAMES)
def test_a_weight_of_zero_adds_nothing(built, name, count):
    rng = np.random.default_rng(7)
    q = mixture(rng, "diag", 5, 3)
    x, a, sigma = rows(rng, q, count, np.array([1.0]))
    log_weights, *law = q.parts()
    live = np.array([True, False, True, True, False])
    law_live = [array[live] if len(array) == 5 else array for array in law[:2]]
    with hosted(built) as gpu, np.errstate(divide="ignore"):
        found = getattr(gpu, name)(x, a, sigma, np.where(live, log_weights, -np.inf), *law)
    for ours, theirs in zip(found, PLAIN[name](x, a, sigma, log_weights[live], *law_live, None)):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", [False, True])
def test_components_in_blocks_give_the_same(built, kind, host):
    """Resident or streamed: the leading component is that of all blocks, and the sums of blocks merge."""
    rng = np.random.default_rng(3)
    size, d = (67, 17) if kind == "points" else (7, 3)
    q = mixture(rng, kind, size, d)
    x, a, sigma = rows(rng, q, 12, np.array([0.3, 30.0]))
    with hosted(built) as gpu:
        from dpmoracle_kernels.gpu import mixture_parts, posterior_careful

        whole = [getattr(gpu, name)(x, a, sigma, *q.parts()) for name in NAMES]
        fits = iter([20, *[4] * 9])  # rows at once, then components
        posterior_careful.rows_that_fit = lambda *sizes: next(fits)
        if host:
            mixture_parts.rows_that_fit = lambda *sizes: 0
        parts = []
        for name in NAMES:
            fits = iter([20, *[4] * 9])
            parts.append(getattr(gpu, name)(x, a, sigma, *q.parts()))
    for one, other in zip(sum(whole, ()), sum(parts, ())):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13 * np.abs(one).max())


def test_results_are_of_the_kind_and_shape_asked_for(built):
    q = mixture(np.random.default_rng(6), "full", 3, 4)
    with hosted(built) as gpu:
        import cupy

        for count in (0, 2):
            x, level = np.ones((count, 4), np.float32), np.full(count, 0.7)
            for name in NAMES:
                found = getattr(gpu, name)(x, level, level, *q.parts())
                assert sorted(part.shape for part in found) == [(count,), (count, 4)]
                assert all(type(part) is np.ndarray and part.dtype == np.float32 for part in found)
                found = getattr(gpu, name)(*map(cupy.asarray, (x, level, level)), *q.parts())
                assert all(isinstance(part, cupy.ndarray) for part in found)


CAREFUL = [
    ("posterior.cu", "step * (from - 0.5 * step) * inverse", "step * (from + 0.5 * step) * inverse"),
    ("posterior.cu", "const double bend = 0.5 * scale", "const double bend = scale"),
    ("posterior.cu", "(e * pull[mine + k] - spread[mine + k])", "(e * pull[mine + k] + spread[mine + k])"),
    ("posterior.cu", "(log_weights[i] - lead_weights[c] - volumes)", "(log_weights[i] - volumes)"),
    ("posterior.cu", "near += part + near * part;", "near += part;"),
    ("posterior.cu", "= frame[(long long)j * d + k];", "= frame[(long long)k * d + j];"),
    ("posterior.cu", "sums[at] = rescale[m] * sums[at] + sum;", "sums[at] = sum;"),
    ("posterior.cu", "total[m] = factor * total[m] + sums[spot];", "total[m] = total[m] + sums[spot];"),
]  # fmt: skip
LEVEL = [
    ("level.cu", "(x[(long long)k * rows + m] - centre[(long long)i * d + k])", "x[(long long)k * rows + m]"),
    ("level.cu", "products[line * rows + m] - shift[line]", "products[line * rows + m]"),
    ("level.cu", "share[first + j] - 0.5 * total[j]", "share[first + j] - total[j]"),
    ("level.cu", "            sum *= factor;\n", ""),  # the online sum is not rescaled
    ("level.cu", "factor * sums[other][threadIdx.x]", "sums[other][threadIdx.x]"),  # nor when lanes merge
    ("level.cu", "(REAL)-total[j];", "(REAL)total[j];"),
    ("level.cu", "square[j] - total[j] * total[j]", "square[j]"),
    ("level.cu", "(delta + bend)", "(delta - bend)"),
    ("level.cu", "share[chosen] - top :", "top - share[chosen] :"),  # rows far outside are kept
]  # fmt: skip
PRODUCTS = [
    ("isotropic.cu", "pull[m] * e - push[m] * g", "pull[m] * e + push[m] * g"),
    ("isotropic.cu", "2.0 * shrink[m] * g", "shrink[m] * g"),
    ("posterior.cu", "exponents[row + i] = leads ? 0.0 : weight;", "exponents[row + i] = weight;"),
]


@pytest.mark.parametrize(
    ("way", "change"),
    [
        *(("careful", c) for c in CAREFUL),
        *(("by level", c) for c in LEVEL),
        *(("by products", c) for c in PRODUCTS),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1].strip()[:40],
)
def test_wrong_sources_are_caught(built, way, change):
    with hosted(built, change) as gpu:
        if "rescale[m]" in change[1] or "factor * total" in change[1]:
            from dpmoracle_kernels.gpu import posterior_careful

            posterior_careful.rows_that_fit = lambda *sizes: 3  # what one block cannot show
        assert not all(passes(gpu, way, dtype) for dtype in (np.float64, np.float32))


@pytest.mark.parametrize(
    ("way", "right", "wrong"),
    [
        ("careful", "sums *= rescale[:, None]\n            sums += gaps", "sums += gaps"),
        ("by products", "sums *= rescale[:, None]\n            sums += weights", "sums += weights"),
        ("by products", "sums -= others[:, None]", "sums -= total[:, None]"),
    ],
)
def test_wrong_blocks_are_caught(built, way, right, wrong):
    """The Python between the launches."""
    with hosted(built) as gpu:
        from dpmoracle_kernels.gpu import posterior as front
        from dpmoracle_kernels.gpu import posterior_careful

        found = mutant(posterior_careful, (right, wrong))
        for module in (posterior_careful, found):
            module.rows_that_fit = lambda *sizes: 3 if way == "careful" else 35
        assert passes(gpu, way)
        front.careful = found.careful
        assert not passes(gpu, way)


def leaders_agree(gpu, way):
    """The leading components are those of the plain logits, in blocks; ties are not asked for."""
    from dpmoracle_kernels.gpu import mixture_parts, posterior_careful, posterior_isotropic

    for _, (x, a, sigma, log_weights, means, spectrum, basis) in questions(way):
        law = [None if f is None else f.view(gpu_array()) for f in (log_weights, means, spectrum, basis)]
        if basis is not None and len(basis) == 1:
            continue
        mixture_ = mixture_parts.Mixture(*law, np.dtype(np.float64))
        origin = posterior_isotropic.middle(mixture_) if way == "by products" else None
        rows_ = [value.view(gpu_array()) for value in (x, a, sigma * sigma)]
        found = posterior_careful._leading(*rows_, mixture_, 25 if way == "by products" else 2, origin)
        weights = posterior(x, a, sigma, log_weights, means, spectrum, basis).weights
        clear = np.sort(weights, 1)[:, -1] > 1.001 * np.sort(weights, 1)[:, -2]
        if not np.array_equal(np.asarray(found)[clear], weights.argmax(1)[clear]):
            return False
    return True


def gpu_array():
    import cupy

    return cupy.ndarray


@pytest.mark.parametrize("way", ["careful", "by products"])
def test_leading_components(built, way):
    with hosted(built) as gpu:
        assert leaders_agree(gpu, way)


@pytest.mark.parametrize(
    ("way", "change"),
    [
        ("careful", ("posterior.cu", "log_weights[i] - 0.5 * (distance + log_det)", "-0.5 * (distance + log_det)")),
        ("careful", ("posterior.cu", "(d / columns) * (log_det + log(volume))", "0.0")),
        ("by products", ("isotropic.cu", "products[row + i] - push[m] * half_norms[i]", "products[row + i]")),
        ("by products", ("isotropic.cu", "chosen = first + i;", "chosen = i;")),
    ],
)  # fmt: skip
def test_wrong_leaders_are_caught(built, way, change):
    with hosted(built, change) as gpu:
        assert not leaders_agree(gpu, way)


@pytest.mark.parametrize("broken", [None, ("posterior.cu", "chosen = first + i;", "chosen = first;")])
def test_a_wrong_leader_is_left(built, broken):
    """Far outside, the plain distances may name a wrong one: the exponents tell, and the row is done again."""
    q = GaussianMixture.from_points([[-1.0, 0.5], [1.0, 0.25], [0.5, -2.0]])
    x = np.array([[1.0 + 1e-9, 0.25], [0.5, -2.0 + 1e-9]])
    a, sigma = np.full(2, np.sqrt(1 - 1e-12)), np.full(2, 1e-6)
    with hosted(built, broken) as gpu:
        from dpmoracle_kernels.gpu import posterior_careful

        posterior_careful._leading = lambda x, *rest: np.zeros(len(x), np.int32).view(gpu_array())
        found = gpu.mixture_score(x, a, sigma, *q.parts())[1]
    expected = PLAIN["mixture_score"](x, a, sigma, *q.parts())[1]
    off = np.abs(found - expected).max() / np.abs(expected).max()
    assert off < 1e-13 if broken is None else off > 1e-10  # the digits of y are gone relative to another
