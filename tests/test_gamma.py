"""Estimates of Γ and V against Gaussians in closed form; clustering, sharing, merging, files, wrong inputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle import gamma as gamma_module
from dpmoracle.errors import InvalidParameterError
from dpmoracle.gamma import GammaEstimate, MmseEstimate, estimate_gamma, estimate_mmse
from dpmoracle.processes.schedule import Schedule
from dpmoracle.storage import read_npz, write_npz

SCH = Schedule.linear(50, 1e-3, 0.2)
STEPS = np.array([1, 3, 10, 25, 50])
EIGEN = np.array([0.05, 0.5, 3.0])
MEAN = np.array([1.0, -2.0, 0.5])


def draw(M: int, seed: int = 0) -> np.ndarray:
    return MEAN + np.sqrt(EIGEN) * np.random.default_rng(seed).standard_normal((M, 3))


def score(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Exact for N(MEAN, diag EIGEN)."""
    a2, s2 = SCH.alpha_bar[t][:, None], SCH.beta_bar[t][:, None]
    return -(x - np.sqrt(a2) * MEAN) / (a2 * EIGEN + s2)


def x0_model(x: np.ndarray, t: np.ndarray) -> np.ndarray:
    """E[x_0|x_t] by regression of x_0 on x_t."""
    a = np.sqrt(SCH.alpha_bar[t])[:, None]
    return MEAN + a * EIGEN / (a * a * EIGEN + SCH.beta_bar[t][:, None]) * (x - a * MEAN)


def true_gamma(t: np.ndarray) -> np.ndarray:
    return (1 / (SCH.alpha_bar[t][:, None] * EIGEN + SCH.beta_bar[t][:, None])).mean(1)


def true_mmse(t: np.ndarray) -> np.ndarray:
    return (1 / (1 / EIGEN + SCH.snr[t][:, None])).mean(1)


def z(value: np.ndarray, stderr: np.ndarray, truth: np.ndarray) -> float:
    return float((np.abs(value - truth) / stderr).max())


@pytest.mark.parametrize("num_noise", [1, 4])
def test_estimates_equal_the_closed_form(num_noise: int) -> None:
    """|z| < 5 in 30 comparisons: a false alarm in 2e-5 of the seeds; 1% is seen at these counts."""
    x0 = draw(40_000)
    g = estimate_gamma(score, x0, SCH, STEPS, num_noise, rng=1)
    v = estimate_mmse(x0_model, x0, SCH, STEPS, num_noise, rng=2)
    assert z(g.gamma, g.stderr, true_gamma(STEPS)) < 5
    assert z(v.mmse, v.stderr, true_mmse(STEPS)) < 5
    assert z(g.mmse().mmse, g.mmse().stderr, true_mmse(STEPS)) < 5
    assert (g.stderr < 0.01 * g.gamma).all()
    assert (v.stderr < 0.01 * v.mmse).all()
    assert g.count == v.count == 40_000
    assert g.num_noise == num_noise
    assert (g.effective_count > 1000).all()
    np.testing.assert_array_equal(g.timesteps, STEPS)


class Broken(Schedule):
    """A schedule whose levels are wrong in one way, so that x_t is."""

    wrong: Callable[..., Any]

    def levels(self, t: Any) -> Any:
        return type(self).wrong(*super().levels(t), t)


def broken(wrong: Callable[..., Any]) -> Schedule:
    kind = type("Kind", (Broken,), {"wrong": staticmethod(wrong)})
    return kind.from_betas(SCH.betas)


LEVEL_MUTANTS = {
    "root missing on alpha_bar": lambda a, s, t: (a * a, s),
    "root missing on beta_bar": lambda a, s, t: (a, s * s),
    "beta for beta_bar": lambda a, s, t: (a, np.sqrt(SCH.betas[t - 1])),
    "one step behind": lambda a, s, t: (np.sqrt(SCH.alpha_bar[t - 1]), np.sqrt(SCH.beta_bar[t - 1])),
    "sigma and a exchanged": lambda a, s, t: (s, a),
}


