"""dpmoracle gamma: estimate Γ_t and V_t of a data set at every timestep."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidParameterError
from . import inputs, report
from .console import progress_bar, show, stdout_console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..gamma_curve import GammaCurve
    from ..moments import Moments

__all__ = ["gamma"]


_SHOWN = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1)  # where in 1..N the table looks


class Estimator(StrEnum):
    pair = "pair"
    trace = "trace"
    residual = "residual"
    score = "score"


def gamma(
    data: inputs.Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.npz", help="Where the result goes.")],
    samples: Annotated[
        int, typer.Option("-M", "--samples", min=2, help="Samples, the same for all timesteps.")
    ] = 2000,
    schedule: inputs.ScheduleOption = None,
    steps: inputs.Steps = None,
    beta_start: inputs.BetaStart = None,
    beta_end: inputs.BetaEnd = None,
    estimator: Annotated[
        Estimator,
        typer.Option(
            help="trace errs least per sample; pair takes least time per sample in many dimensions; "
            "residual and score are what a network allows."
        ),
    ] = Estimator.trace,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Samples between two checkpoints.")
    ] = 50,
    backend: inputs.BackendOption = inputs.Backend.auto,
    key: inputs.Key = None,
    seed: inputs.Seed = 0,
    report_file: report.ReportFile = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", metavar="FILE", help="Keep what is done here, after every batch."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on from --checkpoint. The result is the same, bit for bit, as without the interruption; "
            "a larger -M adds samples to a run that is complete.",
        ),
    ] = False,
) -> int:
    """Estimate Γ and V of a data set at every timestep, with standard errors.

    Γ_t = E|score of q_t|²/d is the score norm, V_t = E Tr Cov(x_0|x_t)/d the
    mean squared error of the best prediction of x_0. The data are taken as
    they are: nothing is scaled. `dpmoracle trajectory` reads the result.

    OUT.npz holds gamma, gamma_stderr, mmse (that is V), mmse_stderr,
    effective_count and timesteps, each of length N+1, index 0 clean data;
    schedule_*, data_*, estimator, num_samples, batch_size, seed, program.

    Exit code: 0 done, 2 wrong use, 130 Ctrl-C.
    """
    from .. import gamma_run, storage
    from ..gamma_curve import DataRecord
    from ..report import pages

    if resume and checkpoint is None:
        raise InvalidParameterError("--resume needs --checkpoint FILE, the file to go on from")
    inputs.refuse_overwriting(output, "-o", data, checkpoint)
    inputs.check_ending(output, "-o", ".npz")
    storage.check_writable(output, "-o")
    if checkpoint is not None:
        inputs.refuse_overwriting(checkpoint, "--checkpoint", data)
        storage.check_writable(checkpoint, "--checkpoint")
        if checkpoint.exists() and not resume:
            raise InvalidParameterError(
                f"--checkpoint {str(checkpoint)!r} exists; add --resume to go on from it, or remove it"
            )
    report.check(report_file, data, output, checkpoint)
    process = inputs.make_schedule(schedule, steps, beta_start, beta_end)
    points = inputs.load(data, key)
    record = DataRecord.of(points, data)
    job = gamma_run.GammaRun(points, process, record, estimator.value, batch_size, seed, backend.value)
    kept = None
    if checkpoint is not None and resume:
        kept = gamma_run.read_checkpoint(checkpoint, job, samples, "--checkpoint")

    def keep(found: Moments) -> None:
        nonlocal kept
        if checkpoint is not None:
            gamma_run.write_checkpoint(checkpoint, job, found, "--checkpoint")
            kept = found

    try:
        with progress_bar() as progress:
            found = gamma_run.run(
                job, samples, kept, keep, lambda done, total: progress(done, total, "samples")
            )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_how_to_resume(checkpoint, kept, samples)) from None
    curve = job.curve(found)
    try:
        curve.save(output, "-o")
    finally:  # a disk that is full must not cost the table
        on = stdout_console()
        show(_summary(curve), on)
    report.write(report_file, lambda command: pages.gamma_page(curve, command))
    show([f"Written to {output}. Next: dpmoracle trajectory {output} -K 25"], stdout_console())
    return 0


def _how_to_resume(checkpoint: Path | None, kept: Moments | None, samples: int) -> str:
    if checkpoint is None:
        return "nothing is kept; with --checkpoint FILE it could be resumed"
    if kept is None:
        return "nothing is kept, no batch was complete; a smaller --batch-size keeps more"
    return (
        f"{kept.count} of {samples} samples are kept in {checkpoint}; the same command with --resume goes on"
    )


def _summary(curve: GammaCurve) -> list[RenderableType]:
    """A few timesteps, and what to be wary of."""
    import numpy as np
    from rich.table import Table
    from rich.text import Text

    from ..report import words

    last = curve.schedule.N
    heading = (
        f"{curve.data}, {curve.schedule.name}, N = {last}; {curve.num_samples} samples, estimator "
        f"{curve.estimator}, seed {curve.seed}"
    )
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("t", "Γ", "stderr", "V", "stderr", "effective count"):
        table.add_column(name, justify="right", no_wrap=True)
    for t in np.unique(np.rint(np.array(_SHOWN) * (last - 1)).astype(int)) + 1:
        table.add_row(
            str(t),
            f"{curve.gamma[t]:.6g}",
            f"{curve.gamma_stderr[t]:.1e}",
            f"{curve.mmse[t]:.5g}",
            f"{curve.mmse_stderr[t]:.1e}",
            f"{curve.effective_count[t]:.0f}",
        )
    return [Text(heading), "", table, "", *map(Text, words.curve_remarks(curve))]
