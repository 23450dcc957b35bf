"""HeunDiscreteScheduler in float32 over cosine betas: its first step, from sigma 20291, keeps two or three digits.

Its first half leaves x, a difference of numbers of size 2e4, with an error of 1e-3; the second derivative divides that
by the next sigma, 12, and multiplies it by half the step, 1e4. Euler, which evaluates once, forgets its error. KDPM2
likewise, a tenth as much. "leading" spacing, which begins lower, or a sample in float64 avoids it.
Cause: scheduling_heun_discrete.py, step, (sample - pred_original_sample) / sigma_next times dt: the method, in float32
"""

import torch
from diffusers import EulerDiscreteScheduler, HeunDiscreteScheduler

for cls in (EulerDiscreteScheduler, HeunDiscreteScheduler):
    for K in (20, 100):
        ends = []
        for dtype in (
            torch.float32,
            torch.float64,
        ):  # of the sample and so of every operation; the sigmas are the same
            s = cls(beta_schedule="squaredcos_cap_v2")
            s.set_timesteps(K)
            torch.manual_seed(0)
            x = (torch.randn(1000) * s.sigmas[0]).to(dtype)
            for t in s.timesteps:
                s.scale_model_input(x, t)
                sigma = s.sigmas[s.step_index]
                x = s.step(sigma * x / (0.25 + sigma**2), t, x).prev_sample  # data N(0, 1/4)
            ends.append(x.double())
        off = (ends[0] - ends[1]).abs().median() / 0.5
        print(f"{cls.__name__}, K = {K}: median difference {off:.1e} of the spread of the data")
