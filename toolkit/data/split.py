"""Give every image a part, train, val or test. Parts that DATA does not give are drawn by class and seed.

Images that must stay together (`toolkit.data.together`) get the same part. The draw depends on the content of the files
only, not on their names. `toolkit.data.draw` does it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from toolkit.data.draw import Together, divide
from toolkit.data.groups import ALONE
from toolkit.data.image_set import TRAINED, ImageSet
from toolkit.data.settings import DataSettings
from toolkit.data.sources.reasons import why
from toolkit.data.together import split_groups, together
from toolkit.errors import UnfreezeError, counted, one_line

SOURCES = TRAINED  # parts that a missing val or test part is drawn from
CHAIN = 0.2  # share of the images that are linked to one another, from which it is said


def divide_by(images: ImageSet, settings: DataSettings, *, strict: bool = False) -> ImageSet:
    """`split` by the settings. Raises UnfreezeError also if `strict` is true and DATA gives a group two parts."""
    torn = split_groups(images)
    if strict and torn:
        group, parts = next(iter(torn.items()))
        raise UnfreezeError(
            one_line(f"{len(torn)} groups are in two parts, and --strict was given; the first, {group}, is in ")
            + " and ".join(parts)
        )
    near = settings.near_duplicates == "keep-together"
    return split(images, val=settings.val, test=settings.test, seed=settings.seed, near=near)


def split(folder: ImageSet, *, val: float = 0.2, test: float = 0.2, seed: int = 0, near: bool = True) -> ImageSet:
    """The same images with every part "train", "val" or "test".

    If DATA has no test part, the fraction `test` of each class is drawn for it; then, if it has no val part, the
    fraction `val` of the rest; at least one image each. Both are drawn from the training images and from images without
    a part. An image without a part gets the part of one that it must stay together with; images that DATA itself puts
    into different parts stay there. `near`: nearly the same images must stay together, too. Raises UnfreezeError if a
    class has too few distinct images, or too few groups.
    """
    sources = any(part in SOURCES for part in folder.parts)  # a model that exists already may have test images alone
    wanted = {part: share for part, share in (("test", test), ("val", val)) if sources and part not in folder.parts}
    for part, share in wanted.items():
        if not 0 < share < 1:
            raise UnfreezeError(f"the {part} fraction is {share}: give a number between 0 and 1")
    sets = together(folder, near=near).tolist()
    given = {one: part for part in ("test", "val") for one, own in zip(sets, folder.parts, strict=True) if own == part}
    stay = {picture for picture, part in zip(folder.pictures(), folder.parts, strict=True) if part not in SOURCES}
    free = [
        part in SOURCES and picture not in stay and (part != "" or one not in given)
        for one, picture, part in zip(sets, folder.pictures(), folder.parts, strict=True)
    ]
    drawn = sets_to_draw(folder, sets, free)
    _refuse_few(folder, drawn, wanted)
    moved = divide(drawn, wanted, seed) if wanted else {}
    parts = (
        moved.get(one, "train") if drawable else part or given.get(one, "train")
        for one, part, drawable in zip(sets, folder.parts, free, strict=True)
    )
    done = replace(folder, parts=tuple(parts))
    return replace(done, notices=(*folder.notices, *_notices(done, sets, bool(wanted), near)))


def sets_to_draw(folder: ImageSet, sets: list[int], free: list[bool]) -> list[Together]:
    """The sets of images that may be drawn for another part; images that have the same pixels count once."""
    pictures: dict[int, dict[str, int]] = {}
    rows = zip(sets, folder.pictures(), folder.labels.tolist(), free, strict=True)
    for one, picture, label, drawable in rows:
        if drawable:
            pictures.setdefault(one, {})[picture] = label
    return [Together(number, min(own), Counter(own.values())) for number, own in pictures.items()]


def _refuse_few(folder: ImageSet, drawn: list[Together], wanted: dict[str, float]) -> None:
    """Raises UnfreezeError if a class has too few sets of images for a part each."""
    parts = " and ".join(wanted)
    for label, name in enumerate(folder.class_names):
        own = [one for one in drawn if label in one.counts]
        if not wanted or len(own) > len(wanted):
            continue
        images = sum(one.counts[label] for one in own)
        what, more = f"{counted(images, 'distinct image')}", "add images"
        if images > len(own):
            what += f" in {counted(len(own), 'group')} that must stay together"
            more = "add images of others, or let them be divided: --group-by none, --near-duplicates warn"
        raise UnfreezeError(
            f"class {one_line(name)} has {what} to split {parts} off from, and needs at least {len(wanted) + 1}: {more}"
            f"{why(folder.rejected)}"
        )


def _notices(done: ImageSet, sets: list[int], drawn: bool, near: bool) -> list[str]:
    """Sentences about what came out of a draw of whole groups."""
    told = []
    if drawn and done.groups and not split_groups(done):
        groups = len({*done.groups} - {ALONE})
        shares = [f"{part} {done.parts.count(part) / len(done):.1%}" for part in ("train", "val", "test")]
        told.append(f"each of the {groups} groups is in one part: {', '.join(shares)} of the images")
    if alone := done.groups.count(ALONE):
        told.append(f"{counted(alone, 'image')} without a group may stand in any part")
    largest = int(np.bincount(sets).max()) if sets else 0
    if drawn and near and done.near and not done.groups and largest > max(20, CHAIN * len(done)):
        told.append(
            f"{largest} of {len(done)} images form one chain of nearly the same images and are in one part; if they "
            "differ in what matters, give --near-duplicates warn"
        )
    return told
