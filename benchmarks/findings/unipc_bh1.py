"""UniPCMultistepScheduler(solver_type="bh1") gives nan for every K with final_sigmas_type="zero", the default.

Cause: scheduling_unipc_multistep.py, multistep_uni_p_bh_update: B_h = hh is -inf in the step to sigma = 0, times 0
"""

import torch
from diffusers import UniPCMultistepScheduler

for kind in ("bh1", "bh2"):
    for K in (5, 20):
        s = UniPCMultistepScheduler(solver_type=kind)
        s.set_timesteps(K)
        x = torch.ones(1, 2)
        for t in s.timesteps:
            x = s.step(torch.zeros_like(x), t, x).prev_sample
        print(f"{kind}, K = {K}: sample {x[0].tolist()}")
