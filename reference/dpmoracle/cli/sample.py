"""dpmoracle sample: the reverse chain of a trajectory, with the exact oracle of the data as the model."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InvalidParameterError
from . import inputs
from .console import progress_bar, show, stdout_console

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..gamma_curve import GammaCurve
    from ..processes.schedule import Schedule

    Array = NDArray[np.float64]
    Steps = NDArray[np.int64]

__all__ = ["sample"]


class Sampler(StrEnum):
    ancestral = "ancestral"
    ddim = "ddim"


class Grid(StrEnum):
    even = "even"
    quadratic = "quadratic"
    optimal = "optimal"


class Rule(StrEnum):
    optimal = "optimal"
    beta_tilde = "beta_tilde"
    beta = "beta"


def sample(
    data: inputs.Data,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.npy", help="Where the samples go.")],
    number: Annotated[int, typer.Option("-n", "--number", min=1, help="How many samples.")] = 100,
    nodes: Annotated[
        int | None, typer.Option("-K", "--nodes", metavar="K", help="Network evaluations, in 2..N.")
    ] = None,
    grid: Annotated[
        Grid | None,
        typer.Option(
            help="How the K timesteps are chosen; optimal needs --gamma and is the default with it, else even."
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
    sampler: Annotated[Sampler, typer.Option(help="ddim adds no noise at --eta 0.")] = Sampler.ancestral,
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
    clip: Annotated[
        bool, typer.Option("--clip", help="Move an impossible V of --gamma into the bounds of Theorem 2.")
    ] = False,
    schedule: inputs.ScheduleOption = None,
    steps: inputs.Steps = None,
    beta_start: inputs.BetaStart = None,
    beta_end: inputs.BetaEnd = None,
    key: inputs.Key = None,
    seed: inputs.Seed = 0,
) -> int:
    """Sample with the exact oracle of the data in place of a network.

    The model is the exact mean of x_0 given x_t over the points themselves, so
    whatever error is left comes from the sampler: its timesteps, its variances.
    The last step, from the first timestep to the data, adds no noise.

    OUT.npy holds the samples, float64, one per row, as the rows of DATA.

    Exit code: 0 done, 2 wrong use, 130 Ctrl-C.
    """
    from .. import storage

    _check_options(nodes, grid, source, timesteps, gamma, sampler, variance, eta, clip)
    inputs.refuse_overwriting(output, "-o", data, source, gamma)
    inputs.check_ending(output, "-o", ".npy")
    storage.check_writable(output, "-o")

    from ..gamma_curve import DataRecord, GammaCurve
    from ..mixture import GaussianMixture
    from ..oracle import Oracle
    from ..sampler import sample as run

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
    chosen = _timesteps(process, nodes, grid, source, timesteps, mmse)
    oracle = Oracle(GaussianMixture.from_points(points), process)
    settings = _settings(process, chosen, sampler, variance, eta, mmse)
    with progress_bar() as progress:
        made = run(
            oracle,
            process,
            chosen,
            number,
            seed,
            progress=lambda done, total: progress(done, total, "steps"),
            **settings,
        )
    storage.write_npy(output, made, "-o")
    show(_summary(made, points, chosen, process, sampler, settings["variance"], output), stdout_console())
    return 0


def _check_options(
    nodes: int | None,
    grid: Grid | None,
    source: Path | None,
    timesteps: str | None,
    gamma: Path | None,
    sampler: Sampler,
    variance: Rule | None,
    eta: float | None,
    clip: bool,
) -> None:
    """Refuse what would silently be ignored."""
    if nodes is None and source is None and timesteps is None:
        raise InvalidParameterError("timesteps must be chosen: -K 25, or --from FILE, or --timesteps LIST")
    if timesteps is not None and (nodes is not None or source is not None):
        raise InvalidParameterError("--timesteps says everything; leave out -K and --from")
    if grid is not None and (source is not None or timesteps is not None):
        raise InvalidParameterError("--grid chooses K timesteps; leave it out with --from and --timesteps")
    if grid is Grid.optimal and gamma is None:
        raise InvalidParameterError(
            "--grid optimal needs V at every timestep: give --gamma FILE, made by `dpmoracle gamma DATA -o FILE`"
        )
    if sampler is Sampler.ddim and variance is not None:
        raise InvalidParameterError(
            "--variance is for --sampler ancestral; the noise of ddim is set by --eta"
        )
    if sampler is not Sampler.ddim and eta is not None:
        raise InvalidParameterError("--eta is for --sampler ddim")
    if clip and gamma is None:
        raise InvalidParameterError(
            "--clip moves the V of --gamma FILE into bounds; there is no such file here"
        )


def _usable(curve: GammaCurve | None, clip: bool) -> Array | None:
    from ..plan import usable_mmse

    return None if curve is None else usable_mmse(curve, clip, "--gamma")


def _timesteps(
    process: Schedule,
    nodes: int | None,
    grid: Grid | None,
    source: Path | None,
    timesteps: str | None,
    mmse: Array | None,
) -> Steps:
    """(K,) increasing, in 1..N."""
    import numpy as np

    from .. import plan
    from ..trajectory import grids, optimal_trajectory
    from ..trajectory.step_cost import as_nodes, check_nodes

    if timesteps is not None:
        words = timesteps.replace(",", " ").split()
        try:
            given = np.array([int(word) for word in words], dtype=np.int64)
        except (ValueError, OverflowError) as error:
            raise InvalidParameterError(
                f"--timesteps must be whole numbers separated by commas; got {timesteps!r}"
            ) from error
        path = as_nodes("--timesteps", given, process.N, partial=True)
        if path[-1] != process.N:
            raise InvalidParameterError(
                f"--timesteps must end at N = {process.N}, where sampling starts from N(0, I); it ends at {path[-1]}"
            )
        return path
    if source is not None:
        return plan.read_timesteps(source, process, nodes, "--from")
    K = check_nodes("-K", nodes, process.N)
    if mmse is not None and grid in (None, Grid.optimal):
        return optimal_trajectory(process.snr, mmse, K).timesteps
    return (grids.quadratic_grid if grid is Grid.quadratic else grids.even_grid)(process.N, K)


def _settings(
    process: Schedule,
    chosen: Steps,
    sampler: Sampler,
    variance: Rule | None,
    eta: float | None,
    mmse: Array | None,
) -> dict[str, Any]:
    """What dpmoracle.sample takes for a sampler and its rule."""
    from ..reverse_step import lambda2_ddim

    if sampler is Sampler.ddim:
        return {
            "lam2": lambda2_ddim(process, chosen[:-1], chosen[1:], 0.0 if eta is None else eta),
            "variance": "lam2",
        }
    return {"lam2": "ddpm", "variance": (variance or Rule.optimal).value, "mmse": mmse}


def _summary(
    made: NDArray[np.floating[Any]],
    points: Array,
    chosen: Steps,
    process: Schedule,
    sampler: Sampler,
    variance: str,
    output: Path,
) -> list[Any]:
    from rich.text import Text

    rule = f", variance {variance}" if sampler is Sampler.ancestral else ""
    spread = [float(x.var(axis=0).mean()) for x in (made, points)]
    lines = (
        f"{len(made)} samples of {made.shape[1]} numbers by {sampler.value}{rule}; {process.name}, N = {process.N}",
        f"K = {len(chosen)}: timesteps {', '.join(map(str, chosen.tolist()))}",
        f"Variance per dimension: samples {spread[0]:.4g}, data {spread[1]:.4g}",
        f"Written to {output}",
    )
    return [Text(line) for line in lines]
