"""Validation shared by the public functions: each check says who, what was required, and what came."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import array_module, to_numpy
from .backends import lives_on_gpu
from .errors import InvalidParameterError

__all__ = ["as_float", "as_steps", "check_count", "check_finite", "generator", "offenders"]


def offenders(bad: NDArray[np.bool_], limit: int = 3) -> str:
    """The first indices where `bad` is true, for a message: '[17], [21] and 5 more'."""
    where = np.argwhere(bad)
    shown = ", ".join(str([int(i) for i in index]) for index in where[:limit])
    return shown if len(where) <= limit else f"{shown} and {len(where) - limit} more"


def as_float(who: str, name: str, value: ArrayLike, gpu: bool = False) -> NDArray[np.float64]:
    """`value` as a float64 copy; refuses what has no real numbers in it. With `gpu` a CuPy array stays one."""
    array = _array(who, name, value, gpu)
    if array.dtype == object or array.dtype.kind not in "fiub":
        single = array.dtype == object and array.ndim == 0
        came = type(value).__name__ if single else f"an array of {array.dtype}"
        raise InvalidParameterError(f"{who}: {name} must be real numbers; got {came}")
    return array.astype(np.float64)


def _array(who: str, name: str, value: Any, gpu: bool) -> NDArray[Any]:
    if gpu and array_module(value) is not np:
        return cast(NDArray[Any], value)
    if lives_on_gpu(value):
        raise InvalidParameterError(
            f"{who}: {name} must be on the host, where this is computed; it lives on a GPU. Pass {name}.get() of CuPy, "
            f"{name}.cpu() of torch"
        )
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InvalidParameterError(
            f"{who}: {name} must be one array; its rows are of unequal lengths or of another kind ({error})"
        ) from error


def check_finite(who: str, name: str, value: NDArray[np.float64]) -> None:
    """Refuse nan and inf, and say where they stand."""
    bad = ~array_module(value).isfinite(value)
    if bad.any():
        bad = to_numpy(bad)
        at = np.atleast_1d(bad)
        raise InvalidParameterError(
            f"{who}: {name} must be finite; {int(bad.sum())} of {bad.size} entries are nan or inf, at {offenders(at)}"
        )


def as_steps(who: str, name: str, value: Any, low: int, high: int, gpu: bool = False) -> NDArray[np.int64]:
    """Integer timesteps in low..high; a float is an error even when it is whole, as for an index. gpu: see as_float."""
    array = _array(who, name, value, gpu)
    if array.dtype.kind not in "iu":
        raise InvalidParameterError(
            f"{who}: {name} must be an integer timestep in {low}..{high}; got {array.dtype}"
            f"{' ' + repr(array.item()) if array.ndim == 0 and array.dtype.kind == 'f' else ''}. "
            "Convert with int(), or use a Process for real times"
        )
    bad = (array < low) | (array > high)
    if bad.any():
        raise InvalidParameterError(f"{who}: {name} must lie in {low}..{high}; got {int(array[bad][0])}")
    return array.astype(np.int64)


def check_count(who: str, name: str, value: Any, low: int = 1) -> int:
    """A whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise InvalidParameterError(f"{who}: {name} must be a whole number >= {low}; got {value!r}")
    return int(value)


def generator(who: str, rng: Any) -> np.random.Generator:
    """`rng` itself, a Generator seeded by an integer, or a fresh one for None."""
    if isinstance(rng, np.random.Generator):
        return rng
    if rng is None or isinstance(rng, int | np.integer):
        return np.random.default_rng(rng)
    raise InvalidParameterError(
        f"{who}: rng must be a numpy.random.Generator, a seed, or None; got {type(rng).__name__}"
    )
