"""EulerDiscreteScheduler.get_velocity takes alpha_bar at the position in the inference grid, not at the timestep.

Cause: scheduling_euler_discrete.py, get_velocity, alphas_cumprod[step_indices]
"""

import torch
from diffusers import DDPMScheduler, EulerDiscreteScheduler

euler, ddpm = EulerDiscreteScheduler(), DDPMScheduler()
euler.set_timesteps(11)  # linspace: whole timesteps 999, 899.1, ...
x0, eps = torch.ones(1, 1), torch.full((1, 1), 2.0)
t = euler.timesteps[:1]
found, wanted = euler.get_velocity(x0, eps, t).item(), ddpm.get_velocity(x0, eps, t.long()).item()
print(
    f"t = {t.item():g}: get_velocity {found:.4f}, sqrt(alpha_bar) eps - sqrt(1 - alpha_bar) x0 = {wanted:.4f}"
)
print("wrong" if abs(found - wanted) > 0.1 else "right")
