"""A folder -> `Listing`: a sub-folder for each class, or train/, val/ and test/ with a sub-folder for each class.

No image is opened: `toolkit.data.image_set` checks the files, and whether the classes can be learned.

`toolkit.data.sources.walk` says which files and links count. A link to a folder is followed if it stands for a class or
a part, because data sets are often put together in this way; but not if it leads to a folder that contains it.
"""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.listing import Entry, Listing, check_label
from toolkit.data.sources.part_names import part_of
from toolkit.data.sources.walk import is_image, visible, walk
from toolkit.errors import UnfreezeError, one_line


def read_folder(root: Path) -> Listing:
    """The files that the folder names. Raises UnfreezeError if it has no class folder, or if a folder in it cannot be
    read."""
    listing = Listing(root)
    folders, loose = visible(root)
    parts = {folder: part for folder in folders if (part := part_of(folder.name))}
    # A class may itself be called "train": it then holds images, not folders.
    divided = {part for folder, part in parts.items() if visible(folder)[0]}
    if divided and ("train" in divided or len(parts) == len(folders)):
        _add_parts(listing, folders, parts)
    else:
        _add_classes(listing, folders, "")
    _reject_loose(listing, loose)
    if not listing.classes:
        raise UnfreezeError(
            f"{one_line(str(root))} has no class folders: put each class's images into a sub-folder of its own"
        )
    return listing


def _add_parts(listing: Listing, folders: list[Path], parts: dict[Path, str]) -> None:
    for folder in folders:
        if folder in parts:
            classes, loose = visible(folder)
            _add_classes(listing, classes, parts[folder])
            _reject_loose(listing, loose)
        else:
            listing.reject(folder, "a folder beside train/ that is neither val/ nor test/")


def _add_classes(listing: Listing, folders: list[Path], part: str) -> None:
    for folder in folders:
        outer = folder.parent.resolve()
        if folder.is_symlink() and folder.resolve() in (outer, *outer.parents):
            listing.reject(folder, "a symbolic link to a folder that it is in, which is not followed")
            continue
        check_label(folder.name, one_line(str(listing.root)))
        listing.classes.add((folder.name, part))
        _add_tree(listing, folder, folder.name, part)


def _add_tree(listing: Listing, top: Path, label: str, part: str) -> None:
    for files, links in walk(top):
        for file in _images(listing, files):
            listing.entries.append(Entry(file.relative_to(listing.root).as_posix(), label, part))
        for link in links:
            listing.reject(link, "a symbolic link to a folder, which is not followed")


def _reject_loose(listing: Listing, files: list[Path]) -> None:
    for file in _images(listing, files):
        listing.reject(file, "not in a class folder")


def _images(listing: Listing, files: list[Path]) -> list[Path]:
    """The files with an image's suffix. The others are counted in `listing.ignored`."""
    images = [file for file in files if is_image(file)]
    listing.ignored += len(files) - len(images)
    return images
