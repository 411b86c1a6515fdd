"""Calls of the caller's functions. What they raise is told with the name of the function, and kept as the cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from toolkit.errors import UnfreezeError, short_reason


class PartError(Exception):
    """A part of the caller's raised, or gave something that cannot be used. In a trial it makes that trial fail."""


@contextmanager
def blamed(part: str, function: Any) -> Iterator[None]:
    """Raise PartError, which names the part and the function, in place of what the block raises."""
    try:
        yield
    except (PartError, UnfreezeError, OSError, MemoryError):
        raise
    except Exception as error:
        raise PartError(f"{named(part, function)} raised {type(error).__name__}: {short_reason(error)}") from error


def named(part: str, function: Any) -> str:
    """A part and the name of its function, for a message: "head (small_head)"."""
    return f"{part} ({name_of(function)})"


def name_of(function: Any) -> str:
    """The name of a function, of the class of an object; a text is its own name."""
    if isinstance(function, str):
        return function
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def point_of(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the caller's functions get as `hp`: the values of a point, which cannot be changed. `values`: as KerasTuner
    stores them, with entries of its own that have a slash in their name."""
    return MappingProxyType({name: value for name, value in values.items() if "/" not in name})
