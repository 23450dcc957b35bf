"""SASolverScheduler.add_noise noises by the table of the betas, whatever sigmas the sampler uses.

With flow sigmas the sampler's states are (1 - sigma) x0 + sigma noise; with Karras, exponential and beta sigmas the
timestep is a rounded one. DPMSolverMultistep's add_noise takes the sigma of its grid.
Cause: scheduling_sasolver.py, add_noise (copied from DDPM), alphas_cumprod[timesteps]
"""

import torch
from diffusers import DPMSolverMultistepScheduler, SASolverScheduler

x0, noise = torch.ones(1, 1), torch.zeros(1, 1)  # so that add_noise returns the factor of x0
for cls in (SASolverScheduler, DPMSolverMultistepScheduler):
    for kind in ("flow", "karras", "exponential", "beta"):
        s = cls(
            **{f"use_{kind}_sigmas": True}, prediction_type="flow_prediction" if kind == "flow" else "epsilon"
        )
        s.set_timesteps(10)
        a = [s._sigma_to_alpha_sigma_t(v)[0].item() for v in s.sigmas[:10]]
        found = [s.add_noise(x0, noise, t[None]).item() for t in s.timesteps]
        i = max(range(10), key=lambda i: abs(a[i] - found[i]))
        print(
            f"{cls.__name__}, {kind}: the sampler's factor of x0 is {a[i]:.4f}, that of add_noise {found[i]:.4f}"
        )
