"""The adapters: right schedulers pass, known faults are found, foreign conventions come out as ours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from dpmoracle import InvalidParameterError  # noqa: E402
from dpmoracle.conformance import from_diffusers  # noqa: E402
from dpmoracle.conformance.adapters import catalogue  # noqa: E402
from dpmoracle.conformance.adapters.catalogue import diffusers_entries, left_out, placeholders, schedulers  # noqa: E402
from dpmoracle.conformance.checks import CHECKS  # noqa: E402
from dpmoracle.conformance.front import run_check  # noqa: E402

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore"),  # of the library under test
]


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


def checked(scheduler: Any, *checks: str, **more: Any) -> list[str]:
    subject = from_diffusers(scheduler, **more)
    return [run_check(CHECKS[name], subject, quick=True).status for name in checks]


@pytest.mark.parametrize("name", ["KDPM2DiscreteScheduler", "DPMSolverSDEScheduler"])
def test_points_between_nodes_are_told_by_log_sigma(name: str) -> None:
    """The nodes' σ is linear in the time value, that of the points between them log-linear: both readings are right.

    Between the last two timesteps of a cosine schedule σ grows from 642 to 20291, and the readings lie far apart.
    """
    cosine = {"beta_schedule": "squaredcos_cap_v2"}
    for config in ({}, cosine):
        assert checked(getattr(diffusers, name)(**config), "time_values", "fed_by_time") == ["passed"] * 2

    class Late(getattr(diffusers, name)):  # type: ignore[misc]
        def set_timesteps(self, *given: Any, **more: Any) -> None:
            super().set_timesteps(*given, **more)
            self.timesteps = (self.timesteps - 1).clamp(min=0)

    assert checked(Late(**cosine), "time_values", "fed_by_time") == ["failed"] * 2


def test_rounding_to_whole_timesteps_is_a_note() -> None:
    assert checked(diffusers.KDPM2DiscreteScheduler(use_karras_sigmas=True), "time_values") == ["passed"]
    exponential = diffusers.UniPCMultistepScheduler(use_exponential_sigmas=True)
    assert checked(exponential, "time_values", "grid") == ["note", "note"]


def test_a_last_step_that_stands_still_on_purpose_is_a_note() -> None:
    assert checked(diffusers.PNDMScheduler(), "grid") == ["note"]
    assert checked(diffusers.PNDMScheduler(steps_offset=1), "grid") == ["passed"]
    repeated = diffusers.EulerDiscreteScheduler(final_sigmas_type="sigma_min")
    assert checked(repeated, "grid") == ["failed"]


def test_orders_where_the_configuration_is_in_the_way() -> None:
    """TCD takes its timesteps from 50 of a distillation; Lu's λ repeat the last σ but for rounding."""
    assert checked(diffusers.TCDScheduler(), "order", step={"eta": 0.0}) == ["passed"]
    lu = {"use_lu_lambdas": True, "final_sigmas_type": "sigma_min"}
    assert checked(diffusers.DPMSolverMultistepScheduler(**lu), "order") == ["passed"]


def test_an_sde_in_noise_is_not_exact_on_a_point() -> None:
    sde = {"algorithm_type": "sde-dpmsolver", "final_sigmas_type": "sigma_min"}
    assert checked(diffusers.DPMSolverMultistepScheduler(**sde), "exact_on_gaussian") == ["skipped"]


@pytest.mark.parametrize("name", ["DDPMScheduler", "DDPMParallelScheduler", "UnCLIPScheduler"])
def test_learned_variances(name: str) -> None:
    """Both ends and the middle of the range; swapped ends are seen."""
    cls = getattr(diffusers, name)
    calm = {"clip_sample": False}
    for kind in ("learned_range",) if name == "UnCLIPScheduler" else ("learned_range", "learned"):
        right = cls(variance_type=kind, **calm)
        assert checked(right, "step_mean", "step_noise", "terminal") == ["passed"] * 3

    class Swapped(cls):  # type: ignore[misc]
        def _get_variance(self, *given: Any, predicted_variance: Any, **more: Any) -> Any:
            return super()._get_variance(*given, predicted_variance=-predicted_variance, **more)

    swapped = Swapped(variance_type="learned_range", **calm)
    assert checked(swapped, "step_mean", "step_noise") == ["passed", "failed"]


def test_every_scheduler_is_checked_or_left_out_with_a_reason() -> None:
    names = {cls.__name__ for cls in schedulers()}
    checked = {entry.name for entry in diffusers_entries(quick=True)}
    assert checked | set(left_out()) == names | set(placeholders())
    assert not checked & set(left_out())
    assert all(left_out().values())


def test_stubs_of_diffusers_are_left_out_with_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers.utils import dummy_torch_and_torchsde_objects as stubs

    for name in ("DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler"):
        monkeypatch.setattr(diffusers.schedulers, name, getattr(stubs, name))
    monkeypatch.setattr(catalogue, "find_spec", lambda name: None if name == "torchsde" else name)
    told = "needs torchsde (pip install torchsde)"
    assert left_out()["DPMSolverSDEScheduler"] == told
    assert left_out()["CosineDPMSolverMultistepScheduler"] == told


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
