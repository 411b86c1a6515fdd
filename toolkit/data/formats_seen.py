"""What the files of DATA are: how their 16-bit samples are to be read, and sentences for the user about formats."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from math import ceil
from pathlib import PurePosixPath

import numpy as np

from toolkit.data.sources.listing import Rejected
from toolkit.errors import one_line
from toolkit.pixels.formats import SUFFIXES
from toolkit.pixels.levels import FULL, PERCENTILE, bits_used

Span = tuple[int, int]  # lowest and highest sample of an image of more than 8 bits
FLAT = (0, 0)  # of one of 8 bits
FIT = 0.95  # of the images
NARROW = 1 / 8  # of the values


def resolved_levels(wanted: str, spans: Iterable[Span]) -> tuple[str, list[str]]:
    """The `levels` of a set (`toolkit.pixels.levels`) for the setting "auto", "full" or "percentile", and what to say.

    `spans`: those of the training images, (0, 0) for one of 8 bits. With "auto" it is the fewest bits in which 95 of
    100 of them fit, so that one image that was exposed otherwise does not make all others dark. Where none has more
    than 8 bits, the setting means nothing.
    """
    deep = [span for span in spans if span != FLAT]
    if not deep:
        return FULL, []
    lows, tops = (np.sort(ends) for ends in zip(*deep, strict=True))
    used = bits_used(int(tops[ceil(FIT * len(tops)) - 1]))
    more = int(np.sum(tops >= 1 << used))
    levels = {"full": FULL, "percentile": PERCENTILE}.get(wanted, str(used))
    images = f"{len(deep)} images have 16 bits per sample, with values from {lows[0]:,} to {tops[-1]:,}"
    bits = f"{used} of them" + (f", all but {more} of these images" if more else "")
    if levels == PERCENTILE:
        return levels, [f"{images}: each is stretched to its own range, as --levels percentile says"]
    said = [f"{images}, and use {bits}"]
    if used < 16:
        cut = f"; what is larger in the other {more} is white" if more else ""
        said[0] += (
            ", so with --levels full they are dark: --levels auto uses what there is"
            if levels == FULL
            else f": they are read as {used}-bit ones{cut} (--levels full keeps all 16)"
        )
    narrow = int(np.median([top - low for low, top in deep]))
    if narrow < NARROW * (1 << used):
        said.append(
            f"an image of 16 bits spans only {narrow:,} of {1 << used:,} values (the median), "
            "which leaves little contrast: --levels percentile stretches each image to its own range"
        )
    return levels, said


def misnamed(forms: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence about the files whose suffix names another format than they have, of (path, format) of each; [] if
    there are none."""
    wrong = [(path, form) for path, form in forms if SUFFIXES.get(PurePosixPath(path).suffix.lower(), form) != form]
    if not wrong:
        return []
    path, form = wrong[0]
    files = "1 file is" if len(wrong) == 1 else f"{len(wrong)} files are"
    return [f"{files} read by the content, not the name; the first: {one_line(path)} is {form}"]


def unread_formats(rejected: Iterable[Rejected]) -> list[str]:
    """A sentence for each remedy, with the number of files of each format that is not read, of the files that are left
    out."""
    counts = Counter((left.form, left.reason) for left in rejected if left.form)
    remedies: dict[str, list[str]] = defaultdict(list)
    for (form, reason), count in counts.most_common():
        remedies[reason.partition(": ")[2]].append(f"{count} {form}")
    told = "left out because their format is not read"
    return [f"{told}: {', '.join(named)}: {remedy}" for remedy, named in remedies.items()]
