"""Continuous processes against 60-digit arithmetic, with times and parameters taken as exact."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dpmoracle as dpm
from dpmoracle import Process, Schedule, strategies
from dpmoracle.processes.families import FAMILIES, Family

# Promised 1e-14. Measured: a 1e-15 (6e-15 at beta_max = 100, the exponential of -25), the others 6e-16.
BOUND = {"a": 1e-14, "sigma": 2e-15, "half_log_snr": 2e-15, "inverse": 2e-15}


def exact(name: str, parameters: tuple[float, ...]) -> Callable[[mp.mpf], tuple[mp.mpf, mp.mpf]]:
    """(a, sigma) as the sources define them, in the working precision."""
    p = [mp.mpf(x) for x in parameters]
    if name == "vp_linear":  # beta(t) = beta_min + t (beta_max - beta_min), a = exp(-1/2 int_0^t beta)

        def variance(t: mp.mpf) -> mp.mpf:
            return mp.exp(-(p[0] * t + (p[1] - p[0]) * t**2 / 2))

        return lambda t: (mp.sqrt(variance(t)), mp.sqrt(1 - variance(t)))
    if name == "vp_cosine":

        def f(t: mp.mpf) -> mp.mpf:
            return mp.cos((t + p[0]) / (1 + p[0]) * mp.pi / 2) ** 2

        return lambda t: (mp.sqrt(f(t) / f(mp.mpf(0))), mp.sqrt(1 - f(t) / f(mp.mpf(0))))
    if name == "ve":
        return lambda t: (mp.mpf(1), p[0] * (p[1] / p[0]) ** t)
    return (lambda t: (mp.mpf(1), t)) if name == "edm" else (lambda t: (1 - t, t))


def errors(family: Family, name: str, parameters: tuple[float, ...], times: np.ndarray) -> dict[str, float]:
    """Largest errors at times in (0, t_max]: relative, but to max(1, |value|) for half_log_snr.

    That of the inverse is the Newton step that would correct it, relative to t (to 1 for ve, where t = 0 is
    nothing special).
    """
    with np.errstate(all="ignore"):  # mutants may leave their domain
        a, sigma, lam = (getattr(family, key)(times, *parameters) for key in ("a", "sigma", "half_log_snr"))
        right = FAMILIES[name].half_log_snr(times, *parameters)
        back = family.inverse(right, *parameters)
    worst = dict.fromkeys(BOUND, mp.mpf(0))

    def note(key: str, error: Any) -> None:
        worst[key] = max(worst[key], mp.mpf(abs(error)) if mp.isfinite(error) else mp.inf)

    with mp.workdps(60):
        levels = exact(name, parameters)
        for i, t in enumerate(times):
            true_a, true_sigma = levels(mp.mpf(float(t)))
            true_lam = mp.log(true_a / true_sigma)
            note("a", mp.mpf(float(a[i])) / true_a - 1)
            note("sigma", mp.mpf(float(sigma[i])) / true_sigma - 1)
            note("half_log_snr", (mp.mpf(float(lam[i])) - true_lam) / max(1, abs(true_lam)))
            if not 0 < back[i] < 1.5 * t:
                note("inverse", mp.inf)
                continue
            at = mp.mpf(float(back[i]))
            step = at * mp.mpf("1e-20")
            value, ahead = (mp.log(x / y) for x, y in (levels(at), levels(at - step)))
            newton = (value - mp.mpf(float(right[i]))) * step / (value - ahead)
            note("inverse", newton / (1 if name == "ve" else at))
    return {key: float(error) for key, error in worst.items()}


def times(name: str, parameters: tuple[float, ...], count: int = 60) -> np.ndarray:
    """Times close to 0, in the middle and close to the end, where a may vanish."""
    t_max = FAMILIES[name].span(*parameters)[1]
    rng = np.random.default_rng(1)
    near = t_max * 10.0 ** rng.uniform(-15, 0, count)
    late = t_max * (1.0 - 10.0 ** rng.uniform(-12, -1, count // 2))
    if name == "ve":
        near = near[near > 1e-3]  # the inverse must not leave [0, 1] by rounding
    return np.concatenate([near, rng.uniform(0.01, t_max, count), late])


CASES = [
    ("vp_linear", (0.1, 20.0)),
    ("vp_linear", (1.0, 1.0)),
    ("vp_linear", (1e-3, 100.0)),
    ("vp_cosine", (0.008, 0.9946)),
    ("vp_cosine", (0.0, 1.0)),
    ("vp_cosine", (20.0, 1.0)),
    ("ve", (0.01, 50.0)),
    ("ve", (1e-4, 1e4)),
    ("edm", (0.002, 80.0)),
    ("rectified_flow", ()),
]


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_formulas_to_60_digits(name: str, parameters: tuple[float, ...]) -> None:
    for key, error in errors(FAMILIES[name], name, parameters, times(name, parameters)).items():
        assert error < BOUND[key], key


def quarter(s: float) -> float:
    return np.pi / 2 / (1 + s)


MUTANTS: list[tuple[str, str, str, Callable[..., Any]]] = [
    ("vp_linear", "a", "half missing", lambda t, b, c: np.exp(-0.5 * t**2 * (c - b) - t * b)),
    ("vp_linear", "a", "beta(t) t", lambda t, b, c: np.exp(-0.5 * t * (b + t * (c - b)))),
    ("vp_linear", "a", "sign", lambda t, b, c: np.exp(0.25 * t**2 * (c - b) - 0.5 * t * b)),
    ("vp_linear", "a", "square", lambda t, b, c: FAMILIES["vp_linear"].a(t, b, c) ** 2),
    ("vp_linear", "sigma", "cancelling", lambda t, b, c: np.sqrt(1 - FAMILIES["vp_linear"].a(t, b, c) ** 2)),
    ("vp_linear", "sigma", "root of a", lambda t, b, c: np.sqrt(1 - FAMILIES["vp_linear"].a(t, b, c))),
    ("vp_linear", "sigma", "square", lambda t, b, c: FAMILIES["vp_linear"].sigma(t, b, c) ** 2),
    (
        "vp_linear",
        "half_log_snr",
        "half missing",
        lambda t, b, c: 2 * FAMILIES["vp_linear"].half_log_snr(t, b, c),
    ),
    ("vp_linear", "half_log_snr", "sign", lambda t, b, c: -FAMILIES["vp_linear"].half_log_snr(t, b, c)),
    ("vp_linear", "inverse", "sign", lambda x, b, c: FAMILIES["vp_linear"].inverse(-x, b, c)),
    ("vp_linear", "inverse", "half missing", lambda x, b, c: FAMILIES["vp_linear"].inverse(x / 2, b, c)),
    (
        "vp_linear",
        "inverse",
        "cancelling root",
        lambda x, b, c: (np.sqrt(b * b + 2 * (c - b) * np.logaddexp(0, -2 * x)) - b) / (c - b),
    ),
    ("vp_cosine", "a", "square", lambda t, s, m: FAMILIES["vp_cosine"].a(t, s, m) ** 2),
    ("vp_cosine", "a", "not normalised", lambda t, s, m: np.cos(quarter(s) * (t + s))),
    ("vp_cosine", "a", "s missing", lambda t, s, m: np.cos(np.pi / 2 * t)),
    (
        "vp_cosine",
        "a",
        "cosine near its zero",
        lambda t, s, m: np.cos(quarter(s) * (t + s)) / np.cos(quarter(s) * s),
    ),
    ("vp_cosine", "sigma", "cancelling", lambda t, s, m: np.sqrt(1 - FAMILIES["vp_cosine"].a(t, s, m) ** 2)),
    ("vp_cosine", "sigma", "s missing", lambda t, s, m: np.sin(np.pi / 2 * t)),
    ("vp_cosine", "sigma", "root missing", lambda t, s, m: FAMILIES["vp_cosine"].sigma(t, s, m) ** 2),
    ("vp_cosine", "half_log_snr", "log a alone", lambda t, s, m: np.log(FAMILIES["vp_cosine"].a(t, s, m))),
    (
        "vp_cosine",
        "inverse",
        "arccos",
        lambda x, s, m: np.arccos(np.cos(quarter(s) * s) / np.sqrt(1 + np.exp(-2 * x))) / quarter(s) - s,
    ),
    ("ve", "sigma", "variance", lambda t, b, c: (b * (c / b) ** t) ** 2),
    ("ve", "sigma", "start missing", lambda t, b, c: (c / b) ** t),
    ("ve", "sigma", "less the start", lambda t, b, c: np.sqrt((b * (c / b) ** t) ** 2 - b**2)),
    ("ve", "a", "variance preserving", lambda t, b, c: 1 / np.hypot(1, b * (c / b) ** t)),
    ("ve", "half_log_snr", "sign", lambda t, b, c: np.log(b) + t * np.log(c / b)),
    ("ve", "half_log_snr", "start missing", lambda t, b, c: -t * np.log(c / b)),
    ("ve", "inverse", "sign", lambda x, b, c: (x + np.log(b)) / np.log(c / b)),
    ("edm", "sigma", "root", lambda t, b, c: np.sqrt(t)),
    ("edm", "a", "variance preserving", lambda t, b, c: 1 / np.hypot(1, t)),
    ("edm", "half_log_snr", "sign", lambda t, b, c: np.log(t)),
    ("edm", "half_log_snr", "half missing", lambda t, b, c: -2 * np.log(t)),
    ("edm", "inverse", "half missing", lambda x, b, c: np.exp(-2 * x)),
    ("rectified_flow", "a", "swapped", lambda t: t),
    ("rectified_flow", "a", "variance preserving", lambda t: np.sqrt(1 - t**2)),
    ("rectified_flow", "sigma", "swapped", lambda t: 1 - t),
    ("rectified_flow", "half_log_snr", "half missing", lambda t: 2 * np.log((1 - t) / t)),
    ("rectified_flow", "half_log_snr", "sign", lambda t: np.log(t / (1 - t))),
    ("rectified_flow", "inverse", "sign", lambda x: 1 / (1 + np.exp(-x))),
    ("rectified_flow", "inverse", "half missing", lambda x: 1 / (1 + np.exp(2 * x))),
    ("rectified_flow", "inverse", "cancelling", lambda x: 1 - 1 / (1 + np.exp(-x))),
]


@pytest.mark.parametrize(("name", "key", "what", "broken"), MUTANTS, ids=[" ".join(m[:3]) for m in MUTANTS])
def test_broken_formulas_are_caught(name: str, key: str, what: str, broken: Callable[..., Any]) -> None:
    parameters = next(case[1] for case in CASES if case[0] == name)
    if what == "cosine near its zero":
        parameters = (0.0, 1.0)
    family = FAMILIES[name]._replace(**{key: broken})
    assert errors(family, name, parameters, times(name, parameters, 20))[key] > BOUND[key]


@settings(max_examples=40, deadline=None)
@given(strategies.processes(), st.floats(1e-6, 0.999))
def test_any_process(process: Process, share: float) -> None:
    t = share * process.t_max
    found = errors(FAMILIES[process.name], process.name, process.parameters, np.array([t]))
    assert all(found[key] < BOUND[key] for key in BOUND)
    a, sigma = process.levels(t)
    assert (a, sigma) == (process.a(t), process.sigma(t))
    assert process.half_log_snr(t) == pytest.approx(np.log(a / sigma), rel=1e-13, abs=1e-13)
    if process.name.startswith("vp"):
        assert a**2 + sigma**2 == pytest.approx(1.0, rel=1e-14)


@settings(max_examples=40, deadline=None)
@given(strategies.processes())
def test_round_trip_of_the_whole_range(process: Process) -> None:
    t = np.linspace(0.0, process.t_max, 101)
    lam = process.half_log_snr(t)
    assert np.all(np.diff(lam) < 0)
    back = process.inverse(lam)
    assert back.shape == t.shape
    assert back.min() >= 0
    assert back.max() <= process.t_max
    np.testing.assert_allclose(back, t, rtol=1e-12, atol=1e-14 * process.t_max)  # ve cancels near t = 0


@pytest.mark.parametrize(("name", "parameters"), CASES)
def test_clean_data_at_zero(name: str, parameters: tuple[float, ...]) -> None:
    process = Process(name, parameters)
    a, sigma = process.levels(0)
    assert a == 1.0
    if name == "ve":
        assert sigma == parameters[0]
    else:
        assert sigma == 0.0
        assert process.half_log_snr(0) == np.inf
        assert process.inverse(np.inf) == 0.0


@pytest.mark.parametrize("process", [Process.rectified_flow(), Process.vp_cosine(t_max=1.0)])
def test_pure_noise_at_the_end(process: Process) -> None:
    assert process.a(1.0) == 0.0
    assert process.sigma(1.0) == pytest.approx(1.0, rel=1e-15)
    assert process.half_log_snr(1) == -np.inf
    assert process.inverse(-np.inf) == 1.0


def test_published_ranges() -> None:
    ranges = {p.name: (p.t_min, p.t_max) for p in (Process(name, x) for name, x in reversed(CASES))}
    assert ranges == {
        "vp_linear": (0.0, 1.0),
        "vp_cosine": (0.0, 0.9946),
        "ve": (0.0, 1.0),
        "edm": (0.002, 80.0),
        "rectified_flow": (0.0, 1.0),
    }
    assert Process.edm().levels(0.001) == (
        1.0,
        0.001,
    )  # below t_min, where samplers do not go but formulas hold


def test_vp_linear_is_the_limit_of_the_linear_schedule() -> None:
    """beta_t = beta(t/N)/N: first order in 1/N, so the error halves as N doubles [song2021, section 3.4]."""
    gaps = []
    for N in (1000, 2000):
        schedule = Schedule.linear(N, 0.1 / N, 20.0 / N)
        lam = Process.vp_linear().half_log_snr(np.arange(1, N + 1) / N)
        gaps.append(np.abs(lam - schedule.half_log_snr[1:])[N // 10 :].max())
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.05)


def test_shapes_and_types() -> None:
    process = Process.vp_linear()
    for shape in ((), (3,), (2, 3)):
        t = np.full(shape, 0.5)
        for value in (*process.levels(t), process.half_log_snr(t), process.inverse(np.zeros(shape))):
            assert np.shape(value) == shape
            assert value.dtype == np.float64
    assert process.levels(np.float32(0.5)) == process.levels(0.5)
    assert Process.rectified_flow().levels(1) == (0.0, 1.0)
    t = np.array([0.1, 0.2])
    Process.edm().sigma(t)[0] = 5.0
    assert t[0] == 0.1


@settings(max_examples=20, deadline=None)
@given(strategies.processes())
def test_state_round_trip_through_npz(process: Process) -> None:
    file = io.BytesIO()
    np.savez(file, **process.state())
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        assert Process.from_state(stored) == process
    assert hash(process) == hash(Process.from_state(process.state()))


def test_equality() -> None:
    assert Process.vp_linear() == Process.vp_linear(0.1, 20)
    assert Process.vp_linear() != Process.vp_linear(0.1, 21)
    assert Process.ve(0.002, 80.0) != Process.edm(0.002, 80.0)


P = Process.vp_linear()
WRONG: list[tuple[Callable[[], Any], str]] = [
    (lambda: P.levels(-0.1), r"Process.levels: t must lie in \[0, 1\] for vp_linear; got -0.1"),
    (lambda: P.a([0.5, 1.1]), r"Process.a: t must lie in \[0, 1\].*got 1.1"),
    (lambda: P.sigma(np.nan), "Process.sigma: t must be finite"),
    (lambda: P.half_log_snr(np.inf), "t must be finite"),
    (lambda: P.check_times("now", "Oracle.score"), "Oracle.score: t must be real numbers"),
    (lambda: P.inverse(-6.0), r"inverse: lam must lie in \[-5.02498, inf\] for vp_linear.*got -6.0"),
    (lambda: P.inverse([0.0, np.nan]), "lam must lie in .* got nan"),
    (lambda: Process.ve().inverse(5.0), r"lam must lie in \[-3.91202, 4.60517\]"),
    (lambda: Process.vp_linear(0.0, 20.0), "vp_linear: needs 0 < beta_min <= beta_max; got 0, 20"),
    (lambda: Process.vp_linear(2.0, 1.0), "needs 0 < beta_min <= beta_max; got 2, 1"),
    (lambda: Process.vp_cosine(-0.1), "vp_cosine: needs s >= 0 and 0 < t_max <= 1; got -0.1"),
    (lambda: Process.vp_cosine(t_max=1.5), "vp_cosine: needs s >= 0 and 0 < t_max <= 1"),
    (lambda: Process.ve(0.0, 1.0), "ve: needs 0 < sigma_min < sigma_max"),
    (lambda: Process.ve(1.0, 1.0), "ve: needs 0 < sigma_min < sigma_max"),
    (lambda: Process.edm(-1.0), "edm: needs 0 <= sigma_min < sigma_max"),
    (lambda: Process.edm(sigma_max=np.inf), r"edm: parameters \(sigma_min, sigma_max\) must be finite"),
    (lambda: Process("song", ()), "name must be one of vp_linear.*got 'song'"),
    (lambda: Process("ve", (1.0,)), r"ve: takes 2 numbers \(sigma_min, sigma_max\); got shape \(1,\)"),
    (
        lambda: Process.from_state({"kind": "Process"}),
        r"from_state: state must have.*\['name', 'parameters'\]",
    ),
    (lambda: Process.from_state({**P.state(), "kind": "Schedule"}), "kind must be 'Process'; got 'Schedule'"),
    (lambda: Process.from_state({**P.state(), "parameters": np.array(["a", "b"])}), "must be real numbers"),
]


@pytest.mark.parametrize(("call", "message"), WRONG, ids=[str(i) for i in range(len(WRONG))])
def test_wrong_inputs_are_named(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(dpm.InvalidParameterError, match=message):
        call()
