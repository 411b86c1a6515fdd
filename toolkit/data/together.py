"""Images that must stay together, in a part or a fold: those with the same pixels, of a group, or nearly the same.

What holds for two pairs holds for the chain: the sets are the connected components. `toolkit.data.copies` finds copies,
`toolkit.data.groups` groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from toolkit.data.components import connected
from toolkit.data.groups import ALONE
from toolkit.data.image_set import ImageSet

Paths = tuple[str, ...]


def together(images: ImageSet, *, near: bool = True) -> np.ndarray:
    """int64 [N]: the number of the set that each image is in. `near`: nearly the same images count, too."""
    kinds: list[Sequence[Hashable]] = [images.pictures()]
    if images.groups:
        kinds.append([group if group != ALONE else (row,) for row, group in enumerate(images.groups)])
    if near:
        kinds.append(_near_sets(images))
    return connected(len(images), (pair for keys in kinds for pair in _equal(keys)))


def near_duplicates(images: ImageSet) -> tuple[Paths, ...]:
    """The paths of each set of nearly the same images, where they are not all the same."""
    pictures = images.pictures()
    return tuple(
        tuple(images.paths[i] for i in rows) for rows in _near_rows(images) if len({pictures[i] for i in rows}) > 1
    )


def near_leaks(images: ImageSet, near: tuple[Paths, ...] | None = None) -> tuple[Paths, ...]:
    """The sets of nearly the same images that stand in two parts or more. `near`: `near_duplicates(images)`, where it
    is known already."""
    sets = near_duplicates(images) if near is None else near
    part = dict(zip(images.paths, images.parts, strict=True))
    return tuple(paths for paths in sets if len({part[path] for path in paths} - {""}) > 1)


def split_groups(images: ImageSet) -> dict[str, Paths]:
    """Group -> the parts that it stands in, for each group in two parts or more."""
    parts: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(images.groups, images.parts, strict=bool(images.groups)):
        parts[group].add(part)
    order = ("train", "val", "test")
    found = {group: tuple(part for part in order if part in own) for group, own in parts.items() if group != ALONE}
    return {group: own for group, own in sorted(found.items()) if len(own) > 1}


def _equal(keys: Sequence[Hashable]) -> Iterable[tuple[int, int]]:
    """(row, the first row with an equal key) of each row."""
    first: dict[Hashable, int] = {}
    return ((row, first.setdefault(key, row)) for row, key in enumerate(keys))


def _near_sets(images: ImageSet) -> list[Hashable]:
    """The number of the set of nearly the same images that each image is in."""
    pictures = images.pictures()
    number = {picture: i for i, picture in enumerate(dict.fromkeys(pictures))}
    own = {digest: number[picture] for digest, picture in zip(images.digests, pictures, strict=True)}
    pairs = [(own[one], own[other]) for one, other in images.near if one in own and other in own]
    linked = connected(len(number), pairs).tolist()
    return [linked[number[picture]] for picture in pictures]


def _near_rows(images: ImageSet) -> Iterable[list[int]]:
    rows: dict[Hashable, list[int]] = defaultdict(list)
    for row, key in enumerate(_near_sets(images) if images.near else ()):
        rows[key].append(row)
    return rows.values()
