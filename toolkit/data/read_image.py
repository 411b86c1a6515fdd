"""`ReadImage`: an entry of DATA whose file was read; which of them are copies, and which of these have two labels."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.data.copies import Copies, Seen, find_copies, first_of_each
from toolkit.data.sources.listing import Entry, Rejected
from toolkit.errors import one_line
from toolkit.pixels.decode import measure
from toolkit.pixels.look import Look


@dataclass(frozen=True)
class ReadImage:
    """An entry of the listing whose file was read and can be used."""

    entry: Entry
    digest: str
    size: tuple[int, int]  # pixels, width and height
    look: Look
    form: str = "JPEG"  # as `toolkit.pixels.formats.content` names it
    span: tuple[int, int] = (0, 0)  # lowest and highest sample of an image of more than 8 bits
    colours: str = ""  # what its colours are converted by, as `toolkit.pixels.colour.effect` says
    transparent: bool = False  # whether any pixel is


def measured(entry: Entry, data: bytes) -> ReadImage:
    """The entry, of which the file holds `data`. Raises UnfreezeError if it cannot be used."""
    found = measure(data)
    return ReadImage(
        entry,
        hashlib.sha256(data).hexdigest(),
        found.size,
        found.look,
        form=found.form,
        span=found.span,
        colours=found.colours,
        transparent=found.transparent,
    )


def copies_among(root: Path, images: Sequence[ReadImage], *, near: bool) -> Copies:
    """The copies among images whose paths are relative to `root`, as `find_copies` finds them."""
    return find_copies([Seen(root / one.entry.path, one.digest, one.size, one.look) for one in images], near=near)


def without_disputed(images: list[ReadImage], copies: Copies) -> tuple[list[ReadImage], list[Rejected]]:
    """Leave out files with the same pixels that have different labels, because nothing says which label is right."""
    first = first_of_each(copies.same)
    labelled: dict[str, dict[str, ReadImage]] = defaultdict(dict)  # picture -> label -> first image
    for image in images:
        labelled[first.get(image.digest, image.digest)].setdefault(image.entry.label, image)
    kept, disputed = [], []
    for image in images:
        of_picture = labelled[first.get(image.digest, image.digest)]
        others = [other for label, other in of_picture.items() if label != image.entry.label]
        if others:
            what = "the same file as" if others[0].digest == image.digest else "with the same pixels as"
            told = f"{what} {others[0].entry.path}, which is labelled {others[0].entry.label}"
            disputed.append(Rejected(image.entry.path, one_line(told)))
        else:
            kept.append(image)
    return kept, disputed
