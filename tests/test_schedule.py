"""Discrete schedules against 50-digit arithmetic on the stored numbers, taken as exact."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle import Schedule, strategies

# beta_bar is promised to 1e-14 relative and half_log_snr to 1e-14 max(1, |value|); measured 2e-16 and 3e-16.
LEVEL = 1e-15
# alpha and beta over (s, t): measured 3e-16 and 2e-16.
SKIP = 1e-15


def exact_alpha_bar(schedule: Schedule) -> list[mp.mpf]:
    """alpha_bar in the working precision, from the numbers that are exact as stored."""
    if schedule.given == "alpha_bar":
        return [mp.mpf(float(a)) for a in schedule.values]
    products = [mp.mpf(1)]
    for beta in schedule.values:
        products.append(products[-1] * (1 - mp.mpf(float(beta))))
    return products


def exact_levels(schedule: Schedule) -> dict[str, list[mp.mpf]]:
    a = exact_alpha_bar(schedule)
    inner = range(1, schedule.N + (a[-1] != 0))  # where the logarithm is finite
    return {
        "alpha_bar": a,
        "beta_bar": [1 - x for x in a],
        "snr": [a[t] / (1 - a[t]) for t in inner],
        "half_log_snr": [mp.log(a[t] / (1 - a[t])) / 2 for t in inner],
        "log_alpha_bar": [mp.log(a[t]) for t in inner],
    }


def level_error(name: str, values: np.ndarray, truth: list[mp.mpf]) -> float:
    """Largest error: relative to max(1, |value|) for half_log_snr, relative for the others."""
    if len(truth) < len(values):
        values = values[1 : len(truth) + 1]
    floor = mp.mpf(1 if name == "half_log_snr" else 0)
    errors = [abs(mp.mpf(float(x)) - y) / max(floor, abs(y)) for x, y in zip(values, truth) if y != 0]
    zeros = [mp.mpf(float(abs(x))) for x, y in zip(values, truth) if y == 0]
    return float(max(errors + zeros, default=mp.mpf(0)))


NAMED = {
    "linear": Schedule.linear(1000),
    "linear 10000": Schedule.linear(10_000),
    "scaled_linear": Schedule.scaled_linear(1000),
    "cosine": Schedule.cosine(1000),
    "cosine, zero terminal": Schedule.cosine(1000, max_beta=1.0),
    "sigmoid": Schedule.sigmoid(1000),
    "equal betas 10000": Schedule.from_betas(np.full(10_000, 0.01)),
    "one step": Schedule.from_betas([0.3]),
    "one step to noise": Schedule.from_betas([1.0]),
    "alpha_bar": Schedule.from_alpha_bar(Schedule.cosine(500).alpha_bar),
    "alpha_bar, steep": Schedule.from_alpha_bar([1.0, 1.0 - 2**-53, 0.5, 1e-3, 1e-14, 1e-200, 0.0]),
}


@pytest.mark.parametrize("schedule", NAMED.values(), ids=NAMED.keys())
def test_levels_to_50_digits(schedule: Schedule) -> None:
    with mp.workdps(50):
        for name, truth in exact_levels(schedule).items():
            assert level_error(name, getattr(schedule, name), truth) < LEVEL, name


def skip_pairs(N: int, count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Random steps, single steps and the longest one."""
    rng = np.random.default_rng(0)
    s = rng.integers(0, N, count)
    t = np.concatenate([rng.integers(s[: count // 2] + 1, N + 1), s[count // 2 :] + 1])
    return np.append(s, 0), np.append(t, N)


def skip_errors(
    schedule: Schedule, alpha: np.ndarray, beta: np.ndarray, s: Any, t: Any
) -> tuple[float, float]:
    a = exact_alpha_bar(schedule)
    pairs = [(a[int(j)] / a[int(i)], x, y) for i, j, x, y in zip(s, t, alpha, beta)]
    return (
        float(max(abs(mp.mpf(float(x)) - r) / r if r else abs(x) for r, x, _ in pairs)),
        float(max(abs(mp.mpf(float(y)) / (1 - r) - 1) for r, _, y in pairs)),
    )


@pytest.mark.parametrize("schedule", NAMED.values(), ids=NAMED.keys())
def test_skips_to_50_digits(schedule: Schedule) -> None:
    s, t = skip_pairs(schedule.N)
    with mp.workdps(50):
        errors = skip_errors(schedule, schedule.alpha(s, t), schedule.beta(s, t), s, t)
    assert max(errors) < SKIP


@settings(max_examples=60, deadline=None)
@given(strategies.schedules(), st.data())
def test_any_schedule_to_50_digits(schedule: Schedule, data: st.DataObject) -> None:
    s, t = data.draw(strategies.step_pairs(schedule))
    with mp.workdps(80):
        for name, truth in exact_levels(schedule).items():
            assert level_error(name, getattr(schedule, name), truth) < LEVEL, name
        errors = skip_errors(schedule, [schedule.alpha(s, t)], [schedule.beta(s, t)], [s], [t])
    assert max(errors) < SKIP


def test_alpha_survives_where_alpha_bar_underflows() -> None:
    schedule = Schedule.from_betas(np.full(2000, 0.5))
    assert schedule.alpha_bar[-1] == 0.0
    assert schedule.half_log_snr[-1] == pytest.approx(-1000 * np.log(2), rel=1e-15)
    assert schedule.alpha(1990, 2000) == pytest.approx(2.0**-10, rel=1e-14)  # exp of a log: 7 ulp
    assert schedule.beta(1990, 2000) == pytest.approx(1 - 2.0**-10, rel=1e-15)


def test_one_step_is_the_stored_beta_and_the_whole_way_is_beta_bar() -> None:
    schedule = Schedule.linear(50)
    t = np.arange(1, 51)
    np.testing.assert_array_equal(schedule.beta(t - 1, t), schedule.betas)
    np.testing.assert_array_equal(schedule.beta(0, t), schedule.beta_bar[1:])


# Broken versions of every formula, each caught by the comparison that the right one passes.
B = np.concatenate([np.geomspace(1e-9, 0.2, 60), np.linspace(0.2, 0.01, 60)])
SUMS = np.append(0.0, np.cumsum(np.log1p(-B)))
BAR = np.append(1.0, np.cumprod(1.0 - B))
RIGHT = Schedule.from_betas(B)
LEVEL_MUTANTS = [
    ("alpha_bar", "beta for beta_bar", np.append(1.0, 1.0 - B)),
    ("alpha_bar", "index off by one", np.append(BAR[1:], BAR[-1])),
    ("alpha_bar", "root taken twice", np.sqrt(BAR)),
    ("alpha_bar", "sum for product", 1.0 - np.append(0.0, np.cumsum(B))),
    ("beta_bar", "cancelling", 1.0 - BAR),
    ("beta_bar", "sum for product", np.append(0.0, np.cumsum(B))),
    ("beta_bar", "beta for beta_bar", np.append(0.0, B)),
    ("snr", "root", np.sqrt(RIGHT.snr)),
    ("snr", "upside down", 1.0 / np.append(1.0, RIGHT.snr[1:])),
    ("half_log_snr", "half missing", 2.0 * RIGHT.half_log_snr),
    ("half_log_snr", "sign", -RIGHT.half_log_snr),
    ("half_log_snr", "signal alone", 0.5 * RIGHT.log_alpha_bar),
    ("half_log_snr", "cancelling", 0.5 * np.log(BAR / np.append(1.0, 1.0 - BAR[1:]))),
    ("log_alpha_bar", "half", 0.5 * RIGHT.log_alpha_bar),
    ("log_alpha_bar", "of a rounded product", np.log(BAR)),
]


@pytest.mark.parametrize(
    ("name", "what", "values"), LEVEL_MUTANTS, ids=[f"{m[0]} {m[1]}" for m in LEVEL_MUTANTS]
)
def test_broken_levels_are_caught(name: str, what: str, values: np.ndarray) -> None:
    with mp.workdps(50):
        truth = exact_levels(RIGHT)[name]
        assert level_error(name, getattr(RIGHT, name), truth) < LEVEL
        assert level_error(name, values, truth) > LEVEL


SKIP_MUTANTS: list[tuple[int, str, Callable[[np.ndarray, np.ndarray], np.ndarray]]] = [
    (0, "upside down", lambda s, t: RIGHT.alpha_bar[s] / RIGHT.alpha_bar[t]),
    (0, "one step", lambda s, t: 1.0 - B[t - 1]),
    (0, "from clean data", lambda s, t: RIGHT.alpha_bar[t]),
    (0, "root", lambda s, t: np.sqrt(RIGHT.alpha(s, t))),
    (0, "beta for alpha", lambda s, t: RIGHT.beta(s, t)),
    (0, "exp of plain sums", lambda s, t: np.exp(SUMS[t] - SUMS[s])),
    (1, "cancelling", lambda s, t: 1.0 - RIGHT.alpha_bar[t] / RIGHT.alpha_bar[s]),
    (1, "cancelling logs", lambda s, t: -np.expm1(RIGHT.log_alpha_bar[t] - RIGHT.log_alpha_bar[s])),
    (1, "difference of beta_bar", lambda s, t: RIGHT.beta_bar[t] - RIGHT.beta_bar[s]),
    (1, "sum of betas", lambda s, t: np.append(0.0, np.cumsum(B))[t] - np.append(0.0, np.cumsum(B))[s]),
    (1, "one step", lambda s, t: B[t - 1]),
    (1, "index off by one", lambda s, t: np.append(B, 0.5)[t] + 0.0 * s),
]


@pytest.mark.parametrize(
    ("part", "what", "broken"), SKIP_MUTANTS, ids=[f"{'ab'[m[0]]} {m[1]}" for m in SKIP_MUTANTS]
)
def test_broken_skips_are_caught(part: int, what: str, broken: Callable[..., np.ndarray]) -> None:
    s, t = skip_pairs(RIGHT.N)
    values = [RIGHT.alpha(s, t), RIGHT.beta(s, t)]
    with mp.workdps(50):
        assert max(skip_errors(RIGHT, *values, s, t)) < SKIP
        values[part] = broken(s, t)
        assert skip_errors(RIGHT, *values, s, t)[part] > SKIP


# The named schedules, each from the words of its source, in 50 digits.


def source_betas(kind: str, N: int) -> list[mp.mpf]:
    if kind == "cosine":

        def f(t: int) -> mp.mpf:
            return mp.cos((mp.mpf(t) / N + mp.mpf(0.008)) / (1 + mp.mpf(0.008)) * mp.pi / 2) ** 2

        return [min(1 - f(t) / f(t - 1), mp.mpf(0.999)) for t in range(1, N + 1)]
    low, high = (mp.mpf(x) for x in ((0.00085, 0.012) if kind == "scaled_linear" else (1e-4, 2e-2)))
    share = [mp.mpf(i) / (N - 1) for i in range(N)]
    if kind == "linear":
        return [low + (high - low) * x for x in share]
    if kind == "scaled_linear":
        return [(mp.sqrt(low) + (mp.sqrt(high) - mp.sqrt(low)) * x) ** 2 for x in share]
    return [low + (high - low) / (1 + mp.exp(6 - 12 * x)) for x in share]


def beta_error(betas: np.ndarray, kind: str) -> float:
    with mp.workdps(50):
        truth = source_betas(kind, len(betas))
        return float(max(abs(mp.mpf(float(b)) / x - 1) for b, x in zip(betas, truth)))


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "sigmoid", "cosine"])
@pytest.mark.parametrize("N", [2, 17, 1000])
def test_named_betas(kind: str, N: int) -> None:
    assert beta_error(getattr(Schedule, kind)(N).betas, kind) < 2e-15


GRID = np.arange(1000) / 999.0
NAMED_MUTANTS = [
    ("linear", "rescaled with N", np.linspace(1e-4, 2e-2, 1000) * 1.001),
    ("linear", "t/N", 1e-4 + (2e-2 - 1e-4) * np.arange(1, 1001) / 1000),
    ("linear", "reversed", np.linspace(2e-2, 1e-4, 1000)),
    ("scaled_linear", "linear", np.linspace(0.00085, 0.012, 1000)),
    ("scaled_linear", "square missing", np.linspace(0.00085**0.5, 0.012**0.5, 1000)),
    ("sigmoid", "sign", (2e-2 - 1e-4) / (1 + np.exp(12 * GRID - 6)) + 1e-4),
    ("sigmoid", "offset missing", (2e-2 - 1e-4) / (1 + np.exp(6 - 12 * GRID))),
    ("sigmoid", "range [-5, 5]", (2e-2 - 1e-4) / (1 + np.exp(5 - 10 * GRID)) + 1e-4),
    ("cosine", "unclipped", Schedule.cosine(1000, max_beta=1.0).betas),
    ("cosine", "s missing", Schedule.cosine(1000, s=0.0).betas),
    ("cosine", "square missing", 1.0 - np.sqrt(1.0 - Schedule.cosine(1000).betas)),
    ("cosine", "index off by one", np.append(Schedule.cosine(1000).betas[1:], 0.999)),
]


@pytest.mark.parametrize(
    ("kind", "what", "betas"), NAMED_MUTANTS, ids=[f"{m[0]} {m[1]}" for m in NAMED_MUTANTS]
)
def test_broken_named_betas_are_caught(kind: str, what: str, betas: np.ndarray) -> None:
    assert beta_error(betas, kind) > 2e-15


# The interface.


def test_shapes_and_ends() -> None:
    schedule = Schedule.cosine(20, max_beta=1.0)
    assert schedule.N == 20
    for name in ("alpha_bar", "beta_bar", "snr", "half_log_snr", "log_alpha_bar"):
        array = getattr(schedule, name)
        assert array.shape == (21,)
        assert array.dtype == np.float64
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0
    assert schedule.betas.shape == (20,)
    assert (schedule.alpha_bar[0], schedule.beta_bar[0], schedule.snr[0]) == (1.0, 0.0, np.inf)
    assert not np.signbit(schedule.beta_bar[0])
    assert (schedule.alpha_bar[-1], schedule.beta_bar[-1], schedule.snr[-1]) == (0.0, 1.0, 0.0)
    assert (schedule.half_log_snr[0], schedule.half_log_snr[-1]) == (np.inf, -np.inf)
    assert (schedule.alpha(3, 20), schedule.beta(3, 20)) == (0.0, 1.0)
    a, sigma = schedule.levels(np.array([[0, 1], [10, 20]]))
    assert a.shape == sigma.shape == (2, 2)
    np.testing.assert_allclose(a**2 + sigma**2, 1.0, rtol=1e-15)
    assert schedule.levels(0) == (1.0, 0.0)
    assert schedule.levels(20) == (0.0, 1.0)
    assert schedule.alpha(np.zeros((3, 1), int), np.array([4, 5])).shape == (3, 2)
    assert repr(schedule) == "<Schedule cosine(s=0.008, max_beta=1), N=20>"


def test_input_is_copied() -> None:
    betas = np.full(5, 0.1)
    schedule = Schedule.from_betas(betas)
    betas[:] = 0.5
    assert schedule.betas[0] == 0.1
    assert betas.flags.writeable


def test_integers_and_float32_are_converted() -> None:
    assert Schedule.from_alpha_bar([1, 0]) == Schedule.from_betas([1])
    betas = np.linspace(1e-4, 2e-2, 10, dtype=np.float32)
    np.testing.assert_array_equal(Schedule.from_betas(betas).betas, betas.astype(np.float64))


def test_equality_is_of_numbers() -> None:
    betas = Schedule.linear(10).betas
    assert Schedule.from_betas(betas, name="mine") == Schedule.linear(10)
    assert Schedule.linear(10) != Schedule.linear(11)
    changed = betas.copy()
    changed[3] = np.nextafter(changed[3], 1.0)
    assert Schedule.from_betas(changed) != Schedule.linear(10)
    assert Schedule.linear(10) != "linear"


@settings(max_examples=30, deadline=None)
@given(strategies.schedules())
def test_state_round_trip_through_npz(schedule: Schedule) -> None:
    file = io.BytesIO()
    np.savez(file, **schedule.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        back = Schedule.from_state(stored)
    assert back == schedule
    assert back.name == schedule.name
    for name in ("beta_bar", "half_log_snr", "log_alpha_bar", "_log_low"):
        np.testing.assert_array_equal(getattr(back, name), getattr(schedule, name))


# diffusers' schedulers, without diffusers: they keep float32 betas and alphas_cumprod.


def scheduler(betas: np.ndarray, **changes: Any) -> SimpleNamespace:
    betas = np.asarray(betas, dtype=np.float32)
    products = np.cumprod(np.float32(1) - betas, dtype=np.float32)
    return SimpleNamespace(**{"betas": betas, "alphas_cumprod": products, **changes})


@pytest.mark.parametrize("kind", ["linear", "scaled_linear", "sigmoid", "cosine"])
def test_from_diffusers_takes_the_betas_as_exact(kind: str) -> None:
    betas = getattr(Schedule, kind)(1000).betas.astype(np.float32)
    assert Schedule.from_diffusers(scheduler(betas)) == Schedule.from_betas(betas)
    assert Schedule.from_diffusers(scheduler(betas, alphas_cumprod=None)) == Schedule.from_betas(betas)


def test_from_diffusers_zero_terminal_snr() -> None:
    betas = Schedule.cosine(100, max_beta=1.0).betas
    assert Schedule.from_diffusers(scheduler(betas)).alpha_bar[-1] == 0.0
    subject = scheduler(betas)
    subject.alphas_cumprod[-1] = 2.0**-24
    schedule = Schedule.from_diffusers(subject)
    assert schedule.alpha_bar[-1] == pytest.approx(2.0**-24, rel=1e-12)
    np.testing.assert_array_equal(schedule.betas[:-1], subject.betas[:-1])


def test_from_diffusers_alphas_cumprod_alone() -> None:
    subject = SimpleNamespace(alphas_cumprod=Schedule.linear(10).alpha_bar[1:])
    assert Schedule.from_diffusers(subject) == Schedule.from_alpha_bar(Schedule.linear(10).alpha_bar)


@pytest.mark.peers
def test_from_diffusers_takes_torch_tensors() -> None:
    torch = pytest.importorskip("torch")
    betas = torch.linspace(1e-4, 2e-2, 1000, dtype=torch.float32)
    subject = SimpleNamespace(betas=betas, alphas_cumprod=torch.cumprod(1.0 - betas, dim=0))
    assert Schedule.from_diffusers(subject) == Schedule.from_betas(betas.numpy())


# Wrong inputs.

L = Schedule.linear(10)
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: Schedule.from_betas([0.1, 0.0, 0.2]), r"from_betas: betas must lie in \(0, 1\).*got 0.0.*\[1\]"),
    (lambda: Schedule.from_betas([0.1, 1.0, 0.2]), r"only the last may be 1; got 1.0 at index \[1\]"),
    (lambda: Schedule.from_betas([0.1, 1.5]), r"got 1.5 at index \[1\]"),
    (lambda: Schedule.from_betas([-0.1, 0.5]), r"got -0.1 at index \[0\]"),
    (lambda: Schedule.from_betas([0.1, np.nan]), r"betas must be finite.*\[1\]"),
    (lambda: Schedule.from_betas([]), r"at least 1 entries; got shape \(0,\)"),
    (lambda: Schedule.from_betas([[0.1]]), r"one-dimensional.*got shape \(1, 1\)"),
    (lambda: Schedule.from_betas(0.1), r"one-dimensional.*got shape \(\)"),
    (lambda: Schedule.from_betas(["a"]), "betas must be real numbers"),
    (lambda: Schedule.from_betas([[0.1], [0.1, 0.2]]), "betas must be one array; its rows are of"),
    (lambda: Schedule.from_betas(None), "betas must be real numbers; got NoneType"),
    (lambda: Schedule.from_betas([0.1j]), "betas must be real numbers"),
    (lambda: Schedule.from_alpha_bar([0.9, 0.5]), r"alpha_bar\[0\] must be 1.*got 0.9. Put a 1 first"),
    (
        lambda: Schedule.from_alpha_bar([1.0, 0.5, 0.6, 0.7]),
        r"alpha_bar\[2\] = 0.6 is not below alpha_bar\[1\]",
    ),
    (lambda: Schedule.from_alpha_bar([1.0, 0.5, 0.5]), r"must decrease; alpha_bar\[2\]"),
    (lambda: Schedule.from_alpha_bar([1.0, 0.5, -0.1]), r"in \[0, 1\]; got -0.1 at index 2"),
    (lambda: Schedule.from_alpha_bar([1.0, 0.0, -0.1]), r"in \[0, 1\]; got -0.1 at index 2"),
    (lambda: Schedule.from_alpha_bar([1.0, np.nan]), r"alpha_bar must be finite"),
    (lambda: Schedule.from_alpha_bar([1.0]), "at least 2 entries"),
    (lambda: Schedule.linear(0), "linear: N must be a whole number >= 1; got 0"),
    (lambda: Schedule.linear(10.0), "N must be a whole number"),
    (lambda: Schedule.linear(10, 0.0, 0.1), r"betas must lie in \(0, 1\)"),
    (lambda: Schedule.linear(10, -1.0, 0.1), r"linear: beta_start must be a number in \[0, 1\]; got -1.0"),
    (lambda: Schedule.scaled_linear(10, 0.1, 2.0), r"scaled_linear: beta_end must be a number in \[0, 1\]"),
    (lambda: Schedule.sigmoid(10, np.nan, 0.1), r"sigmoid: beta_start"),
    (lambda: Schedule.cosine(10, s=-0.1), r"cosine: s must be a number"),
    (lambda: Schedule.cosine(10, s=np.inf), r"cosine: s must be a number"),
    (lambda: Schedule.cosine(10, max_beta=1.1), r"cosine: max_beta must be a number in \[0, 1\]"),
    (lambda: Schedule("x", "gammas", np.ones(3)), "given must be 'betas' or 'alpha_bar'; got 'gammas'"),
    (lambda: L.levels(1.0), "levels: t must be an integer timestep in 0..10; got float64 1.0"),
    (lambda: L.levels(11), "t must lie in 0..10; got 11"),
    (lambda: L.levels([3, -1]), "t must lie in 0..10; got -1"),
    (lambda: L.check_times(True, "Oracle.score"), "Oracle.score: t must be an integer"),
    (lambda: L.alpha(3, 3), "alpha: s must be below t; got s = 3, t = 3"),
    (lambda: L.beta([1, 7], [5, 4]), "beta: s must be below t; got s = 7, t = 4"),
    (lambda: L.alpha(-1, 3), "s must lie in 0..10; got -1"),
    (lambda: L.beta(0.0, 3), "s must be an integer timestep"),
    (lambda: L.beta([1, 2], [3, 4, 5]), r"broadcast.*\(2,\) and \(3,\)"),
    (lambda: Schedule.from_state({"kind": "Schedule"}), r"from_state: state must have .*'values'"),
    (lambda: Schedule.from_state({**L.state(), "kind": "Process"}), "kind must be 'Schedule'; got 'Process'"),
    (lambda: Schedule.from_state({**L.state(), "values": np.array(["a"])}), "values must be real numbers"),
    (lambda: Schedule.from_state({**L.state(), "given": "alpha_bar"}), r"alpha_bar\[0\] must be 1"),
    (lambda: Schedule.from_diffusers(object()), "from_diffusers: scheduler must have betas.*rectified_flow"),
    (
        lambda: Schedule.from_diffusers(scheduler(L.betas, alphas_cumprod=L.alpha_bar[:-1])),
        "must be the product of 1 - betas",
    ),
    (lambda: Schedule.from_diffusers(scheduler(L.betas, alphas_cumprod=L.alpha_bar)), "must have one shape"),
    (lambda: Schedule.from_diffusers(SimpleNamespace(alphas_cumprod=np.ones((2, 2)))), "one-dimensional"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_wrong_inputs_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(dpm.InvalidParameterError, match=message):
        call()


def test_no_warning_under_any_numpy_error_setting() -> None:
    with np.errstate(divide="warn", invalid="warn", over="warn"), warnings.catch_warnings():
        warnings.simplefilter("error")
        Schedule.from_betas([5e-324, 0.5, 1.0]).alpha(0, 3)
        Schedule.from_betas(np.full(5000, 0.9)).beta(4000, 5000)
