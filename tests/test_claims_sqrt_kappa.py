"""Claims on the sqrt(kappa) grid: verdicts as expected, and turned by every broken formula."""

from __future__ import annotations

import numpy as np
import pytest

from claim_worlds import ONE_LINE, WORLD
from dpmoracle.claims import judge, sqrt_kappa
from dpmoracle.trajectory import optimal_trajectory, path_cost
from dpmoracle.trajectory.density import sqrt_kappa_grid
from dpmoracle.trajectory.grids import even_grid
from dpmoracle.trajectory.polish import polish_trajectory

CLAIMS = {claim.id: claim for claim in sqrt_kappa.CLAIMS}

BROKEN = {
    "extended.sqrt-kappa.ordinary": [
        lambda u, v, K: path_cost(u, v, even_grid(u.size - 1, K)),
        lambda u, v, K: path_cost(u, v, sqrt_kappa_grid(u, K, kappa=v)),  # V for κ
        lambda u, v, K: 0.9 * sqrt_kappa._law(u, v, K),
    ],
    "extended.sqrt-kappa.narrow": [sqrt_kappa._polished, lambda u, v, K: optimal_trajectory(u, v, K).cost],
    "extended.sqrt-kappa.polished": [
        sqrt_kappa._law,
        lambda u, v, K: polish_trajectory(u, v, sqrt_kappa_grid(u, K, v), window=1, max_rounds=2).cost,
    ],
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_verdict(claim):
    found = judge(claim, WORLD)
    assert found.verdict == claim.expected, found.evidence


@pytest.mark.parametrize(("name", "formula"), [(name, f) for name, fs in BROKEN.items() for f in fs])
def test_a_broken_formula_turns_the_verdict(name, formula):
    found = judge(CLAIMS[name], ONE_LINE, formula)
    assert found.verdict == ("refuted" if CLAIMS[name].expected == "holds" else "holds"), found.evidence


def test_every_claim_is_broken():
    assert set(BROKEN) == set(CLAIMS)


def test_two_modes_against_the_oracle():
    """The E sech² curve is V of the mixture, at levels of all kinds, and its integral is that of V."""
    import dpmoracle as dpm
    from dpmoracle.likelihood.information import snr_integral

    tau2 = 1e-2
    q0 = dpm.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], [tau2, tau2], "spherical")
    u, v, integral = sqrt_kappa.two_modes(tau2, 60)
    orc = dpm.Oracle(q0, dpm.Schedule.from_alpha_bar(np.append(1.0, u[1:] / (1 + u[1:]))))
    at = np.arange(1, 61, 7)
    np.testing.assert_allclose(v[at], orc.mmse(at).value, rtol=1e-9)
    assert integral == pytest.approx(float(snr_integral(q0, 1e-3, 1e6).value), rel=1e-7)
