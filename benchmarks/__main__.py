"""python -m benchmarks: the same as `dpmoracle bench`, from a checkout."""

from __future__ import annotations

import sys

from dpmoracle.cli import main

sys.exit(main(["bench", *sys.argv[1:]]))
