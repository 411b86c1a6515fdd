"""What the files of DATA are: how their 16-bit samples are to be read, and sentences for the user about formats."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from toolkit.data.sources.listing import Rejected
from toolkit.errors import one_line
from toolkit.pixels.formats import SUFFIXES
from toolkit.pixels.levels import FULL, PERCENTILE, bits_used


def resolved_levels(wanted: str, tops: Iterable[int]) -> tuple[str, list[str]]:
    """The `levels` of a set (`toolkit.pixels.levels`) for the setting "auto", "full" or "percentile", and what to say.

    `tops`: the largest sample of each training image; 0 for one of 8 bits. With "auto" the set's largest decides. Where
    none has more than 8 bits, the setting means nothing.
    """
    deep = [top for top in tops if top]
    if not deep:
        return FULL, []
    used = bits_used(max(deep))
    levels = {"full": FULL, "percentile": PERCENTILE}.get(wanted, str(used))
    images = f"{len(deep)} images have 16 bits per sample and use {used} of them"
    if levels == PERCENTILE:
        return levels, [f"{images}: each is stretched to its own range, as --levels percentile says"]
    if used == 16:
        return levels, [images]
    if levels == FULL:
        return levels, [f"{images}, so with --levels full they are dark: --levels auto uses what there is"]
    return levels, [f"{images}: they are read as {used}-bit ones (--levels full keeps all 16)"]


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
