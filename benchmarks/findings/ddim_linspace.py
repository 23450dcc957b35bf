"""DDIM with "linspace" (or "trailing" where K does not divide N) steps to another time than its grid says.

One data point m: x = sqrt(alpha_bar) m + sqrt(1 - alpha_bar) eps along the path, so the state tells its own level.
Cause: scheduling_ddim.py, step, prev_timestep = timestep - num_train_timesteps // num_inference_steps
"""

import torch
from diffusers import DDIMScheduler

for spacing in ("leading", "linspace", "trailing"):
    for K in (10, 15):
        s = DDIMScheduler(clip_sample=False, timestep_spacing=spacing)
        s.set_timesteps(K)
        a, worst = s.alphas_cumprod.double(), 0.0
        for t, following in zip(s.timesteps[:-1], s.timesteps[1:]):
            x = a[t].sqrt() * 0.3 + (1 - a[t]).sqrt()  # eps = 1
            x = s.step(torch.ones(1, dtype=x.dtype), t, x[None]).prev_sample.item()
            wanted = (a[following].sqrt() * 0.3 + (1 - a[following]).sqrt()).item()
            worst = max(worst, abs(x - wanted))
        print(f"{spacing}, K = {K}: a step misses the next node's state by up to {worst:.1e}")
