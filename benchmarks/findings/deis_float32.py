"""DEISMultistepScheduler(solver_order=3) in float32: where nodes lie close, its coefficients are rounding.

They are differences of integrals of products of logarithms, of size rho log^2 rho, divided by squared distances of
logarithms: with beta sigmas, K = 100, the top nodes are 1e-3 apart.
Cause: scheduling_deis_multistep.py, multistep_deis_third_order_update, ind_fn(rho_t, ...) - ind_fn(rho_s0, ...)
"""

import torch
from diffusers import DEISMultistepScheduler

for options in ({"use_beta_sigmas": True}, {"use_karras_sigmas": True}, {}):
    for K in (20, 100, 500):
        ends = []
        for dtype in (torch.float32, torch.float64):
            s = DEISMultistepScheduler(solver_order=3, **options)
            s.set_timesteps(K)
            s.sigmas = s.sigmas.to(dtype)
            torch.manual_seed(0)
            x = torch.randn(1000).to(dtype)
            for i, t in enumerate(s.timesteps):
                a, sigma = s._sigma_to_alpha_sigma_t(s.sigmas[i])
                x = s.step(sigma * x / (a**2 / 4 + sigma**2), t, x).prev_sample  # data N(0, 1/4)
            ends.append(x.double())
        off = (ends[0] - ends[1]).abs().median() / 0.5
        print(f"{options}, K = {K}: median difference {off:.1e} of the spread of the data")
