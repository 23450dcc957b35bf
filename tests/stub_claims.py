"""Four claims that take no time, in place of the real ones; run as a script it is `dpmoracle` on them.

python stub_claims.py SECONDS_PER_CLAIM VERDICT_OR_- [arguments of dpmoracle]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import dpmoracle.claims
from dpmoracle.claims.registry import find
from dpmoracle.claims.results import Report, Verdict

STATEMENT = r"\sigma_n^{*2} = [bold]\lambda_n^2[/bold] + [x] \sqrt{\bar\beta_n}"
EVIDENCE = (
    "quadrature on 3-component mixtures in [-1, 1], linear schedule, N = 1000: worst at t = 17, λ² = β̃, 0.12"
)


def claim(id: str, source: str, expected: str) -> Any:
    return SimpleNamespace(id=id, source=source, expected=expected, statement=STATEMENT)


CLAIMS = (
    claim("notes.eq05.printed", "notes (5), as printed", "refuted"),
    claim("notes.eq05.corrected", "notes (5), as corrected", "holds"),
    claim("bao2022.theorem2.upper_bound_of_bounded_data", "Bao et al. 2022, Theorem 2 [iclr]", "holds"),
    claim("notes.eq08.printed", "notes (8), as printed", "refuted"),
)


def validate_with(seconds: float = 0.0, verdict: str | None = None) -> Callable[..., Report]:
    def validate(data: Any = None, only: Any = None, seed: int = 0, progress: Any = None) -> Report:
        found = []
        chosen = find(CLAIMS, only)
        for done, c in enumerate(chosen):
            progress(done, len(chosen), c.id)
            time.sleep(seconds)
            measured = 3.4e-13 if c.expected == "holds" else float("inf")
            parts = (
                c.id,
                c.source,
                c.statement,
                verdict or c.expected,
                c.expected,
                measured,
                1e-9,
                EVIDENCE,
                0.1,
            )
            found.append(Verdict(*parts))
        return Report(tuple(found), seed, "digits", {"dpmoracle": "0.1.0", "numpy": "2"}, 12.3)

    return validate


if __name__ == "__main__":
    import rich.progress  # noqa: F401  loaded before "ready", so that the tests' delays mean something

    import dpmoracle.datasets
    from dpmoracle.cli import main

    dpmoracle.claims.all_claims = lambda: CLAIMS  # type: ignore[assignment, return-value]
    dpmoracle.claims.validate = validate_with(float(sys.argv[1]), None if sys.argv[2] == "-" else sys.argv[2])
    if sys.argv[1] != "0":
        print("ready", flush=True)
    sys.exit(main(sys.argv[3:]))
