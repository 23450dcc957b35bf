"""No false alarm: what diffusers does by default raises no failure but those that are faults, with K = N apart."""

from __future__ import annotations

import pytest

from dpmoracle.conformance import from_diffusers, run_checks

diffusers = pytest.importorskip("diffusers")
pytest.importorskip("torch")

# torch and NumPy disagree about a keyword, which is no matter here
pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

CALM = {"clip_sample": False}
#: Euler's get_velocity looks up the training table at the position in its own list of times; K = N repeats timesteps.
EXPECTED = {"EulerDiscreteScheduler": {"velocity"}}
DEFAULTS = {
    "EulerDiscreteScheduler": {},
    "HeunDiscreteScheduler": {},
    "DDIMScheduler": {**CALM, "timestep_spacing": "leading"},
    "DDPMScheduler": CALM,
    "DPMSolverMultistepScheduler": {},
    "DPMSolverSinglestepScheduler": {},
    "UniPCMultistepScheduler": {},
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_defaults_raise_no_failure(name):
    diffusers.utils.logging.set_verbosity_error()
    subject = from_diffusers(getattr(diffusers, name)(**DEFAULTS[name]))
    results = run_checks(subject, quick=True)
    failed = {one.check: one.detail for one in results if one.status == "failed"}
    failed.pop("every_step", None)
    assert set(failed) <= EXPECTED.get(name, set()), failed
    # and it is not that nothing was looked at
    assert sum(one.status == "passed" for one in results) >= 10


def test_clipping_by_default_is_no_failure():
    results = {one.check: one for one in run_checks(from_diffusers(diffusers.DDIMScheduler()), quick=True)}
    assert "failed" not in {one.status for one in results.values()}
    assert results["clipping"].status == "note"


def test_velocity_of_euler_by_hand():
    """Why the one failure is none of ours: at the first of its times it should be the noise, and is the data."""
    import torch

    scheduler = diffusers.EulerDiscreteScheduler()
    scheduler.set_timesteps(10)
    x0, eps = torch.ones(1, 1), torch.zeros(1, 1)
    found = float(scheduler.get_velocity(x0, eps, scheduler.timesteps[:1]))
    wanted = -float((1 - scheduler.alphas_cumprod[-1]) ** 0.5)
    wrong = -float((1 - scheduler.alphas_cumprod[0]) ** 0.5)
    assert wanted == pytest.approx(-1.0, abs=1e-3)
    assert found in (pytest.approx(wrong), pytest.approx(wanted, abs=1e-3))
