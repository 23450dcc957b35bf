"""DPMSolverMultistepScheduler(solver_order=3) converges with order 2: D2 is half of what its coefficient wants.

Data N(0, 1/4): the exact flow is x -> x * sd(s)/sd(t), the exact prediction is linear. Starts from exact states.
Cause: scheduling_dpmsolver_multistep.py, multistep_dpm_solver_third_order_update: D2 = (1 / (r0 + r1)) (D1_0 - D1_1)
"""

import diffusers.schedulers.scheduling_dpmsolver_multistep as m
import numpy as np
import torch

torch.float32, np.float32 = torch.float64, np.float64  # else rounding hides the slope
torch.set_default_dtype(torch.float64)
before, r = None, np.geomspace(0.05, 20, 3841)
end = {"final_sigmas_type": "sigma_min"}
betas = np.diff(r**2, prepend=0) / (1 + r**2)  # log(a / sigma) is linear in the timestep
for K in (40, 80, 160, 320):
    s = m.DPMSolverMultistepScheduler(3841, trained_betas=betas, solver_order=3, **end)
    s.set_timesteps(K)
    a = 1 / (1 + s.sigmas**2) ** 0.5
    sd = (a**2 / 4 + (s.sigmas * a) ** 2) ** 0.5
    x = sd[0]
    for i, t in enumerate(s.timesteps):
        x = sd[i] if i < 3 else x
        x = s.step((s.sigmas[i] * a[i] * x / sd[i] ** 2)[None], t, x[None]).prev_sample[0]
    error = abs(x - sd[-1]).item()
    print(f"K = {K}: error {error:.2e}" + (f", order {np.log2(before / error):.2f}" if before else ""))
    before = error
