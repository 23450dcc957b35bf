"""Test vectors for other languages: inputs, output and tolerance of all that can be stated as numbers.

A quantity is a function of JSON values, evaluated at the inputs that are written down; a wrong version of it gives
negative vectors, which say what a mistake would yield.
"""

from __future__ import annotations

from .catalogue import QUANTITIES
from .negatives import WRONG
from .quantity import Quantity, Vector, Wrong
from .writer import FORMAT, VERSION, check_folder, documents, make_vectors, write

__all__ = [
    "FORMAT",
    "QUANTITIES",
    "VERSION",
    "WRONG",
    "Quantity",
    "Vector",
    "Wrong",
    "check_folder",
    "documents",
    "make_vectors",
    "write",
]
