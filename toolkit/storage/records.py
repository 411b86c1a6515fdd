"""JSON objects -> the fields of a dataclass, checked: a run's files may come from a stranger."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

PLAIN: dict[Any, tuple[type, ...]] = {  # how a field is annotated -> the types that JSON may have for it
    "str": (str,),
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "int | None": (int, type(None)),
    "float | None": (int, float, type(None)),
}


def plain_fields(record: Any, values: Any) -> dict[str, Any]:
    """The values of a JSON object that are text, numbers or booleans according to the annotations of the dataclass
    `record`.

    A missing field is left out, so that it gets its default. Raises ValueError if `values` is not an object, or if a
    field has another type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{values!r:.40} is no record")
    found = {}
    for field in fields(record):
        if field.type in PLAIN and field.name in values:
            value = found[field.name] = values[field.name]
            if type(value) not in PLAIN[field.type]:
                raise ValueError(f"{field.name} is {value!r:.40}, not {field.type}")
    return found


def plain_record(record: Any, values: Any) -> Any:
    """An instance of the dataclass `record`, whose fields are all text, numbers or booleans. Raises ValueError if a
    field is missing or has another type."""
    found = plain_fields(record, values)
    if missing := {field.name for field in fields(record)} - found.keys():
        raise ValueError(f"{min(missing)} is missing")
    return record(**found)
