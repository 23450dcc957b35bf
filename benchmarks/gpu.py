"""python benchmarks/gpu.py: the CuPy kernels on this machine's GPU, from a checkout, without installing anything.

--help lists what it takes. It prints a table and keeps it as JSON and markdown in benchmarks/results.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "reference"), str(ROOT / "kernels")]

from dpmoracle.bench.gpu import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
