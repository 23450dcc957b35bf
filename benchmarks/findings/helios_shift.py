"""HeliosScheduler(stages=1, shift=3) shifts by exp(3) = 20, where its own __init__ and "Stable diffusion 3" have 3.

The rule is shift sigma / (1 + (shift - 1) sigma), which makes 0.5 to 0.75 with shift=3.
Cause: scheduling_helios.py, set_timesteps: time_shift(self.config.shift, ...) with time_shift_type "exponential"
"""

from diffusers import FlowMatchEulerDiscreteScheduler, HeliosScheduler

for shift in (1.0, 3.0):
    s, flow = HeliosScheduler(stages=1, shift=shift), FlowMatchEulerDiscreteScheduler(shift=shift)
    print(
        f"shift={shift}: sigma 0.5 becomes {s.sigmas[500]:.3f} in __init__, {flow.sigmas[500]:.3f} in FlowMatchEuler"
    )
    s.set_timesteps(10)
    print(f"shift={shift}: sigma 0.5 becomes {s.sigmas[5]:.3f} in set_timesteps")
