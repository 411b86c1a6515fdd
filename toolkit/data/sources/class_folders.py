"""A folder -> `Listing`: the images in the folders that stand for classes, as `toolkit.data.sources.layout` finds them.

No image is opened: `toolkit.data.image_set` checks the files, and whether the classes can be learned.

`toolkit.data.sources.walk` says which files and links count. A link to a folder is followed if it stands for a class or
a part, because data sets are often put together in this way; but not if it leads to a folder that contains it.
"""

from __future__ import annotations

from pathlib import Path

from toolkit.data.settings import DATA_SETTINGS, DataSettings
from toolkit.data.sources.layout.class_in_name import classes_in_names
from toolkit.data.sources.layout.find import find_layout
from toolkit.data.sources.layout.record import ClassFolder
from toolkit.data.sources.layout.undecided import no_class_folders
from toolkit.data.sources.listing import Entry, Listing, check_label
from toolkit.data.sources.walk import LINK, is_image, walk
from toolkit.errors import one_line


def read_folder(root: Path, settings: DataSettings = DATA_SETTINGS) -> Listing:
    """The files that the folder names. Raises UnfreezeError if a folder in it cannot be read, or if its layout does not
    say what is a class."""
    layout = find_layout(root, classes_outside=settings.group_by.partition(":")[0] == "folder")
    listing = Listing(root, notices=layout.notices)
    for one in layout.classes:
        check_label(one.label, one_line(str(root)))
        listing.classes.add((one.label, one.part))
        _add_tree(listing, one)
    for folder, reason in layout.left:
        listing.reject(folder, reason)
    for file in _images(listing, layout.loose):
        listing.reject(file, "not in a class folder")
    _refuse_heap(listing)
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


def _refuse_heap(listing: Listing) -> None:
    """Raises `UndecidedError` if there is a single class, and the names of its files seem to name more."""
    files = [listing.root / entry.path for entry in listing.entries]
    if len({label for label, _ in listing.classes}) == 1 and classes_in_names(files):
        raise no_class_folders(listing.root, files)
