"""Exponential, beta and flow sigmas: the timestep of each is cut to a whole number, where Karras' is rounded.

So the network is told up to a whole timestep less noise than the step computes with.
Cause: set_timesteps of DPMSolverMultistep, DPMSolverSinglestep, DEIS, UniPC, SASolver:
torch.from_numpy(timesteps).to(dtype=torch.int64), with .round() before it only for Karras and Lu
"""

import numpy as np
from diffusers import UniPCMultistepScheduler

for kind in ("karras", "exponential", "beta", "flow"):
    s = UniPCMultistepScheduler(**{f"use_{kind}_sigmas": True})
    s.set_timesteps(20)
    table = np.log((1 - s.alphas_cumprod.numpy()) / s.alphas_cumprod.numpy()) / 2
    sigmas = s.sigmas[:20].double().numpy()
    exact = 1000 * sigmas if kind == "flow" else np.interp(np.log(sigmas), table, np.arange(1000))
    less = exact - s.timesteps.numpy()
    print(f"{kind}: the timesteps lie from {less.min():.2f} to {less.max():.2f} below those of their sigmas")
