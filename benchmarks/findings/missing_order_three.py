"""solver_order=3 is accepted where there is no such method, and raises UnboundLocalError in the third step.

Cause: scheduling_cosine_dpmsolver_multistep.py, step: no branch for order 3 assigns prev_sample;
scheduling_edm_dpmsolver_multistep.py, multistep_dpm_solver_third_order_update: none for "sde-dpmsolver++" assigns x_t
"""

import torch
from diffusers import CosineDPMSolverMultistepScheduler, EDMDPMSolverMultistepScheduler

for s in (
    CosineDPMSolverMultistepScheduler(solver_order=3),
    EDMDPMSolverMultistepScheduler(solver_order=3, algorithm_type="sde-dpmsolver++"),
):
    s.set_timesteps(10)
    x = torch.ones(1, 2)
    for i, t in enumerate(s.timesteps):
        try:
            x = s.step(torch.zeros_like(x), t, s.scale_model_input(x, t)).prev_sample
        except UnboundLocalError as error:
            print(f"{type(s).__name__}: step {i + 1} raises {type(error).__name__}: {error}")
            break
