"""Plain records, mappings or objects, read by the names of their fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import InvalidParameterError

__all__ = ["read_fields"]

_REQUIRED = object()


def read_fields(who: str, record: Any, names: Sequence[str], missing: Any = _REQUIRED) -> list[Any]:
    """The named fields; `missing` stands for one that is not there, without it that is an error."""
    is_mapping = isinstance(record, Mapping)
    values = [record.get(name, missing) if is_mapping else getattr(record, name, missing) for name in names]
    absent = [name for name, value in zip(names, values) if value is _REQUIRED]
    if absent:
        kind = f"one with {', '.join(map(str, record))}" if is_mapping else type(record).__name__
        raise InvalidParameterError(
            f"{who}: every record must have {', '.join(names)}, as keys or attributes; {', '.join(absent)} missing "
            f"in {kind}"
        )
    return values
