"""Solvers on networks whose flow is known in closed form: polynomials of λ or ρ, single points, and the ends."""

from __future__ import annotations

from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest

from dpmoracle import GaussianMixture
from dpmoracle.solvers import ddim, deis, dpm_adaptive, dpm_multistep, dpm_singlestep, heun, unipc, vp_path
from dpmoracle.solvers.coefficients import half_log_snr
from dpmoracle.solvers.history import Seen
from dpmoracle.solvers.multistep import multistep
from dpmoracle.solvers.network import ExactModel
from dpmoracle.solvers.unipc import _step
from mutation import mutant_of
from solver_cases import exact_integral

LAM = [-1.0, -0.4, -0.1, 0.5, 0.8, 1.7]
NODES = [vp_path(lam) for lam in LAM]
X = np.array([0.3, -1.2, 0.7, 2.0])


def in_lambda(x, a, sigma):
    """A network that does not look at x: powers 0..3 of λ, one in each of four dimensions."""
    return (np.log(a / sigma) - 0.25) ** np.arange(4.0) + 0.0 * x


def in_rho(x, a, sigma):
    return (sigma / a - 0.6) ** np.arange(4.0) + 0.0 * x


def exact(prediction: str, power: int, nodes=NODES, rho: bool = False) -> list[float]:
    """x at every node, from X[power] at the first, under power `power` of the network."""
    with mp.workdps(30):
        x, found = mp.mpf(X[power]), [X[power]]
        for t, s in pairwise(nodes):
            keep = s[0] / t[0] if prediction == "noise" else s[1] / t[1]
            f = (lambda lam: (mp.exp(-lam) - 0.6) ** power) if rho else (lambda lam: (lam - 0.25) ** power)
            x = mp.mpf(keep) * x + exact_integral(t, s, prediction, f)
            found.append(float(x))
    return found


@pytest.fixture(scope="module")
def truth():
    """(nodes, 4) x at every node, by prediction and by network."""
    return {
        (prediction, rho): np.array([exact(prediction, power, rho=rho) for power in range(4)]).T
        for prediction in ("data", "noise")
        for rho in (False, True)
    }


def exactness(run, truth, prediction, order, model=in_lambda, states=0):
    """Error in the powers 0..order - 1, and in the next one."""
    true = truth[prediction, model is in_rho]
    given = {"start": true[1 : states + 1]} if states else {}
    off = np.abs(run(model, X, NODES, prediction=prediction, **given) - true[-1])
    return off[:order].max(), off[order] if order < 4 else np.inf


def case(function, order, states=0, model=in_lambda, predictions=("data", "noise"), **options):
    def run(*args, **more):
        takes = {} if function in (ddim, heun) else {"order": order}
        return function(*args, **takes, **options, **more)

    return run, order, states, model, predictions


CASES = {
    "ddim": case(ddim, 1),
    "heun": case(heun, 2, model=in_rho, predictions=("noise",)),
    "singlestep 1": case(dpm_singlestep, 1),
    "singlestep 2 taylor": case(dpm_singlestep, 2, form="taylor", r1=0.3),
    "singlestep 3 taylor": case(dpm_singlestep, 3, form="taylor", r1=0.2),
    "multistep 1": case(dpm_multistep, 1),
    "multistep 2": case(dpm_multistep, 2, states=1),
    "multistep 3": case(dpm_multistep, 3, states=2),
    "unip 3": case(unipc, 3, states=2, corrector=False),
    "unipc 3": case(unipc, 3, states=2),
    "deis 1": case(deis, 1, predictions=("noise",)),
    "deis 2": case(deis, 2, states=1, model=in_rho, predictions=("noise",)),
    "deis 3": case(deis, 3, states=2, model=in_rho, predictions=("noise",)),
    "deis 4": case(deis, 4, states=3, model=in_rho, predictions=("noise",)),
    "deis 3 log_rho": case(deis, 3, states=2, clock="log_rho", predictions=("noise",)),
    "deis 4 own clock": case(deis, 4, states=3, clock=lambda lam: 1 - 3 * lam, predictions=("noise",)),
}


@pytest.mark.parametrize("name", CASES)
def test_polynomials_below_the_order_are_exact(name, truth):
    run, order, states, model, predictions = CASES[name]
    for prediction in predictions:
        below, at = exactness(run, truth, prediction, order, model, states)
        assert below < 1e-13  # measured 2e-15
        assert at > 1e-4


