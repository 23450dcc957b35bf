"""The exact flow against closed forms, ranks, an ODE written another way, and the mixture's own density."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.special import ndtr

from dpmoracle import GaussianMixture, InvalidParameterError, Oracle, Process, Schedule, strategies
from dpmoracle import flow as flow_module
from dpmoracle.flow import flow, flow_levels, flow_log_det, flow_path, log_prob_flow
from dpmoracle.flow_field import divergence, integrate, last_angle, velocity
from mutation import mutant_of
from solver_cases import mixtures, processes

MIXTURES, PROCESSES = mixtures(), processes()
RTOL = 1e-11


def starts(q0: GaussianMixture, process: object, t: object, count: int = 16, seed: int = 0) -> np.ndarray:
    return q0.diffuse(*map(float, process.levels(t))).sample(count, seed)


# -- closed forms --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "spread"),
    [
        *((name, (1.5, 0.1, 1e-3)) for name in PROCESSES),
        ("vp_cosine", (1.0, 1.0, 1.0)),
        ("edm", (1.0, 1.0, 1.0)),
        ("rectified_flow", (100.0, 1e-2, 1e-3)),
    ],
)
def test_gaussian_data(name, spread):
    process, t, s = PROCESSES[name]
    mean, spread = np.array([0.4, -1.0, 0.2]), np.array(spread)
    axes = np.linalg.qr(np.random.default_rng(3).standard_normal((3, 3)))[0]
    q0 = GaussianMixture([1.0], [mean], [(axes * spread) @ axes.T], "full")
    (a_t, sigma_t), (a_s, sigma_s) = process.levels(t), process.levels(s)
    x = starts(q0, process, t)
    stretch = np.sqrt((a_s**2 * spread + sigma_s**2) / (a_t**2 * spread + sigma_t**2))
    true = a_s * mean + ((x - a_t * mean) @ axes * stretch) @ axes.T
    landed = flow(Oracle(q0, process), x, t, s, RTOL)
    # Measured 2e-10 for the wide one, 2e-11 for the others.
    assert np.abs(landed - true).max() < 5e-10 * np.sqrt(np.square(true).mean())
    assert flow_log_det(Oracle(q0, process), x, t, s, RTOL) == pytest.approx(np.log(stretch).sum(), abs=2e-10)


def tails(q0, a, sigma, x):
    """P(X <= x), P(X > x) and the density of a x_0 + σ ε in one dimension."""
    deviation = np.sqrt(a * a * q0.eigenvalues()[:, 0] + sigma * sigma)
    z = (x - a * q0.means[:, 0]) / deviation
    return (
        ndtr(z) @ q0.weights,
        ndtr(-z) @ q0.weights,
        np.exp(-z * z / 2) / deviation @ q0.weights / 2.5066282746,
    )


def rank_error(q0, x, start, end, landed):
    """How far `landed` is from the point of the same rank, in units of x."""
    below, above, _ = tails(q0, *start, x)
    low, high, density = tails(q0, *end, landed)
    return np.abs(np.where(below < above, low - below, high - above)) / density


@pytest.mark.parametrize("name", PROCESSES)
def test_one_dimension_keeps_ranks(name):
    process, t, s = PROCESSES[name]
    q0 = MIXTURES["d=1"]
    start, end = process.levels(t), process.levels(s)
    x = starts(q0, process, t, 64)
    landed = flow(Oracle(q0, process), x, t, s, RTOL)
    assert rank_error(q0, x, start, end, landed).max() < 1e-11  # measured 6e-13
    back = flow(Oracle(q0, process), landed, s, t, RTOL)
    assert np.abs(back - x).max() < 1e-11 * np.hypot(*start)  # measured 1e-12


@settings(max_examples=10, deadline=None)
@given(strategies.mixtures(max_dim=1), st.floats(0.02, 0.5), st.integers(0, 2**20))
def test_any_one_dimensional_mixture_keeps_ranks(q0, s, seed):
    process = Process.vp_cosine(t_max=1.0)
    x = starts(q0, process, 1.0, 20, seed)
    landed = flow(Oracle(q0, process), x, 1.0, s)
    assert rank_error(q0, x, (0.0, 1.0), process.levels(s), landed).max() < 1e-7


def test_points_are_quantiles():
    """At σ = 0 each start goes to the point that holds its rank, also where two points nearly coincide."""
    points = np.sort(np.random.default_rng(0).standard_normal((7, 1)), axis=0)
    points[3] = points[2] + 1e-5
    orc = Oracle(GaussianMixture.from_points(points), Process.vp_cosine(t_max=1.0))
    x = np.random.default_rng(1).standard_normal((128, 1))
    landed = flow(orc, x, 1.0, 0.0)
    rank = np.minimum((7 * ndtr(x[:, 0])).astype(int), 6)
    assert np.abs(landed - points[rank]).max() < 1e-14
    near = flow(orc, x, 1.0, 1e-3)
    assert rank_error(orc.q0, x, (0.0, 1.0), orc.process.levels(1e-3), near).max() < 1e-10


def test_partly_singular_data():
    q0 = GaussianMixture([1.0], [[0.3, -0.2]], [[1e-3, 0.0]], "diag")
    x = np.random.default_rng(1).standard_normal((64, 2))
    landed = flow(Oracle(q0, Process.vp_cosine(t_max=1.0)), x, 1.0, 0.0)
    assert np.abs(landed - q0.means - x * [np.sqrt(1e-3), 0.0]).max() < 1e-11
    assert last_angle(q0) == pytest.approx(1e-8 * np.sqrt(5e-4))
    assert last_angle(GaussianMixture.from_points([[0.0]])) == pytest.approx(1e-8)


@pytest.mark.parametrize("scale", [1e3, 1e-3])
def test_units_of_the_data_do_not_matter(scale):
    q0 = MIXTURES["d=1"]
    scaled = GaussianMixture(q0.weights, scale * q0.means, scale**2 * q0.covariances, "spherical")
    x = np.random.default_rng(1).standard_normal((64, 1))
    process = Process.vp_cosine(t_max=1.0)
    landed = flow(Oracle(scaled, process), x, 1.0, 0.0)
    assert rank_error(scaled, x, (0.0, 1.0), (1.0, 0.0), landed).max() < 1e-9 * scale


# -- another form of the equation ----------------------------------------------------------------------------


def log_density(q0, x, a, sigma):
    """log q_t(x) for one complex x (d,), from inverses and determinants of the components."""
    total = 0.0
    for w, m, s in zip(q0.weights, q0.means, q0.covariances):
        v = a * a * s + sigma * sigma * np.eye(q0.d)
        y = x - a * m
        total = total + w * np.exp(-0.5 * y @ np.linalg.solve(v, y)) / np.sqrt(np.linalg.det(v))
    return np.log(total)


def vp_ode(q0, x, t, s, score_factor=0.5):
    """dx/dt = -β/2 x - β/2 ∇log q_t [song2021, eq. (13)], the gradient by complex steps of the density."""

    def drift(time, x):
        a, sigma = Process.vp_linear().levels(time)
        shift = 1e-30j * np.eye(q0.d)
        score = np.array([log_density(q0, x + row, a, sigma).imag for row in shift]) / 1e-30
        rate = 0.1 + 19.9 * time
        return -0.5 * rate * x - score_factor * rate * score

    return solve_ivp(drift, (t, s), x, method="LSODA", rtol=1e-11, atol=1e-12).y[:, -1]


def test_the_ode_in_time():
    q0, x = MIXTURES["d=2"], np.array([[0.7, -0.4], [-1.2, 0.3]])
    landed = flow(Oracle(q0, Process.vp_linear()), x, 0.6, 0.05, RTOL)
    for start, end in zip(x, landed):
        assert np.abs(vp_ode(q0, start, 0.6, 0.05) - end).max() < 1e-8
        assert np.abs(vp_ode(q0, start, 0.6, 0.05, score_factor=1.0) - end).max() > 1e-2


@pytest.mark.parametrize("name", MIXTURES)
def test_the_process_does_not_matter_but_for_its_levels(name):
    """Equal (a, σ) up to scale: VP, EDM and rectified flow give the same map."""
    q0 = MIXTURES[name]
    x = np.random.default_rng(2).standard_normal((20, q0.d))
    landed = []
    for process in (Process.vp_linear(), Process.edm(), Process.rectified_flow()):
        t, s = (float(process.inverse(lam)) for lam in (-3.0, 2.0))
        (a_t, sigma_t), (a_s, sigma_s) = process.levels(t), process.levels(s)
        landed.append(flow(Oracle(q0, process), x * np.hypot(a_t, sigma_t), t, s) / np.hypot(a_s, sigma_s))
    assert np.abs(landed[1] - landed[0]).max() < 1e-10
    assert np.abs(landed[2] - landed[0]).max() < 1e-10


# -- mutants of the velocity ---------------------------------------------------------------------------------

VELOCITY = [
    ("-sin[:, None] * (p.mean + cos", "sin[:, None] * (p.mean + cos"),
    ("(p.mean + cos[:, None] * p.score)", "(p.mean - cos[:, None] * p.score)"),
    ("(p.mean + cos[:, None] * p.score)", "(p.mean + p.score)"),
    ("(p.mean + cos[:, None] * p.score)", "(p.mean + 2 * cos[:, None] * p.score)"),
    ("-sin[:, None] * (p.mean + cos", "-cos[:, None] * (p.mean + cos"),
    ("(p.mean + cos[:, None] * p.score)", "(p.mean + sin[:, None] * p.score)"),
    ("-sin[:, None] * (p.mean + cos", "-(p.mean + cos"),
    ("p = q0.posterior(z, cos, sin)\n    return", "p = q0.posterior(z, sin, cos)\n    return"),
]


@pytest.mark.parametrize(("old", "new"), VELOCITY)
def test_a_broken_velocity_is_seen(old, new, monkeypatch):
    monkeypatch.setattr(flow_module, "velocity", mutant_of(velocity, (old, new)))
    q0, process = MIXTURES["d=1"], Process.vp_linear()
    x = starts(q0, process, 0.8)
    try:
        landed = flow(Oracle(q0, process), x, 0.8, 0.1, 1e-6)
    except InvalidParameterError:
        return
    with np.errstate(all="ignore"):
        assert not rank_error(q0, x, process.levels(0.8), process.levels(0.1), landed).max() < 1e-5


# -- densities -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("name", PROCESSES)
def test_change_of_variables_is_the_density(mixture, name):
    process, noisy, clean = PROCESSES[name]
    orc = Oracle(MIXTURES[mixture], process)
    x = starts(orc.q0, process, clean, 16)
    assert np.abs(log_prob_flow(orc, x, clean, noisy) - orc.log_prob(x, clean)).max() < 1e-9  # measured 1e-10


def density_error(name: str = "d=2") -> float:
    orc = Oracle(MIXTURES[name], Process.edm())
    x = starts(orc.q0, orc.process, 0.1, 8)
    return float(np.abs(log_prob_flow(orc, x, 0.1, 5.0) - orc.log_prob(x, 0.1)).max())


DIVERGENCE = [
    ("(1.0 - e) / (", "(1.0 + e) / ("),
    ("(1.0 - e) / (", "-e / ("),
    ("(within - between)", "(within + between)"),
    ("(within - between)", "within"),
    ("np.asarray(cos * sin * (", "np.asarray(sin * ("),
    ("np.asarray(cos * sin * (", "np.asarray(cos * ("),
    ("np.asarray(cos * sin * (", "np.asarray(-cos * sin * ("),
    ("(sin**4)[:, None]", "(sin**2)[:, None]"),
]


@pytest.mark.parametrize(("old", "new"), DIVERGENCE)
def test_a_broken_divergence_is_seen(old, new, monkeypatch):
    assert density_error() < 1e-9
    monkeypatch.setattr(flow_module, "divergence", mutant_of(divergence, (old, new)))
    assert density_error() > 1e-4


LOG_DET = [
    ("change + orc.q0.d * np.log(r_s / r_t)", "change"),
    ("change + orc.q0.d * np.log(r_s / r_t)", "change + np.log(r_s / r_t)"),
    ("change + orc.q0.d * np.log(r_s / r_t)", "change - orc.q0.d * np.log(r_s / r_t)"),
]


@pytest.mark.parametrize(("old", "new"), LOG_DET)
def test_a_broken_log_det_is_seen(old, new, monkeypatch):
    monkeypatch.setattr(flow_module, "_with_log_det", mutant_of(flow_module._with_log_det, (old, new)))
    assert density_error() > 1e-3


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("angle", [1e-6, 0.02, 0.7, 1.5])
def test_divergence_is_the_trace_of_the_jacobian(name, angle):
    """Tweedie's second order, cot φ (d - Tr Cov / sin² φ), and central differences of the velocity."""
    q0 = MIXTURES[name]
    z = q0.diffuse(np.cos(angle), np.sin(angle)).sample(12, 5)
    angles = np.full(len(z), angle)
    found = divergence(q0, z, angles)
    p = q0.posterior(z, np.cos(angles), np.sin(angles))
    trace = (q0.d - p.trace() / np.sin(angle) ** 2) / np.tan(angle)
    assert found == pytest.approx(trace, rel=1e-9, abs=1e-15 * q0.d / angle**2)
    step = 1e-6
    slope = sum(
        (velocity(q0, z + step * row, angles) - velocity(q0, z - step * row, angles))[:, i] / (2 * step)
        for i, row in enumerate(np.eye(q0.d))
    )
    if angle > 1e-3:
        assert found == pytest.approx(slope, rel=1e-6, abs=1e-6)


