"""Broken versions of a module: the same source with an expression changed, run under the same name."""

from __future__ import annotations

import inspect
import types
from typing import Any


def mutant(module: types.ModuleType, *changes: tuple[str, str]) -> types.ModuleType:
    """A copy of the module in which, for each (right, wrong), the one place that reads `right` reads `wrong`."""
    source = inspect.getsource(module)
    for right, wrong in changes:
        if source.count(right) != 1:
            raise ValueError(
                f"{module.__name__} must read {right!r} once; it does {source.count(right)} times"
            )
        source = source.replace(right, wrong)
    copy = types.ModuleType(module.__name__)
    copy.__package__ = module.__package__
    exec(compile(source, f"<mutant of {module.__file__}>", "exec"), copy.__dict__)
    return copy


def mutant_of(function: Any, *changes: tuple[str, str]) -> Any:
    """`function`, a function or class, from the `mutant` of its module."""
    module = inspect.getmodule(function)
    assert module is not None
    return getattr(mutant(module, *changes), function.__name__)
