"""The page of `dpmoracle gamma`, and what pages say of a curve."""

from __future__ import annotations

import numpy as np

from ...gamma_curve import GammaCurve
from .. import sections, words
from ..page import Column, Outcome, Page, Section, Table

__all__ = ["gamma_page", "source"]

_ERROR = ".1e"
_ROWS = 40  # timesteps of a table, about


def gamma_page(curve: GammaCurve, command: str) -> Page:
    """Γ and V over the timesteps, and where not to trust them."""
    last = curve.schedule.N
    if (curve.mmse < 0).any():
        summary = Outcome("V is negative at some timesteps, which no distribution has", "bad")
    elif curve.poor.size:
        summary = Outcome(f"V rests on a few rare samples at {curve.poor.size} of {last} timesteps", "open")
    else:
        summary = Outcome(f"V rests on enough samples at all {last} timesteps", "good")
    values = Section("Values", tuple(words.curve_remarks(curve)), tables=(_timesteps(curve),))
    return Page(
        "Γ and V of a data set",
        summary,
        command,
        curve.seed,
        (*sections.gamma_sections(curve), values),
        (*source(curve), ("Samples between two checkpoints", str(curve.batch_size))),
    )


def _timesteps(curve: GammaCurve) -> Table:
    last = curve.schedule.N
    shown = np.unique(
        np.rint(np.concatenate([np.linspace(1, last, _ROWS), np.geomspace(1, last, _ROWS // 2)]))
    )
    columns = (
        "t",
        Column("SNR"),
        Column("Γ", ".6g"),
        Column("standard error of Γ", _ERROR),
        Column("V", ".5g"),
        Column("standard error of V", _ERROR),
        Column("effective count", ".0f"),
    )
    curves = (
        curve.schedule.snr,
        curve.gamma,
        curve.gamma_stderr,
        curve.mmse,
        curve.mmse_stderr,
        curve.effective_count,
    )
    rows = tuple((t, *(float(values[t]) for values in curves)) for t in shown.astype(int).tolist())
    caption = f"{len(rows)} of the {last} timesteps; the file of the command has all"
    return Table(columns, rows, caption if len(rows) < last else f"All {last} timesteps")


def source(curve: GammaCurve) -> tuple[tuple[str, str], ...]:
    """Facts for the head of a page: what Γ and V are of, and by what they were estimated."""
    return (
        ("Data", str(curve.data)),
        ("Schedule", f"{curve.schedule.name}, N = {curve.schedule.N}"),
        ("Estimator", f"{curve.estimator}, {curve.num_samples} samples"),
    )
