"""A flatbuffer that may come from a stranger, read field by field. Every offset and every length is checked, and only
what is asked for is copied.

The readers that the flatbuffers package generates check neither, and read any text and any list whole.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

LONGEST_TEXT = 1000  # bytes of a name; a longer one is cut
MOST = 1_000_000  # tables of a file, and whatever else is spent; the largest networks have some 10,000 tensors


class Budget:
    """How much of a file may still be read: a small file can refer to the same table a million times."""

    def __init__(self) -> None:
        self.left = MOST

    def spend(self, count: int) -> None:
        """Raises ValueError if more was read than any model has."""
        self.left -= count
        if self.left < 0:
            raise ValueError(f"it has more than {MOST:,} tensors, operators and operands")


class Table:
    """A table of a flatbuffer. Fields are numbered as in the schema, from 0. Each method raises ValueError if the field
    lies outside the file."""

    def __init__(self, content: bytes, position: int, budget: Budget) -> None:
        budget.spend(1)
        self.content, self.position, self.budget = content, position, budget
        self.fields = position - self._at("<i", position)  # where the offsets of the fields stand
        self.size = self._at("<H", self.fields)  # bytes

    def number(self, field: int, kind: str, default: int = 0) -> Any:
        """A number; `kind` as the struct module names it, such as "<i"."""
        place = self._place(field)
        return self._at(kind, place) if place else default

    def text(self, field: int) -> str:
        start, length = self._list(field, 1)
        return self.content[start : start + min(length, LONGEST_TEXT)].decode(errors="replace")

    def table(self, field: int) -> Table | None:
        place = self._place(field)
        return Table(self.content, place + self._at("<I", place), self.budget) if place else None

    def tables(self, field: int) -> list[Table]:
        start, length = self._list(field, 4)
        places = range(start, start + 4 * length, 4)
        return [Table(self.content, place + self._at("<I", place), self.budget) for place in places]

    def numbers(self, field: int, dtype: str) -> np.ndarray:
        """A list of numbers, as a view of the file; `dtype` little-endian, such as "<i4"."""
        start, length = self._list(field, np.dtype(dtype).itemsize)
        return np.frombuffer(self.content, dtype, length, start) if length else np.zeros(0, dtype)

    def data(self, field: int) -> tuple[int, int]:
        """(where a list of bytes starts, how many it has), of a list that is not copied."""
        return self._list(field, 1)

    def _place(self, field: int) -> int:
        """Where a field stands; 0 if the table does not have it."""
        entry = 4 + 2 * field
        offset = self._at("<H", self.fields + entry) if entry + 2 <= self.size else 0
        return self.position + offset if offset else 0

    def _list(self, field: int, size: int) -> tuple[int, int]:
        """(where the entries of a list start, how many there are), each of `size` bytes."""
        place = self._place(field)
        if not place:
            return 0, 0
        start = place + self._at("<I", place)
        length = self._at("<I", start)
        if start + 4 + length * size > len(self.content):
            raise ValueError(f"it has a list of {length:,} entries, which ends beyond the file")
        return start + 4, length

    def _at(self, kind: str, position: int) -> Any:
        if not 0 <= position <= len(self.content) - struct.calcsize(kind):
            raise ValueError(f"it refers to byte {position:,} of {len(self.content):,}")
        return struct.unpack_from(kind, self.content, position)[0]


def root(content: bytes, identifier: bytes) -> Table:
    """The first table of a flatbuffer. Raises ValueError if it does not bear this identifier of four letters."""
    if content[4:8] != identifier:
        raise ValueError(f"it does not bear the mark {identifier.decode()}")
    return unmarked_root(content)


def unmarked_root(content: bytes) -> Table:
    """The first table of a flatbuffer that bears no mark. Raises ValueError if there is none."""
    if len(content) < 4:
        raise ValueError(f"it has {len(content)} bytes")
    return Table(content, struct.unpack_from("<I", content)[0], Budget())
