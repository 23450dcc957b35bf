"""When did a fault come and go: `dpmoracle check diffusers` against old releases, each in an environment of its own.

    python benchmarks/time_travel.py 0.27.2 0.31.0 0.35.1 --only 'DPMSolver*'

torch, NumPy and dpmoracle are those that run this script (found through a .pth file); diffusers alone is installed
anew, with --no-deps; --with brings what an old release needs besides. A release too old for this NumPy raises, and its
message is a finding that says nothing of the release. One line for each finding: failing configurations per release.
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
from pathlib import Path

_CODE = "import sys; from dpmoracle.cli.app import run; sys.exit(run(sys.argv[1:]))"


def environment(folder: Path, version: str, others: list[str]) -> Path:
    """The Python of a new environment with that release of diffusers before everything of this one."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    own = Path(
        subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    )
    # addsitedir, so that the .pth of an editable dpmoracle counts too; it appends, after the release
    lines = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    (own / "beneath.pth").write_text(lines, encoding="utf-8")
    install = ["install", "--quiet", "--no-deps", "--target", str(own), f"diffusers=={version}", *others]
    subprocess.run([sys.executable, "-m", "pip", *install], check=True)
    return python


def failures(python: Path, more: list[str]) -> Counter[tuple[str, str]] | str:
    """(sampler, check) -> failing configurations; or the last line of what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.json"
        command = [
            str(python),
            "-W",
            "ignore",
            "-c",
            _CODE,
            "check",
            "diffusers",
            "--json",
            str(results),
            *more,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) or not results.exists():
            return (done.stderr.strip().splitlines() or ["no message"])[-1]
        rows = json.loads(results.read_text(encoding="utf-8"))
    return Counter((row["subject"], row["check"]) for row in rows if row["status"] == "failed")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("versions", nargs="+", metavar="VERSION")
    told = "install this beside it, such as huggingface_hub==0.25.2 for 0.27"
    parser.add_argument("--with", dest="others", action="append", default=[], metavar="NAME==X", help=told)
    arguments, more = parser.parse_known_args()
    found: dict[str, Counter[tuple[str, str]]] = {}
    for version in arguments.versions:
        with tempfile.TemporaryDirectory() as folder:
            seen = failures(environment(Path(folder) / "env", version, arguments.others), more)
        if isinstance(seen, str):
            print(f"{version}: cannot be checked: {seen}", file=sys.stderr)
        else:
            found[version] = seen
    keys = sorted({key for seen in found.values() for key in seen})
    print(f"{'failing configurations':58}" + "".join(f"{version:>10}" for version in found))
    for key in keys:
        print(f"{' '.join(key):58}" + "".join(f"{found[version][key] or '-':>10}" for version in found))


if __name__ == "__main__":
    main()
