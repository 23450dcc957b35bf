"""The oracle's predictions by other roads, what goes in and out, and what is refused."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

import dpmoracle as dpm
import dpmoracle.oracle
from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Process
from mp_mixture import Problem
from mutation import mutant
from oracle_cases import LINEAR, PROCESSES, TERMINAL, build, name_of, times

EVERY = pytest.mark.parametrize("process", [LINEAR, TERMINAL, *PROCESSES], ids=name_of)

# -- predictions ---------------------------------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("kind", ["spherical", "diag", "tied", "full"])
def test_predictions_to_50_digits(process: Any, kind: str) -> None:
    """All of them within 1e-12 at mild points, as at every (a, σ)."""
    assert prediction_error(Oracle, process, build(kind)) < 1e-12  # measured 4e-15


def prediction_error(oracle: Any, process: Any, q: GaussianMixture) -> float:
    """Largest error of any prediction at a few times, relative to the largest entry."""
    orc, largest = oracle(q, process), 0.0
    for t in times(process):
        a, sigma = (float(level) for level in process.levels(t))
        x = a * q.means[0] + sigma * np.array([0.7, -1.1])
        exact = Problem(q.covariance_type, q.weights, q.means, q.covariances, x, a, sigma).exact(50)
        found = {name: getattr(orc, name)(x, t) for name in ("score", "eps", "x0", "v", "log_prob")}
        found |= {form: orc.posterior_cov(x, t, form=form) for form in ("full", "diag", "trace")}
        for name, value in found.items():
            error = np.abs(value - exact[name]).max() / np.abs(exact[name]).max()
            largest = max(largest, float(error) if np.isfinite(error) else np.inf)
    return largest


@EVERY
def test_predictions_fit_together(process: Any) -> None:
    """x = a x̂_0 + σ ε̂, v = a ε̂ - σ x̂_0, ε̂ = -σ score, Cov = (σ²/a²)(I + σ² ∇²log q)."""
    q = build()
    orc, t = Oracle(q, process), np.array(times(process))
    x = np.random.default_rng(0).standard_normal((5, len(t), 2))
    a, sigma = (level[:, None] for level in process.levels(t))
    assert np.allclose(a * orc.x0(x, t) + sigma * orc.eps(x, t), x, rtol=1e-12, atol=1e-12 * (1 + sigma))
    assert np.allclose(
        orc.v(x, t), a * orc.eps(x, t) - sigma * orc.x0(x, t), rtol=1e-12, atol=1e-13 * (1 + sigma)
    )
    assert np.allclose(orc.eps(x, t), -sigma * orc.score(x, t), rtol=1e-15)
    full = orc.posterior_cov(x, t)
    assert np.allclose(
        np.diagonal(full, axis1=-2, axis2=-1), orc.posterior_cov(x, t, form="diag"), rtol=1e-13
    )
    assert np.allclose(np.trace(full, axis1=-2, axis2=-1), orc.posterior_cov(x, t, form="trace"), rtol=1e-13)


@EVERY
def test_the_noised_mixture_says_the_same(process: Any) -> None:
    q, x = build("full"), np.random.default_rng(1).standard_normal((4, 2))
    for t in times(process):
        noised = q.diffuse(*(float(level) for level in process.levels(t)))
        assert np.allclose(Oracle(q, process).score(x, t), noised.score(x), rtol=1e-11, atol=1e-12)
        assert np.allclose(Oracle(q, process).log_prob(x, t), noised.log_prob(x), rtol=1e-12, atol=1e-12)


def test_clean_times() -> None:
    regular, points = build(), GaussianMixture.from_points([[0.0, 1.0], [2.0, -1.0]])
    x = np.array([[0.3, 0.4], [2.0, -1.0]])
    for process, clean in ((LINEAR, 0), (Process.edm(), 0.0), (Process.rectified_flow(), 0.0)):
        assert np.array_equal(Oracle(points, process).x0(x, clean), x)
        assert not Oracle(points, process).posterior_cov(x, clean).any()
        assert Oracle(points, process).posterior_cov(x, clean, form="trace").shape == (2,)
        assert np.allclose(Oracle(regular, process).score(x, clean), regular.score(x), rtol=1e-14)
        assert np.allclose(Oracle(regular, process).log_prob(x, clean), regular.log_prob(x), rtol=1e-14)
        assert not Oracle(regular, process).eps(x, clean).any()
        for name in ("score", "eps", "v", "log_prob"):
            with pytest.raises(
                InvalidParameterError, match=rf"Oracle\.{name}: at sigma = 0 .*singular.*Ask at t > 0"
            ):
                getattr(Oracle(points, process), name)(x, clean)


def test_clean_and_noisy_rows_together() -> None:
    orc, x = Oracle(GaussianMixture.from_points([[0.0], [2.0]]), LINEAR), np.full((3, 1), 0.5)
    mixed = orc.x0(x, np.array([0, 500, 1000]))
    assert mixed[0] == 0.5
    assert np.array_equal(mixed[1:], orc.x0(x[1:], np.array([500, 1000])))


@pytest.mark.parametrize(
    ("process", "end"), [(TERMINAL, 60), (Process.rectified_flow(), 1.0)], ids=["vp", "flow"]
)
def test_no_signal_leaves_the_prior(process: Any, end: Any) -> None:
    q = build()
    x = np.array([[3.0, -1.0], [0.0, 0.2]])
    orc = Oracle(q, process)
    assert np.allclose(orc.x0(x, end), q.mean(), rtol=1e-14)
    assert np.allclose(orc.score(x, end), -x, rtol=1e-14)
    assert np.allclose(orc.posterior_cov(x, end, form="trace"), q.trace_cov(), rtol=1e-14)
    assert np.allclose(orc.v(x, end), np.broadcast_to(-q.mean(), x.shape), rtol=1e-14)


# -- arrays in and out ---------------------------------------------------------------------------------------


def test_shapes() -> None:
    orc = Oracle(build(), LINEAR)
    x = np.zeros((4, 3, 2))
    assert orc.score(x, 5).shape == (4, 3, 2)
    assert orc.score(x, np.array([1, 2, 3])).shape == (4, 3, 2)
    assert orc.score(x, np.array([[1], [2], [3], [4]])).shape == (4, 3, 2)
    assert orc.score(x[0, 0], np.int32(5)).shape == (2,)
    assert orc.score(np.zeros((0, 2)), 5).shape == (0, 2)
    assert orc.posterior_cov(x, 5).shape == (4, 3, 2, 2)
    assert np.ndim(orc.posterior_cov(x[0, 0], 5, form="trace")) == 0
    assert np.ndim(orc.log_prob(x[0, 0], 5)) == 0
    assert orc.log_prob(x, 5).shape == (4, 3)
    rows = orc.score(x + np.arange(3)[:, None], np.array([1, 2, 3]))
    assert np.allclose(rows[0, 2], orc.score(np.full(2, 2.0), 3), rtol=1e-14)


def test_dtypes() -> None:
    orc, x = Oracle(build(), LINEAR), np.array([[1, -2]])
    assert orc.score(x, 5).dtype == np.float64
    single = orc.score(x.astype(np.float32), 5)
    assert single.dtype == np.float32
    assert np.allclose(single, orc.score(x, 5), rtol=1e-7)
    assert orc.score([[1, -2]], 5).dtype == np.float64


@pytest.mark.peers
def test_torch_in_torch_out() -> None:
    torch = pytest.importorskip("torch")
    orc, x = Oracle(build(), LINEAR), np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    for name in ("score", "eps", "x0", "v", "posterior_cov", "log_prob"):
        found = getattr(orc, name)(torch.from_numpy(x), torch.tensor([1, 500, 1000]))
        assert isinstance(found, torch.Tensor)
        assert found.dtype == torch.float32
        assert np.array_equal(found.numpy(), getattr(orc, name)(x, np.array([1, 500, 1000])))
    kernel = orc.reverse(torch.from_numpy(x[0]), torch.tensor(3), torch.tensor(7))
    assert np.array_equal(kernel.means, orc.reverse(x[0], 3, 7).means)
    assert orc.mmse(torch.tensor([5, 6]), 10, 0).value.shape == (2,)


@pytest.mark.peers
def test_jax_in_jax_out() -> None:
    jax = pytest.importorskip("jax")
    orc, x = Oracle(build(), LINEAR), np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    for name in ("score", "eps", "x0", "v", "posterior_cov", "log_prob"):
        found = getattr(orc, name)(jax.numpy.asarray(x), jax.numpy.asarray([1, 500, 1000]))
        assert isinstance(found, jax.Array)
        assert found.dtype == np.float32
        assert np.array_equal(np.asarray(found), getattr(orc, name)(x, np.array([1, 500, 1000])))


# -- wrong inputs --------------------------------------------------------------------------------------------

Q = build()
WRONG_CALLS = {
    "x of another dimension": (
        lambda o: o.score(np.zeros((4, 3)), 5),
        r"score: x must have shape \(\.\.\., 2\); got \(4, 3\)",
    ),
    "x a number": (lambda o: o.eps(0.5, 5), r"Oracle\.eps: x must have shape \(\.\.\., 2\); got \(\)"),
    "nan in x": (lambda o: o.x0([[0.0, np.nan]], 5), r"Oracle\.x0: x must be finite; 1 of 2 .* at \[0, 1\]"),
    "x too far": (lambda o: o.v([[0.0, -1e101]], 5), r"Oracle\.v: x must lie within 1e\+100 of 0"),
    "text": (lambda o: o.score([["a", "b"]], 5), "x must be real numbers"),
    "a float time": (
        lambda o: o.score(np.zeros(2), 5.0),
        r"Oracle\.score: t must be an integer timestep in 0\.\.1000",
    ),
    "a late time": (lambda o: o.mmse(1001), r"Oracle\.mmse: t must lie in 0\.\.1000; got 1001"),
    "a negative time": (lambda o: o.gamma([3, -1]), r"Oracle\.gamma: t must lie in 0\.\.1000; got -1"),
    "times that do not broadcast": (
        lambda o: o.score(np.zeros((4, 2)), [1, 2, 3]),
        r"t must be a scalar or broadcast against x.shape\[:-1\] = \(4,\); got \(3,\)",
    ),
    "unknown form": (
        lambda o: o.posterior_cov(np.zeros(2), 5, form="half"),
        "form must be one of full, diag, trace; got 'half'",
    ),
    "too many bytes": (
        lambda o: o.posterior_cov(np.zeros((100, 2)), 5, max_bytes=3199),
        r'needs 3,200 bytes, more than max_bytes = 3,199.*form="diag"',
    ),
    "unknown method": (
        lambda o: o.mmse(5, method="guess"),
        "method must be one of exact, quadrature, .*; got 'guess'",
    ),
    "exact for a mixture": (
        lambda o: o.mmse(5, method="exact"),
        r'Oracle\.mmse: method "exact" needs a single Gaussian',
    ),
    "one sample": (lambda o: o.mmse(5, 1), r"Oracle\.mmse: num_samples must be a whole number >= 2; got 1"),
    "a bad generator": (
        lambda o: o.mmse(5, rng="x"),
        r"rng must be a numpy\.random\.Generator, a seed, or None; got str",
    ),
    "s after t": (
        lambda o: o.reverse(np.zeros(2), 7, 3),
        r"Oracle\.reverse: s must be less noisy than t; got s = 7, t = 3",
    ),
    "s is t": (lambda o: o.reverse(np.zeros(2), 7, 7), "s must be less noisy than t"),
    "a batch of x_t": (
        lambda o: o.reverse(np.zeros((1, 2)), 3, 7),
        r"x_t must be one point of shape \(2,\); got \(1, 2\). Loop",
    ),
    "nan in x_t": (lambda o: o.reverse([0.0, np.nan], 3, 7), r"Oracle\.reverse: x_t must be finite"),
    "several s": (
        lambda o: o.reverse(np.zeros(2), [3, 4], 7),
        r"s must be a scalar or broadcast .* got \(2,\)",
    ),
    "lam2 too large": (
        lambda o: o.reverse(np.zeros(2), 3, 7, 0.5),
        r"in \[0, sigma_s\^2\] = \[0, 0\.0003.*got 0\.5",
    ),
    "lam2 negative": (
        lambda o: o.reverse(np.zeros(2), 3, 7, -1e-9),
        r"lam2 must be one number in \[0, .*got -1e-09",
    ),
    "lam2 nan": (lambda o: o.reverse(np.zeros(2), 3, 7, np.nan), "lam2 must be one number in .*got nan"),
    "lam2 at s = 0": (lambda o: o.reverse(np.zeros(2), 0, 7, 1e-9), r"= \[0, 0\]; got 1e-09"),
    "several lam2": (lambda o: o.reverse(np.zeros(2), 3, 7, [0.0, 0.0]), r"lam2 must be one number"),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_wrong_calls_are_named(name: str) -> None:
    call, message = WRONG_CALLS[name]
    with pytest.raises(InvalidParameterError, match=message):
        call(Oracle(Q, LINEAR))


def test_quadrature_that_does_not_apply_is_named() -> None:
    with pytest.raises(
        InvalidParameterError, match=r'"quadrature" needs d <= 2, or one shared isotropic.*C=3, d=3'
    ):
        Oracle(build("full", 3, 3), LINEAR).gamma(5, method="quadrature")


def test_score_knows_nothing_without_signal() -> None:
    for q in (build("full", 3, 3), GaussianMixture.from_points(np.eye(3))):
        with pytest.raises(InvalidParameterError, match=r'"score" needs a > 0'):
            Oracle(q, TERMINAL).mmse([30, 60], 20, 0, method="score")


def test_times_of_a_process_are_real() -> None:
    orc = Oracle(Q, Process.vp_linear())
    assert orc.score(np.zeros(2), 0.5).shape == (2,)
    with pytest.raises(
        InvalidParameterError, match=r"Oracle\.score: t must lie in \[0, 1\] for vp_linear; got 1\.5"
    ):
        orc.score(np.zeros(2), 1.5)
    with pytest.raises(InvalidParameterError, match="s must be less noisy"):
        orc.reverse(np.zeros(2), 0.5, 0.2)
    with pytest.raises(InvalidParameterError, match="s must be less noisy"):
        orc.reverse(np.zeros(2), 0.0, 0.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 2)), LINEAR), r"q0 must be a GaussianMixture; got ndarray.*from_points"),
        ((Q, np.linspace(0, 1, 5)), "process must be a Schedule or a Process; got ndarray"),
        ((Q, LINEAR, "torch"), "backend must be one of auto, numpy, numba, cupy; got 'torch'"),
        ((Q, LINEAR, None), "backend must be one of .*; got None"),
    ],
)
def test_wrong_oracles_are_named(arguments: Any, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        Oracle(*arguments)


def test_a_backend_without_a_kernel_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either its library is missing, or it has no kernel of the score; never numpy in silence."""
    for backend, module in (("numba", "dpmoracle_kernels.cpu"), ("cupy", "dpmoracle_kernels.gpu")):
        for name in (backend, module):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(dpm.MissingExtraError, match=rf"mixture_score.*{backend}"):
            Oracle(Q, LINEAR, backend=backend)
        for name in (backend, module):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        with pytest.raises(InvalidParameterError, match=rf"mixture_score.*no {backend} kernel"):
            Oracle(Q, LINEAR, backend=backend)
    for backend in ("auto", "numpy"):
        assert Oracle(Q, LINEAR, backend=backend).score(np.zeros(2), 5).shape == (2,)


