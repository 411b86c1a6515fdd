"""Draw sets of images for parts, so that each part holds its share of every class, as nearly as whole sets allow.

Where each set is one image, the shares are exact, and the draw of a class does not depend on other classes.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from toolkit.errors import UnfreezeError

ATTEMPTS = 20  # orders that are tried, until every class is within NEAR of its share; the best is kept
NEAR = 0.01  # of the class


@dataclass(frozen=True)
class Together:
    """Images that get one part."""

    number: int
    digest: str  # of one of its pictures: what its place in the draw depends on
    counts: Mapping[int, int]  # label -> distinct pictures


def divide(sets: Sequence[Together], wanted: Mapping[str, float], seed: int) -> dict[int, str]:
    """Number of a set -> part, for those that are drawn for one of `wanted`, part -> share of what is left.

    Every class has an image in each part, and in the rest. Raises UnfreezeError if no draw was found that does this.
    """
    left = list(sets)
    drawn: dict[int, str] = {}
    for later, (part, share) in enumerate(wanted.items()):
        taken = _draw(left, share, len(wanted) - later, seed)
        if taken is None:
            raise UnfreezeError(
                f"no way was found to divide the groups so that every class is in {', '.join(wanted)} and train: give "
                "the parts yourself, or --group-by none"
            )
        drawn |= dict.fromkeys(taken, part)
        left = [one for one in left if one.number not in taken]
    return drawn


def _draw(sets: Sequence[Together], share: float, rest: int, seed: int) -> set[int] | None:
    """The numbers of the sets that are taken; None if a class would lack. `rest`: sets of each class that must be
    left."""
    total = _counts(sets)
    target = {label: min(max(1, round(share * n)), max(1, n - rest)) for label, n in total.items()}
    best: tuple[float, set[int]] | None = None
    for attempt in range(ATTEMPTS):
        taken = _Taken(sets, target, rest)
        order = sorted(sets, key=lambda one: _rank(f"{seed}.{attempt}" if attempt else f"{seed}", one.digest))
        taken.fill(order)
        if not taken.cover(order):
            continue
        cost = taken.cost(taken.counts)
        if best is None or cost < best[0]:
            best = cost, taken.numbers
        if all(abs(taken.counts[label] - n) <= NEAR * total[label] for label, n in target.items()):
            break
    return best and best[1]


class _Taken:
    """The sets that are taken so far, on the way to `target`, the pictures wanted of each label."""

    def __init__(self, sets: Sequence[Together], target: Mapping[int, int], rest: int) -> None:
        self.target, self.rest = target, rest
        self.total = _counts(sets)
        self.left = Counter(label for one in sets for label in one.counts)  # sets of each label that are not taken
        self.counts: Counter[int] = Counter()  # pictures of each label that are
        self.numbers: set[int] = set()

    def fill(self, order: Iterable[Together]) -> None:
        """Take the first sets that do not exceed the target."""
        for one in order:
            if all(self.counts[label] + n <= self.target[label] for label, n in one.counts.items()):
                self._take(one)

    def cover(self, order: Sequence[Together]) -> bool:
        """Take a set of each class that has none yet. False if there is none to take."""
        for label in self.target:
            if not self.counts[label]:
                own = [one for one in order if label in one.counts and self._may(one)]
                if not own or not self._take(min(own, key=self._change)):
                    return False
        return True

    def cost(self, counts: Mapping[int, int]) -> float:
        """How far the classes are from the target."""
        return sum(((counts.get(label, 0) - n) / self.total[label]) ** 2 for label, n in self.target.items())

    def _change(self, one: Together) -> float:
        """What taking a set adds to the cost."""
        if not self._may(one):
            return 0.0
        return sum(
            (n * (n + 2 * (self.counts[label] - self.target[label]))) / self.total[label] ** 2
            for label, n in one.counts.items()
        )

    def _may(self, one: Together) -> bool:
        return one.number not in self.numbers and all(self.left[label] > self.rest for label in one.counts)

    def _take(self, one: Together) -> bool:
        if not self._may(one):
            return False
        self.numbers.add(one.number)
        self.counts.update(one.counts)
        self.left.subtract(one.counts.keys())
        return True


def _counts(sets: Iterable[Together]) -> Counter[int]:
    found: Counter[int] = Counter()
    for one in sets:
        found.update(one.counts)
    return Counter(dict(sorted(found.items())))  # in an order that does not depend on that of the files


def _rank(seed: str, digest: str) -> str:
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()
