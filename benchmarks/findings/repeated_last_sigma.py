"""DPMSolverMultistep, final_sigmas_type="sigma_min" with Karras sigmas: the last sigma comes twice, order 3 gives nan.

The step has h = 0 (or rounding), and its formula divides by h: 0/0 in float32. UniPC, DEIS, SA-Solver and Euler repeat
it too, without nan: their last evaluation is spent on a step that stands still.
Cause: set_timesteps appends sigma_min to a grid that ends there.
"""

import torch
from diffusers import DPMSolverMultistepScheduler

for K in (10, 14, 15, 20):
    s = DPMSolverMultistepScheduler(solver_order=3, use_karras_sigmas=True, final_sigmas_type="sigma_min")
    s.set_timesteps(K)
    x = torch.ones(1, 2)
    for t in s.timesteps:
        x = s.step(torch.zeros_like(x), t, x).prev_sample
    print(f"K = {K}: last sigmas {s.sigmas[-2]:.7f} {s.sigmas[-1]:.7f}, sample {x[0].tolist()}")
