"""UniPCMultistepScheduler(lower_order_final=False) gives nan for every K with final_sigmas_type="zero", the default.

The step to sigma = 0 has h = inf; its ratio rk = (lambda_1 - lambda_0) / h is 0, and (m_1 - m_0) / rk is infinite.
DPMSolverMultistep takes first order in that step whatever lower_order_final says, and so stays finite.
Cause: scheduling_unipc_multistep.py, step: this_order is lowered only if lower_order_final
"""

import torch
from diffusers import DPMSolverMultistepScheduler, UniPCMultistepScheduler

for cls in (UniPCMultistepScheduler, DPMSolverMultistepScheduler):
    for K in (5, 20):
        s = cls(lower_order_final=False, final_sigmas_type="zero")
        s.set_timesteps(K)
        x, bar = torch.ones(1, 2), s.alphas_cumprod
        for t in s.timesteps:
            eps = (1 - bar[t]) ** 0.5 * x / (1 - bar[t] + bar[t] / 4)  # data N(0, 1/4)
            x = s.step(eps, t, x).prev_sample
        print(f"{cls.__name__}, K = {K}: sample {x[0].tolist()}")
