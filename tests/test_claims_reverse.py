"""Claims on the reverse kernel of a mixture; a broken kernel turns each verdict."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from dpmoracle import GaussianMixture
from dpmoracle.claims import judge, reverse
from dpmoracle.reverse_step import lambda2_ddim, lambda2_ddpm
from small_world import SMALL, WORLD, turns, verdicts

CLAIMS = reverse.CLAIMS


def kernel(slope=None, shift=None, variance=None, time=None, weights=None):
    """c m_i + c_1 x_t and c² S_i + λ² I from the posterior at t, some of it changed."""

    def built(oracle, x_t, s, t, lam2):
        sch, q0 = oracle.process, oracle.q0
        c1 = sqrt((sch.beta_bar[s] - lam2) / sch.beta_bar[t])
        c = sqrt(sch.alpha_bar[s]) - c1 * sqrt(sch.alpha_bar[t])
        seen = t if time is None else time(s, t)
        a, sigma = (np.array([float(level)]) for level in sch.levels(seen))
        p = q0.posterior(x_t[None], a, sigma)
        found = q0.given(
            p,
            c if slope is None else slope(c),
            (c1 if shift is None else shift(c1)) * x_t,
            lam2 if variance is None else variance(lam2),
        )
        if weights is None:
            return found
        kind = found.covariance_type
        return GaussianMixture(weights(q0, found), found.means, found.covariances, kind)

    return built


def markov(built):
    return lambda oracle, x_t, s, t: built(oracle, x_t, s, t, float(lambda2_ddpm(oracle.process, s, t)))


def pulled(q0, found):
    """Responsibilities with too much weight on the first component."""
    moved = found.weights + 0.01 * np.eye(len(found.weights))[0]
    return moved / moved.sum()


KERNELS = [
    kernel(slope=lambda c: c**2),
    kernel(slope=lambda c: -c),
    kernel(shift=lambda c1: c1**2),
    kernel(shift=lambda c1: 0.0),
    kernel(variance=lambda lam2: sqrt(lam2)),
    kernel(variance=lambda lam2: 0.5 * lam2),
    kernel(variance=lambda lam2: 1.001 * lam2),
    kernel(time=lambda s, t: s),
    kernel(weights=pulled),
    kernel(weights=lambda q0, found: q0.weights),
    lambda oracle, x_t, s, t, lam2: oracle.reverse(x_t, s, t, lam2 / 2),
]
#: Broken couplings that leave the law of x_s as it is are no fault of the marginal.
MARGINAL = KERNELS[:-1]

BROKEN = {
    "reverse.bayes": [
        *(markov(built) for built in KERNELS),
        lambda oracle, x_t, s, t: oracle.reverse(x_t, s, t, float(lambda2_ddim(oracle.process, s, t, 0.9))),
    ],
    "reverse.pairwise": [*KERNELS, lambda oracle, x_t, s, t, lam2: oracle.reverse(x_t, s, t)],
    "reverse.marginal": MARGINAL,
    "reverse.joint.ddpm": [
        lambda sch, s, t: lambda2_ddim(sch, s, t, 0.5),
        lambda sch, s, t: lambda2_ddim(sch, s, t, 0.999),
        lambda sch, s, t: lambda2_ddpm(sch, s, t) ** 2,
        lambda sch, s, t: sch.beta_bar[s],
        lambda sch, s, t: sch.beta_bar[s] * sch.betas[t - 1] / sch.beta_bar[t] * (1 - 1e-6),
        lambda sch, s, t: np.asarray(0.9 * sch.beta_bar[s]),
    ],
    "reverse.joint.other": [lambda2_ddpm],
}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_verdict_is_as_expected(claim):
    verdict = judge(claim, WORLD)
    assert verdict.as_expected, verdict


@pytest.mark.parametrize(("name", "k"), verdicts(CLAIMS, BROKEN))
def test_a_broken_formula_turns_the_verdict(name, k):
    assert turns(CLAIMS, BROKEN, name, k)


def test_the_parts_that_the_mutants_change_are_right():
    for claim in CLAIMS[1:3]:
        assert judge(claim, SMALL, kernel()).verdict == "holds"
    assert judge(CLAIMS[0], SMALL, markov(kernel())).verdict == "holds"


def test_products_of_kernels_are_off_by_tens_of_percent():
    """Other λ² give a pairwise law, not factors of the joint."""
    assert judge(CLAIMS[-1], WORLD).measured > 0.1
