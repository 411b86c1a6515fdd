"""Checks an HDF5 file of weights that may come from a stranger, before any array in it is read.

An HDF5 file may refer to other files (links, external storage, virtual datasets), and may declare an array of terabytes
for a few stored bytes. Only the structure is walked here: no array is read and no link followed.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

from toolkit.errors import UnfreezeError, first_line

OBJECTS = 100_000  # groups and arrays; the largest of keras.applications has 3,000
FLOOR = 64 << 20  # bytes: up to this size, an array may be stored in a few bytes, as one of zeros is
MAX_COMPRESSION = 10  # a larger array may have at most so many times its stored bytes; weights shrink by a tenth


def check_hdf5(source: Path | BinaryIO, name: str) -> int:
    """How many bytes all arrays in an HDF5 file have. `source`: its path, or the open file; `name`: for messages.

    Raises UnfreezeError if it is not an HDF5 file, refers to other files, or declares more than it stores.
    """
    import h5py

    try:
        with h5py.File(source, "r") as file:
            return _walk(file, name)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:  # for broken files
        raise UnfreezeError(f"{name} cannot be read as HDF5 ({first_line(error)}); get the file anew") from None


def _walk(file: Any, name: str) -> int:
    import h5py

    total, groups, seen = 0, [file], set()
    while groups:
        group = groups.pop()
        for key in group:
            kind = group.get(key, getlink=True, getclass=True)
            if kind is not h5py.HardLink:
                raise _refused(name, f"a link to elsewhere ({_shown(group, key)})")
            entry = group[key]
            address = h5py.h5o.get_info(entry.id).addr  # each group is walked once, even if it contains itself
            if address in seen:
                continue
            seen.add(address)
            if len(seen) > OBJECTS:
                raise _refused(name, f"more than {OBJECTS:,} groups and arrays")
            if isinstance(entry, h5py.Dataset):
                total += _bytes(entry, name)
            elif isinstance(entry, h5py.Group):
                groups.append(entry)
    return total


def _bytes(array: Any, name: str) -> int:
    if array.external or array.is_virtual:
        raise _refused(name, f"an array whose numbers are in another file ({_shown(array)})")
    if array.dtype.hasobject:
        raise _refused(name, f"an array that is not of numbers ({_shown(array)})")
    size = math.prod(array.shape or ()) * array.dtype.itemsize
    stored = array.id.get_storage_size()
    if size > FLOOR and size > MAX_COMPRESSION * stored:
        raise _refused(name, f"an array of {size / 1e9:,.1f} GB in {stored / 1e3:,.1f} KB ({_shown(array)})")
    return size


def _refused(name: str, what: str) -> UnfreezeError:
    return UnfreezeError(f"{name} holds {what}, which no file of weights needs; it was not loaded")


def _shown(entry: Any, key: str = "") -> str:
    return ascii(f"{entry.name.rstrip('/')}/{key}".rstrip("/")[-80:])