BROKEN = {
    "singlestep 2 taylor": (
        dpm_singlestep,
        [
            ("else step.weight(2)) * slopes[0]", "else step.weight(1)) * slopes[0]"),
            ("slopes.append((net(inner, middle) - f) / r)", "slopes.append(net(inner, middle) - f)"),
            (
                "step.keep * x + step.weight(1) * f\n    if not",
                "step.keep * x - step.weight(1) * f\n    if not",
            ),
            ("middle = path(half_log_snr(t) + r * h)", "middle = path(half_log_snr(t) + h)"),
        ],
    ),
    "singlestep 3 taylor": (
        dpm_singlestep,
        [
            ("step.weight(3) * 2.0 * bend", "step.weight(3) * bend"),
            ("slopes[0] - r1 * bend", "slopes[0] + r1 * bend"),
            ("slopes[0] - r1 * bend", "slopes[0] - r2 * bend"),
            ("(slopes[1] - slopes[0]) / (r2 - r1)", "(slopes[1] - slopes[0]) / r2"),
        ],
    ),
    "multistep 2": (
        dpm_multistep,
        [
            ("slope0 = (seen[0].f - seen[1].f) / r0", "slope0 = (seen[0].f - seen[1].f) * r0"),
            ("slope0 = (seen[0].f - seen[1].f) / r0", "slope0 = seen[0].f - seen[1].f"),
            ("r0 = (lam[0] - lam[1]) / step.h", "r0 = (lam[1] - lam[0]) / step.h"),
            ("else step.weight(2)) * slope0", "else step.weight(3)) * slope0"),
        ],
    ),
    "multistep 3": (
        dpm_multistep,
        [
            ('(1.0 if form == "common" else 2.0) * bend', "1.0 * bend"),
            ("slope0 + r0 * bend", "slope0 - r0 * bend"),
            ("slope0 + r0 * bend", "slope0 + r1 * bend"),
            ("(slope0 - slope1) / (r0 + r1)", "(slope0 - slope1) / r0"),
            ("r1 = (lam[1] - lam[2]) / step.h", "r1 = (lam[0] - lam[2]) / step.h"),
            ("slope1 = (seen[1].f - seen[2].f) / r1", "slope1 = (seen[0].f - seen[2].f) / r1"),
        ],
    ),
    "unip 3": (
        unipc,
        [
            ("math.factorial(i) * step.weight(i + 1)", "step.weight(i + 1)"),
            ("math.factorial(i) * step.weight(i + 1)", "math.factorial(i) * step.weight(i)"),
            ("np.linalg.solve(r**powers,", "np.linalg.solve(r ** (powers - 1),"),
            ("- lam) / step.h for", "- lam) for"),
            ("x = x + weight * (node.f - now.f)", "x = x + weight * node.f"),
        ],
    ),
    "deis 3": (
        deis,
        [
            ("(ticks[:, None] - others) / (knot - others)", "(ticks[:, None] - others) / knot"),
            ("rho[0] + (rho[-1] - rho[0]) * share", "rho[0] + rho[-1] * share"),
            ("mass = (rho[-1] - rho[0]) * weights", "mass = (rho[0] - rho[-1]) * weights"),
            ("x = x + (s[0] * weight) * node.f", "x = x + weight * node.f"),
            ("rule = 0.5 * (1.0 + points), 0.5 * weights", "rule = 0.5 * (1.0 + points), weights"),
        ],
    ),
    "deis 3 log_rho": (
        deis,
        [
            ("mass = -np.exp(-between) * h * weights", "mass = np.exp(-between) * h * weights"),
            ("mass = -np.exp(-between) * h * weights", "mass = -np.exp(between) * h * weights"),
            ("mass = -np.exp(-between) * h * weights", "mass = -np.exp(-between) * weights"),
        ],
    ),
    "heun": (
        heun,
        [
            ("slope = 0.5 * (slope + noise(", "slope = (slope + noise("),
            ("noise(y + step * slope, s)", "noise(y + step * slope, t)"),
            ("step = s[1] / s[0] - t[1] / t[0]", "step = s[1] - t[1]"),
            ("return levels[-1][0] * y", "return y"),
        ],
    ),
    "ddim": (
        ddim,
        [
            ("a_s * x0 + sigma_s * eps", "a_s * x0 + sigma * eps"),
            ("a_s * x0 + sigma_s * eps", "sigma_s * x0 + a_s * eps"),
            ("x0, eps = f, (x - a * f) / sigma", "x0, eps = f, (x - f) / sigma"),
            ("x0, eps = (x - sigma * f) / a, f", "x0, eps = (x - sigma * f), f"),
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "old", "new"), [(name, *pair) for name in BROKEN for pair in BROKEN[name][1]]
)
def test_a_broken_solver_is_seen(name, old, new, truth):
    _, order, states, model, predictions = CASES[name]
    function = BROKEN[name][0]
    options = {
        "singlestep 2 taylor": {"form": "taylor", "r1": 0.3},
        "singlestep 3 taylor": {"form": "taylor", "r1": 0.2},
        "unip 3": {"corrector": False},
        "deis 3 log_rho": {"clock": "log_rho"},
    }.get(name, {})
    run, *_ = case(mutant_of(function, (old, new)), order, states, model, predictions, **options)
    if function in (ddim, heun):
        run = mutant_of(function, (old, new))
    with np.errstate(all="ignore"):
        worst = max(exactness(run, truth, p, order, model, states)[0] for p in predictions)
    assert not worst < 1e-4


@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize("known", [2, 3])
def test_the_corrector_is_exact_to_one_power_more(prediction, known, truth):
    """UniC-p on p nodes and the new one: powers 0..p. (With one node its single coefficient is set to 1/2.)"""
    true = truth[prediction, False]
    seen = [Seen(node, in_lambda(X, *node)) for node in NODES[4 - known + 1 : 5][::-1]]
    new = Seen(NODES[5], in_lambda(X, *NODES[5]))
    for variant in ("bh1", "bh2"):
        landed = _step(true[4], seen[0], [*seen[1:], new], new.level, prediction, variant)
        assert np.abs(landed - true[5])[: known + 1].max() < 1e-14


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_two_ways_to_the_same_step(prediction):
    """UniP-3, DEIS in log ρ and multistep 3 interpolate the same f by the same polynomial."""
    rng = np.random.default_rng(0)
    seen = [Seen(node, rng.standard_normal(4)) for node in NODES[2:5][::-1]]
    one = multistep(X, seen, NODES[5], prediction)
    assert np.abs(_step(X, seen[0], seen[1:], NODES[5], prediction, "bh1") - one).max() < 1e-14


# -- a single point: both predictions are constant along every path ------------------------------------------

POINT = GaussianMixture.from_points([[0.7, -1.1, 0.2, 3.0]])
ALL = {
    "ddim": (ddim, {}),
    "heun": (heun, {}),
    "singlestep": (dpm_singlestep, {}),
    "singlestep, other points": (dpm_singlestep, {"r1": 0.5, "r2": 1.0}),
    "multistep": (dpm_multistep, {}),
    "common": (dpm_multistep, {"form": "common", "start": "lower"}),
    "unipc bh1": (unipc, {"variant": "bh1", "order": 2}),
    "unipc": (unipc, {}),
    "deis": (deis, {}),
    "adaptive": (lambda *args, **options: dpm_adaptive(*args, **options).x, {}),
}


@pytest.mark.parametrize("prediction", ["data", "noise"])
@pytest.mark.parametrize("name", ALL)
def test_a_point_is_solved_exactly(name, prediction):
    solver, options = ALL[name]
    noise = np.array([[0.4, -0.3, 1.0, -2.0], [1.0, 0.0, -1.0, 0.5]])
    nodes = [NODES[0], NODES[-1]] if name == "adaptive" else NODES
    start, end = (a * POINT.means + sigma * noise for a, sigma in (nodes[0], nodes[-1]))
    landed = solver(ExactModel(POINT, prediction), start, nodes, prediction=prediction, **options)
    assert np.abs(landed - end).max() < 1e-14


TO_DATA = [*NODES, (1.0, 0.0)]
FROM_NOISE = [(0.0, 1.0), *NODES]


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (ddim, {}),
        (heun, {}),
        (dpm_singlestep, {"lower_end": True}),
        (dpm_singlestep, {"lower_end": True, "order": 2}),
        (dpm_singlestep, {"order": 1}),
        (dpm_multistep, {"lower_end": True}),
        (dpm_multistep, {"lower_end": True, "start": "lower", "order": 2}),
        (unipc, {"lower_end": True}),
        (unipc, {"lower_end": True, "start": "singlestep"}),
        (deis, {"lower_end": True}),
        (deis, {}),
        (deis, {"order": 4}),
        (deis, {"clock": "log_rho", "lower_end": True}),
    ],
)
@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_solvers_that_reach_clean_data(solver, options, prediction):
    x = NODES[0][0] * POINT.means + NODES[0][1] * np.ones((1, 4))
    landed = solver(ExactModel(POINT, prediction), x, TO_DATA, prediction=prediction, **options)
    assert np.abs(landed - POINT.means).max() < 1e-14


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        (ddim, {}),
        (dpm_singlestep, {"order": 1}),
        (dpm_multistep, {"start": "lower"}),
        (dpm_multistep, {"start": "lower", "order": 2, "lower_end": True}),
        (unipc, {}),
        (unipc, {"order": 1}),
    ],
)
def test_solvers_that_leave_pure_noise(solver, options):
    x = np.array([[0.4, -0.3, 1.0, -2.0]])
    landed = solver(ExactModel(POINT, "data"), x, FROM_NOISE, **options)
    a, sigma = NODES[-1]
    assert np.abs(landed - a * POINT.means - sigma * x).max() < 1e-14


# -- order 1 is DDIM -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("prediction", ["data", "noise"])
def test_order_1_is_ddim(prediction):
    def network(x, a, sigma):
        return np.tanh(x[..., ::-1] + 0.3 * sigma)

    x = np.random.default_rng(0).standard_normal((5, 4))
    one = ddim(network, x, NODES, prediction)
    for solver in (dpm_singlestep, dpm_multistep, deis):
        assert solver(network, x, NODES, 1, prediction) == pytest.approx(one, rel=0, abs=4e-15)
    assert unipc(network, x, NODES, 1, prediction, corrector=False) == pytest.approx(one, rel=0, abs=4e-15)


def test_half_log_snr_of_the_nodes():
    assert [half_log_snr(node) for node in NODES] == pytest.approx(LAM, abs=1e-15)
