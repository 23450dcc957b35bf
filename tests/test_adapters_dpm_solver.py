"""The adapter of the official DPM-Solver, as far as it goes without that file."""

from __future__ import annotations

import numpy as np
import pytest

from dpmoracle.conformance.adapters.dpm_solver import _Solver
from dpmoracle.conformance.law import noise_ratio

TABLE = np.cumprod(1.0 - np.linspace(1e-4, 2e-2, 1000))


@pytest.mark.parametrize("n", [0, 1, 17, 998, 999])
def test_whole_timesteps_are_read_from_the_table(n: int) -> None:
    for a, sigma in _Solver(None, TABLE, "dpmsolver++", {}).time_span(float(n)):
        assert a**2 == pytest.approx(TABLE[n], rel=1e-12)
        assert sigma**2 == pytest.approx(1.0 - TABLE[n], rel=1e-11)


def test_between_them_both_readings_lie_between_the_neighbours() -> None:
    """By log(σ/a) the geometric mean of the neighbours half way, by log a that of their a: more noise."""
    solver = _Solver(None, TABLE, "dpmsolver++", {})
    for n in (0, 5, 500):
        below, above = (noise_ratio(solver.time_level(float(m))) for m in (n, n + 1))
        first, second = solver.time_span(n + 0.5)
        assert noise_ratio(first) == pytest.approx(np.sqrt(below * above), rel=1e-12)
        assert second[0] == pytest.approx((TABLE[n] * TABLE[n + 1]) ** 0.25, rel=1e-12)
        assert below < noise_ratio(first) < noise_ratio(second) < above
