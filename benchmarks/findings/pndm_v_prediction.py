"""PNDMScheduler mixes the outputs of several timesteps before it turns v into eps: with v the samples are others.

Data N(0, 1/4), exact predictions of both kinds; a right scheduler gives the same sample.
Cause: scheduling_pndm.py, step_prk and step_plms combine raw outputs; _get_prev_sample converts the sum with one t
"""

import torch
from diffusers import PNDMScheduler

for K in (12, 20, 50):
    ends = []
    for kind in ("epsilon", "v_prediction"):
        s = PNDMScheduler(prediction_type=kind)
        s.set_timesteps(K)
        x, bar = torch.ones(1), s.alphas_cumprod
        for t in s.timesteps:
            a, b = bar[t] ** 0.5, (1 - bar[t]) ** 0.5
            x0, eps = a * x / (4 * b**2 + a**2), 4 * b * x / (4 * b**2 + a**2)
            x = s.step(eps if kind == "epsilon" else a * eps - b * x0, t, x).prev_sample
        ends.append(x.item())
    print(f"K = {K}: sample {ends[0]:.4f} by eps, {ends[1]:.4f} by v")
