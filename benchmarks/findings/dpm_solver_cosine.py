"""dpm_solver_pytorch.py, cosine betas: it drops the timesteps with log-SNR < -5.1, then stretches the rest over [0, 1].

So the network is given 999 where the state has the noise of an earlier timestep. Usage: this script, then its path.
Cause: NoiseScheduleVP, total_N and t_array are made from the clipped table; get_model_input_time multiplies by 1000
"""

import importlib.util
import sys

import numpy as np
import torch

spec = importlib.util.spec_from_file_location("dpm_solver_pytorch", sys.argv[1])
spec.loader.exec_module(m := importlib.util.module_from_spec(spec))
f = np.cos((np.arange(1001) / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
bar = torch.tensor(np.cumprod(1 - np.minimum(1 - f[1:] / f[:-1], 0.999)))
ns = m.NoiseScheduleVP("discrete", alphas_cumprod=bar)
asked = []
model = m.model_wrapper(lambda x, t: asked.append(t.item()) or x, ns)
for t in (1.0, 0.5):
    model(torch.ones(1, 1), torch.tensor([t]))
    true = np.abs(bar.sqrt().numpy() - ns.marginal_alpha(torch.tensor([t])).item()).argmin()
    print(
        f"{ns.total_N} of 1000 kept; the state is that of timestep {true}, the network is told {asked[-1]:.1f}"
    )
