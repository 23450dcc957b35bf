"""Every script of benchmarks/findings still shows its fault in the libraries that are installed."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "findings"
#: script -> what stands in its output: the fault, and what is right beside it where it shows that
_SHOWN = {
    "beta_spacing": (
        "K = 20, beta: 2 sigmas",
        "sample 0.2970",
        "K = 80, beta, over time: 44 sigmas",
        "sample 0.5018",
    ),
    "cogvideox_eta": ("CogVideoXDDIMScheduler: eta = 1 moves the sample by 0.000",),
    "ddim_linspace": ("linspace, K = 10: a step misses the next node's state by up to 4.0e-02",),
    "ddpm_fixed_large_log": (
        "DDPMScheduler, fixed_large_log: variance -0.96",
        "DDPMScheduler, fixed_large: variance 0.38",
        "DDPMParallelScheduler, fixed_large_log: variance -0.96",
        "sample [nan, nan]",
    ),
    "deis_float32": (
        "{'use_beta_sigmas': True}, K = 100: median difference 3.",
        "{}, K = 500: median difference 4.",
    ),
    "euler_get_velocity": ("wrong",),
    "euler_log_linear": ("20 timesteps, 22 sigmas",),
    "every_timestep": ("K = 1000: 1 repeated timesteps, sample [nan, nan]",),
    "first_timestep_twice": (
        "[999, 999, 999], begin_index None: raises AssertionError",
        "[999, 999, 999], begin_index None: raises IndexError",
        "begin_index None: sample [nan, nan]",
        "[999, 999, 999], begin_index 0: sample [20291.",
    ),
    "helios_shift": ("shift=3.0: sigma 0.5 becomes 0.750 in __init__", "0.953 in set_timesteps"),
    "helios_sigma_one": (
        "{'solver_type': 'bh1'}, first sigma 1 - 0: sample [nan, nan]",
        "{'solver_order': 3}, first sigma 1 - 0: sample [nan, nan]",
        "{'solver_order': 3}, first sigma 1 - 1e-06: sample [1.0, 1.0]",
    ),
    "heun_float32": (
        "HeunDiscreteScheduler, K = 20: median difference 2.",
        "EulerDiscreteScheduler, K = 20: median",
    ),
    "ipndm_first_step": ("K = 5: sample 0.1186, exact 0.3",),
    "k_diffusion_3m_sde": ("order 2.01",),
    "kdpm2_ancestral_nan": ("K = 5: the timesteps are [999.0, nan, 749.2]",),
    "last_step_stands_still": ("PNDMScheduler, steps_offset=0: the last step, from 0, moves x by 0.0e+00",),
    "missing_order_three": (
        "CosineDPMSolverMultistepScheduler: step 3 raises UnboundLocalError",
        "EDMDPMSolverMultistepScheduler: step 3 raises UnboundLocalError",
    ),
    "multistep_third_order": ("order 2.02",),
    "pndm_half_steps": (
        "noise of timestep 850, the network is asked at 850",
        "timestep 872, the network is asked at 871",
    ),
    "pndm_v_prediction": ("K = 12: sample 0.4967 by eps, 0.4263 by v",),
    "repeated_last_sigma": ("K = 15: last sigmas 0.0100013 0.0100013, sample [nan, nan]",),
    "sasolver_add_noise": (
        "SASolverScheduler, flow: the sampler's factor of x0 is 0.4006, that of add_noise 0.1609",
    ),
    "truncated_timesteps": (
        "karras: the timesteps lie from -0.49",
        "flow: the timesteps lie from 0.05 to 1.00 below",
    ),
    "unipc_bh1": ("bh1, K = 20: sample [nan, nan]",),
    "unipc_last_order_two": ("UniPCMultistepScheduler, K = 20: sample [inf, inf]",),
    "zero_snr_floor": ("K = 320: sigmas [4096, 5089, 2510], sample after a step [nan, nan]",),
}
_NEEDS = {"k_diffusion_3m_sde": "k_diffusion", "missing_order_three": "torchsde"}
# One import of torch and diffusers for all: each script runs in a fork, since some change torch.
_EACH = """
import json, os, runpy, sys, traceback
import diffusers, scipy.stats, torch
from diffusers import schedulers
printed = {}
for path in sys.argv[1:]:
    out, into = os.pipe()
    if os.fork() == 0:
        os.close(out)
        os.dup2(into, 1)
        os.dup2(into, 2)
        try:
            runpy.run_path(path, run_name="__main__")
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as pipe:
        printed[os.path.basename(path)[:-3]] = pipe.read()
    os.wait()
print(json.dumps(printed))
"""


@pytest.mark.peers
def test_every_finding_still_shows() -> None:
    if importlib.util.find_spec("diffusers") is None:
        pytest.skip("needs diffusers")
    names = [name for name in _SHOWN if importlib.util.find_spec(_NEEDS.get(name, "torch")) is not None]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _EACH, *(str(_SCRIPTS / f"{name}.py") for name in names)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    printed = json.loads(done.stdout.splitlines()[-1])
    lost = {name: printed[name] for name in names if not all(part in printed[name] for part in _SHOWN[name])}
    assert not lost, "\n".join(f"{name}:\n{text}" for name, text in lost.items())


def test_scripts_are_short_and_need_no_dpmoracle() -> None:
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in _SCRIPTS.glob("*.py")}
    table = (_SCRIPTS / "README.md").read_text(encoding="utf-8")
    assert set(scripts) == {*_SHOWN, "dpm_solver_cosine"}
    for name, text in scripts.items():
        code = [line for line in text.split('"""', 2)[2].splitlines() if line.strip()]
        assert len(code) <= 20, name
        assert "dpmoracle" not in text
        assert f"`{name}.py`" in table, name
