r"""What the posterior weights of a mixture with one isotropic covariance depend on, but for the level.

With x_0 = y_c + p, D_i = y_i - y_c and h = ½‖y‖²,

    G_i = ½‖D_i‖² - ⟨p, D_i⟩ = (h_i - h_c) - (⟨x_0, y_i⟩ - ⟨x_0, y_c⟩),   E_i = ⟨ε, D_i⟩ = ⟨ε, y_i⟩ - ⟨ε, y_c⟩:

two matrix products for all samples and components. Where G_i is small beside the norms the right-hand sides have
lost their digits, and both are computed again from D_i itself; coincident components then give exactly 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled
from .threads import in_pieces

__all__ = ["Cloud", "cloud", "exponents"]

Array = NDArray[Any]

#: Share of the norms below which G comes from differences; above, rounding costs it about 1e-11 (5e-5) of its value.
_NEAR = {np.dtype(np.float64): 1e-4, np.dtype(np.float32): 4e-3}
#: |⟨p, D⟩| in units of τ‖D‖ beyond which hardly a sample lies.
_REACH = 8.0
_SCAN, _SOME = 256, 64
_COLUMNS = 4096  # components in one piece of the products


class Cloud(NamedTuple):
    """C components in d dimensions, as the products take them."""

    means: Array  # (C, d) as given
    moved: Array  # (C, d) minus centre; means itself where centre is 0
    centre: Array  # (d,) float64
    half: Array  # (C,) ½‖moved‖²
    log_weights: Array  # (C,) float64, base 2
    near: float
    reach: float

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64: that of the means decides."""
        return self.half.dtype

    def products(self, x0: Array, noise: Array) -> Array:
        """(2M, C) ⟨x_0, y_i⟩, then ⟨ε, y_i⟩."""
        both = np.concatenate([x0 - self.centre, noise]).astype(self.dtype, copy=False)
        out = np.empty((len(both), len(self.moved)), self.dtype)

        def piece(start: int, stop: int) -> None:
            np.matmul(both, self.moved[start:stop].T, out=out[:, start:stop])

        in_pieces(piece, len(self.moved), _COLUMNS, products=True)
        return out


def cloud(weights: Array, means: Array, tau2: float) -> Cloud:
    """weights (C,), means (C, d) in float32 or float64, whose dtype the computation takes; tau2 shared."""
    dtype = np.dtype(np.float32 if means.dtype == np.float32 else np.float64)
    y = np.require(means, dtype, ["C", "A"]).view()
    y.setflags(write=False)  # of one kind for the compiler, whatever came
    # Far from 0 the norms say little about differences. Any centre will do, and any case where it is left out.
    some = y[:: -(-len(y) // _SOME)].astype(np.float64)
    centre = some.mean(0)
    if centre @ centre < 4 * np.square(some - centre).sum(1).mean():
        centre = np.zeros_like(centre)
    moved = (y - centre).astype(dtype) if centre.any() else y
    moved.setflags(write=False)
    half = np.empty(len(y), dtype)
    in_pieces(lambda start, stop: _half_norms(moved[start:stop], half[start:stop]), len(y), _COLUMNS)
    with np.errstate(divide="ignore"):
        log_weights = np.log2(np.asarray(weights, np.float64))
    near = _NEAR[dtype]
    return Cloud(y, moved, centre, half, log_weights, near, _REACH * np.sqrt(2 * near * tau2))


@compiled(fastmath={"reassoc", "contract"})
def _half_norms(y: Array, out: Array) -> None:
    for i in range(len(y)):
        total = 0.0
        for j in range(y.shape[1]):
            total += np.float64(y[i, j]) * np.float64(y[i, j])
        out[i] = 0.5 * total


@compiled
def exponents(
    along: Array,
    across: Array,
    means: Array,
    half: Array,
    log_weights: Array,
    near: float,
    reach: float,
    p: Array,
    noise: Array,
    own: int,
    columns: Array,
) -> None:
    """G, E and log2(w_i/w_own) of one sample into columns (3, C).

    along, across : (C,) ⟨x_0, y_i⟩ and ⟨ε, y_i⟩        p, noise : (d,) x_0 - y_own and ε, in the dtype of the means
    The others are of the `Cloud`.
    """
    _differences(along, across, half, log_weights, own, columns)
    close, far = half.dtype.type(near), half.dtype.type(reach)
    for first in range(0, len(half), _SCAN):
        stop = min(first + _SCAN, len(half))
        if _any_below(columns[0, first:stop], half[first:stop], half[own], close, far):
            for i in range(first, stop):
                size = half[i] + half[own]
                if columns[0, i] <= close * size + far * np.sqrt(size):
                    _again(means, p, noise, own, i, columns)


@compiled(fastmath={"contract"})
def _differences(
    along: Array, across: Array, half: Array, log_weights: Array, own: int, columns: Array
) -> None:
    for i in range(len(half)):
        columns[0, i] = (half[i] - half[own]) - (along[i] - along[own])
        columns[1, i] = across[i] - across[own]
        columns[2, i] = log_weights[i] - log_weights[own]


@compiled
def _any_below(g: Array, half: Array, own: float, close: float, far: float) -> bool:
    count = 0
    for i in range(len(g)):
        size = half[i] + own
        count += g[i] <= close * size + far * np.sqrt(size)
    return count > 0


@compiled(fastmath={"reassoc", "contract"})
def _again(means: Array, p: Array, noise: Array, own: int, i: int, columns: Array) -> None:
    y, centre = means[i], means[own]
    squares, along, across = y.dtype.type(0), y.dtype.type(0), y.dtype.type(0)
    for j in range(len(y)):
        apart = y[j] - centre[j]
        squares += apart * apart
        along += p[j] * apart
        across += noise[j] * apart
    columns[0, i] = y.dtype.type(0.5) * squares - along
    columns[1, i] = across
