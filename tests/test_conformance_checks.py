"""Every check fails the samplers that are broken for it, and passes those that are right."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from broken_samplers import BROKEN, ve_level_at, with_forward
from dpmoracle.conformance import StepLaw, from_step, run_checks
from dpmoracle.conformance.checks import CHECKS
from dpmoracle.conformance.front import run_check
from dpmoracle.conformance.own import ancestral, own_subjects, solver
from dpmoracle.solvers import dpm_multistep, vp_path
from step_samplers import DDIM, AdamsBashforth, Euler, TwoStep, even_levels, right_ones, stock_levels, subject

#: they tell a figure or a design choice, and fail nobody but who raises
NOTES = {"order_usual_start", "last_step", "clipping"}


def flow_level_at(i, K):
    sigma = 1.0 - i / K
    return 1.0 - sigma, sigma


def right_forward_sides():
    return [
        with_forward("variance preserving"),
        with_forward("variance exploding", ve_level_at),
        with_forward("straight lines", lambda i, K: flow_level_at(i + 1, K + 2)),
        with_forward("pure noise at the start", flow_level_at),
        replace(with_forward("exploding, for noise and data"), ends=lambda K: ((1.0, 3.0), (1.0, 0.0))),
    ]


RIGHT = [*own_subjects(), *right_ones()]


@pytest.mark.parametrize(
    ("check", "broken"),
    [pytest.param(name, one, id=f"{name}-{one.name}") for name, broken in BROKEN.items() for one in broken],
)
def test_a_broken_sampler_fails(check, broken):
    result = run_check(CHECKS[check], broken, quick=True)
    assert result.status == "failed"
    assert len(result.detail) > 20
    assert "\n" not in result.detail
    if result.measured is not None:
        assert (
            (result.measured < result.bound)
            if check.startswith("order")
            else not result.measured <= result.bound
        )


def test_every_check_has_a_broken_sampler():
    assert set(BROKEN) == set(CHECKS) - NOTES


@pytest.mark.parametrize("right", RIGHT, ids=lambda one: one.name)
def test_a_right_sampler_fails_nothing(right):
    results = run_checks(right, quick=True)
    assert [one.check for one in results] == list(CHECKS)
    assert not [one for one in results if one.status in ("failed", "xfailed", "xpassed")]
    for one in results:
        assert one.detail
        capable = not CHECKS[one.check].lacks(right)
        assert capable == (one.status != "skipped") or one.check == "order_usual_start"
        assert one.status == "passed" or one.check in NOTES or not capable


@pytest.mark.parametrize("check", ["add_noise", "velocity", "input_scale", "init_sigma"])
def test_a_right_forward_side_passes(check):
    for right in right_forward_sides():
        given = right if check != "init_sigma" else replace(right, ends=partial(_start_of, right))
        assert run_check(CHECKS[check], given).status == "passed", right.name


def _start_of(right, K):
    return right.forward.level(0, K), (1.0, 0.0)


def test_every_check_has_five_right_samplers_to_pass():
    """Those capable of it, each of which passes in test_a_right_sampler_fails_nothing."""
    sides = {"add_noise", "velocity", "input_scale", "init_sigma"}
    for name in set(CHECKS) - NOTES - sides:
        assert sum(not CHECKS[name].lacks(right) for right in RIGHT) >= 5, name
    assert len(right_forward_sides()) >= 5


@pytest.mark.parametrize("right", [right_ones()[2], ancestral(StepLaw())], ids=lambda one: one.name)
def test_a_full_run_fails_nothing_either(right):
    results = run_checks(right)
    assert not [one for one in results if one.status == "failed"]


def test_names_are_the_public_ones():
    """A rename must keep the old name in RENAMED for one release."""
    assert list(CHECKS) == [
        "finite",
        "every_step",
        "grid",
        "landing",
        "time_values",
        "fed_by_time",
        "exact_on_gaussian",
        "prediction_types",
        "converges",
        "order",
        "order_uneven",
        "order_usual_start",
        "last_step",
        "stability",
        "step_mean",
        "step_noise",
        "terminal",
        "add_noise",
        "velocity",
        "input_scale",
        "init_sigma",
        "clipping",
    ]
    for check in CHECKS.values():
        assert check.run.__doc__, check.name


# -- what is no fault ------------------------------------------------------------------------------------------


def near_levels(K):
    """Even in λ, from σ/a = 1: here a first step of low order is felt."""
    return np.array([vp_path(lam) for lam in np.linspace(0.0, 3.0, K + 1).tolist()])


def test_the_usual_start_is_a_note():
    """Order 3 by exact starting values, 2 by a first step of order 1."""
    multistep = partial(dpm_multistep, order=3, start="lower")
    near = solver(multistep, 3, nodes=near_levels)
    right = replace(near, asymptotic=lambda: near)
    order, usual = (run_check(CHECKS[name], right) for name in ("order", "order_usual_start"))
    assert (order.status, usual.status) == ("passed", "note")
    assert order.measured > 2.75
    assert usual.measured == pytest.approx(2.0, abs=0.2)


def test_what_is_not_finite_passes_no_check_of_samples():
    made = DDIM(stock_levels)
    lost = from_step(lambda output, i, x, noise: np.nan * x, stock_levels, "x0", made.prepare)
    assert run_check(CHECKS["last_step"], lost).status == "skipped"
    assert "passed" not in {one.status for one in run_checks(lost, quick=True) if one.check != "grid"}


def test_a_last_step_to_the_data_is_a_note():
    assert run_check(CHECKS["last_step"], subject(TwoStep)).status == "note"
    assert run_check(CHECKS["last_step"], subject(AdamsBashforth)).status == "passed"
    assert run_check(CHECKS["last_step"], subject(TwoStep, levels=even_levels)).status == "passed"


class Clipped(DDIM):
    """The prediction clipped, to a range that the data leave."""

    def __call__(self, x0, i, x, noise):
        return super().__call__(np.clip(x0, -0.4, 0.4), i, x, noise)


def test_clipping_is_a_note():
    silent, told = subject(Clipped), subject(Clipped, clips=0.4)
    for name in ("exact_on_gaussian", "converges"):
        assert run_check(CHECKS[name], silent, quick=True).status == "failed"
        noted = run_check(CHECKS[name], told, quick=True)
        assert noted.status == "note"
        assert "clipped to ±0.4" in noted.detail
    assert run_check(CHECKS["clipping"], told).status == "note"
    assert run_check(CHECKS["clipping"], silent).status == "skipped"


def test_the_number_of_all_timesteps_is_a_finding_of_its_own():
    """A sampler that breaks at K = N only fails every_step, and finite not."""

    class UpTo(Euler):
        def prepare(self, K):
            super().prepare(K)
            self.broken = K >= 1000

        def __call__(self, eps, i, x, noise):
            return super().__call__(np.full_like(eps, np.nan) if self.broken else eps, i, x, noise)

    results = {one.check: one.status for one in run_checks(subject(UpTo), quick=True)}
    assert results["every_step"] == "failed"
    assert [name for name, status in results.items() if status == "failed"] == ["every_step"]


@pytest.mark.parametrize("law", [None, StepLaw()])
def test_nan_passes_nothing_that_looks_at_samples(law):
    class Fallen(DDIM):
        def __call__(self, x0, i, x, noise):
            return np.full_like(x, np.nan)

    results = {
        one.check: one.status for one in run_checks(subject(Fallen, law=law, dtype="float32"), quick=True)
    }
    looks = {"finite", "every_step", "landing", "exact_on_gaussian", "fed_by_time", "stability"}
    looks |= (
        {"converges", "order", "order_uneven"} if law is None else {"step_mean", "step_noise", "terminal"}
    )
    assert not {name for name in looks if results[name] != "failed"}


def test_faults_of_one_precision_are_seen():
    """float32 alone, and the detail says so."""
    broken = next(one for one in BROKEN["finite"] if one.dtype == "float32")
    assert "float32" in run_check(CHECKS["finite"], broken).detail
    assert "float64" not in run_check(CHECKS["finite"], broken).detail


def test_an_error_is_given_time_to_show_its_order():
    """Two terms of the error cancel up to K = 160; the slope at 320 is the order."""
    corrected = right_ones()[3]
    result = run_check(CHECKS["order"], corrected, quick=True)
    assert result.status == "passed"
    assert "K = 320" in result.detail


def test_only_uneven_steps_show_coefficients_of_even_ones():
    broken = BROKEN["order_uneven"][0]
    assert run_check(CHECKS["order"], broken, quick=True).status == "passed"
    assert run_check(CHECKS["order_uneven"], broken, quick=True).measured == pytest.approx(1.0, abs=0.1)


def test_a_sampler_of_few_steps_is_not_asked_for_more():
    made = DDIM(even_levels)
    few = from_step(made, even_levels, "x0", made.prepare, name="few", max_steps=4, order=1)
    statuses = {one.check: one.status for one in run_checks(few)}
    assert statuses["finite"] == statuses["landing"] == statuses["converges"] == "skipped"
    assert "failed" not in statuses.values()
