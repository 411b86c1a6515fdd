"""Give every image a part, train, val or test. Parts that DATA does not give are drawn by class and seed.

The draw depends on the content of the files only, so that byte-identical files get the same part, whatever their names.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from toolkit.data.image_set import TRAINED, ImageSet
from toolkit.errors import UnfreezeError, one_line

SOURCES = TRAINED  # parts that a missing val or test part is drawn from


def split(folder: ImageSet, *, val: float = 0.2, test: float = 0.2, seed: int = 0) -> ImageSet:
    """The same images with every part "train", "val" or "test".

    If DATA has no test part, the fraction `test` of each class is drawn for it; then, if it has no val part, the
    fraction `val` of the rest; at least one image each. Both are drawn from the training images and from images without
    a part. An image without a part gets the part of a byte-identical file that has one; files that DATA itself puts
    into different parts stay there. Raises UnfreezeError if a class has too few distinct images.
    """
    sources = any(part in SOURCES for part in folder.parts)  # a model that exists already may have test images alone
    wanted = {part: share for part, share in (("test", test), ("val", val)) if sources and part not in folder.parts}
    for part, share in wanted.items():
        if not 0 < share < 1:
            raise UnfreezeError(f"the {part} fraction is {share}: give a number between 0 and 1")
    given = {digest: part for digest, part in zip(folder.digests, folder.parts, strict=True) if part not in SOURCES}
    moved: dict[str, str] = {}  # digest -> part; all other images of the sources are for training
    for name, distinct in zip(folder.class_names, _distinct(folder), strict=True):
        own = distinct - given.keys()
        moved |= _divide(name, sorted(own, key=lambda digest: _rank(seed, digest)), wanted)
    parts = (
        moved.get(digest, "train" if part else given.get(digest, "train")) if part in SOURCES else part
        for digest, part in zip(folder.digests, folder.parts, strict=True)
    )
    return replace(folder, parts=tuple(parts))


def _distinct(folder: ImageSet) -> list[set[str]]:
    """For each class, the digests of the images that may be drawn for another part."""
    found: list[set[str]] = [set() for _ in folder.class_names]
    for digest, label, given in zip(folder.digests, folder.labels.tolist(), folder.parts, strict=True):
        if given in SOURCES:
            found[label].add(digest)
    return found


def _divide(name: str, digests: list[str], wanted: dict[str, float]) -> dict[str, str]:
    """digest -> part, for the first of `digests`. At least one is left for each later part and for training. Raises
    UnfreezeError if there are too few."""
    if wanted and len(digests) <= len(wanted):
        parts = " and ".join(wanted)
        raise UnfreezeError(
            f"class {one_line(name)} has {len(digests)} distinct images to split {parts} off from, "
            f"and needs at least {len(wanted) + 1}: add images"
        )
    divided: dict[str, str] = {}
    for later, (part, share) in enumerate(wanted.items()):
        left = digests[len(divided) :]
        take = min(max(1, round(share * len(left))), len(left) - (len(wanted) - later))
        divided |= dict.fromkeys(left[:take], part)
    return divided


def _rank(seed: int, digest: str) -> str:
    return hashlib.sha256(f"{seed} {digest}".encode()).hexdigest()
