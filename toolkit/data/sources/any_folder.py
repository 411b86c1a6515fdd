"""A folder of images without classes -> `Listing`, for `predict FOLDER` and `--evidence`, by the rules of `walk`."""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.listing import Entry, Listing
from toolkit.data.sources.walk import LINK, LOOP, is_image, leads_back, visible, walk


def read_any(folder: Path) -> Listing:
    """Every image below a folder, sorted by path. A link to a folder directly in it is followed, as one to a folder of
    a class is. Raises UnfreezeError if a folder cannot be read."""
    listing = Listing(folder)
    tops = [folder, *(link for link in visible(folder)[0] if link.is_symlink() and not leads_back(link))]
    for top in tops:
        for files, links in walk(top):
            _add(listing, files)
            for link in links:
                if link not in tops:
                    listing.reject(link, LOOP if leads_back(link) else LINK)
    listing.entries.sort(key=lambda entry: entry.path)
    return listing


def _add(listing: Listing, files: list[Path]) -> None:
    named = [file for file in files if is_image(file)]
    listing.ignored += len(files) - len(named)
    listing.entries += [Entry(file.relative_to(listing.root).as_posix(), "", "") for file in named]
