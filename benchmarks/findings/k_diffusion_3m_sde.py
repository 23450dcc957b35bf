"""k-diffusion's sample_dpmpp_3m_sde at eta = 0 converges with order 2, not 3: d2 is half of what phi_3 wants.

Data N(0, 1/4): the exact flow is x -> x * sd(s)/sd(t) with sd^2 = 1/4 + sigma^2; starts at sigma = 2000.
Cause: sampling.py, sample_dpmpp_3m_sde, d2 = (d1_0 - d1_1) / (r0 + r1)
"""

import importlib.util
import sys
import types

import numpy as np
import torch

package, utils = types.ModuleType("k"), types.ModuleType("k.utils")  # its __init__ imports a training stack
package.__path__ = importlib.util.find_spec("k_diffusion").submodule_search_locations
utils.append_dims = lambda x, n: x.reshape(*x.shape, *[1] * (n - x.ndim))
package.utils, sys.modules["k"], sys.modules["k.utils"] = utils, package, utils
from k.sampling import sample_dpmpp_3m_sde  # noqa: E402

before = None
for K in (80, 160, 320, 640):
    sigmas = torch.tensor(np.geomspace(2000, 0.05, K + 1))
    sd = (0.25 + sigmas**2) ** 0.5
    end = sample_dpmpp_3m_sde(
        lambda x, s: x / (1 + 4 * s**2), sd[:1], sigmas, disable=True, eta=0.0, noise_sampler=0
    )
    error = abs(end - sd[-1]).item()
    print(f"K = {K}: error {error:.2e}" + (f", order {np.log2(before / error):.2f}" if before else ""))
    before = error
