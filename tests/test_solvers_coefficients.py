"""φ-functions and step coefficients against 50-digit quadrature, from |h| = 1e-12 up."""

from __future__ import annotations

import contextlib
import functools
import math
from functools import partial

import mpmath as mp
import numpy as np
import pytest

from dpmoracle import Process, Schedule
from dpmoracle.solvers.coefficients import Step, half_log_snr, phi
from dpmoracle.solvers.path import path_of, vp_path
from mutation import mutant_of
from solver_cases import exact_integral

ARGUMENTS = [*np.geomspace(1e-12, 60.0, 40), *-np.geomspace(1e-12, 60.0, 40), 1.999, 2.0, -1.999, -2.0]


@functools.cache
def true_phi(k: int, z: float) -> mp.mpf:
    """∫ e^{(1-u)z} u^{k-1}/(k-1)! du over [0, 1]."""
    return mp.quad(lambda u: mp.exp((1 - u) * mp.mpf(z)) * u ** (k - 1), [0, 0.5, 1]) / mp.factorial(k - 1)


def phi_error(function) -> float:
    worst = 0.0
    with mp.workdps(40):
        for k in (1, 2, 3, 4):
            for z in ARGUMENTS:
                try:
                    worst = max(worst, float(abs(function(k, float(z)) / true_phi(k, float(z)) - 1)))
                except (ZeroDivisionError, OverflowError):
                    return math.inf
    return worst


def test_phi():
    assert phi_error(phi) < 3e-15  # measured 1.2e-15
    for k in (1, 2, 3, 4):
        assert phi(k, 0.0) == 1 / math.factorial(k)
    assert phi(2, -math.inf) == 0.0


PHI = [
    ("_SERIES = 2.0", "_SERIES = 1e-6"),
    ("_SERIES = 2.0", "_SERIES = 30.0"),
    ("_TERMS = 26", "_TERMS = 12"),
    ("total * z / (k + j)", "total * z / (k + j + 1)"),
    ("total * z / (k + j)", "total * z / j"),
    ("return total / math.factorial(k)", "return total / math.factorial(k - 1)"),
    ("(value - 1.0 / math.factorial(j)) / z", "(value - 1.0 / math.factorial(j + 1)) / z"),
    ("(value - 1.0 / math.factorial(j)) / z", "(value + 1.0 / math.factorial(j)) / z"),
    ("value = math.expm1(z) / z", "value = (math.exp(z) - 1.0) / z * (1.0 + 1e-13)"),
    ("for j in range(1, k):", "for j in range(1, k + 1):"),
]


@pytest.mark.parametrize(("old", "new"), PHI)
def test_a_broken_phi_is_seen(old, new):
    assert phi_error(mutant_of(phi, (old, new))) > 5e-14


def level(lam: float, scale: float = 1.0) -> tuple[float, float]:
    a, sigma = vp_path(lam)
    return scale * a, scale * sigma


STEPS = [
    (level(-2.0), level(-1.7)),
    (level(-5.0), level(4.0)),
    (level(3.0), level(9.0)),
    (level(0.3), level(0.3 + 1e-12)),
    (level(0.3), level(0.3 + 1e-7)),
    (level(6.0), level(6.0 + 1e-9)),
    ((1.0, 80.0), (1.0, 77.0)),
    ((1.0, 0.1), (1.0, 0.002)),
    ((0.2, 0.8), (0.9, 0.1)),
]


def power(lam_t, h, k, lam):
    return ((lam - lam_t) / h) ** k


def step_error(step_class) -> float:
    """Largest relative error of keep and of W_1, W_2, W_3 as integrals of (λ - λ_t)^{k-1}/(k-1)! / h^{k-1}."""
    worst = 0.0
    with mp.workdps(50):
        for start, end in STEPS:
            (a_t, sigma_t), (a_s, sigma_s) = ((mp.mpf(a), mp.mpf(sigma)) for a, sigma in (start, end))
            lam_t = mp.log(a_t / sigma_t)
            h = mp.log(a_s / sigma_s) - lam_t
            for prediction, keep in (("noise", a_s / a_t), ("data", sigma_s / sigma_t)):
                step = step_class.between(start, end, prediction)
                pairs = [(step.keep, keep), (step.h, h)]
                for k in (1, 2, 3):
                    powers = partial(power, lam_t, h, k - 1)
                    moment = exact_integral(start, end, prediction, powers)
                    pairs.append((step.weight(k), moment / mp.factorial(k - 1)))
                worst = max(worst, *(float(abs(got / true - 1)) for got, true in pairs))
    return worst


