"""IPNDMScheduler starts at a = 0, and its first step loses what the network says of x0: pred = 0 / 1e-8.

One data point m = 0.3 and an exact velocity: a right method ends at 0.3 for every K. Its order is 2, "fourth" is said.
Cause: scheduling_ipndm.py, _get_prev_sample, (sample - sigma * ets) / max(alpha, 1e-8)
"""

import torch
from diffusers import IPNDMScheduler

for K in (5, 10, 20, 50):
    s = IPNDMScheduler()
    s.set_timesteps(K)
    x, m = torch.ones(1), 0.3
    for i, t in enumerate(s.timesteps):
        a, sigma = s.alphas[i], s.betas[i]
        v = a * (x - a * m) / sigma - sigma * m
        x = s.step(v, t, x).prev_sample
    print(f"K = {K}: sample {x.item():.4f}, exact 0.3")
