"""Γ and V of a data set in batches that can be interrupted and resumed without changing a bit of the result."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import __version__
from .backends import WORTH_COMPILING, pick
from .errors import InvalidParameterError
from .gamma_curve import DataRecord, GammaCurve
from .moments import Moments
from .processes.schedule import Schedule
from .shared import plain_seconds, shared_moments, shared_samples
from .storage import read_npz, write_npz

__all__ = ["GammaRun", "read_checkpoint", "run", "write_checkpoint"]

Array = NDArray[np.float64]
PathLike = str | os.PathLike[str]

_FORMAT, _VERSION = "dpmoracle.gamma.checkpoint", 2
_MOMENTS = ("count", "mean", "deviation")
_MANY = 40  # batches of a run, when it is asked whether kernels pay


@dataclass(frozen=True)
class GammaRun:
    """All that decides the numbers of a run, but its number of samples: more can be added.

    Batch i draws from a generator of its own, seeded by (seed, i), so that it is the same in every run.
    backend and precision are as in `shared_moments`.
    """

    points: Array
    schedule: Schedule
    data: DataRecord
    estimator: str
    batch_size: int
    seed: int
    backend: str = "auto"
    precision: str = "float64"

    @property
    def way(self) -> str:
        """The backend of every batch: decided by the job alone, for a resumed run must compute as the first did."""
        if self.backend != "auto":
            return self.backend
        seconds = plain_seconds(_MANY * self.batch_size, self.schedule.N, self.points, self.estimator)
        kernel = pick("shared_samples", "auto", shared_samples, seconds=seconds)
        return "numpy" if seconds < WORTH_COMPILING or kernel is shared_samples else "numba"

    def batch(self, i: int, size: int) -> Moments:
        """Moments of V at the timesteps 1..N over `size` samples."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(i,)))
        own = rng.integers(len(self.points), size=size)
        x0, noise = self.points[own], rng.standard_normal((size, self.points.shape[1]))
        a, sigma = self.schedule.levels(np.arange(1, self.schedule.N + 1))
        weights = np.ones(len(self.points))
        law = (weights, self.points, 0.0, a, sigma, self.estimator)
        return shared_moments(x0, noise, own, *law, backend=self.way, precision=self.precision)

    def curve(self, found: Moments) -> GammaCurve:
        """What the moments of all batches say."""
        return GammaCurve.from_moments(
            found,
            self.schedule,
            self.data,
            estimator=self.estimator,
            batch_size=self.batch_size,
            seed=self.seed,
        )

    def settings(self) -> dict[str, Any]:
        """What a checkpoint must agree on, by the option that sets it."""
        return {
            "DATA": f"{self.data.shape[0]} x {self.data.shape[1]}, sha256 {self.data.sha256}",
            "--schedule": self.schedule.name,
            "--steps": self.schedule.N,
            "schedule": self.schedule.values,
            "--estimator": self.estimator,
            "--batch-size": self.batch_size,
            "--seed": self.seed,
            "backend": self.way,
            "precision": self.precision,
            "dpmoracle version": __version__,
        }


def run(
    job: GammaRun,
    num_samples: int,
    done: Moments | None = None,
    keep: Callable[[Moments], object] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Moments:
    """Moments of V over `num_samples` samples, batch after batch.

    done     : the batches that an earlier run made, of the same job
    keep     : called with all moments so far after each batch
    progress : called as progress(done, total), in samples
    """
    found = done
    count = 0 if found is None else found.count
    while True:
        if progress is not None:
            progress(count, num_samples)
        if found is not None and count >= num_samples:
            return found
        batch = job.batch(count // job.batch_size, min(job.batch_size, num_samples - count))
        found = batch if found is None else found + batch
        count = found.count
        if keep is not None:
            keep(found)


def write_checkpoint(path: PathLike, job: GammaRun, found: Moments, who: str) -> None:
    """Write the moments so far and what they are of, whole or not at all."""
    arrays: dict[str, Any] = {"format": _FORMAT, "version": _VERSION, **job.settings()}
    write_npz(path, arrays | {name: getattr(found, name) for name in _MOMENTS}, who)


def read_checkpoint(path: PathLike, job: GammaRun, num_samples: int, who: str) -> Moments:
    """The moments in a checkpoint of the same job.

    num_samples : at least as many as it holds; more only if its last batch was a full one
    Raises InvalidParameterError that names the setting that differs, or if the file is not whole.
    """
    arrays: dict[str, Any]
    wanted, shown = job.settings(), os.fspath(path)
    try:
        arrays = {**read_npz(path, who, (*wanted, *_MOMENTS), kind=_FORMAT, version=_VERSION)}
    except FileNotFoundError as error:
        raise InvalidParameterError(
            f"{who}: there is no checkpoint {shown!r} to resume; leave out --resume to begin"
        ) from error
    for name, mine in wanted.items():
        if not np.array_equal(arrays[name], mine):
            theirs = "other values" if name == "schedule" else arrays[name]
            ours = "its own" if name == "schedule" else mine
            raise InvalidParameterError(
                f"{who}: the checkpoint {shown!r} is of another run: {name} was {theirs} there and is {ours} "
                "here. Give what it was, or begin another checkpoint"
            )
    count, mean, deviation = (np.asarray(arrays[name]) for name in _MOMENTS)
    whole = (
        (count.ndim, mean.shape, deviation.shape) == (0, (job.schedule.N,), (job.schedule.N,))
        and (count.dtype.kind, mean.dtype.kind, deviation.dtype.kind) == ("i", "f", "f")
        and np.isfinite([mean, deviation]).all()
        and count > 0
        and (deviation >= 0).all()
    )
    if not whole:
        raise InvalidParameterError(
            f"{who}: {shown!r} must be a whole checkpoint; its count, mean and deviation do not fit together. "
            "Begin again with another --checkpoint"
        )
    held = int(count)
    if held > num_samples:
        raise InvalidParameterError(
            f"{who}: --samples must be at least {held}, what the checkpoint {shown!r} holds; got {num_samples}"
        )
    if held < num_samples and held % job.batch_size:
        raise InvalidParameterError(
            f"{who}: the checkpoint {shown!r} is complete and ends on a batch of {held % job.batch_size}, so it "
            f"only serves --samples {held}; got {num_samples}. To add samples later choose a multiple of "
            "--batch-size"
        )
    return Moments(held, mean, deviation)