def test_steps_are_the_integrals():
    assert step_error(Step) < 2e-14  # measured 2e-15; the levels are taken as exact, whatever h is


STEP = [
    ("cls(sigma_s / sigma_t, a_s, h, -h,", "cls(sigma_s / sigma_t, a_s, h, h,"),
    ("cls(sigma_s / sigma_t, a_s, h, -h,", "cls(a_s / a_t, a_s, h, -h,"),
    ("-a_s * math.expm1(-h))", "-a_s * math.expm1(h))"),
    ("-a_s * math.expm1(-h))", "-sigma_s * math.expm1(-h))"),
    ("-sigma_s * math.expm1(h) if", "sigma_s * math.expm1(h) if"),
    ("-sigma_s * math.expm1(h) if", "-sigma_s * (math.exp(h) - 1.0) if"),
    ("sigma_s - a_s * (sigma_t / a_t)", "sigma_s - a_t * (sigma_t / a_s)"),
    ("cls(a_s / a_t, -sigma_s, h, h, first)", "cls(a_s / a_t, sigma_s, h, h, first)"),
    ("cls(a_s / a_t, -sigma_s, h, h, first)", "cls(a_s / a_t, -sigma_s, h, -h, first)"),
    ("cls(a_s / a_t, -sigma_s, h, h, first)", "cls(a_s / a_t, -a_s, h, h, first)"),
    ("self.gain * self.h * phi", "self.gain * phi"),
    ("self.gain * self.h * phi(k, self.z)", "self.gain * self.h * phi(k - 1, self.z)"),
    ("math.log1p((b - c) / c) if 0.5 * c < b < 2.0 * c else math.log(b / c)", "math.log(b / c)"),
    ("_log_ratio(a_s, a_t) + _log", "_log_ratio(a_s, a_t) - _log"),
]


@pytest.mark.parametrize(("old", "new"), STEP)
def test_a_broken_step_is_seen(old, new):
    with contextlib.suppress(OverflowError):
        assert not step_error(mutant_of(Step, (old, new))) < 1e-12


def test_the_ends():
    """To σ = 0 and from a = 0, W_1 is the DDIM coefficient."""
    data = Step.between((0.6, 0.8), (1.0, 0.0), "data")
    assert (data.keep, data.weight(1), data.h) == (0.0, 1.0, math.inf)
    noise = Step.between((0.6, 0.8), (1.0, 0.0), "noise")
    assert noise.keep * 0.6 == pytest.approx(1.0)
    assert noise.weight(1) == pytest.approx(-0.8 / 0.6)
    first = Step.between((0.0, 1.0), (0.6, 0.8), "data")
    assert (first.keep, first.weight(1)) == (0.8, 0.6)
    assert half_log_snr((1.0, 0.0)) == math.inf
    assert half_log_snr((0.0, 1.0)) == -math.inf


@pytest.mark.parametrize("lam", [-800.0, -30.0, -1.0, 0.0, 1e-9, 2.0, 400.0])
def test_the_variance_preserving_path(lam):
    a, sigma = vp_path(lam)
    with mp.workdps(40):
        true = 1 / mp.sqrt(1 + mp.exp(-2 * mp.mpf(lam))), 1 / mp.sqrt(1 + mp.exp(2 * mp.mpf(lam)))
        assert abs(a - true[0]) <= 1e-15 * true[0] + 1e-300
        assert abs(sigma - true[1]) <= 1e-15 * true[1] + 1e-300


def test_paths_of_processes():
    assert path_of(Schedule.linear(10)) is vp_path
    for process in (Process.edm(), Process.rectified_flow(), Process.vp_linear()):
        a, sigma = path_of(process)(0.7)
        assert math.log(a / sigma) == pytest.approx(0.7, abs=1e-14)
    assert path_of(Process.edm())(0.7)[0] == 1.0
    assert sum(path_of(Process.rectified_flow())(0.7)) == pytest.approx(1.0)
