"""k-diffusion's samplers as subjects: sample_*(model, x, sigmas) with x = x_0 + σ ε and a model that denoises.

`import k_diffusion` brings half a training stack; `sampling_module` loads its sampling.py alone.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InvalidParameterError, MissingExtraError, require
from ..law import Level, StepLaw
from ..model import OracleModel
from ..subject import Noise, Subject
from .patches import promoting

__all__ = ["from_k_diffusion", "sampling_module"]

Array = NDArray[np.floating[Any]]
_WHO = "from_k_diffusion"
_ALONE = "_dpmoracle_k_diffusion"
#: of the deterministic ones, and of the others at eta = 0
_ORDERS = {
    "sample_euler": 1, "sample_euler_ancestral": 1, "sample_heun": 2, "sample_dpm_2": 2, "sample_dpm_2_ancestral": 2,
    "sample_lms": 4, "sample_dpm_fast": 3, "sample_dpmpp_2s_ancestral": 2, "sample_dpmpp_sde": 2,
    "sample_dpmpp_2m": 2, "sample_dpmpp_2m_sde": 2, "sample_dpmpp_3m_sde": 3,
}  # fmt: skip


def sampling_module() -> Any:
    """k_diffusion.sampling, loaded without the __init__ of its package.

    Its one relative import is that of utils, of which it uses append_dims alone; that stands in for utils.
    """
    if f"{_ALONE}.sampling" in sys.modules:
        return sys.modules[f"{_ALONE}.sampling"]
    found = importlib.util.find_spec("k_diffusion")
    if found is None or not found.submodule_search_locations:
        raise MissingExtraError(
            f"{_WHO} needs k-diffusion; install it with: pip install --no-deps k-diffusion torchdiffeq torchsde "
            "trampoline, and pip install tqdm scipy"
        )
    package, utils = ModuleType(_ALONE), ModuleType(f"{_ALONE}.utils")
    package.__path__ = list(found.submodule_search_locations)
    vars(utils)["append_dims"] = lambda x, dims: x.reshape(*x.shape, *[1] * (dims - x.ndim))
    vars(package)["utils"] = utils
    source = Path(package.__path__[0]) / "sampling.py"
    spec = importlib.util.spec_from_file_location(f"{_ALONE}.sampling", source)
    if spec is None or spec.loader is None:
        raise MissingExtraError(f"{_WHO} cannot load {source}")
    module = importlib.util.module_from_spec(spec)
    new = {_ALONE: package, f"{_ALONE}.utils": utils, f"{_ALONE}.sampling": module}
    sys.modules.update(new)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        for name in new:
            sys.modules.pop(name, None)
        raise
    return module


def from_k_diffusion(
    sample_fn: Callable[..., Any],
    sigmas: Callable[[int], ArrayLike] | None = None,
    *,
    name: str | None = None,
    order: int | None = None,
    **options: Any,
) -> Subject:
    """A subject from one of k-diffusion's sampling functions, or one with the same arguments.

    sigmas  : K -> (K+1,) falling, the last may be 0; None is Karras' grid from 80 to 0.02, then 0
    order   : claimed; None takes that of the paper behind a known function
    options : more arguments of the function, such as eta=0.0

    A function of (model, x, sigma_min, sigma_max, n) lays out its own nodes between the largest and the smallest σ > 0.
    """
    if not callable(sample_fn) or "model" not in (wanted := inspect.signature(sample_fn).parameters):
        raise InvalidParameterError(
            f"{_WHO}: sample_fn must be a function of (model, x, sigmas, ...); got {sample_fn!r}"
        )
    called = sample_fn.__name__
    if "rtol" in wanted:
        raise InvalidParameterError(f"{_WHO}: {called} chooses its own number of steps; no check covers that")
    eta = float(options.get("eta", wanted["eta"].default if "eta" in wanted else 0.0))
    claimed = order if order is not None else _ORDERS.get(called)
    if called == "sample_lms":
        claimed = int(options.get("order", 4))
    sampler = _Sampler(sample_fn, sigmas or karras, options, "sigma_max" in wanted, eta)
    return _subject(sampler, name or called.removeprefix("sample_"), None if eta > 0 else claimed)


def karras(K: int) -> NDArray[np.float64]:
    """(K+1,) the grid of Karras et al. (2022), eq. 5, with ρ = 7 from 80 to 0.02, then 0."""
    return np.append(np.linspace(80.0 ** (1 / 7), 0.02 ** (1 / 7), K) ** 7, 0.0)


class _Sampler:
    def __init__(
        self,
        function: Callable[..., Any],
        sigmas: Callable[[int], ArrayLike],
        options: dict[str, Any],
        own_nodes: bool,
        eta: float,
        wide: bool = False,
        even: bool = False,
    ) -> None:
        self.function, self.sigmas, self.options = function, sigmas, options
        self.own_nodes, self.eta = own_nodes, eta
        self.wide, self.even = wide, even
        self.torch = require("torch", "peers", _WHO)

    def nodes(self, K: int) -> NDArray[np.float64]:
        """(n+1,) of σ; of a sampler with its own nodes the two ends."""
        grid = np.asarray(self.sigmas(K), dtype=np.float64)
        return grid[grid > 0][[0, -1]] if self.own_nodes else grid

    def ends(self, K: int) -> tuple[Level, Level]:
        nodes = self.nodes(K)
        return (1.0, float(nodes[0])), (1.0, float(nodes[-1]))

    def run(self, model: OracleModel, x_T: Array, K: int, noise: Noise | None) -> Array:
        torch = self.torch
        dtype = torch.float64 if self.wide else torch.float32
        shape = (*x_T.shape, 1, 1)

        def denoise(x: Any, sigma: Any, **_: Any) -> Any:
            rows = x.reshape(x_T.shape).numpy()
            level = float(sigma[0])
            return torch.from_numpy(model(rows, 1.0, level, time=level)).to(x.dtype).reshape(shape)

        more = dict(self.options)
        if noise is not None and "noise_sampler" in inspect.signature(self.function).parameters:
            more["noise_sampler"] = lambda *_: torch.as_tensor(
                np.asarray(noise(x_T.shape)), dtype=dtype
            ).reshape(shape)
        nodes = self.nodes(K)
        module = sys.modules[self.function.__module__]
        with promoting([module], torch, self.wide), torch.no_grad():
            x = torch.from_numpy(np.asarray(x_T)).to(dtype).reshape(shape)
            if self.own_nodes:
                K += (2 - K) % 3 if self.even else 0  # else its last step is of a lower order
                x = self.function(denoise, x, float(nodes[-1]), float(nodes[0]), K, disable=True, **more)
            else:
                x = self.function(denoise, x, torch.tensor(nodes, dtype=dtype), disable=True, **more)
        return np.array(x.reshape(x_T.shape).numpy())


def _even(high: float) -> Callable[[int], NDArray[np.float64]]:
    return lambda K: np.geomspace(high, 0.05, K + 1)


def _subject(sampler: _Sampler, name: str, order: int | None) -> Subject:
    stochastic = sampler.eta > 0
    exact_law = stochastic and sampler.function.__name__ == "sample_euler_ancestral" and sampler.eta == 1.0

    def levels(K: int) -> NDArray[np.float64]:
        nodes = sampler.nodes(K)
        return np.stack([np.ones_like(nodes), nodes], axis=1)

    def changed(sigmas: Callable[[int], ArrayLike], even: bool) -> Subject:
        new = _Sampler(sampler.function, sigmas, sampler.options, sampler.own_nodes, sampler.eta, True, even)
        return _subject(new, name, order)

    return Subject(
        name=name,
        run=sampler.run,
        ends=sampler.ends,
        output_type="x0",
        config=sampler.options,
        dtype="float64" if sampler.wide else "float32",
        levels=None if sampler.own_nodes else levels,
        time_level=lambda sigma: (1.0, sigma),
        order=order,
        stochastic=stochastic,
        injects=stochastic,
        law=StepLaw(1.0) if exact_law else None,
        promoted=None if sampler.wide else lambda: changed(sampler.sigmas, False),
        asymptotic=None if order is None or sampler.even else lambda: changed(_even(2000.0), True),
    )
