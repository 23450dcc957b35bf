"""DDIM, which is DPM-Solver-1 and Euler's method in σ/a."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from numpy.typing import ArrayLike

from .checks import check_choice, check_ends, check_nodes
from .network import Model, as_network

__all__ = ["ddim"]


def ddim(model: Model, x: Any, nodes: ArrayLike, prediction: str = "data") -> Any:
    r"""DDIM with η = 0 [song2021ddim, eq. (12)], order 1, one evaluation a step.

    .. math:: x_s = a_s \hat x_0 + \sigma_s \hat\varepsilon

    model      : model(x, a, sigma) predicts x_0 ("data") or ε ("noise")
    nodes      : (K+1, 2) of (a, σ), noisiest first; may end at σ = 0, and with "data" start at a = 0
    Returns x at the last node. Raises InvalidParameterError for a wrong prediction, nodes that do not fall in noise or
    that it cannot leave or reach, and a model that returns another shape, nan or inf (with the level).
    """
    check_choice("ddim", "prediction", prediction)
    levels = check_nodes("ddim", nodes)
    check_ends("ddim", levels, prediction == "data", True, ", or use prediction='data'")
    net = as_network("ddim", model)
    for (a, sigma), (a_s, sigma_s) in pairwise(levels):
        f = net(x, (a, sigma))
        if prediction == "data":
            x0, eps = f, (x - a * f) / sigma
        else:
            x0, eps = (x - sigma * f) / a, f
        x = a_s * x0 + sigma_s * eps
    return x
