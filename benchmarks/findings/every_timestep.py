"""DPMSolverMultistepScheduler with as many steps as timesteps, K = N = 1000: rounding repeats a timestep, then nan.

Cause: set_timesteps, np.linspace(0, N - 1, K + 1).round(): 1001 numbers from 0 to 999 cannot all differ
"""

import torch
from diffusers import DPMSolverMultistepScheduler

for K in (999, 1000):
    s = DPMSolverMultistepScheduler()
    s.set_timesteps(K)
    x = torch.ones(1, 2)
    for t in s.timesteps:
        x = s.step(torch.zeros_like(x), t, x).prev_sample
    print(f"K = {K}: {K - len(set(s.timesteps.tolist()))} repeated timesteps, sample {x[0].tolist()}")