@pytest.mark.parametrize("name", LEVEL_MUTANTS)
def test_wrong_noising_is_caught(name: str) -> None:
    x0, sch = draw(40_000), broken(LEVEL_MUTANTS[name])
    g = estimate_gamma(score, x0, sch, STEPS, rng=1)
    v = estimate_mmse(x0_model, x0, sch, STEPS, rng=2)
    assert z(g.gamma, g.stderr, true_gamma(STEPS)) > 5
    assert z(v.mmse, v.stderr, true_mmse(STEPS)) > 5


STATISTIC_MUTANTS = {
    "not over d": lambda out, x0: np.square(out).sum(1),
    "norm not squared": lambda out, x0: np.sqrt(np.square(out).mean(1)),
    "square of the mean": lambda out, x0: np.square(out.mean(1)),
}


@pytest.mark.parametrize("name", STATISTIC_MUTANTS)
def test_wrong_statistics_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = STATISTIC_MUTANTS[name]
    monkeypatch.setattr(gamma_module, "_score_norm", wrong)
    monkeypatch.setattr(gamma_module, "_residual", lambda out, x0: wrong(x0 - out, x0))
    g = estimate_gamma(score, draw(40_000), SCH, STEPS, rng=1)
    v = estimate_mmse(x0_model, draw(40_000), SCH, STEPS, rng=2)
    assert z(g.gamma, g.stderr, true_gamma(STEPS)) > 5
    assert z(v.mmse, v.stderr, true_mmse(STEPS)) > 5


def mmse_from(g: float, error: float, t: int) -> tuple[mp.mpf, mp.mpf]:
    """V and its error from (beta_bar/alpha_bar)(1 - beta_bar Γ) in 50 digits."""
    with mp.workdps(50):
        ab = mp.mpf(1)
        for beta in SCH.betas[:t]:
            ab *= 1 - mp.mpf(float(beta))
        return (1 - ab) / ab * (1 - (1 - ab) * g), (1 - ab) ** 2 / ab * error


def worst_mmse(convert: Callable[[GammaEstimate], tuple[np.ndarray, np.ndarray]]) -> float:
    """Largest error of V and of its standard error, relative to beta_bar/alpha_bar (1 + beta_bar Γ)."""
    estimate = GammaEstimate(
        np.array([3.0, 1.1, 0.7, 1.5]), np.full(4, 0.01), 9, np.array([1, 7, 30, 50]), SCH
    )
    errors = []
    for t, g, e, value, error in zip(estimate.timesteps, estimate.gamma, estimate.stderr, *convert(estimate)):
        want, spread = mmse_from(float(g), float(e), int(t))
        size = SCH.beta_bar[t] / SCH.alpha_bar[t] * (1 + SCH.beta_bar[t] * g)
        errors += [abs(float(value - want)) / size, abs(float(error / spread - 1))]
    return max(errors)


Factors = Callable[[SimpleNamespace], tuple[np.ndarray, np.ndarray]]


def by(factors: Factors) -> Callable[[GammaEstimate], tuple[np.ndarray, np.ndarray]]:
    """V = f (1 - i Γ) and its error f i stderr, with f, i from alpha_bar (A), beta_bar (B), alpha (a), beta (b)."""

    def convert(g: GammaEstimate) -> tuple[np.ndarray, np.ndarray]:
        betas = SCH.betas[g.timesteps - 1]
        A, B = SCH.alpha_bar[g.timesteps], SCH.beta_bar[g.timesteps]
        factor, inner = factors(SimpleNamespace(A=A, B=B, a=1 - betas, b=betas))
        return factor * (1 - inner * g.gamma), factor * inner * g.stderr

    return convert


MMSE_MUTANTS: dict[str, Factors] = {
    "beta/alpha": lambda x: (x.b / x.a, x.B),
    "beta inside": lambda x: (x.B / x.A, x.b),
    "root of beta_bar": lambda x: (x.B / x.A, np.sqrt(x.B)),
    "root of alpha_bar": lambda x: (x.B / np.sqrt(x.A), x.B),
    "alpha_bar over beta_bar": lambda x: (x.A / x.B, x.B),
    "sign": lambda x: (x.B / x.A, -x.B),
}


