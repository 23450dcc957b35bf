"""The two fronts: a function that returns results, and a decorator that makes pytest cases of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..errors import InvalidParameterError, require
from .checks import CHECKS, Check
from .expected import Expected, expect, reasons
from .results import Result, skipped
from .runs import SubjectError, raised
from .subject import Subject

__all__ = ["parametrize_with_checks", "run_check", "run_checks"]


def run_checks(
    subject: Subject, expected_failures: Expected | None = None, quick: bool = False
) -> list[Result]:
    """Every check of a subject, in a fixed order; those that it lacks the capabilities for are skipped, and say why.

    expected_failures : {check: reason}, or a function of the subject that gives one; such a check is "xfailed" where
                        it fails and "xpassed" where it does not
    quick             : about a second, with fewer numbers of steps; else a few seconds

    A subject that raises fails the check with its message. Raises InvalidParameterError for a name in
    expected_failures that no check has.
    """
    who = "run_checks"
    expected = reasons(who, expected_failures, _checked(who, subject))
    return [expect(run_check(check, subject, quick), expected) for check in CHECKS.values()]


def run_check(check: Check, subject: Subject, quick: bool = False) -> Result:
    """One check, whatever the subject does."""
    lacking = check.lacks(subject)
    if lacking:
        return skipped(check.name, f"needs {', '.join(lacking)}")
    try:
        result = check.run(subject, quick=quick)
    except SubjectError as error:
        return Result(check.name, "failed", None, None, str(error))
    except Exception as error:
        return Result(check.name, "failed", None, None, raised(error))
    if result.status == "failed" and check.clipped and subject.clips is not None:
        detail = f"x0 is clipped to ±{subject.clips:g}, a design choice that may be all there is to it: {result.detail}"
        return replace(result, status="note", detail=detail)
    return result


def parametrize_with_checks(
    subjects: Iterable[Subject], expected_failures: Expected | None = None, quick: bool = False
) -> Callable[[Callable[..., Any]], Any]:
    """A pytest decorator: one case for each check of each subject, `def test_sampler(subject, check): check(subject)`.

    expected_failures as for `run_checks`: those cases are xfail, and an unexpected pass fails. A check that the
    subject lacks the capabilities for is skipped. Subjects of one name are numbered in the ids. Raises
    InvalidParameterError for subjects that are no list of them, or an empty one. Needs the extra "testing".
    """
    who = "parametrize_with_checks"
    pytest = require("pytest", "testing", who)
    if isinstance(subjects, Subject) or not isinstance(subjects, Iterable):
        raise InvalidParameterError(
            f"{who}: subjects must be a list of Subjects, such as [sampler]; got {type(subjects).__name__}"
        )
    given = [_checked(who, subject) for subject in subjects]
    if not given:
        raise InvalidParameterError(f"{who}: subjects must hold at least one Subject; it came empty")
    cases = []
    for subject, name in zip(given, _distinct([subject.name for subject in given]), strict=True):
        expected = reasons(who, expected_failures, subject)
        for check in CHECKS.values():
            lacking = check.lacks(subject)
            marks = [pytest.mark.skip(reason=f"needs {', '.join(lacking)}")] if lacking else []
            if check.name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check.name], strict=True))
            case = _Case(check, quick)
            cases.append(pytest.param(subject, case, marks=marks, id=f"{name}-{check.name}"))
    return pytest.mark.parametrize(("subject", "check"), cases)  # type: ignore[no-any-return]


def _distinct(names: list[str]) -> list[str]:
    """The names, with a number from 1 behind those that occur more than once."""
    return [
        f"{name}_{names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    ]


class CheckFailedError(AssertionError):
    """A check of a subject failed; the message is what a maintainer needs."""


@dataclass(frozen=True)
class _Case:
    """What a test function is given as `check`: call it with the subject."""

    check: Check
    quick: bool

    def __call__(self, subject: Subject) -> Result:
        """The result, which a test may print; raises CheckFailedError if it failed, skips if it could not be run."""
        result = run_check(self.check, subject, self.quick)
        if result.status == "failed":
            figures = (
                ""
                if result.measured is None
                else f" (measured {result.measured:.4g}, bound {result.bound:.4g})"
            )
            raise CheckFailedError(f"{subject.name}: {result.check}: {result.detail}{figures}")
        if result.status == "skipped":
            require("pytest", "testing", "parametrize_with_checks").skip(result.detail)
        return result


def _checked(who: str, subject: Any) -> Subject:
    if not isinstance(subject, Subject):
        raise InvalidParameterError(
            f"{who}: needs a Subject; got {type(subject).__name__}. Wrap it with from_step, from_diffusers, "
            "from_k_diffusion or from_dpm_solver"
        )
    return subject
