"""The code of others: imported where it is, named as missing where it is not."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from ..errors import InvalidParameterError

__all__ = ["Missing", "load", "load_analytic_dpm"]


@dataclass(frozen=True)
class Missing:
    """A peer that is not here; the tables say so."""

    name: str
    reason: str


def load(module: str) -> ModuleType | Missing:
    """A peer library."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        return Missing(module.partition(".")[0], f"not installed ({error})")


def load_analytic_dpm(checkout: Path | None) -> ModuleType | Missing:
    """The module of a checkout of baofff/Analytic-DPM (or its extension) that chooses the steps; it needs torch.

    It is found by the function `_dp_seg` that stands in it, and imported as a part of its own package.
    """
    name = "official Analytic-DPM"
    if checkout is None:
        return Missing(name, "no checkout given; pass --analytic-dpm PATH")
    for path in sorted(checkout.rglob("core/inference/**/*.py")):
        if "def _dp_seg(" in path.read_text(encoding="utf-8", errors="replace"):
            break
    else:
        raise InvalidParameterError(
            f"--analytic-dpm: {str(checkout)!r} must be a checkout of baofff/Analytic-DPM; no file "
            "core/inference/*.py with the function _dp_seg is in it"
        )
    root = path
    while root.name != "core":
        root = root.parent
    dotted = ".".join(path.relative_to(root.parent).with_suffix("").parts)
    sys.path.insert(0, str(root.parent))
    try:
        return importlib.import_module(dotted)
    except ImportError as error:
        return Missing(name, f"cannot be imported ({error})")
    finally:
        sys.path.remove(str(root.parent))
