"""KDPM2AncestralDiscreteScheduler with cosine betas and few steps: the network is asked at sigma = nan, timestep nan.

From sigma_t to a much smaller sigma_s the ancestral step goes down to sigma_s^2 / sigma_t, which is computed as
sqrt(sigma_s^2 - sigma_up^2) with sigma_up = sigma_s to the last bit of float32: 0, whose logarithm is taken next.
Cause: scheduling_k_dpm_2_ancestral_discrete.py, set_timesteps, sigmas_down and sigmas_down.log()
"""

from diffusers import KDPM2AncestralDiscreteScheduler

for K in (5, 7, 10, 20):
    s = KDPM2AncestralDiscreteScheduler(beta_schedule="squaredcos_cap_v2")
    s.set_timesteps(K)
    right = s.sigmas[1] ** 2 / s.sigmas[0]
    print(
        f"K = {K}: sigma {s.sigmas[0]:.0f} to {s.sigmas[1]:.4g}, down to {s.sigmas_down[0]:.2g}, right {right:.2g}"
    )
    print(f"K = {K}: the timesteps are {[round(t, 1) for t in s.timesteps[:3].tolist()]}")
