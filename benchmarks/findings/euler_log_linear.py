"""EulerDiscreteScheduler(interpolation_type="log_linear"): the timesteps do not belong to its sigmas.

Cause: scheduling_euler_discrete.py, set_timesteps: sigmas are laid out anew, timesteps stay those of linspace; K + 1
sigmas down to sigma_min are made and then 0 is appended, so there is one sigma more than the K timesteps need
"""

import numpy as np
from diffusers import EulerDiscreteScheduler

s = EulerDiscreteScheduler(interpolation_type="log_linear")
s.set_timesteps(20)
table = (((1 - s.alphas_cumprod) / s.alphas_cumprod) ** 0.5).numpy()
for i in (0, 10, 19):
    meant = np.interp(s.timesteps[i].item(), np.arange(1000), table)
    print(f"step {i + 1}: sigma {s.sigmas[i]:.4f}, but timestep {s.timesteps[i]:.1f} is sigma {meant:.4f}")
print(
    f"{len(s.timesteps)} timesteps, {len(s.sigmas)} sigmas; the last one used is {s.sigmas[len(s.timesteps)]:.4f}"
)
