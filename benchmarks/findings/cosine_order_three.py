"""CosineDPMSolverMultistepScheduler(solver_order=3) is accepted and raises UnboundLocalError in its third step.

Cause: scheduling_cosine_dpmsolver_multistep.py, step: no branch for order 3 assigns prev_sample
"""

import torch
from diffusers import CosineDPMSolverMultistepScheduler

s = CosineDPMSolverMultistepScheduler(solver_order=3)
s.set_timesteps(10)
x = torch.ones(1, 2)
for i, t in enumerate(s.timesteps):
    try:
        x = s.step(torch.zeros_like(x), t, x).prev_sample
    except UnboundLocalError as error:
        print(f"step {i + 1} raises {type(error).__name__}: {error}")
        break
