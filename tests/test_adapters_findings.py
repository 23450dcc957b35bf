"""Every script of benchmarks/findings still shows its fault in the libraries that are installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

_SCRIPTS = Path(__file__).parents[1] / "benchmarks" / "findings"
#: script -> words of the fault in what it prints
_SHOWN = {
    "cogvideox_eta": "CogVideoXDDIMScheduler: eta = 1 moves the sample by 0.000",
    "cosine_order_three": "raises UnboundLocalError",
    "ddim_linspace": "linspace, K = 10: a step misses the next node's state by up to 4.0e-02",
    "euler_get_velocity": "wrong",
    "euler_log_linear": "20 timesteps, 22 sigmas",
    "every_timestep": "K = 1000: 1 repeated timesteps, sample [nan, nan]",
    "ipndm_first_step": "K = 5: sample 0.1186, exact 0.3",
    "k_diffusion_3m_sde": "order 2.01",
    "multistep_third_order": "order 2.02",
    "pndm_v_prediction": "K = 12: sample 0.4967 by eps, 0.4263 by v",
    "repeated_last_sigma": "K = 15: last sigmas 0.0100013 0.0100013, sample [nan, nan]",
    "zero_snr_floor": "K = 320: sigmas [4096, 5089, 2510], sample after a step [nan, nan]",
    "unipc_bh1": "bh1, K = 20: sample [nan, nan]",
}
_NEEDS = {"k_diffusion_3m_sde": "k_diffusion", "cosine_order_three": "torchsde"}


@pytest.mark.peers
@pytest.mark.parametrize("name", _SHOWN)
def test_a_finding_still_shows(name: str) -> None:
    needed = _NEEDS.get(name, "diffusers")
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"needs {needed}")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(_SCRIPTS / f"{name}.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert _SHOWN[name] in done.stdout


def test_scripts_are_short_and_need_no_dpmoracle() -> None:
    scripts = {path.stem: path.read_text(encoding="utf-8") for path in _SCRIPTS.glob("*.py")}
    assert set(scripts) == {*_SHOWN, "dpm_solver_cosine"}
    for name, text in scripts.items():
        code = [line for line in text.split('"""', 2)[2].splitlines() if line.strip()]
        assert len(code) <= 20, name
        assert "dpmoracle" not in text
