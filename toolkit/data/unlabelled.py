"""A folder of images without labels -> `ImageSet` with one nameless class."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from toolkit.data.image_set import ImageSet, image_set_of, read_all
from toolkit.data.sources.any_folder import read_any
from toolkit.data.sources.reasons import why
from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.colour import IGNORED
from toolkit.pixels.levels import FULL


def scan_unlabelled(
    folder: Path,
    *,
    leave_out: Collection[str] = (),
    levels: str = FULL,
    profiles: str = IGNORED,
    progress: Callable[[int, int], None] | None = None,
) -> ImageSet:
    """Every usable image below a folder, each content once, but those whose SHA-256 is in `leave_out`. The label of all
    is 0. `levels`, `profiles`: how the model takes 16-bit images, and colours. Raises UnfreezeError if the folder
    cannot be read, or if no image is left."""
    if not folder.is_dir():
        raise UnfreezeError(f"{one_line(str(folder))} is not a folder; give a folder of images")
    listing = read_any(folder)
    found, broken = read_all(listing, progress or (lambda done, total: None))
    kept = {image.digest: image for image in reversed(found) if image.digest not in leave_out}
    images = sorted(kept.values(), key=lambda image: image.entry.path)
    if not images:
        seen = f"{len(found)} images that are all in the run already" if found else "no usable image"
        seen += why([*listing.rejected, *broken], listing.ignored)
        raise UnfreezeError(f"{one_line(str(folder))} has {seen}; give a folder of other images")
    return replace(image_set_of(listing, ("",), images, [*listing.rejected, *broken]), levels=levels, profiles=profiles)
