"""A folder -> `Listing`: the images in the folders that stand for classes, as `toolkit.data.sources.layout` finds them.

No image is opened: `toolkit.data.image_set` checks the files, and whether the classes can be learned.

`toolkit.data.sources.walk` says which files and links count. A link to a folder is followed if it stands for a class or
a part, because data sets are often put together in this way; but not if it leads to a folder that contains it.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from toolkit.data.settings import DATA_SETTINGS, DataSettings
from toolkit.data.sources.layout.class_in_name import classes_in_names
from toolkit.data.sources.layout.find import find_layout
from toolkit.data.sources.layout.record import ClassFolder
from toolkit.data.sources.listing import Entry, Listing, check_label
from toolkit.data.sources.walk import LINK, is_image, walk
from toolkit.errors import one_line


def read_folder(root: Path, settings: DataSettings = DATA_SETTINGS, known: Collection[str] = ()) -> Listing:
    """The files that the folder names. `known`: names that are classes without doubt. Raises UnfreezeError if a folder
    in it cannot be read, or if its layout does not say what is a class."""
    layout = find_layout(root, known=known, classes_outside=settings.group_by.partition(":")[0] == "folder")
    listing = Listing(root, notices=layout.notices)
    for one in layout.classes:
        check_label(one.label, one_line(str(root)))
        listing.classes.add((one.label, one.part))
        _add_tree(listing, one)
    for folder, reason in layout.left:
        listing.reject(folder, reason)
    for file in _images(listing, layout.loose):
        listing.reject(file, "not in a class folder")
    return listing


def _add_tree(listing: Listing, top: ClassFolder) -> None:
    for files, links in walk(top.folder):
        for file in _images(listing, files):
            listing.entries.append(Entry(file.relative_to(listing.root).as_posix(), top.label, top.part))
        for link in links:
            listing.reject(link, LINK)


def _images(listing: Listing, files: list[Path]) -> list[Path]:
    """The files with an image's suffix. The others are counted in `listing.ignored`."""
    images = [file for file in files if is_image(file)]
    listing.ignored += len(files) - len(images)
    return images


def classes_in_a_heap(listing: Listing) -> dict[str, int]:
    """class -> number of files that name it, if there is a single class of folders and the files seem to name more."""
    single = len({label for label, _ in listing.classes}) == 1
    return classes_in_names(Path(entry.path) for entry in listing.entries) if single else {}
