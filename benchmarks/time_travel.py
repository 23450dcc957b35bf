"""When did a fault come and go: `dpmoracle check diffusers` against old releases, each in an environment of its own.

    python benchmarks/time_travel.py 0.31.0 0.35.1 installed --only 'DPMSolverSinglestep*'

Oldest first; `installed` is the release that runs here. Everything but the release comes from the environment of this
script (through a .pth file), torch too, so it is one torch for all; --torch VERSION installs that one first, and --with
what an old release needs besides. diffusers itself is installed without its dependencies. One line for each check that
some release fails: failing of checked configurations per release, and whether the fault came or went.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

_CODE = "import sys; from dpmoracle.cli.app import run; sys.exit(run(sys.argv[1:]))"
_IMPORTS = """
import importlib.metadata as m, sys
import torch, diffusers
for name in sys.argv[1:]:
    getattr(diffusers, name)
print(*(f"{name} {m.version(name)}" for name in ("diffusers", "torch", "huggingface_hub", "numpy")), sep=", ")
"""
#: (sampler, check) -> (failing configurations, configurations that were checked)
Counts = dict[tuple[str, str], tuple[int, int]]


class Unusable(Exception):
    """This release cannot be checked here, and why."""


def environment(folder: Path, version: str, torch: str | None, others: Sequence[str]) -> str:
    """The Python of a new environment with that release of diffusers before everything of this one."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = str(folder / "bin" / "python")
    own = _run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]).stdout.strip()
    # addsitedir, so that the .pth of an editable dpmoracle counts too; it appends, after the release
    lines = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (Path(own) / "beneath.pth").write_text(lines, encoding="utf-8")
    if torch is not None:
        _install(own, [f"torch=={torch}"])
    _install(own, ["--no-deps", f"diffusers=={version}", *others])
    return python


def _install(folder: str, wanted: list[str]) -> None:
    done = _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, *wanted])
    if done.returncode:
        raise Unusable(f"pip cannot install {wanted[-1]}: {_last(done.stderr)}")


def imports(python: str) -> str:
    """The versions that this Python imports together, with the schedulers that every release has."""
    done = _run([python, "-W", "ignore", "-c", _IMPORTS, "DDIMScheduler", "EulerDiscreteScheduler"])
    if done.returncode:
        beside = ", ".join(f"{name} {_version(name)}" for name in ("torch", "huggingface_hub", "numpy"))
        raise Unusable(
            f"cannot be imported beside {beside}: {_last(done.stderr)}. Try --with huggingface_hub==0.25.2 "
            "--with transformers==4.46.3, or other releases of that time"
        )
    return done.stdout.strip()


def counts(python: str, more: Sequence[str]) -> Counts:
    """What the check of that Python's diffusers shows, with these options of `dpmoracle check`."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [python, "-W", "ignore", "-c", _CODE, "check", "diffusers", "--json", str(results), *more]
        done = _run(command)
        if done.returncode not in (0, 1) or not results.exists():
            raise Unusable(f"the check ended with {done.returncode}: {_last(done.stderr)}")
        return tally(json.loads(results.read_text(encoding="utf-8")))


def tally(rows: Iterable[Mapping[str, Any]]) -> Counts:
    """Failing and checked configurations of each check of each sampler, from the rows of --json."""
    failed: Counter[tuple[str, str]] = Counter()
    tried: Counter[tuple[str, str]] = Counter()
    for row in rows:
        key = (row["subject"], row["check"])
        failed[key] += row["status"] == "failed"
        tried[key] += row["status"] != "skipped"
    return {key: (failed[key], tried[key]) for key in tried if tried[key]}


def table(found: Mapping[str, Counts]) -> str:
    """One line for each check that some release fails; '-' where a release has no such sampler or check."""
    keys = sorted({key for seen in found.values() for key, (failed, _) in seen.items() if failed})
    rows = [
        [" ".join(key), *(_cell(seen.get(key)) for seen in found.values()), history(found, key)]
        for key in keys
    ]
    lines = [["failing of checked configurations", *found, ""], *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(found) + 2)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def history(found: Mapping[str, Counts], key: tuple[str, str]) -> str:
    """Between which two of the releases, which come in order, the fault came and went."""
    seen = [(version, counts[key][0] > 0) for version, counts in found.items() if key in counts]
    told = []
    for (before, was), (after, there) in zip(seen, seen[1:]):
        if there != was:
            told.append(f"{'came' if there else 'went'} after {before}, by {after}")
    return "; ".join(told) or ("in all" if len(found) > 1 else "")


def _cell(counted: tuple[int, int] | None) -> str:
    return "-" if counted is None else f"{counted[0]} of {counted[1]}"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _last(message: str) -> str:
    lines = [line for line in message.strip().splitlines() if line.strip()]
    telling = [line for line in lines if "rror" in line]
    return (telling or lines or ["no message"])[-1].strip()


def _version(name: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return "(not installed)"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "versions", nargs="+", metavar="VERSION", help="oldest first; 'installed' is this one's"
    )
    parser.add_argument("--torch", metavar="VERSION", help="install this torch first, instead of this one's")
    told = "install this beside it, such as huggingface_hub==0.25.2 for 0.27"
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME==X", help=told)
    arguments, more = parser.parse_known_args()
    found: dict[str, Counts] = {}
    for version in arguments.versions:
        with tempfile.TemporaryDirectory() as folder:
            try:
                python = sys.executable
                if version != "installed":
                    python = environment(Path(folder), version, arguments.torch, arguments.others)
                print(f"{version}: {imports(python)}", file=sys.stderr)
                found[version] = counts(python, more)
            except Unusable as why:
                print(f"{version}: {why}", file=sys.stderr)
    if found:
        print(table(found))
    return 0 if len(found) == len(arguments.versions) else 1


if __name__ == "__main__":
    sys.exit(main())
