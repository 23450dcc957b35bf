"""dpmoracle sample: samples by any sampler, with the exact oracle of the data as the model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidParameterError
from . import inputs
from .console import progress_bar, show, stdout_console
from .levels import Choice, Grid
from .samplers import Drawn, Prediction, Rule, Run, Sampler, check_settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..gamma_curve import GammaCurve
    from ..processes.schedule import Schedule

    Array = NDArray[np.float64]

__all__ = ["sample"]


def sample(
    data: inputs.Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.npy", help="Where the samples go.")],
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many samples.")] = 100,
    nodes: Annotated[
        int | None, typer.Option("-K", "--nodes", metavar="K", help="Levels of noise to visit, in 2..N.")
    ] = None,
    grid: Annotated[
        Grid | None,
        typer.Option(
            help="How the K levels are chosen: whole timesteps (even, quadratic, optimal) or levels between them "
            "(even in lambda, karras). optimal needs --gamma and is the default with it, else even."
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="FILE", help="Timesteps from a --json file of `dpmoracle trajectory`."
        ),
    ] = None,
    timesteps: Annotated[
        str | None,
        typer.Option("--timesteps", metavar="LIST", help="Timesteps of your own, e.g. '1, 40, 200, 1000'."),
    ] = None,
    gamma: Annotated[
        Path | None,
        typer.Option(
            "--gamma", metavar="FILE", help="What `dpmoracle gamma` wrote of DATA: V, and the schedule."
        ),
    ] = None,
    sampler: Annotated[
        Sampler,
        typer.Option(
            help="ancestral and sde (SDE-DPM-Solver++) add noise, ddim with --eta; the others follow the "
            "probability flow."
        ),
    ] = Sampler.ancestral,
    variance: Annotated[
        Rule | None,
        typer.Option(
            help="Of the steps of the ancestral sampler; optimal if not given, V from --gamma or estimated."
        ),
    ] = None,
    eta: Annotated[
        float | None,
        typer.Option("--eta", help="Noise of ddim: 0 none (if not given), 1 that of beta_tilde."),
    ] = None,
    order: Annotated[
        int | None,
        typer.Option(
            "--order",
            help="singlestep, multistep, unipc: 1..3, deis: 1..4, adaptive: 2, 3 (3 if not given); sde: 1, 2 (2).",
        ),
    ] = None,
    prediction: Annotated[
        Prediction | None,
        typer.Option(
            help="What singlestep, multistep, unipc, adaptive integrate: data (DPM-Solver++; if not given) or "
            "noise (DPM-Solver)."
        ),
    ] = None,
    rtol: Annotated[
        float | None, typer.Option("--rtol", help="Error of a step of adaptive, relative; 0.05 if not given.")
    ] = None,
    atol: Annotated[
        float | None,
        typer.Option("--atol", help="The same, absolute; 0.0078 if not given, half a grey level in [-1, 1]."),
    ] = None,
    clip: Annotated[
        bool, typer.Option("--clip", help="Move an impossible V of --gamma into the bounds of Theorem 2.")
    ] = False,
    schedule: inputs.ScheduleOption = None,
    steps: inputs.Steps = None,
    beta_start: inputs.BetaStart = None,
    beta_end: inputs.BetaEnd = None,
    backend: inputs.BackendOption = inputs.Backend.auto,
    key: inputs.Key = None,
    seed: inputs.Seed = 0,
) -> int:
    """Sample with the exact oracle of the data in place of a network.

    The model is the exact mean of x_0 given x_t over the points themselves, so
    whatever error is left comes from the sampler: its timesteps, its variances.
    Every sampler starts from N(0, I) at timestep N and visits K levels, the
    last still noisy: timestep 1, or the first of --timesteps. The final step,
    from there to the data, is the mean of x_0 alone: one evaluation, no noise.

    K levels cost K evaluations (ancestral, ddim, unipc, deis, sde), 2K - 1
    (heun), or order times K - 1 and one (singlestep); multistep starts with
    singlestep. adaptive takes no -K: --rtol and --atol decide.

    OUT.npy holds the samples, float64, one per row, as the rows of DATA.

    Exit code: 0 done, 2 wrong use, 130 Ctrl-C.
    """
    from .. import storage

    choice = Choice(nodes, grid, source, timesteps)
    if sampler is Sampler.adaptive:
        choice.check_adaptive()
    else:
        choice.check(gamma is not None)
    options = {
        "variance": variance,
        "eta": eta,
        "order": order,
        "prediction": prediction,
        "rtol": rtol,
        "atol": atol,
    }
    settings = {name: value for name, value in options.items() if value is not None}
    check_settings(sampler, settings)
    if clip and gamma is None:
        raise InvalidParameterError(
            "--clip moves the V of --gamma FILE into bounds; there is no such file here"
        )
    inputs.refuse_overwriting(output, "-o", data, source, gamma)
    inputs.check_ending(output, "-o", ".npy")
    storage.check_writable(output, "-o")

    from ..gamma_curve import DataRecord, GammaCurve
    from ..mixture import GaussianMixture
    from ..oracle import Oracle

    curve = None
    if gamma is not None:
        if (schedule, steps, beta_start, beta_end) != (None, None, None, None):
            raise InvalidParameterError(
                "--schedule, --steps and --beta-start, --beta-end do not go with --gamma, whose file has the schedule"
            )
        curve = GammaCurve.load(gamma, "--gamma")
    process = curve.schedule if curve else inputs.make_schedule(schedule, steps, beta_start, beta_end)
    points = inputs.load(data, key)
    if curve is not None and not curve.data.same_as(DataRecord.of(points, data)):
        raise InvalidParameterError(
            f"--gamma {str(gamma)!r} is of other data, {curve.data}; DATA is {data} ({len(points)} x "
            f"{points.shape[1]}). Run `dpmoracle gamma` on it first"
        )
    mmse = _usable(curve, clip)
    levels = choice.levels(process, mmse)
    oracle = Oracle(GaussianMixture.from_points(points), process, backend.value)
    with progress_bar() as progress:
        run = Run(oracle, process, levels, number, seed, lambda done, of: progress(done, of, "levels"))
        drawn = run.draw(sampler, settings, mmse)
    storage.write_npy(output, drawn.samples, "-o")
    show(_summary(drawn, points, process, sampler, settings, output), stdout_console())
    return 0


def _usable(curve: GammaCurve | None, clip: bool) -> Array | None:
    from ..plan import usable_mmse

    return None if curve is None else usable_mmse(curve, clip, "--gamma")


def _summary(
    drawn: Drawn,
    points: Array,
    process: Schedule,
    sampler: Sampler,
    settings: Mapping[str, Any],
    output: Path,
) -> list[Any]:
    from rich.text import Text

    made = drawn.samples
    if sampler is Sampler.ancestral:
        settings = {"variance": Rule.optimal, **settings}
    how = "".join(f", {name} {value}" for name, value in settings.items())
    spread = [float(x.var(axis=0).mean()) for x in (made, points)]
    lines = (
        f"{len(made)} samples of {made.shape[1]} numbers by {sampler}{how}; {process.name}, N = {process.N}",
        f"{drawn.levels}",
        f"Network evaluations: {drawn.evaluations}",
        f"Variance per dimension: samples {spread[0]:.4g}, data {spread[1]:.4g}",
        f"Written to {output}",
    )
    return [Text(line) for line in lines]
