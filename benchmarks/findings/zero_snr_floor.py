"""rescale_betas_zero_snr: the last alpha_bar becomes 2**-24, more than the one before, so the noise rises at the start.

With many steps the grid holds both: sigma goes 4096, 5088, 2509; the ancestral Euler takes a root of less than 0.
Cause: scheduling_euler_ancestral_discrete.py, __init__ (and three others), alphas_cumprod[-1] = 2**-24
"""

import torch
from diffusers import EulerAncestralDiscreteScheduler

for K in (200, 320):
    s = EulerAncestralDiscreteScheduler(rescale_betas_zero_snr=True, timestep_spacing="trailing")
    s.set_timesteps(K)
    x = s.sigmas[0] * torch.ones(1, 2)
    s.scale_model_input(x, s.timesteps[0])
    x = s.step(torch.ones_like(x), s.timesteps[0], x).prev_sample
    print(f"K = {K}: sigmas {[round(v) for v in s.sigmas[:3].tolist()]}, sample after a step {x[0].tolist()}")