def test_divergence_at_the_ends_is_zero():
    q0 = MIXTURES["d=2"]
    z = q0.sample(5, 0)
    assert (divergence(q0, z, np.zeros(5)) == 0.0).all()
    assert np.abs(divergence(q0, z, np.full(5, np.pi / 2))).max() < 1e-15


# -- how it is called ----------------------------------------------------------------------------------------


def test_times_may_differ_by_row_and_shapes_are_kept():
    orc = Oracle(MIXTURES["d=2"], Process.vp_linear())
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    t, s = np.array([0.9, 0.5, 0.2])[:, None], np.array([0.1, 0.5, 0.7, 0.0])
    landed = flow(orc, x, t, s)
    assert landed.shape == x.shape
    assert flow_log_det(orc, x, t, s).shape == (3, 4)
    for i in range(3):
        for j in range(4):
            assert landed[i, j] == pytest.approx(flow(orc, x[i, j], t[i, 0], s[j]), abs=1e-8)
    assert (landed[1, 1] == x[1, 1]).all()
    assert flow(orc, np.empty((0, 2)), 0.5, 0.1).shape == (0, 2)


def test_large_batches_agree_with_single_rows():
    orc = Oracle(MIXTURES["d=1"], Process.edm())
    x = 80.0 * np.random.default_rng(0).standard_normal((600, 1))
    landed = flow(orc, x, 80.0, 0.01)
    for i in (0, 255, 256, 599):
        assert landed[i] == pytest.approx(flow(orc, x[i], 80.0, 0.01), abs=1e-9)


