"""Many samplers, each in many configurations, in parallel; what they show, grouped by finding."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import math
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from ..errors import InvalidParameterError, MissingExtraError
from .checks import CHECKS, Check
from .front import run_check
from .results import Ending, Result, Status
from .subject import Subject

__all__ = ["Entry", "Finding", "Row", "Task", "findings", "selected", "sweep"]

Progress = Callable[[int, int, str], None]


class Entry(Protocol):
    """One sampler in one configuration, which another process can make."""

    @property
    def name(self) -> str: ...
    @property
    def config(self) -> dict[str, Any]: ...
    @property
    def library(self) -> str: ...
    def subject(self) -> Subject: ...


#: an entry with the names of its checks
Task = tuple[Entry, tuple[str, ...]]


@dataclass(frozen=True)
class Row:
    """One result, as it stands in the JSON; version is empty for what is not installed as a package."""

    subject: str
    config: str
    check: str
    status: Status
    measured: float | None
    bound: float | None
    detail: str
    library: str
    version: str
    curve: tuple[Ending, ...] = ()

    @property
    def origin(self) -> str:
        """'diffusers 0.30.0', or the name alone."""
        return f"{self.library} {self.version}".rstrip()


@dataclass(frozen=True)
class Finding:
    """One check that one sampler fails: `rows`, the worst first, of `among` configurations that were checked."""

    rows: tuple[Row, ...]
    among: int

    @property
    def worst(self) -> Row:
        return self.rows[0]


def sweep(
    entries: Sequence[Entry],
    *,
    quick: bool = False,
    only: str | None = None,
    jobs: int | None = None,
    progress: Progress | None = None,
    into: list[Row] | None = None,
) -> list[Row]:
    """Every check of every entry, in the order of the entries.

    quick : the fewest numbers of steps, and without the checks that take longest
    only  : a pattern of samplers or checks, such as "DDIM*" or "order"
    jobs  : processes, None for as many as there are cores; 1 works in this one
    into  : a list to fill as results come, for who may be interrupted
    """
    chosen = selected(entries, only)
    rows = [] if into is None else into
    tell = progress or (lambda done, total, what: None)
    found: dict[int, list[Row]] = {}
    done = 0
    for i, result in _results(chosen, quick, min(jobs or os.cpu_count() or 1, len(chosen))):
        found[i] = result
        while done in found:
            rows += found[done]
            done += 1
        tell(len(found), len(chosen), chosen[i][0].name)
    return rows


def findings(rows: Iterable[Row]) -> list[Finding]:
    """The failures, one finding for each check of each sampler, grouped by check.

    Where the samples of a configuration are not finite, or it raises, only that is told: other checks that then have
    no figure fail by the same cause.
    """
    given = list(rows)
    fallen = {(row.subject, row.config) for row in given if row.check == "finite" and row.status == "failed"}
    groups: dict[tuple[str, str], list[Row]] = {}
    tried: dict[tuple[str, str], int] = {}
    for row in given:
        key = (row.check, row.subject)
        tried[key] = tried.get(key, 0) + (row.status != "skipped")
        follows = (row.subject, row.config) in fallen and row.check != "finite" and _share(row) == math.inf
        if row.status in ("failed", "xpassed") and not follows:
            groups.setdefault(key, []).append(row)
    order = {name: i for i, name in enumerate(CHECKS)}
    return [
        Finding(tuple(sorted(group, key=_share, reverse=True)), tried[key])
        for key, group in sorted(groups.items(), key=lambda item: (order.get(item[0][0], -1), item[0][1]))
    ]


def _share(row: Row) -> float:
    if row.measured is None or not math.isfinite(row.measured):
        return math.inf
    return row.measured / row.bound if row.bound else row.measured


def selected(entries: Sequence[Entry], only: str | None = None) -> list[Task]:
    """The entries that the pattern matches with all checks, or all entries with the checks that it matches.

    Raises InvalidParameterError for a pattern that matches nothing.
    """
    pattern = "*" if only is None else only
    checks = tuple(fnmatch.filter(CHECKS, pattern))
    chosen = [
        (entry, named or checks)
        for entry in entries
        if (named := tuple(CHECKS) if fnmatch.fnmatchcase(entry.name, pattern) else ()) or checks
    ]
    if not chosen:
        names = sorted({entry.name for entry in entries})
        raise InvalidParameterError(
            f"sweep: --only must match a sampler or a check; {only!r} matches none of {', '.join(names)}, nor of the "
            f"checks {', '.join(CHECKS)}"
        )
    return chosen


def _results(tasks: list[Task], quick: bool, jobs: int) -> Iterator[tuple[int, list[Row]]]:
    if jobs == 1:
        for i, (entry, checks) in enumerate(tasks):
            yield i, _judge(entry, checks, quick)
        return
    # spawn: a fork would copy the threads of torch in whatever state they are
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare, initargs=(sys.path,))
    try:
        waiting: dict[Future[list[Row]], int] = {
            pool.submit(_judge, entry, checks, quick): i for i, (entry, checks) in enumerate(tasks)
        }
        while waiting:
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    except BaseException:
        for process in list((pool._processes or {}).values()):  # what still runs is of no use to anyone
            process.terminate()
        pool.shutdown(wait=False, cancel_futures=True)
        raise
    pool.shutdown()


def _prepare(path: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent meets it for all
    sys.path[:] = path
    os.environ["OMP_NUM_THREADS"] = "1"


def _judge(entry: Entry, checks: Sequence[str], quick: bool) -> list[Row]:
    """All rows of one entry, in this process."""
    about = (entry.library, _version(entry.library))
    config = ", ".join(f"{name}={_plain(value)}" for name, value in entry.config.items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the code under test
        _calm_torch()
        try:
            subject = entry.subject()
        except MissingExtraError:
            raise
        except (InvalidParameterError, ValueError, NotImplementedError) as error:
            return [Row(entry.name, config, "configuration", "note", None, None, f"refused: {error}", *about)]
        except Exception as error:
            detail = f"raises {type(error).__name__}: {error}"
            return [Row(entry.name, config, "configuration", "failed", None, None, detail, *about)]
        results = [
            run_check(check, subject, quick=_hasty(check, quick))
            for check in _worthwhile(entry, subject, checks, quick)
        ]
    return [
        Row(entry.name, config, **_fields(result), library=about[0], version=about[1]) for result in results
    ]


def _fields(result: Result) -> dict[str, Any]:
    return asdict(result)


def _hasty(check: Check, quick: bool) -> bool:
    """These need many steps: the law of samples to be told from slow convergence, and what rounding costs to show."""
    return quick or check.name not in ("finite", "order_usual_start", "stability", "terminal")


def _worthwhile(entry: Entry, subject: Subject, checks: Sequence[str], quick: bool) -> Iterator[Check]:
    """Without what costs most and says least: K = N away from the defaults, and long runs of flows."""
    for name in checks:
        if len(checks) == len(CHECKS):
            if name == "every_step" and (entry.config or subject.endpoint):
                continue
            if name == "stability" and subject.endpoint:
                continue
            if quick and name in ("terminal", "every_step", "order_usual_start"):
                continue
        yield CHECKS[name]


def _calm_torch() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)
    logging = sys.modules.get("diffusers.utils.logging")
    if logging is not None:
        logging.set_verbosity_error()


def _plain(value: Any) -> str:
    return getattr(value, "__name__", None) or str(value)


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""
