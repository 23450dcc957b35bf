"""Every public name says what it is, what each of its parameters is, and what it raises."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import dpmoracle as dpm

PUBLIC = {name: getattr(dpm, name) for name in dpm.__all__ if callable(getattr(dpm, name))}
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if not inspect.isclass(thing)}


def untold(function: Any) -> list[str]:
    """The parameters that a docstring does not name, and 'Raises' where it does not say what is raised."""
    told = inspect.getdoc(function) or ""
    wanted = [name for name in inspect.signature(function).parameters if name != "self"]
    return [word for word in [*wanted, "Raises"] if not re.search(rf"\b{word}\b", told)]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_tells_its_parameters_and_what_it_raises(name: str) -> None:
    assert untold(FUNCTIONS[name]) == []


@pytest.mark.parametrize("name", sorted(set(PUBLIC) - set(FUNCTIONS)))
def test_a_class_and_its_methods_say_what_they_are(name: str) -> None:
    kind = PUBLIC[name]
    # a dataclass without a docstring gets its signature for one
    assert kind.__doc__
    assert not kind.__doc__.startswith(f"{name}(")
    for attribute, value in vars(kind).items():
        if not attribute.startswith("_") and isinstance(value, (staticmethod, classmethod, property)):
            value = value.fget if isinstance(value, property) else value.__func__
        if not attribute.startswith("_") and inspect.isfunction(value):
            assert inspect.getdoc(value), attribute


def test_a_docstring_that_tells_too_little_is_seen() -> None:
    def short(size: int, sizes: int) -> None:
        """The sizes."""

    assert untold(short) == ["size", "Raises"]
