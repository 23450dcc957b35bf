"""DDPMScheduler and DDPMParallelScheduler with variance_type="fixed_large_log" give nan at every K.

_get_variance answers with the logarithm of beta, and step takes the square root of that, as of a variance.
Cause: scheduling_ddpm.py, step: exp(0.5 * ...) is there for "learned_range" only
"""

import torch
from diffusers import DDPMParallelScheduler, DDPMScheduler

for cls in (DDPMScheduler, DDPMParallelScheduler):
    for kind in ("fixed_large", "fixed_large_log"):
        s = cls(variance_type=kind, clip_sample=False)
        s.set_timesteps(20)
        x, bar = torch.ones(1, 2), s.alphas_cumprod
        for t in s.timesteps:
            eps = (1 - bar[t]) ** 0.5 * x / (1 - bar[t] + bar[t] / 4)  # data N(0, 1/4)
            x = s.step(eps, t, x, generator=torch.Generator().manual_seed(int(t))).prev_sample
        print(f"{cls.__name__}, {kind}: variance {float(s._get_variance(500)):.4f}, sample {x[0].tolist()}")
