"""PNDMScheduler: the half steps of its Runge-Kutta start miss their timestep by one where N // K is odd.

One data point m: x = sqrt(alpha_bar) m + sqrt(1 - alpha_bar) eps along the path, so the state tells its own level.
Cause: scheduling_pndm.py: set_timesteps asks at t_prev + N // K // 2, step_prk goes to t - N // K // 2
"""

from diffusers import PNDMScheduler

for K in (10, 12, 20, 40):
    s = PNDMScheduler()
    s.set_timesteps(K)
    t, asked = s.timesteps[:2]
    states = (
        s.alphas_cumprod.sqrt() * 0.3 + (1 - s.alphas_cumprod).sqrt()
    )  # of m = 0.3, eps = 1 at every timestep
    x = s.step(1.0, t, states[t][None]).prev_sample
    near = (states - x).abs().argmin()
    print(
        f"K = {K}, N // K = {1000 // K}: the state has the noise of timestep {near}, the network is asked at {asked}"
    )
