"""HeliosScheduler (one stage) starts at sigma = 1, where log(alpha) = -inf: nan with solver_type="bh1" or order 3.

Cause: scheduling_helios.py, set_timesteps: sigmas begin with 1; UniPC, from which it comes, takes 1e-6 from that
sigma "to avoid inf torch.log(alpha_si)". With the same done here all is finite.
"""

import torch
from diffusers import HeliosScheduler

for options in ({}, {"solver_type": "bh1"}, {"solver_order": 3}):
    for less in (0.0, 1e-6):
        s = HeliosScheduler(stages=1, **options)
        s.set_timesteps(10)
        s.sigmas[0] -= less
        x = torch.ones(1, 2, 1, 1, 1)
        for t in s.timesteps:
            x = s.step(torch.zeros_like(x), t, x, return_dict=False)[0]
        print(f"{options}, first sigma 1 - {less:g}: sample {x.flatten().tolist()}")