def test_mmse_from_gamma_equals_50_digits() -> None:
    assert worst_mmse(lambda g: (g.mmse().mmse, g.mmse().stderr)) < 1e-14
    assert worst_mmse(by(lambda x: (x.B / x.A, x.B))) < 1e-14
    estimate = GammaEstimate(np.array([1.5]), np.array([0.1]), 9, np.array([50]), SCH, 3)
    assert estimate.mmse().mmse[0] < 0, "beta_bar Γ > 1 is not clipped"
    assert (estimate.mmse().count, estimate.mmse().num_noise, estimate.mmse().method) == (9, 3, "score norm")


@pytest.mark.parametrize("name", MMSE_MUTANTS)
def test_wrong_mmse_from_gamma_is_caught(name: str) -> None:
    assert worst_mmse(by(MMSE_MUTANTS[name])) > 1e-3


def test_zero_terminal_snr() -> None:
    sch = Schedule.from_betas([0.1, 0.5, 1.0])
    v = estimate_mmse(lambda x, t: np.zeros_like(x), draw(100), sch, rng=0)
    g = estimate_gamma(lambda x, t: -x, draw(100), sch, rng=0)
    assert np.isfinite(v.mmse).all()
    with pytest.raises(
        InvalidParameterError, match=r"alpha_bar must be > 0; it is 0 at t = 3, .* terminal ="
    ):
        g.mmse()
    assert g.mmse(terminal=2.5).mmse[2] == 2.5
    assert g.mmse(terminal=2.5).stderr[2] == 0.0


