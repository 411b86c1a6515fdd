"""DATA -> the files it names, each with its label and part: the three layouts, read without opening an image.

A folder with a sub-folder per class; or with train/, val/, test/, each with a sub-folder per class; or a CSV
`path,label[,split]`. What is in the files, and whether the classes will do, is left to `toolkit.data.image_set`.

Links: one to a file is followed, wherever it leads, and so is one that stands for a class or a part: data sets are put
together so. One to a folder further down is not, nor one that leads up to a folder it is in: either may go round for
ever. Paths in a CSV are relative to its folder and stay in it; elsewhere leads an absolute path, written on purpose.
"""

from __future__ import annotations

from pathlib import Path

from toolkit.data.sources.listing import PARTS, Entry, Listing, check_label, surely
from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.decode import SUFFIXES


def read_folder(root: Path) -> Listing:
    listing = Listing(root)
    folders, loose = _visible(root)
    parts = {folder: PARTS[folder.name.lower()] for folder in folders if folder.name.lower() in PARTS}
    # A class may itself be called "train": it then holds images, not folders.
    divided = {part for folder, part in parts.items() if _visible(folder)[0]}
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
            classes, loose = _visible(folder)
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
    waiting = [top]  # no recursion: folders may be nested more deeply than Python's stack
    while waiting:
        folders, files = _visible(waiting.pop())
        for file in _images(listing, files):
            listing.entries.append(Entry(file.relative_to(listing.root).as_posix(), label, part))
        for inner in folders:
            if inner.is_symlink():  # it may lead back up, and round for ever
                listing.reject(inner, "a symbolic link to a folder, which is not followed")
            else:
                waiting.append(inner)


def _reject_loose(listing: Listing, files: list[Path]) -> None:
    for file in _images(listing, files):
        listing.reject(file, "not in a class folder")


def _images(listing: Listing, files: list[Path]) -> list[Path]:
    """Those with an image's suffix; the others are counted."""
    images = [file for file in files if file.suffix.lower() in SUFFIXES]
    listing.ignored += len(files) - len(images)
    return images


def _visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """Sub-folders and files, sorted, without hidden ones and what macOS adds to archives."""
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise UnfreezeError(f"{one_line(str(folder))} cannot be read: {error.strerror}") from error
    kinds = [(path, surely(path.is_dir)) for path in paths]
    return [path for path, is_folder in kinds if is_folder], [path for path, is_folder in kinds if not is_folder]
