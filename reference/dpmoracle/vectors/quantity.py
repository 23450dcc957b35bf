"""A quantity, a wrong version of one, and the vectors that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .values import decode, encode

__all__ = ["Cases", "Quantity", "Vector", "Wrong"]

#: label -> inputs; called when the vectors are made, because some inputs are computed
Cases = Callable[[], Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Vector:
    """One entry of a file, of JSON values throughout.

    id        : "<kind>/<quantity>/<label>", or "wrong/<quantity>/<name>/<label>"
    expected  : number, or nested lists of numbers; for a wrong version, what must not come out
    tolerance : {"rtol", "atol"}; right is |got - expected| <= atol + rtol |expected| in every entry
    wrong     : None, or {"why", "right"}, where right is the id of the vector with the right output
    """

    id: str
    kind: str
    quantity: str
    source: str
    statement: str
    inputs: Mapping[str, Any]
    expected: Any
    tolerance: Mapping[str, float]
    wrong: Mapping[str, str] | None


@dataclass(frozen=True)
class Quantity:
    """Something to implement: a function of named JSON values.

    source    : where the formula stands
    statement : the formula, so that it can be implemented from the file alone
    inputs    : what each input is
    expected  : what comes out
    compute   : compute(**inputs), the reference
    cases     : the inputs at which it is evaluated, by label
    """

    name: str
    kind: str
    source: str
    statement: str
    inputs: Mapping[str, str]
    expected: str
    compute: Callable[..., Any]
    cases: Cases
    rtol: float = 1e-10
    atol: float = 0.0

    def vector_id(self, label: str) -> str:
        return f"{self.kind}/{self.name}/{label}"

    def vectors(self) -> Iterator[Vector]:
        for label, given in self.cases().items():
            yield self._vector(self.vector_id(label), self.compute, given)

    def _vector(
        self,
        name: str,
        compute: Callable[..., Any],
        given: Mapping[str, Any],
        wrong: Mapping[str, str] | None = None,
    ) -> Vector:
        """The output is computed from the inputs as they are written, so nothing else can have a part in it."""
        inputs = encode(given)
        tolerance = {"rtol": self.rtol, "atol": self.atol}
        found = encode(compute(**decode(inputs)))
        return Vector(
            name, self.kind, self.name, self.source, self.statement, inputs, found, tolerance, wrong
        )


@dataclass(frozen=True)
class Wrong:
    """A mistake that people make, or print, in a quantity.

    compute : compute(**inputs), the mistake
    labels  : the cases of the quantity in which it shows
    """

    of: Quantity
    name: str
    why: str
    compute: Callable[..., Any]
    labels: tuple[str, ...]

    def vectors(self) -> Iterator[Vector]:
        cases = self.of.cases()
        for label in self.labels:
            wrong = {"why": self.why, "right": self.of.vector_id(label)}
            name = f"wrong/{self.of.name}/{self.name}/{label}"
            yield self.of._vector(name, self.compute, cases[label], wrong)