def test_all_timesteps_share_x0_and_noise() -> None:
    seen: list[np.ndarray] = []

    def record(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        assert x.dtype == np.float64
        assert t.dtype == np.int64
        assert t.shape == (len(x),)
        a, sigma = SCH.levels(t)
        seen.append((x - a[:, None] * np.repeat(x0, 2, axis=0)) / sigma[:, None])
        return x

    x0 = draw(6)
    estimate_gamma(record, x0, SCH, num_noise=2, rng=5)
    assert len(seen) == SCH.N
    for noise in seen:
        np.testing.assert_allclose(noise, seen[0], atol=1e-12)
    assert abs(np.corrcoef(seen[0][0::2].ravel(), seen[0][1::2].ravel())[0, 1]) < 0.99


def test_standard_error_is_over_x0_and_not_over_noise() -> None:
    """At t = 1 all ε of one x_0 give the same; counting them as samples would claim sqrt(8) too small an error.

    Spread of 400 estimates: known to 1/sqrt(800) = 3.5%; within 20%, that is 5.6 sigma.
    """
    rng = np.random.default_rng(0)
    runs = [
        estimate_gamma(score, draw(50, seed), SCH, [1, 25], num_noise=8, rng=rng) for seed in range(1, 401)
    ]
    spread = np.std([r.gamma for r in runs], axis=0)
    claimed = np.sqrt(np.mean([r.stderr**2 for r in runs], axis=0))
    np.testing.assert_allclose(claimed, spread, rtol=0.2)
    assert claimed[0] / np.sqrt(8) < 0.5 * spread[0]


@given(st.integers(1, 40), st.integers(1, 3), st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_draws_do_not_depend_on_batches(batch: int, num_noise: int, seed: int) -> None:
    x0, calls = draw(17), []

    def watched(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return score(x, t)

    whole = estimate_gamma(score, x0, SCH, STEPS, num_noise, rng=seed)
    parts = estimate_gamma(watched, x0, SCH, STEPS, num_noise, rng=seed, batch_size=batch)
    np.testing.assert_allclose(parts.gamma, whole.gamma, rtol=1e-13)
    np.testing.assert_allclose(parts.stderr, whole.stderr, rtol=1e-12)
    assert max(calls) <= batch
    assert sum(calls) == 17 * num_noise * len(STEPS)


def test_blocks_of_x0_do_not_change_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = estimate_mmse(x0_model, draw(23), SCH, STEPS, 2, rng=3)
    monkeypatch.setattr(gamma_module, "_NOISE", 30)
    blocks = estimate_mmse(x0_model, draw(23), SCH, STEPS, 2, rng=3)
    np.testing.assert_allclose(blocks.mmse, whole.mmse, rtol=1e-13)
    np.testing.assert_allclose(blocks.stderr, whole.stderr, rtol=1e-12)


@given(st.integers(1, 19), st.integers(1, 19), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_sum_is_the_estimate_of_all_samples(first: int, second: int, num_noise: int) -> None:
    x0 = draw(20 + first + second)
    cuts = [slice(0, first), slice(first, first + second), slice(first + second, None)]
    rng = np.random.default_rng(4)
    a, b, c = (estimate_gamma(score, x0[cut], SCH, STEPS, num_noise, rng) for cut in cuts)
    whole = estimate_gamma(score, x0, SCH, STEPS, num_noise, rng=4)
    for merged in (a + b + c, a + (b + c), c + (b + a)):
        assert merged.count == whole.count
        assert merged.num_noise == num_noise
        np.testing.assert_allclose(merged.gamma, whole.gamma, rtol=1e-13)
        np.testing.assert_allclose(merged.stderr, whole.stderr, rtol=1e-12)
        np.testing.assert_allclose(merged.effective_count, whole.effective_count, rtol=1e-12)


def test_only_equal_settings_add() -> None:
    x0 = draw(5)
    g = estimate_gamma(score, x0, SCH, STEPS, rng=0)
    other = {
        "schedule": estimate_gamma(lambda x, t: x, x0, Schedule.linear(50, 1e-3, 0.19), STEPS, rng=0),
        "timesteps": estimate_gamma(score, x0, SCH, [1, 2], rng=0),
        "num_noise": estimate_gamma(score, x0, SCH, STEPS, 2, rng=0),
    }
    for name, estimate in other.items():
        with pytest.raises(
            InvalidParameterError, match=f"GammaEstimate: only .* equal settings .*; {name} differs"
        ):
            g + estimate
    with pytest.raises(InvalidParameterError, match="method differs: 'score norm' and 'residual'"):
        g.mmse() + estimate_mmse(x0_model, x0, SCH, STEPS, rng=0)
    with pytest.raises(TypeError):
        g + g.mmse()
    renamed = Schedule.from_betas(SCH.betas, name="the same numbers")
    assert (g + estimate_gamma(score, x0, renamed, STEPS, rng=1)).count == 10


def test_values_at_their_own_indices() -> None:
    full = estimate_gamma(score, draw(5), SCH, STEPS, rng=0).on_schedule()
    assert full.shape == (SCH.N + 1,)
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(full)), STEPS)
    everything = estimate_mmse(x0_model, draw(5), SCH, rng=0)
    np.testing.assert_array_equal(everything.timesteps, np.arange(1, SCH.N + 1))
    np.testing.assert_array_equal(everything.on_schedule()[1:], everything.mmse)


def test_single_precision_is_summed_in_double() -> None:
    """1 + 2^-23 squared has no float32; the mean of its squares has all digits of float64."""
    value = np.float32(1 + 2**-23)
    g = estimate_gamma(lambda x, t: np.full(x.shape, value), draw(1001), SCH, [1], rng=0)
    assert g.gamma[0] == float(value) ** 2
    assert g.gamma.dtype == np.float64


def test_the_estimate_is_read_only_and_its_own() -> None:
    steps = STEPS.copy()
    g = estimate_gamma(score, draw(5), SCH, steps, rng=0)
    steps[0] = 2
    assert g.timesteps[0] == 1
    for array in (g.gamma, g.stderr, g.timesteps):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_progress_counts_every_row() -> None:
    calls: list[tuple[int, int]] = []
    estimate_gamma(score, draw(10), SCH, STEPS, 3, rng=0, batch_size=7, progress=lambda *x: calls.append(x))
    assert calls[-1] == (150, 150)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


class NeedsDetach:
    """As a torch tensor with requires_grad, or of bfloat16."""

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")


BAD_MODELS: dict[str, tuple[Callable[..., Any], str]] = {
    "shape": (lambda x, t: x[:, :2], r"at t = 3 must have shape \(9, 3\), that of x; got \(9, 2\)"),
    "scalar": (lambda x, t: 0.0, r"got \(\)"),
    "nothing": (lambda x, t: None, r"at t = 3 must have shape"),
    "text": (lambda x, t: np.full(x.shape, "a"), "at t = 3 must be real numbers"),
    "complex": (lambda x, t: x * 1j, "at t = 3 must be real numbers; got an array of complex128"),
    "nan": (lambda x, t: np.where(t[:, None] == 10, np.nan, x), "at t = 10 must be finite; 9 of 9 samples"),
    "one inf": (lambda x, t: np.where(x == x.max(), np.inf, x), "at t = 3 must be finite; 1 of 9 samples"),
    "too large": (lambda x, t: x * 1e200, "at t = 3 is too large to square"),
    "tensor": (lambda x, t: NeedsDetach(), r"NumPy can read; got NeedsDetach .*requires grad.*detach\(\)"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
@pytest.mark.parametrize("estimate", [estimate_gamma, estimate_mmse])
def test_bad_models_are_named(estimate: Callable[..., Any], name: str) -> None:
    model, words = BAD_MODELS[name]
    with pytest.raises(InvalidParameterError, match=f"^{estimate.__name__}: .*{words}"):
        estimate(model, draw(9), SCH, [3, 10], rng=0)


@pytest.mark.peers
def test_torch_models() -> None:
    torch = pytest.importorskip("torch")

    def single(x: np.ndarray, t: np.ndarray) -> Any:
        return torch.from_numpy(score(x, t)).float()

    got = estimate_gamma(single, draw(100), SCH, STEPS, rng=0)
    want = estimate_gamma(score, draw(100), SCH, STEPS, rng=0)
    np.testing.assert_allclose(got.gamma, want.gamma, rtol=1e-6)
    for change in (lambda y: y.requires_grad_(), lambda y: y.bfloat16()):
        with pytest.raises(InvalidParameterError, match=r"at t = 1 .* got Tensor .*detach\(\)"):
            estimate_gamma(lambda x, t, change=change: change(single(x, t)), draw(4), SCH, STEPS, rng=0)


def test_errors_of_the_model_pass_through() -> None:
    def fail(x: np.ndarray, t: np.ndarray) -> np.ndarray:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        estimate_gamma(fail, draw(3), SCH, rng=0)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "model": ({"score": 3.0}, "the model must be a function"),
    "x0 flat": ({"x0": np.zeros(3)}, r"x0 must have shape \(M, d\), M and d >= 1; got \(3,\)"),
    "x0 image": ({"x0": np.zeros((2, 3, 4, 4))}, "Flatten images"),
    "x0 empty": ({"x0": np.zeros((0, 3))}, r"got \(0, 3\)"),
    "x0 nan": ({"x0": np.array([[0.0, np.nan]])}, r"x0 must be finite; 1 of 2 .* \[0, 1\]"),
    "x0 text": ({"x0": [["a"]]}, "x0 must be real numbers"),
    "schedule": ({"sch": np.ones(5)}, "sch must be a Schedule; got ndarray"),
    "t = 0": ({"timesteps": [0, 1]}, r"timesteps must lie in 1..50; got 0"),
    "t > N": ({"timesteps": [1, 51]}, r"timesteps must lie in 1..50; got 51"),
    "t real": ({"timesteps": [1.0, 2.0]}, "timesteps must be an integer timestep"),
    "t twice": ({"timesteps": [1, 3, 3]}, "must increase, each given once; got 3 before 3"),
    "t falling": ({"timesteps": [1, 5, 4]}, "must increase, each given once; got 5 before 4. Sort"),
    "t none": ({"timesteps": np.zeros(0, int)}, r"shape \(T,\), T >= 1; got \(0,\)"),
    "t single": ({"timesteps": 3}, r"shape \(T,\), T >= 1; got \(\)"),
    "num_noise 0": ({"num_noise": 0}, "num_noise must be a whole number >= 1; got 0"),
    "num_noise real": ({"num_noise": 1.5}, "num_noise must be a whole number"),
    "batch_size": ({"batch_size": 0}, "batch_size must be a whole number >= 1; got 0"),
    "rng": ({"rng": "x"}, "rng must be a numpy.random.Generator"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_refused(name: str) -> None:
    right: dict[str, Any] = {"score": score, "x0": draw(4), "sch": SCH, "timesteps": [1], "rng": 0}
    change, words = WRONG[name]
    with pytest.raises(InvalidParameterError, match=f"^estimate_gamma: .*{words}"):
        estimate_gamma(**{**right, **change})


def test_one_x0_has_no_standard_error() -> None:
    g = estimate_gamma(score, draw(1), SCH, STEPS, num_noise=5, rng=0)
    assert np.isnan(g.stderr).all()
    assert np.isfinite((g + estimate_gamma(score, draw(1, 7), SCH, STEPS, 5, rng=1)).stderr).all()


SCHEDULES = {
    "betas": SCH,
    "cosine": Schedule.cosine(50),
    "zero terminal": Schedule.from_alpha_bar(np.linspace(1, 0, 51)),
}


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("count", [1, 7])
def test_files_give_back_every_bit(tmp_path: Path, name: str, count: int) -> None:
    sch = SCHEDULES[name]
    for estimate in (
        estimate_gamma(lambda x, t: x, draw(count), sch, STEPS, 2, rng=0),
        estimate_mmse(lambda x, t: 0 * x, draw(count), sch, rng=0),
    ):
        estimate.save(tmp_path / "a.npz")
        back = type(estimate).load(tmp_path / "a.npz")
        for field in ("gamma", "mmse", "stderr", "timesteps"):
            if hasattr(estimate, field) and not callable(getattr(estimate, field)):
                np.testing.assert_array_equal(getattr(back, field), getattr(estimate, field))
        assert back.schedule == sch
        assert (back.count, back.num_noise, back.method) == (count, estimate.num_noise, estimate.method)
        assert (back + estimate).count == 2 * count


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    g = estimate_gamma(score, draw(4), SCH, STEPS, rng=0)
    g.save(path)
    with pytest.raises(
        InvalidParameterError, match=r"MmseEstimate.load: .* format dpmoracle.MmseEstimate; it has"
    ):
        MmseEstimate.load(path)
    with pytest.raises(FileNotFoundError, match=r"GammaEstimate.load: .*no such file"):
        GammaEstimate.load(tmp_path / "none.npz")
    with pytest.raises(InvalidParameterError, match=r"GammaEstimate.save: .* does not exist; create it"):
        g.save(tmp_path / "none" / "a.npz")


DAMAGE: dict[str, tuple[dict[str, Any], str]] = {
    "version": ({"version": 2}, "must have version 1; it has 2"),
    "missing": ({"stderr": None}, "lacks stderr"),
    "no schedule": ({"schedule_values": None}, "must hold a whole GammaEstimate; .*values"),
    "bad schedule": ({"schedule_values": np.array([0.1, 2.0])}, "betas must lie"),
    "other schedule": ({"schedule_values": np.full(10, 0.1)}, "timesteps must lie in 1..10; got 25"),
    "shape": ({"gamma": np.ones(4)}, r"must have the shape of timesteps, \(5,\); got \(4,\)"),
    "nan": ({"gamma": np.full(5, np.nan)}, "gamma must be finite"),
    "text": ({"gamma": np.full(5, "a")}, "gamma must be real numbers"),
    "count of two": ({"count": np.array([1, 2])}, "whole GammaEstimate"),
    "real count": ({"count": 2.5}, "count must be a whole number >= 1; got 2.5"),
    "no count": ({"count": 0}, "count must be a whole number >= 1; got 0"),
    "stderr": ({"stderr": np.full(5, -1.0)}, "stderr must be >= 0; got -1.0"),
    "stderr nan": ({"stderr": np.full(5, np.nan)}, "stderr must be finite"),
    "real steps": ({"timesteps": np.arange(1.0, 6.0)}, "timesteps must be an integer"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_contents_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.npz"
    estimate_gamma(score, draw(4), SCH, STEPS, rng=0).save(path)
    change, words = DAMAGE[name]
    arrays = {**read_npz(path, "test", ()), **change}
    write_npz(path, {k: x for k, x in arrays.items() if x is not None})
    with pytest.raises(InvalidParameterError, match=rf"^GammaEstimate.load: '.*a\.npz' .*{words}"):
        GammaEstimate.load(path)


def test_public_names() -> None:
    assert dpm.estimate_gamma is estimate_gamma
    assert dpm.MmseEstimate is MmseEstimate
