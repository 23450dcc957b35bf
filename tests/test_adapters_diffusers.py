"""The adapters: right schedulers pass, known faults are found, foreign conventions come out as ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from dpmoracle import InvalidParameterError  # noqa: E402
from dpmoracle.conformance import from_diffusers, run_checks  # noqa: E402
from dpmoracle.conformance.adapters.catalogue import diffusers_entries, left_out, schedulers  # noqa: E402
from dpmoracle.conformance.checks import CHECKS  # noqa: E402
from dpmoracle.conformance.front import run_check  # noqa: E402

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # of the library under test
]


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("EulerDiscreteScheduler", {}),
        ("HeunDiscreteScheduler", {}),
        ("DDIMScheduler", {"clip_sample": False, "timestep_spacing": "leading"}),
        ("DDPMScheduler", {"clip_sample": False}),
        ("DPMSolverMultistepScheduler", {}),
        ("DPMSolverSinglestepScheduler", {}),
        ("UniPCMultistepScheduler", {}),
    ],
)
def test_no_false_alarm(name: str, config: dict[str, Any]) -> None:
    subject = from_diffusers(getattr(diffusers, name)(**config))
    expected = {"every_step": "K = N repeats timesteps", "velocity": "get_velocity of Euler is a finding"}
    failed = {r.check for r in run_checks(subject, quick=True) if r.status == "failed"}
    assert failed <= set(expected)


@pytest.mark.parametrize(
    ("name", "config", "check"),
    [
        ("DPMSolverMultistepScheduler", {"solver_order": 3}, "order"),
        ("DDIMScheduler", {"clip_sample": False, "timestep_spacing": "linspace"}, "landing"),
        ("EulerDiscreteScheduler", {}, "velocity"),
        ("PNDMScheduler", {}, "prediction_types"),
        ("UniPCMultistepScheduler", {"solver_type": "bh1"}, "finite"),
        (
            "DPMSolverMultistepScheduler",
            {"solver_order": 3, "use_karras_sigmas": True, "final_sigmas_type": "sigma_min"},
            "finite",
        ),
    ],
)
def test_faults_are_found(name: str, config: dict[str, Any], check: str) -> None:
    subject = from_diffusers(getattr(diffusers, name)(**config))
    assert run_check(CHECKS[check], subject, quick=True).status == "failed"


def test_every_scheduler_is_checked_or_left_out_with_a_reason() -> None:
    names = {cls.__name__ for cls in schedulers()}
    checked = {entry.name for entry in diffusers_entries(quick=True)}
    assert checked | set(left_out()) == names
    assert not checked & set(left_out())
    assert all(left_out().values())


def test_levels_are_those_of_the_schedule() -> None:
    scheduler = diffusers.DDIMScheduler(clip_sample=False)
    subject = from_diffusers(scheduler)
    nodes = subject.levels(10)  # type: ignore[misc]
    scheduler.set_timesteps(10)
    bar = scheduler.alphas_cumprod[scheduler.timesteps].numpy()
    np.testing.assert_allclose(nodes[:-1, 0] ** 2, bar, rtol=1e-6)
    np.testing.assert_allclose(nodes[-1], [1.0, 0.0])


def test_promoted_runs_in_float64_and_leaves_torch_alone() -> None:
    import torch

    subject = from_diffusers(diffusers.EulerDiscreteScheduler())
    wide = subject.promoted()  # type: ignore[misc]
    assert (subject.dtype, wide.dtype) == ("float32", "float64")
    wide.ends(5)
    assert torch.get_default_dtype() == torch.float32
    assert torch.float32 is not torch.float64


def test_other_objects_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="configured scheduler"):
        from_diffusers(object())
