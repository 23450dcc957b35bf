"""The two fronts: results and their statuses, expected failures, cases for pytest, what wrong use is told."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dpmoracle as dpm
from broken_samplers import BROKEN
from dpmoracle import InvalidParameterError
from dpmoracle.conformance import Result, from_step, parametrize_with_checks, run_checks
from dpmoracle.conformance import expected as expected_module
from dpmoracle.conformance.checks import CHECKS, Check, checks_for
from dpmoracle.conformance.expected import expect
from dpmoracle.conformance.front import CheckFailedError, run_check
from step_samplers import DDIM, Euler, even_levels, stock_levels, subject

BROKEN_ORDER = BROKEN["order"][1]


def statuses(results):
    return {one.check: one.status for one in results}


# -- the function ----------------------------------------------------------------------------------------------


def test_results_are_frozen_and_in_order():
    results = run_checks(subject(DDIM), quick=True)
    assert all(isinstance(one, Result) for one in results)
    assert [one.check for one in results] == list(CHECKS)
    with pytest.raises(AttributeError):
        results[0].status = "passed"


def test_what_is_lacking_is_said():
    results = {one.check: one for one in run_checks(subject(DDIM), quick=True)}
    assert results["terminal"].status == "skipped"
    assert "a stochastic sampler" in results["terminal"].detail
    assert "forward.add_noise" in results["add_noise"].detail
    named = {check.name for check in checks_for(subject(DDIM))}
    left_out = {"order_usual_start"}  # of a quick run
    assert named - left_out == {name for name, one in results.items() if one.status != "skipped"}


def test_expected_failures():
    reasons = {"order": "it is Euler", "finite": "once it was not", "terminal": "not stochastic"}
    results = {one.check: one for one in run_checks(BROKEN_ORDER, reasons, quick=True)}
    assert results["order"].status == "xfailed"
    assert results["order"].detail.startswith("it is Euler: order 1.00")
    assert results["finite"].status == "xpassed"
    assert results["terminal"].status == "skipped"
    assert results["landing"].status == "passed"


def test_expected_failures_by_subject():
    def expected(one):
        return {"order": "known"} if one.name == BROKEN_ORDER.name else {}

    assert statuses(run_checks(BROKEN_ORDER, expected, quick=True))["order"] == "xfailed"
    assert statuses(run_checks(subject(Euler), expected, quick=True))["order"] == "passed"


def test_a_note_that_was_expected_to_fail_has_not():
    assert expect(Result("order", "note", 1.0, None, "so"), {"order": "known"}).status == "xpassed"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("odrer", "Did you mean 'order'"),
        ("steps_mean", "'step_mean'"),
        ("zzz", "They are finite, every_step"),
    ],
)
def test_unknown_names_are_an_error(given, words):
    with pytest.raises(InvalidParameterError, match=words):
        run_checks(subject(Euler), {given: "why"})
    with pytest.raises(InvalidParameterError, match=words):
        parametrize_with_checks([subject(Euler)], {given: "why"})


def test_an_old_name_is_kept_for_a_release(monkeypatch):
    monkeypatch.setitem(expected_module.RENAMED, "slope", "order")
    with pytest.warns(FutureWarning, match="'slope' is now 'order'"):
        results = run_checks(BROKEN_ORDER, {"slope": "known"}, quick=True)
    assert statuses(results)["order"] == "xfailed"


@pytest.mark.parametrize("front", [run_checks, lambda one: parametrize_with_checks([one])])
def test_only_subjects(front):
    with pytest.raises(InvalidParameterError, match="needs a Subject; got Euler"):
        front(Euler(stock_levels))


@pytest.mark.parametrize(
    ("subjects", "words"),
    [
        (subject(Euler), r"subjects must be a list of Subjects, such as \[sampler\]; got Subject"),
        (3, "must be a list of Subjects.*got int"),
        ([], "at least one Subject; it came empty"),
        (iter(()), "at least one Subject; it came empty"),
    ],
)
def test_cases_need_a_list_of_subjects(subjects, words):
    with pytest.raises(InvalidParameterError, match=words):
        parametrize_with_checks(subjects)


@pytest.mark.parametrize(
    ("given", "came"),
    [
        (["order"], "list"),
        ([], "list"),
        ("order", "str"),
        (lambda one: None, "function that returned NoneType"),
    ],
)
def test_expected_failures_are_reasons_by_check(given, came):
    for call in (run_checks, lambda one, given: parametrize_with_checks([one], given)):
        with pytest.raises(InvalidParameterError, match=f"must be a dict of check to reason.*{came}"):
            call(subject(Euler), given)


def test_subjects_of_one_name_are_numbered():
    mark = parametrize_with_checks([subject(DDIM), subject(Euler), subject(DDIM)], quick=True)
    ids = [case.id for case in mark.args[1] if case.id.endswith("-finite")]
    assert ids == ["DDIM_1-finite", "Euler-finite", "DDIM_2-finite"]


def test_an_exception_is_a_failure_with_its_message_and_place():
    def check_trips(one, quick=False):
        raise ZeroDivisionError("by nought")

    result = run_check(Check(check_trips), subject(Euler))
    assert (result.check, result.status) == ("trips", "failed")
    assert "raises ZeroDivisionError: by nought (test_conformance_front.py:" in result.detail


def test_light_import():
    """Neither torch nor pytest is loaded by the package, its subjects and its checks."""
    code = (
        "import sys, dpmoracle as d; d.conformance.run_checks; d.conformance.from_step\n"
        "assert not {'torch', 'diffusers', 'pytest', 'scipy.integrate'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert {"from_step", "run_checks", "parametrize_with_checks"} <= set(dir(dpm.conformance))
    with pytest.raises(AttributeError, match="no attribute 'from_nowhere'"):
        _ = dpm.conformance.from_nowhere


# -- pytest ----------------------------------------------------------------------------------------------------

CASES = """
from dataclasses import replace
from broken_samplers import BROKEN
from dpmoracle.conformance import parametrize_with_checks
from step_samplers import DDIM, subject