def test_a_stop_on_the_way_changes_nothing():
    orc = Oracle(MIXTURES["d=5"], Schedule.linear(1000))
    x = starts(orc.q0, orc.process, 900)
    halfway = flow(orc, flow(orc, x, 900, 300), 300, 20)
    assert np.abs(halfway - flow(orc, x, 900, 20)).max() < 1e-9


def test_a_path_is_the_flow_at_every_time():
    orc = Oracle(MIXTURES["d=2"], Process.vp_linear())
    x = starts(orc.q0, orc.process, 1.0, 300).reshape(3, 100, 2)
    path = flow_path(orc, x, 1.0, 0.0)
    times = np.array([1.0, 0.83, 0.4, 0.1, 0.003, 0.0])
    states = path(times)
    assert states.shape == (6, 3, 100, 2)
    for time, state in zip(times, states):
        assert np.abs(state - flow(orc, x, 1.0, time)).max() < 1e-8  # measured 2e-10
    assert (
        np.abs(
            path.at(0.6, 0.8)
            - flow_levels(orc.q0, x.reshape(-1, 2), *[orc.process.levels(1.0), (0.6, 0.8)]).reshape(x.shape)
        ).max()
        < 1e-8
    )
    still = flow_path(orc, x, 0.4, 0.4)
    assert np.abs(still(0.4) - x).max() < 1e-15


