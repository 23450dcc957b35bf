"""Foreign arrays: float64 NumPy inside, whatever the caller brought (torch, JAX, CuPy, lists) outside.

A method that says so sees CuPy arrays where it is to be computed on a GPU. No framework is imported here: its arrays
can only arrive when the caller has imported it already.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ParamSpec, cast

import numpy as np
from numpy.typing import NDArray

from .backends import device, lives_on_gpu, within
from .errors import InvalidParameterError

__all__ = ["array_module", "foreign", "foreign_or_gpu", "read", "to_numpy"]

P = ParamSpec("P")

_ARRAY_CLASS = {"torch": "Tensor", "jax": "Array", "cupy": "ndarray"}


def foreign(method: Callable[P, Any]) -> Callable[P, Any]:
    """Let a method f(self, x, ...) that computes in float64 NumPy take and return the caller's arrays.

    x, the first argument after self, may be a NumPy, torch, JAX or CuPy array, any object that speaks
    DLPack or __array__, or nested lists of numbers; the method sees a float64 NumPy array. torch, JAX and
    CuPy arrays among the other arguments (t, say) arrive as NumPy arrays of their own dtype.
    An array that the method returns goes back as the kind of x, on the device of x, with the floating dtype
    of x (float64 for integers and lists; JAX without x64 has no float64 and gives float32). Integer and
    boolean results keep their dtype, and results that are not arrays are passed on untouched. What speaks
    only __array__ (a list, a data frame) gets NumPy back.
    Raises InvalidParameterError for bfloat16 and other short floats, complex and text, for a tensor that
    requires grad, inside JAX's transformations, and when a finite result overflows the dtype of x.
    """
    return _outside(method, gpu=False)


def foreign_or_gpu(method: Callable[P, Any]) -> Callable[P, Any]:
    """As `foreign`, for a method that can compute on CuPy arrays too.

    It sees them where self.backend is "cupy", or "auto" (as without such an attribute) and x is a CuPy array or a CUDA
    tensor: then nothing of x goes through the host, x is not copied, and the work is done on the stream that
    the library of x works on. x arrives as float64 or float32, whatever it was; other arguments that live on a GPU
    arrive as CuPy arrays of their own dtype. Raises DeviceError beside what `foreign` raises.
    """
    return _outside(method, gpu=True)


def _outside(method: Callable[P, Any], gpu: bool) -> Callable[P, Any]:
    who = method.__qualname__.rpartition("<locals>.")[2]
    names = list(inspect.signature(method).parameters)[1:]
    name = names[0]
    compute = cast(Callable[..., Any], method)

    @functools.wraps(method)
    def outside(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not args and name not in kwargs:
            return compute(self, **kwargs)  # Python's own TypeError says what is missing
        x = args[0] if args else kwargs.pop(name)
        there = device(who, getattr(self, "backend", "auto"), x) if gpu else None
        others = (*args[1:], *kwargs.values())
        with within(there, who, x, *others):
            given = read(x, who, name, there)
            rest = [
                read(arg, who, key, there) if _family(arg) else arg for key, arg in zip(names[1:], args[1:])
            ]
            named = {key: read(arg, who, key, there) if _family(arg) else arg for key, arg in kwargs.items()}
            dtype = _result_dtype(who, name, given, x)
            if there is None or given.dtype not in (np.float32, np.float64):
                given = given.astype(np.float64, copy=False)
            if there is not None:
                given = there.adopt(given)
            result = compute(self, given, *rest, **named)
            if not isinstance(result, array_module(result).ndarray | np.generic):
                return result
            out = _cast(who, name, result, dtype, given)
            return _give_back(out if there is None else there.release(out, x), x)

    return cast(Callable[P, Any], outside)


def read(value: Any, who: str, name: str, there: ModuleType | None) -> Any:
    """`value` as `to_numpy` gives it, or a CuPy array over its memory where it lives on a GPU and `there` is a place.

    there : dpmoracle_kernels.gpu.place, or None where all is to be computed on the host
    """
    if there is None or not lives_on_gpu(value):
        return to_numpy(value, who, name)
    if _family(value) == "torch":
        _check_torch(who, name, value)
    return there.adopt(value)


def array_module(array: Any) -> ModuleType:
    """The library whose functions take this array: CuPy for its own, NumPy for all else."""
    return sys.modules["cupy"] if _family(array) == "cupy" else np


def to_numpy(value: Any, who: str = "to_numpy", name: str = "value") -> NDArray[Any]:
    """`value` as a NumPy array of its own dtype, through the host if it lives on a device.

    who and name appear in errors. Raises InvalidParameterError for a tensor that requires grad, for a
    floating type that NumPy lacks, inside JAX's transformations, and for what no array can be made of.
    """
    family = _family(value)
    if family == "torch":
        _check_torch(who, name, value)
    elif family == "jax" and isinstance(value, sys.modules["jax"].core.Tracer):
        raise InvalidParameterError(
            f"{who}: {name} must hold numbers; inside jit, grad or vmap of JAX it holds none yet. "
            "Call this outside the transformation, or through jax.pure_callback"
        )
    elif isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise InvalidParameterError(
            f"{who}: {name} must have every entry; {int(np.ma.getmaskarray(value).sum())} are masked. "
            f"Drop those points, or choose a value with {name}.filled(...)"
        )
    try:
        if family == "torch":
            return cast(NDArray[Any], value.numpy(force=True))
        if family == "cupy":
            return cast(NDArray[Any], value.get())
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)
        return np.asarray(value)
    except Exception as error:  # every framework has its own class for "cannot be read"
        raise InvalidParameterError(
            f"{who}: {name} must be an array of numbers; "
            f"{type(value).__name__} could not be read as one ({error})"
        ) from error


def _family(value: Any) -> str:
    """ "torch", "jax" or "cupy" if `value` is an array of theirs; "" for what NumPy reads without help."""
    for module, array in _ARRAY_CLASS.items():
        klass = getattr(sys.modules.get(module), array, None)
        if klass is not None and isinstance(value, klass):
            return module
    return ""


def _check_torch(who: str, name: str, x: Any) -> None:
    """Refuse the tensors whose conversion would lose something, and name the conversion."""
    torch = sys.modules["torch"]
    if x.requires_grad:
        raise InvalidParameterError(
            f"{who}: {name} must not require grad; nothing here is recorded, so its gradient would be "
            f"silently wrong. Pass {name}.detach()"
        )
    if x.is_floating_point() and x.dtype not in (torch.float16, torch.float32, torch.float64):
        raise InvalidParameterError(
            f"{who}: {name} must be float16, float32, float64 or integers; got {x.dtype}. Pass {name}.float()"
        )


def _result_dtype(who: str, name: str, given: NDArray[Any], x: Any) -> np.dtype[Any]:
    """The floating dtype in which results go back; refuses what has no real numbers in it."""
    kind = given.dtype
    if kind.type in (np.float16, np.float32, np.float64):
        return kind.newbyteorder("=")
    if kind.kind in "iub" or kind.type is np.longdouble:
        wide = np.dtype(np.float64)
        return np.dtype(sys.modules["jax"].dtypes.canonicalize_dtype(wide)) if _family(x) == "jax" else wide
    if kind.kind == "c":
        advice = f". Pass {name}.real if the imaginary part is zero"
    elif "float" in kind.name:
        advice = f". Pass {name}.astype('float32')"
    else:
        advice = ""
    raise InvalidParameterError(
        f"{who}: {name} must be real numbers (float16, float32, float64 or integers); got {kind}{advice}"
    )


def _cast(who: str, name: str, result: Any, dtype: np.dtype[Any], given: Any) -> Any:
    """A C-contiguous array in `dtype` that shares no memory with the caller's x; of NumPy always a copy."""
    xp = array_module(result)
    if result.dtype.kind != "f" or result.dtype == dtype:
        fresh = xp is not np and not xp.may_share_memory(result, given)
        return xp.asarray(result, order="C") if fresh else xp.array(result, order="C")
    with np.errstate(over="ignore", under="ignore"):
        out = xp.array(result, dtype=dtype, order="C")
    lost = xp.isinf(out) & xp.isfinite(result)
    if lost.any():
        raise InvalidParameterError(
            f"{who}: {name} must be of a dtype that can hold the result; it reaches "
            f"{float(xp.abs(result[lost]).max()):.3g} and {dtype} ends at {np.finfo(dtype).max:.3g}. "
            f"Pass {name} in float64"
        )
    return out


def _give_back(out: Any, x: Any) -> Any:
    """`out`, of NumPy or already on the device of x, as the kind of array that x is, on that device."""
    family = _family(x)
    if lives_on_gpu(out):
        return out
    if family == "torch":
        return sys.modules["torch"].from_numpy(out).to(x.device)
    if family == "jax":
        fits = out.shape == x.shape or len(x.devices()) == 1
        return sys.modules["jax"].device_put(out, x.sharding if fits else None)
    if family == "cupy":
        with x.device:
            return sys.modules["cupy"].asarray(out)
    if hasattr(x, "__array_namespace__") and not isinstance(x, np.ndarray | np.generic):
        return x.__array_namespace__().from_dlpack(out).to_device(x.device)
    return out[()]  # a 0-d array becomes a scalar, as from NumPy's own functions
