"""While a foreign sampler runs: float64 in the place of float32, and our noise in the place of its own.

Names are replaced in the namespaces of the library's own modules, never in torch or NumPy, and are put back after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

from ..subject import Noise

__all__ = ["drawing", "promoting"]

_DRAWS = ("randn_tensor", "BrownianTreeNoiseSampler", "default_noise_sampler")


class _Wide:
    """A module in which float32 means float64."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.float32 = module.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextmanager
def promoting(modules: Iterable[ModuleType], torch: Any, wide: bool) -> Iterator[None]:
    """float32 is float64 in these modules, and the default of torch too, if `wide`.

    What stays float32: `.float()`, and defaults that a function's signature bound when its module was loaded.
    """
    if not wide:
        yield
        return
    known = {id(torch): _Wide(torch), id(np): _Wide(np)}
    swaps = {
        (id(m), name): (m, name, known[id(value)])
        for m in modules
        for name, value in list(vars(m).items())
        if id(value) in known
    }
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _replaced(list(swaps.values())):
            yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def drawing(modules: Iterable[ModuleType], torch: Any, noise: Noise | None) -> Iterator[None]:
    """The draws of these modules come from `noise`, each called with (M, d); None leaves them alone."""
    if noise is None:
        yield
        return

    def draw(shape: Any, like: Any = None, **options: Any) -> Any:
        wanted = tuple(int(n) for n in shape)
        fresh = np.asarray(noise((wanted[0], int(np.prod(wanted[1:])))))
        return torch.as_tensor(fresh.reshape(wanted), dtype=options.get("dtype") or like)

    def randn_tensor(
        shape: Any, generator: Any = None, device: Any = None, dtype: Any = None, layout: Any = None
    ) -> Any:
        return draw(shape, torch.get_default_dtype(), dtype=dtype)

    def sampler(x: Any, *args: Any, **options: Any) -> Callable[..., Any]:
        return lambda sigma, sigma_next: draw(x.shape, x.dtype)

    new = dict(zip(_DRAWS, (randn_tensor, sampler, sampler)))
    with _replaced([(m, name, new[name]) for m in modules for name in _DRAWS if name in vars(m)]):
        yield


@contextmanager
def _replaced(swaps: list[tuple[ModuleType, str, Any]]) -> Iterator[None]:
    before = [(m, name, vars(m)[name]) for m, name, _ in swaps]
    try:
        for module, name, value in swaps:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