def test_a_path_to_points_ends_on_them():
    points = np.array([[-1.0], [0.5], [2.0]])
    orc = Oracle(GaussianMixture.from_points(points), Process.rectified_flow())
    x = np.random.default_rng(0).standard_normal((30, 1))
    path = flow_path(orc, x, 1.0, 0.0)
    assert np.abs(path(0.0) - flow(orc, x, 1.0, 0.0)).max() < 1e-14
    assert set(np.round(path(0.0).ravel(), 12)) <= set(points.ravel())
    assert np.isfinite(path(np.linspace(0.0, 1.0, 20))).all()


def test_the_array_comes_back_as_it_came():
    orc = Oracle(MIXTURES["d=2"], Process.vp_linear())
    x = np.ones((4, 2), dtype=np.float32)
    assert flow(orc, x, 1.0, 0.1).dtype == np.float32
    assert flow(orc, [[1, 2]], 1.0, 0.1).dtype == np.float64
    torch = pytest.importorskip("torch")
    tensor = torch.ones((4, 2))
    landed = flow(orc, tensor, 1.0, 0.1)
    assert isinstance(landed, torch.Tensor)
    assert landed.dtype == torch.float32
    assert isinstance(log_prob_flow(orc, tensor, 0.1, 1.0), torch.Tensor)


