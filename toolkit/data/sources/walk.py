"""A folder -> the files and folders in it that count, for `scan`, for `predict FOLDER` and for `--evidence`.

Hidden entries and what systems leave behind are left out (`is_litter`). A link to a file counts as the file, wherever
it leads. A link to a folder that stands beside the classes is followed; one further down is not, because it may lead
back to a folder above, in a loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.formats import SUFFIXES, picture
from toolkit.storage.safe_read import head

LITTER = {  # in lower case: what macOS, Windows, file systems and network drives put beside people's files
    *("icon\r", "network trash folder", "temporary items"),
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler", "system volume information"),
    *("lost+found", "__pycache__"),
    *("@eadir", "@recycle", "@recently-snapshot", "@__thumb", "@tmp", "#recycle", "#snapshot"),
}
LINK = "a symbolic link to a folder, which is not followed"
LOOP = "a symbolic link to a folder that it is in, which is not followed"


def walk(top: Path) -> Iterator[tuple[list[Path], list[Path]]]:
    """For `top` and each folder below: its files, and its links to folders, each sorted.

    Raises UnfreezeError if a folder cannot be read.
    """
    waiting = [top]  # no recursion: folders may be nested more deeply than Python's stack
    while waiting:
        folders, files = visible(waiting.pop())
        links = [folder for folder in folders if folder.is_symlink()]
        waiting += [folder for folder in folders if not folder.is_symlink()]
        yield files, links


def visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """Sub-folders, links to folders among them, and files, each sorted. Raises UnfreezeError if it cannot be read."""
    found = sorted(entries(folder))
    return [folder / name for name, inner in found if inner], [folder / name for name, inner in found if not inner]


def entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """(name, whether it is a folder) of what counts in a folder, in any order: quick, as no path is made of it."""
    try:
        with os.scandir(folder) as found:  # it knows what is a folder without asking for each file
            for one in found:
                if not is_litter(one.name):
                    yield one.name, is_true(one.is_dir)
    except OSError as error:
        raise UnfreezeError(f"{one_line(str(folder))} cannot be read: {error.strerror}") from error


def is_litter(name: str) -> bool:
    """Whether an entry of this name is no one's data: hidden, or left behind by a system."""
    small = name.lower()
    return small.startswith((".", "__macosx")) or small in LITTER


def leads_back(folder: Path) -> bool:
    """Whether a folder is a link to a folder that contains it."""
    if not folder.is_symlink():
        return False
    outer = folder.parent.resolve()
    return folder.resolve() in (outer, *outer.parents)


def is_image(file: Path) -> bool:
    """Whether the file has a picture's suffix, or begins as one, of a format that is read here or of another."""
    return has_picture_suffix(file.name) or picture(_head(file)) is not None


def has_picture_suffix(name: str) -> bool:
    """Whether a name alone says that its file is a picture, of a format that is read here or of another. No file is
    opened, so that it may be asked of a text that is no path of this machine."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in SUFFIXES or picture(b"", suffix) is not None


def _head(file: Path) -> bytes:
    """The first bytes; none if the file cannot be read, or is none."""
    try:
        return head(file)
    except (OSError, ValueError, UnfreezeError):
        return b""


def is_true(ask: Callable[[], bool]) -> bool:
    """`ask()`, or False if it raises OSError: `Path.is_dir` and similar functions do so for a name that is too long,
    and for a link to a place to which this user has no access."""
    try:
        return ask()
    except OSError:
        return False
