"""Karras, exponential and beta sigmas over cosine betas: the timesteps begin 999, 999, and step begins at the second.

Every step is then one node ahead of its sample, and the last one runs off the end: nan or an exception. After
set_begin_index(0), which some pipelines call, all is well. DPMSolverMultistep, DEIS, SASolver, KDPM2Ancestral too.
Cause: index_for_timestep takes the second of equal timesteps, and set_timesteps makes them whole numbers
"""

import torch
from diffusers import DPMSolverSinglestepScheduler, KDPM2DiscreteScheduler, UniPCMultistepScheduler

for cls in (DPMSolverSinglestepScheduler, KDPM2DiscreteScheduler, UniPCMultistepScheduler):
    for begin in (None, 0):
        s = cls(use_karras_sigmas=True, beta_schedule="squaredcos_cap_v2")
        s.set_timesteps(20)
        s.set_begin_index(begin)
        x = torch.ones(1, 2)
        try:
            for t in s.timesteps:
                s.scale_model_input(x, t)
                x = s.step(torch.zeros_like(x), t, x).prev_sample
            ended = f"sample {x[0].tolist()}"
        except (IndexError, AssertionError) as error:
            ended = f"raises {type(error).__name__}"
        print(f"{cls.__name__}: first timesteps {s.timesteps[:3].tolist()}, begin_index {begin}: {ended}")
