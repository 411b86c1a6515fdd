"""The connected components of a graph that grows: what holds for two pairs holds for the chain."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


class Components:
    """Items 0 to `count` - 1, each alone until it is joined. Joining all of them takes O(count log count)."""

    def __init__(self, count: int) -> None:
        self.of = np.arange(count)  # int64: items of one component have the same number
        self._members: dict[int, list[int]] = {}  # of those with more than one item

    def join(self, one: int, other: int) -> bool:
        """Make one component of those of both items; False if they are in one already."""
        names = int(self.of[one]), int(self.of[other])
        if names[0] == names[1]:
            return False
        small, large = sorted((self._members.pop(name, [name]) for name in names), key=len)
        name = int(self.of[large[0]])
        self.of[small] = name
        large.extend(small)
        self._members[name] = large
        return True


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """int64 [count]: the connected component of each of `count` items, numbered by its first item."""
    components = Components(count)
    for one, other in pairs:
        components.join(one, other)
    _, first, number = np.unique(components.of, return_index=True, return_inverse=True)
    return first[number]
