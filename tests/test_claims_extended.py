"""Claims beyond the papers: verdicts as expected, and turned by every broken formula."""

from __future__ import annotations

import numpy as np
import pytest

from claim_worlds import ONE_LINE, WORLD
from dpmoracle.claims import extended, judge
from dpmoracle.covariance_rules import npr_variance, optimal_covariance, residual_covariance, sn_variance

CLAIMS = {claim.id: claim for claim in extended.CLAIMS}


def as_kind(other):
    """The cost of another kind of covariance."""
    return lambda orc, kind, nodes, error=None: extended.cost_of(orc, other, nodes, error)


def scaled(factor):
    return lambda orc, kind, nodes, error=None: factor * extended.cost_of(orc, kind, nodes, error)


def at_the_other_end(orc, kind, nodes, error=None):
    """log(1 + V_s Δu): the moments of the wrong end of the step."""
    del kind, error
    u = orc.process.snr[nodes]
    v = orc.mmse(nodes, 200, 0, method="trace").value
    with np.errstate(invalid="ignore"):
        return np.where(
            np.triu(np.ones((len(u), len(u))), 1) > 0, np.log1p(v[:, None] * (u[:, None] - u)), np.inf
        )


def blind(orc, kind, nodes, error=None):
    """The cost of the exact mean for one that is not."""
    return extended.cost_of(orc, kind, nodes)


def cross_sign(sch, t, bayes, eps, guess):
    return sn_variance(sch, t, bayes.mean(np.square(eps))[:, None], 0 * guess[:, None])[:, 0]


def unscaled(sch, t, bayes, eps, guess):
    return bayes.mean(np.square(eps - guess[:, None]))


def npr_of_exact(sch, t, bayes, eps, guess):
    return npr_variance(sch, t, bayes.variance(eps)[:, None])[:, 0]


def corrected(sign=1.0, power=2, lam2_factor=1.0):
    def variance(orc, sch, s, t, x, x0, lam2):
        off = x0 - orc.x0(x, t)
        inner = orc.posterior_cov(x, t, form="diag") + sign * np.abs(off) ** power
        return optimal_covariance(sch, s, t, inner, lam2_factor * lam2)

    return variance


BROKEN = {
    "extended.monge": [
        at_the_other_end,
        scaled(-1.0),
        lambda orc, kind, nodes: np.sqrt(extended.cost_of(orc, kind, nodes)),
    ],
    "extended.kl.diagonal": [as_kind("full"), as_kind("state_full"), scaled(1.1), scaled(0.5)],
    "extended.kl.full": [as_kind("diagonal"), as_kind("isotropic"), as_kind("state_full"), scaled(2.0)],
    "extended.kl.state-diagonal": [as_kind("diagonal"), as_kind("state_full"), scaled(1.1)],
    "extended.kl.state-full": [as_kind("full"), as_kind("state_diagonal"), as_kind("isotropic")],
    "extended.kl.state-full.imperfect": [blind, as_kind("full"), as_kind("state_diagonal")],
    "extended.kl.constant-for-state": [extended.cost_of],
    "extended.npr": [extended._by_second_moment, unscaled, npr_of_exact],
    "extended.sn": [cross_sign, unscaled],
    "extended.sn.imperfect": [extended._by_residual],
    "extended.imperfect.corrected": [
        extended._uncorrected,
        corrected(sign=-1.0),
        corrected(power=1),
        corrected(lam2_factor=0.9),
    ],
    "extended.imperfect.uncorrected": [extended.corrected_variance, corrected()],
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


def test_corrected_variance_is_cov_plus_delta_squared():
    import dpmoracle as dpm

    orc = WORLD.oracle(WORLD.planes["full d=2"])
    x = np.random.default_rng(0).normal(size=(4, 2))
    off = np.array([0.3, -0.1])
    full = residual_covariance(orc, x, 300, orc.x0(x, 300) + off, "full")
    np.testing.assert_allclose(
        full - orc.posterior_cov(x, 300), np.broadcast_to(np.outer(off, off), (4, 2, 2)), atol=1e-15
    )
    assert isinstance(orc, dpm.Oracle)
