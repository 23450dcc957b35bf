"""Sections of the report of `dpmoracle check`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..figures.conformance import conformance_figure
from ..figures.records import read_fields
from ..figures.terminal import terminal_figure
from ..page import Section

__all__ = ["check_sections", "terminal_records"]

_LINES = 12  # that a picture bears
_LABEL = 56  # characters


def check_sections(results: Iterable[Any], where: str) -> tuple[Section, ...]:
    """The matrix of subjects and checks, and the variance with which stochastic samplers end.

    results : as for `plot_conformance`, with the curve of the check "terminal" where it was run
    where   : of which library and version
    """
    given = list(results)
    if not given:
        return ()
    figures = [conformance_figure("conformance", given, where)]
    if ends := terminal_records(given):
        told = (
            f"{where}; exact predictions on two far Gaussians in 8 dimensions, the variance within them, bars of one "
            "standard error; one configuration of each sampler, the first or one that fails"
        )
        figures.append(terminal_figure("terminal", ends, told))
    return (Section("Who fails what", figures=tuple(figures)),)


def terminal_records(results: Iterable[Any]) -> list[dict[str, Any]]:
    """What `plot_terminal_variance` takes: for each subject the curve of a configuration that fails, or of the first.

    Failures come first, then who was run with most steps, and at most 12 subjects. A variance of 0 has no place on a
    logarithmic axis and is left out.
    """
    chosen: dict[str, tuple[bool, str, Any]] = {}
    for result in results:
        subject, config, status = read_fields("check_sections", result, ("subject", "config", "status"))
        (curve,) = read_fields("check_sections", result, ("curve",), missing=())
        fine = status not in ("failed", "xfailed")
        if any(ratio > 0 for _, ratio, _ in curve) and (subject not in chosen or chosen[subject][0] > fine):
            chosen[subject] = fine, str(config), curve
    first = sorted(chosen.items(), key=lambda item: (item[1][0], -item[1][2][-1][0]))[:_LINES]
    return [
        {"sampler": _label(subject, config), "K": K, "ratio": ratio, "error": error}
        for subject, (_, config, curve) in first
        for K, ratio, error in curve
        if ratio > 0
    ]


def _label(subject: str, config: str) -> str:
    label = f"{subject.removesuffix('Scheduler')}{', ' if config else ''}{config}"
    return label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
