"""A folder -> the files and folders in it that count, for `scan` and for `predict FOLDER`.

Hidden entries and `__MACOSX`, which macOS adds to archives, are left out. A link to a file counts as the file, wherever
it leads. A link to a folder below the one that was named is not followed, because it may lead back to a folder above,
in a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from toolkit.errors import UnfreezeError, one_line
from toolkit.pixels.formats import SUFFIXES, picture
from toolkit.storage.safe_read import head


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
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX")))
    except OSError as error:
        raise UnfreezeError(f"{one_line(str(folder))} cannot be read: {error.strerror}") from error
    kinds = [(path, is_true(path.is_dir)) for path in paths]
    return [path for path, is_folder in kinds if is_folder], [path for path, is_folder in kinds if not is_folder]


def is_image(file: Path) -> bool:
    """Whether the file has a picture's suffix, or begins as one, of a format that is read here or of another."""
    suffix = file.suffix.lower()
    return suffix in SUFFIXES or picture(_head(file), suffix) is not None


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
