"""What several commands take: a data set by file or name, and a schedule by name. Loads nothing heavy."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidParameterError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..processes.schedule import Schedule

__all__ = [
    "Backend",
    "BackendOption",
    "BetaEnd",
    "BetaStart",
    "Data",
    "Key",
    "ScheduleName",
    "ScheduleOption",
    "Seed",
    "Steps",
    "check_ending",
    "load",
    "make_schedule",
    "refuse_overwriting",
]


class Backend(StrEnum):
    auto = "auto"
    numpy = "numpy"
    numba = "numba"
    cupy = "cupy"


class ScheduleName(StrEnum):
    linear = "linear"
    scaled_linear = "scaled_linear"
    cosine = "cosine"
    sigmoid = "sigmoid"


Data = Annotated[
    str,
    typer.Argument(metavar="DATA", help="Points: .npy, .npz or .csv, one per row; or the word digits."),
]
BackendOption = Annotated[
    Backend,
    typer.Option(
        "--backend",
        help="auto uses compiled kernels of the CPU where they pay; cupy computes on a GPU (extra gpu).",
    ),
]
Key = Annotated[str | None, typer.Option("--key", metavar="NAME", help="Which array of an .npz file.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same numbers.")]
ScheduleOption = Annotated[
    ScheduleName | None, typer.Option("--schedule", help="How the betas run; linear if not given.")
]
Steps = Annotated[
    int | None,
    typer.Option("--steps", min=2, metavar="N", help="Timesteps of the schedule; 1000 if not given."),
]
BetaStart = Annotated[
    float | None,
    typer.Option("--beta-start", help="First beta; 0.0001 if not given, scaled_linear 0.00085."),
]
BetaEnd = Annotated[
    float | None,
    typer.Option("--beta-end", help="Last beta; 0.02 if not given, scaled_linear 0.012."),
]


def load(data: str, key: str | None) -> NDArray[np.float64]:
    """(C, d) points of a file, or the digits."""
    from .. import datasets
    from ..mixture import GaussianMixture

    if data != "digits":
        points = datasets.load_points(data, key)
        GaussianMixture.from_points(points)  # refuses points whose squares overflow
        return points
    if key is not None:
        raise InvalidParameterError(f"--key {key} names an array of an .npz file; DATA is the word digits")
    return datasets.digits()


def make_schedule(
    name: ScheduleName | None, steps: int | None, beta_start: float | None, beta_end: float | None
) -> Schedule:
    """The schedule of the options; None is the default of each."""
    from ..processes.schedule import Schedule

    name = name or ScheduleName.linear
    ends = {"beta_start": beta_start, "beta_end": beta_end}
    given = {option: value for option, value in ends.items() if value is not None}
    if name is ScheduleName.cosine and given:
        raise InvalidParameterError("--beta-start and --beta-end do not apply to --schedule cosine")
    make = {
        "linear": Schedule.linear,
        "scaled_linear": Schedule.scaled_linear,
        "cosine": Schedule.cosine,
        "sigmoid": Schedule.sigmoid,
    }[name.value]
    made: Schedule = make(1000 if steps is None else steps, **given)
    return made


def check_ending(path: Path, option: str, wanted: str) -> None:
    """Refuse to write one kind of file under the ending of another."""
    if path.suffix in {".csv", ".txt", ".json", ".npy", ".npz"} - {wanted}:
        raise InvalidParameterError(
            f"{option} writes a {wanted} file; got {str(path)!r}. Name it {path.stem}{wanted}"
        )


def refuse_overwriting(output: Path, option: str, *inputs: str | Path | None) -> None:
    """Refuse an output that is one of the inputs, also by another name of the same file."""
    for source in inputs:
        if source is not None and _same(output, source):
            raise InvalidParameterError(
                f"{option} must be another file than {str(source)!r}, which it would replace"
            )


def _same(one: str | Path, other: str | Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist yet
        return os.path.abspath(one) == os.path.abspath(other)
