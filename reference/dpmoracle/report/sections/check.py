"""Sections of the report of `dpmoracle check`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..figures.conformance import conformance_figure
from ..figures.terminal import terminal_figure
from ..page import Section

__all__ = ["check_sections"]


def check_sections(
    results: Iterable[Any], where: str, terminal: Iterable[Any] = (), terminal_where: str = ""
) -> tuple[Section, ...]:
    """The matrix of subjects and checks, and the variance with which stochastic samplers end.

    results  : as for `plot_conformance`; where says of which library and version
    terminal : as for `plot_terminal_variance`, none leaves it out; terminal_where says on what data
    """
    given, ends = list(results), list(terminal)
    figures = [conformance_figure("conformance", given, where)] if given else []
    if ends:
        figures.append(terminal_figure("terminal", ends, terminal_where))
    return (Section("Who fails what", figures=tuple(figures)),) if figures else ()
