"""When did a fault come and go: `dpmoracle check diffusers` against old releases, each in an environment of its own.

    python benchmarks/time_travel.py 0.31.0 0.35.1 installed --only 'DPMSolverSinglestep*'

Oldest first; `installed` is the release that runs here. Everything but the release comes from the environment of this
script (through a .pth file), torch too, so it is one torch for all; --torch VERSION installs that one first, and --with
what an old release needs besides. diffusers itself is installed without its dependencies. One line for each check that
some release fails: failing of checked configurations per release, and how many came or went with which.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from itertools import pairwise
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
#: (sampler, check) -> configuration -> whether it fails; those that were checked
Seen = dict[tuple[str, str], dict[str, bool]]


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
        named = ", ".join(name for name in wanted if not name.startswith("--"))
        raise Unusable(f"pip cannot install {named}: {_last(done.stderr)}")


def imports(python: str) -> str:
    """The versions that this Python imports together, with the schedulers that every release has."""
    done = _run([python, "-W", "ignore", "-c", _IMPORTS, "DDIMScheduler", "EulerDiscreteScheduler"])
    if done.returncode:
        beside = ", ".join(f"{name} {_version(name)}" for name in ("torch", "huggingface_hub", "numpy"))
        raise Unusable(
            f"cannot be imported beside {beside}: {_last(done.stderr)}. Try --with NAME==VERSION of that time, such "
            "as huggingface_hub==0.25.2"
        )
    return done.stdout.strip()


def check(python: str, more: Sequence[str]) -> Seen:
    """What the check of that Python's diffusers shows, with these options of `dpmoracle check`."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [python, "-W", "ignore", "-c", _CODE, "check", "diffusers", "--json", str(results), *more]
        done = _run(command)
        if done.returncode not in (0, 1) or not results.exists():
            raise Unusable(f"the check ended with {done.returncode}: {_last(done.stderr)}")
        return gathered(json.loads(results.read_text(encoding="utf-8")))


def gathered(rows: Iterable[Mapping[str, Any]]) -> Seen:
    """From the rows of --json; without those that were skipped."""
    seen: Seen = {}
    for row in rows:
        if row["status"] != "skipped":
            seen.setdefault((row["subject"], row["check"]), {})[row["config"]] = row["status"] == "failed"
    return seen


def table(found: Mapping[str, Seen]) -> str:
    """One line for each check that some release fails; '-' where a release has no such sampler or check."""
    keys = sorted({key for seen in found.values() for key, failed in seen.items() if any(failed.values())})
    lines = [["failing of checked configurations", *found, ""]]
    for key in keys:
        cells = [
            f"{sum(seen[key].values())} of {len(seen[key])}" if key in seen else "-"
            for seen in found.values()
        ]
        lines.append([" ".join(key), *cells, history(found, key)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(found) + 2)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines
    )


def history(found: Mapping[str, Seen], key: tuple[str, str]) -> str:
    """How many configurations began or ceased to fail by which release, of those that both releases have."""
    told = []
    for (_, before), (version, after) in pairwise((v, seen[key]) for v, seen in found.items() if key in seen):
        both = before.keys() & after.keys()
        came = sum(after[config] and not before[config] for config in both)
        went = sum(before[config] and not after[config] for config in both)
        told += [f"{n} {what} by {version}" for n, what in ((came, "came"), (went, "went")) if n]
    return ", ".join(told)


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _last(message: str) -> str:
    lines = [line for line in message.strip().splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines or ["no message"])[-1].strip()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
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
    found: dict[str, Seen] = {}
    for version in arguments.versions:
        with tempfile.TemporaryDirectory() as folder:
            try:
                python = sys.executable
                if version != "installed":
                    python = environment(Path(folder), version, arguments.torch, arguments.others)
                print(f"{version}: {imports(python)}", file=sys.stderr)
                found[version] = check(python, more)
            except Unusable as why:
                print(f"{version}: {why}", file=sys.stderr)
    if found:
        print(table(found))
    return 0 if len(found) == len(arguments.versions) else 1


if __name__ == "__main__":
    sys.exit(main())
