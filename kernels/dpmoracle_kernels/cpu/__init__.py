"""Numba kernels, each the twin of a plain function of the reference: same name, same plain arrays.

Importing this compiles nothing: a kernel is compiled, or loaded from its cache, at the first call.
"""

from __future__ import annotations

import numba  # noqa: F401  what is missing for one kernel is missing here

from ..lazy import lazily

__all__, __getattr__, __dir__ = lazily(
    __name__,
    {
        "dense": ["dense_layers"],
        "hull": ["hull_layers", "lagrange_pass"],
        "li_chao": ["li_chao_layers"],
        "monge": ["certify"],
        "multiplier": ["multiplier_path"],
        "moments": ["shared_samples"],
        "features": ["pair_samples"],
        "posterior": ["mixture_moments", "mixture_score"],
    },
)