def test_precision_is_checked() -> None:
    with pytest.raises(
        InvalidParameterError, match=r"Oracle: precision must be one of float64, float32, tf32; got 'half'"
    ):
        Oracle(Q, LINEAR, precision="half")


# -- broken versions -----------------------------------------------------------------------------------------

MUTANTS = {
    "sign of eps": ("-s[:, None] * self._density", "s[:, None] * self._density"),
    "eps without sigma": ("-s[:, None] * self._density", "-self._density"),
    "eps with sigma squared": ("-s[:, None] * self._density", "-(s * s)[:, None] * self._density"),
    "v without a": ("-(a * s)[:, None] * score", "-s[:, None] * score"),
    "v added": ("* score - s[:, None] * mean", "* score + s[:, None] * mean"),
    "v with a x0": ("- s[:, None] * mean", "- a[:, None] * mean"),
    "trace for diag": ("else p.diagonal()", "else p.trace()[:, None] + 0 * p.mean"),
    "cleaned by sigma": ("x / a[:, None]", "x * a[:, None]"),
}


def worst_prediction(oracle: Any) -> float:
    errors = [
        prediction_error(oracle, process, build(kind))
        for kind in ("full", "diag")
        for process in (LINEAR, PROCESSES[2])
    ]
    late = oracle(build(), SCALED)
    x = np.array([0.3, 0.4])
    return max(*errors, float(np.abs(late.x0(x, 0.0) - 2 * x).max()))


class Scaled:
    """A process that starts clean but scaled: x_0 seen as x_0/2."""

    def check_times(self, t: Any, who: str) -> Any:
        return np.asarray(t, dtype=float)

    def levels(self, t: Any) -> Any:
        return np.full(np.shape(t), 0.5), np.asarray(t, dtype=float)


SCALED = Scaled()


def test_a_process_of_ones_own() -> None:
    """Anything with levels and check_times will do; the reverse kernel too needs no more."""
    assert worst_prediction(Oracle) < 1e-12
    orc, x = Oracle(build("spherical"), SCALED), np.array([0.3, 0.4])
    kernel = orc.reverse(x, 0.0, 1.0)
    assert np.allclose(kernel.mean(), 0.5 * orc.x0(x, 1.0), rtol=1e-13)
    assert kernel.trace_cov() == pytest.approx(0.25 * orc.posterior_cov(x, 1.0, form="trace"), rel=1e-13)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutants_are_caught(name: str) -> None:
    broken = mutant(dpmoracle.oracle, MUTANTS[name]).Oracle
    with np.errstate(all="ignore"):
        assert worst_prediction(broken) > 1e-12
