r"""Scores and posterior moments of a Gaussian mixture: many points, each at a level of its own.

In float64 every row is computed relative to its leading component, in `posterior_careful`; float32 has ways of its own,
in `posterior_single`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .posterior_careful import careful_rows
from .posterior_single import moments_single, score_single
from .threads import in_pieces

__all__ = ["mixture_moments", "mixture_score"]

Array = NDArray[Any]

_PIECE = 2**16  # numbers that a piece of work for a thread goes through, about


def mixture_score(
    x: Array,
    a: Array,
    sigma: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
) -> tuple[Array, Array]:
    """(B,) log density of x and (B, d) its gradient, in the dtype of x: float64, or float32 for speed.

    x           : (B, d) rows at levels a, sigma (B,)
    log_weights : (C,) finite                         means : (C, d)
    spectrum    : (C or 1, d or 1) eigenvalues >= 0   basis : None (axes), or (C or 1, d, d), eigenvectors in columns
    Requires a² e + σ² > 0 throughout.
    """
    law = (log_weights, means, spectrum, basis)
    if x.dtype == np.float32:
        return score_single(x, a, sigma, *law, _rows)
    found = _rows(x, a, sigma, *law)
    return found[0], found[1]


def mixture_moments(
    x: Array,
    a: Array,
    sigma: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
) -> tuple[Array, Array]:
    """(B, d) mean and (B,) trace of the covariance of x_0 given x, arguments and dtype as for `mixture_score`."""
    law = (log_weights, means, spectrum, basis)
    if x.dtype == np.float32:
        return moments_single(x, a, sigma, *law, _rows)
    found = _rows(x, a, sigma, *law)
    return found[2], found[3]


def _rows(
    x: Array,
    a: Array,
    sigma: Array,
    log_weights: Array,
    means: Array,
    spectrum: Array,
    basis: Array | None,
) -> tuple[Array, Array, Array, Array]:
    """Log density, score, mean and trace of every row, in float64."""
    x, a, sigma, log_weights, means, spectrum = (
        np.require(value, np.float64, ["C", "A", "W"])
        for value in (x, a, sigma, log_weights, means, spectrum)
    )
    turn = None if basis is None else np.require(basis, np.float64, ["C", "A", "W"])
    shared = None if turn is None or len(turn) > 1 else turn[0]
    if shared is not None:  # one basis: everything in its coordinates
        x, means, turn = x @ shared, means @ shared, None
    out = np.empty(len(x)), np.empty_like(x), np.empty_like(x), np.empty(len(x))
    size, d = means.shape
    # Rows of one level one after the other: what depends on the level alone is made once.
    order = np.lexsort((sigma, a)) if len(x) > 1 and np.ptp(a) + np.ptp(sigma) > 0 else np.arange(len(x))

    def piece(start: int, stop: int) -> None:
        careful_rows(x, a, sigma, log_weights, means, spectrum, turn, order[start:stop], *out)

    in_pieces(piece, len(x), max(1, _PIECE // (size * d * (1 if turn is None else d))))
    if shared is not None:
        return out[0], out[1] @ shared.T, out[2] @ shared.T, out[3]
    return out
