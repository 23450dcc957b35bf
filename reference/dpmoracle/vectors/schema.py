"""The JSON Schema of a file of vectors, made from the quantities themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .quantity import Quantity
from .values import SPECIAL

__all__ = ["schema"]


def schema(format_name: str, version: int, quantities: Sequence[Quantity]) -> dict[str, Any]:
    """Draft 2020-12; every quantity has exactly its inputs."""
    text = {"type": "string", "minLength": 1}
    of_quantity = [
        {
            "if": {"properties": {"quantity": {"const": quantity.name}}},
            "then": {
                "properties": {
                    "kind": {"const": quantity.kind},
                    "inputs": {
                        "required": list(quantity.inputs),
                        "propertyNames": {"enum": list(quantity.inputs)},
                    },
                }
            },
        }
        for quantity in quantities
    ]
    vector: dict[str, Any] = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[A-Za-z0-9_./-]+$"},
            "kind": {"enum": list(dict.fromkeys(quantity.kind for quantity in quantities))},
            "quantity": {"enum": [quantity.name for quantity in quantities]},
            "source": text,
            "statement": text,
            "inputs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/input"}},
            "expected": {"$ref": "#/$defs/value"},
            "tolerance": _closed(
                rtol={"type": "number", "minimum": 0}, atol={"type": "number", "minimum": 0}
            ),
            "wrong": {"oneOf": [{"type": "null"}, _closed(why=text, right=text)]},
        },
        "allOf": of_quantity,
    }
    vector["required"] = list(vector["properties"])
    vector["additionalProperties"] = False
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{format_name}, version {version}",
        **_closed(
            format={"const": format_name},
            version={"const": version},
            program={"type": "string"},
            vectors={"type": "array", "items": {"$ref": "#/$defs/vector"}},
        ),
        "$defs": {
            "vector": vector,
            "number": {"oneOf": [{"type": "number"}, {"enum": list(SPECIAL)}]},
            "value": {
                "oneOf": [
                    {"$ref": "#/$defs/number"},
                    {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/value"}},
                ]
            },
            "input": {
                "oneOf": [
                    {"$ref": "#/$defs/value"},
                    {"type": ["boolean", "null"]},
                    {"type": "string", "not": {"enum": list(SPECIAL)}},
                    {"$ref": "#/$defs/mixture"},
                    {"$ref": "#/$defs/process"},
                ]
            },
            "mixture": _closed(
                weights={"$ref": "#/$defs/value"},
                means={"$ref": "#/$defs/value"},
                covariances={"$ref": "#/$defs/value"},
                covariance_type={"enum": ["diag", "full"]},
            ),
            "process": {
                "type": "object",
                "properties": {"kind": text},
                "required": ["kind"],
                "additionalProperties": {"$ref": "#/$defs/value"},
            },
        },
    }


def _closed(**properties: Any) -> dict[str, Any]:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
