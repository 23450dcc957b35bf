"""set_alpha_to_one=False with steps_offset=0: the last evaluation is spent on a step from timestep 0 to timestep 0.

So it is by default in PNDMScheduler, and where it is asked for in DDIM, CogVideoXDDIM, CogVideoXDPM.
Cause: final_alpha_cumprod = alphas_cumprod[0], which is where "leading" and "linspace" spacings end already
"""

import torch
from diffusers import DDIMScheduler, PNDMScheduler

for s in (
    PNDMScheduler(),
    PNDMScheduler(steps_offset=1),
    DDIMScheduler(set_alpha_to_one=False, clip_sample=False),
):
    s.set_timesteps(10)
    x = torch.ones(1, 2)
    for t in s.timesteps:
        before, x = x, s.step(x * 0.5, t, x).prev_sample
    moved = (x - before).abs().max().item()
    print(
        f"{type(s).__name__}, steps_offset={s.config.steps_offset}: the last step, from {t}, moves x by {moved:.1e}"
    )
