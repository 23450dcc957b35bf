"""Every function that has a compiled twin, and how close the twin comes: what tests and benchmarks go through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from .backends import pick
from .errors import InvalidParameterError
from .features import pair_samples
from .posterior import mixture_moments, mixture_score
from .shared import shared_samples
from .trajectory.dense import dense_layers
from .trajectory.hull import hull_layers, lagrange_pass
from .trajectory.li_chao import li_chao_layers
from .trajectory.monge import certify
from .trajectory.multiplier import multiplier_path

__all__ = ["PAIRS", "Pair", "find"]


@dataclass(frozen=True)
class Pair:
    """A plain function and the promise of its kernels.

    name      : of both, and of the kernel's module attribute
    plain     : the reference, on plain arrays
    tolerance : largest relative difference; 0 where both do the same operations in the same order
    kind      : "exact", or "statistical" where the two draw different samples
    single    : the same for kernels given float32, in units of the largest terms that are added up; None where there
                is no float32 way. Products in tf32 (GPU) are 2^-10 of theirs, 1e-3, each
    """

    name: str
    plain: Callable[..., Any]
    tolerance: float
    kind: Literal["exact", "statistical"]
    single: float | None = None

    def kernel(self, backend: str = "numba") -> Callable[..., Any]:
        """The twin; raises as `pick` does where it or its library is missing."""
        return pick(self.name, backend, self.plain)


PAIRS: tuple[Pair, ...] = (
    Pair("certify", certify, 0.0, "exact"),
    Pair("multiplier_path", multiplier_path, 1e-12, "exact"),  # of the cost: equally good paths may differ
    Pair("hull_layers", hull_layers, 0.0, "exact"),
    Pair("lagrange_pass", lagrange_pass, 0.0, "exact"),
    Pair("li_chao_layers", li_chao_layers, 0.0, "exact"),
    Pair("dense_layers", dense_layers, 0.0, "exact"),
    Pair("shared_samples", shared_samples, 1e-9, "exact", 2e-4),
    Pair("pair_samples", pair_samples, 1e-12, "exact", 1e-2),
    Pair("mixture_score", mixture_score, 1e-11, "exact", 3e-5),
    Pair("mixture_moments", mixture_moments, 1e-11, "exact", 3e-5),
)


def find(name: str) -> Pair:
    """The pair of that name."""
    for pair in PAIRS:
        if pair.name == name:
            return pair
    raise InvalidParameterError(
        f"find: there is no pair {name!r}; there are {', '.join(p.name for p in PAIRS)}"
    )
