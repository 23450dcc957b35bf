"""CogVideoXDDIMScheduler.step takes eta and ignores it: the same sample for eta = 0 and 1, with no noise.

Cause: scheduling_ddim_cogvideox.py, step: eta is documented as the weight of noise and never read
"""

import torch
from diffusers import CogVideoXDDIMScheduler, DDIMScheduler

for cls in (CogVideoXDDIMScheduler, DDIMScheduler):
    s = cls(clip_sample=False)
    s.set_timesteps(10)
    torch.manual_seed(0)
    x = torch.ones(1, 4)
    ends = [s.step(torch.zeros_like(x), s.timesteps[0], x, eta=eta).prev_sample for eta in (0.0, 1.0)]
    print(f"{cls.__name__}: eta = 1 moves the sample by {(ends[1] - ends[0]).abs().max():.3f}")
