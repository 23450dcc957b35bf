"""What the tests of the flow and of the solvers share: mixtures, processes, methods."""

from __future__ import annotations

from functools import partial
from typing import Any

import mpmath as mp
import numpy as np

from dpmoracle import GaussianMixture, Process, Schedule
from dpmoracle.solvers import ddim, deis, dpm_multistep, dpm_singlestep, heun, unipc

FULL = np.array([[[0.3, 0.1], [0.1, 0.2]], [[0.1, -0.05], [-0.05, 0.4]]])


def mixtures() -> dict[str, GaussianMixture]:
    """Smooth mixtures of dimension 1, 2 and 5."""
    corners = np.zeros((3, 5))
    corners[:, :2] = [[1.2, 0.0], [-0.7, 0.9], [-0.4, -1.1]]
    return {
        "d=1": GaussianMixture([0.2, 0.5, 0.3], [[-1.6], [0.1], [1.3]], [0.09, 0.25, 0.04], "spherical"),
        "d=2": GaussianMixture([0.4, 0.6], [[1.0, 0.2], [-0.8, -0.3]], FULL, "full"),
        "d=5": GaussianMixture([0.3, 0.3, 0.4], corners, np.full(3, 0.15), "spherical"),
    }


def processes() -> dict[str, tuple[Any, Any, Any]]:
    """(process, noisy time, clean time), pure noise and σ = 0 among the ends."""
    return {
        "vp_linear": (Process.vp_linear(), 1.0, 0.0),
        "vp_cosine": (Process.vp_cosine(t_max=1.0), 1.0, 0.0),
        "ve": (Process.ve(), 1.0, 0.0),
        "edm": (Process.edm(), 80.0, 0.0),
        "rectified_flow": (Process.rectified_flow(), 1.0, 0.0),
        "schedule": (Schedule.linear(1000), 1000, 0),
        "zero terminal": (Schedule.cosine(100, max_beta=1.0), 100, 1),
    }


def exact_integral(start: tuple[float, float], end: tuple[float, float], prediction: str, f: Any) -> Any:
    """∫ of the network f(λ) between two levels, weighted as the flow weights it, in the working precision of mpmath.

    Noise: -a_s ∫ e^{-λ} f dλ; data: σ_s ∫ e^{λ} f dλ.
    """
    (a_t, sigma_t), (a_s, sigma_s) = ((mp.mpf(a), mp.mpf(sigma)) for a, sigma in (start, end))
    low, high = mp.log(a_t / sigma_t), mp.log(a_s / sigma_s)
    if prediction == "noise":
        return -a_s * mp.quad(lambda lam: mp.exp(-lam) * f(lam), [low, high])
    return sigma_s * mp.quad(lambda lam: mp.exp(lam) * f(lam), [low, high])


#: solver, its order, exact starting values handed over
METHODS = {
    "ddim": (ddim, 1, 0),
    "heun": (heun, 2, 0),
    "singlestep 2": (partial(dpm_singlestep, order=2), 2, 0),
    "singlestep 2 taylor": (partial(dpm_singlestep, order=2, form="taylor", r1=0.7), 2, 0),
    "singlestep 3": (partial(dpm_singlestep, order=3), 3, 0),
    "multistep 2": (partial(dpm_multistep, order=2), 2, 1),
    "multistep 2 paper": (partial(dpm_multistep, order=2, form="paper"), 2, 1),
    "multistep 3": (partial(dpm_multistep, order=3), 3, 2),
    "multistep 3 common": (partial(dpm_multistep, order=3, form="common"), 2, 2),
    "unipc 1 bh1": (partial(unipc, order=1, variant="bh1"), 2, 0),
    "unipc 1 bh2": (partial(unipc, order=1, variant="bh2"), 2, 0),
    "unipc 2 bh1": (partial(unipc, order=2, variant="bh1"), 3, 1),
    "unipc 2 bh2": (partial(unipc, order=2, variant="bh2"), 3, 1),
    "unipc 3": (partial(unipc, order=3), 4, 2),
    "unip 2 bh1": (partial(unipc, order=2, variant="bh1", corrector=False), 2, 1),
    "unip 3": (partial(unipc, order=3, corrector=False), 3, 2),
    "deis 2": (partial(deis, order=2), 2, 1),
    "deis 3": (partial(deis, order=3), 3, 2),
    "deis 4": (partial(deis, order=4), 4, 3),
    "deis 3 in t": (partial(deis, order=3, clock=Process.vp_linear().inverse), 3, 2),
}