def test_looser_tolerances_cost_less_and_err_more():
    orc = Oracle(MIXTURES["d=1"], Process.vp_linear())
    x = starts(orc.q0, orc.process, 1.0)
    true = flow(orc, x, 1.0, 0.0, 1e-12)
    for rtol in (1e-4, 1e-6, 1e-8, 1e-10):
        assert np.abs(flow(orc, x, 1.0, 0.0, rtol) - true).max() < 20 * rtol


ORC = Oracle(MIXTURES["d=1"], Process.vp_linear())
POINTS = Oracle(GaussianMixture.from_points([[0.0], [1.0]]), Process.vp_linear())
X = np.zeros((3, 1))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: flow(ORC, X, 1.1, 0.0), r"flow: t must lie in \[0, 1\]"),
        (lambda: flow(ORC, X, 1.0, -0.1), r"must lie in \[0, 1\]"),
        (lambda: flow(ORC, X, [1.0, 0.5], 0.1), r"t must be a scalar or broadcast .*\(3,\)"),
        (lambda: flow(ORC, X, 1.0, [0.5, 0.4]), r"s must be a scalar or broadcast"),
        (lambda: flow(ORC, X, 1.0, 0.1, 1e-14), r"rtol must be a number in \[1e-12, 0.01\]; got 1e-14"),
        (lambda: flow(ORC, X, 1.0, 0.1, 0.5), "rtol must be"),
        (lambda: flow(ORC, X, 1.0, 0.1, np.nan), "rtol must be finite"),
        (lambda: flow(ORC, X, 1.0, 0.1, [1e-8, 1e-9]), "rtol must be a number"),
        (lambda: flow(ORC, np.zeros((3, 2)), 1.0, 0.1), r"shape \(..., 1\)"),
        (lambda: flow(ORC, X + np.nan, 1.0, 0.1), "x must be finite"),
        (lambda: flow(MIXTURES["d=1"], X, 1.0, 0.1), "must be an Oracle; got GaussianMixture"),
        (lambda: flow(POINTS, X, 0.0, 0.5), "t must have noise when the data are singular"),
        (lambda: flow_path(POINTS, X, 0.0, 0.5), "t must have noise when the data are singular"),
        (lambda: flow_log_det(POINTS, X, 0.5, 0.0), "no density at sigma = 0"),
        (lambda: log_prob_flow(POINTS, X, 0.0, 0.5), "no density at sigma = 0"),
        (lambda: flow_path(ORC, X, [1.0] * 3, 0.0), "t and s must be scalars"),
        (lambda: flow_path(ORC, X[:0], 1.0, 0.0), "at least one row"),
        (lambda: flow_path(ORC, X, 1.0, 0.5)(0.4), "between the ends of the path"),
        (lambda: flow_path(ORC, X, 1.0, 0.5)(1.4), r"must lie in \[0, 1\]"),
        (lambda: flow(Oracle(MIXTURES["d=1"], Schedule.linear(10)), X, 10.0, 1), "integer timestep"),
    ],
)
def test_wrong_use_is_named(call, words):
    with pytest.raises(InvalidParameterError, match=words):
        call()


def test_the_method_of_the_oracle():
    x = starts(ORC.q0, ORC.process, 1.0)
    assert (ORC.flow(x, 1.0, 0.1) == flow(ORC, x, 1.0, 0.1)).all()
    assert (ORC.flow(x, 1.0, 0.1, rtol=1e-6) == flow(ORC, x, 1.0, 0.1, 1e-6)).all()


def test_singular_data_at_rest_stay():
    assert (flow(POINTS, X, 0.0, 0.0) == X).all()


@pytest.mark.parametrize("dense", [False, True])
def test_an_integration_that_fails_says_so(dense):
    def stiff(u, y):
        return -1e6 * (y - np.cos(1e3 * u))

    with pytest.raises(InvalidParameterError, match=r"must reach its end; it stopped .* larger rtol"):
        integrate("flow", stiff, np.ones(1), 1e-10, np.full(1, 1e-10), dense, max_steps=50)

    def blown(u, y):
        return y * y * 1e3

    with pytest.raises(InvalidParameterError, match="must reach its end"), np.errstate(all="ignore"):
        integrate("flow", blown, np.ones(1), 1e-10, np.full(1, 1e-10), dense)


def test_scipy_integrate_loads_on_first_use():
    code = "import sys, dpmoracle.flow, dpmoracle.solvers; sys.exit('scipy.integrate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