EULER = replace(BROKEN["order"][1], uneven=None)

@parametrize_with_checks([EULER], quick=True)
def test_plain(subject, check):
    check(subject)

@parametrize_with_checks([EULER], lambda one: {"order": "it is Euler", "terminal": "no matter"}, quick=True)
def test_expecting(subject, check):
    check(subject)

@parametrize_with_checks([subject(DDIM)], {"landing": "repaired since"}, quick=True)
def test_repaired(subject, check):
    check(subject)
"""


def test_pytest_cases(tmp_path):
    path = tmp_path / "test_cases.py"
    path.write_text(CASES)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-W",
        "error",
        str(path),
    ]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=env, check=False
    )
    out = ran.stdout
    assert ran.returncode == 1, out
    assert "PASSED test_cases.py::test_plain[Euler sold as order 2-landing]" in out
    assert "CheckFailedError: Euler sold as order 2: order: order 1.00 where 2 is claimed" in out
    assert "XFAIL test_cases.py::test_expecting[Euler sold as order 2-order]" in out
    assert "FAILED test_cases.py::test_repaired[DDIM-landing]" in out
    assert "XPASS(strict)" in out
    assert "needs a stochastic sampler" in out
    assert "2 failed" in out
    assert "1 xfailed" in out


def test_a_case_by_hand():
    mark = parametrize_with_checks([BROKEN_ORDER], quick=True)
    cases = {case.id: case.values for case in mark.args[1]}
    one, check = cases["Euler sold as order 2-order"]
    with pytest.raises(CheckFailedError, match=r"measured 1, bound 1\.75"):
        check(one)
    assert cases["Euler sold as order 2-finite"][1](one).status == "passed"
    with pytest.raises(pytest.skip.Exception, match="left out of a quick run"):
        cases["Euler sold as order 2-order_usual_start"][1](one)


# -- what a user's step does wrong -----------------------------------------------------------------------------


def broken_by(step=None, levels=even_levels, **more):
    made = DDIM(even_levels)
    return from_step(step or made, levels, "x0", made.prepare, name="mine", **more)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (broken_by(lambda out, i, x, noise: x[:1]), r"step must return x at node 1, an array \(4, 2\)"),
        (broken_by(lambda out, i, x, noise: None), "it returned NoneType"),
        (broken_by(levels=lambda K: even_levels(K)[::-1]), "noise, sigma/a decreasing"),
        (broken_by(levels=lambda K: even_levels(K)[:-1]), "a row of .a, sigma. for each node; it has 5 rows"),
        (broken_by(levels=lambda K: even_levels(K)[:, 0]), r"shape \(K\+1, 2\)"),
        (broken_by(times=lambda K: np.arange(K - 1)), r"times\(5\) must have shape \(5,\)"),
        (broken_by(lambda out, i, x, noise: x + noise), "raises TypeError"),
        (
            broken_by(lambda out, i, x, noise: sys.exit(0)),
            r"raises SystemExit: 0 \(test_conformance_front.py:",
        ),
    ],
)
def test_a_wrong_step_is_told(made, words):
    result = run_check(CHECKS["finite"], made, quick=True)
    assert result.status == "failed"
    assert re.search(words, result.detail), result.detail


def test_a_capability_that_is_none():
    with pytest.raises(InvalidParameterError, match="Did you mean 'stochastic'"):
        broken_by(stocastic=True)
    with pytest.raises(InvalidParameterError, match="dtype must be one of float32, float64; got 'float16'"):
        broken_by(dtype="float16")
    with pytest.raises(InvalidParameterError, match="order is that of a deterministic sampler"):
        broken_by(order=2, stochastic=True)
    with pytest.raises(InvalidParameterError, match="output_type must be one of eps, x0, v, flow, edm"):
        from_step(DDIM(even_levels), even_levels, "noise")
