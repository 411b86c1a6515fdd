"""Read a file whose name came with the data: only a regular file, only up to `MAX_BYTES`, and without waiting.

A folder from elsewhere may hold a pipe, a device or a socket with an image's name, or a link to one. Opening a pipe
waits until somebody writes into it, and reading `/dev/zero` goes on until memory is full.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from toolkit.errors import UnfreezeError

MAX_BYTES = 500_000_000  # of one file; 100 million pixels without compression are 300 MB
LARGE = 16_000_000  # bytes of a file that is looked at before it is read
HEAD = 512  # bytes at its beginning, which tell what it is

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: Path, look: Callable[[bytes], object] | None = None) -> bytes:
    """The bytes of the whole file; links are followed. `look` is given the first `HEAD` bytes of one of more than
    `LARGE` bytes and may raise, before a film of gigabytes is read or found too large. Raises UnfreezeError with the
    reason, without the path, if it is not a regular file or too large; OSError if the system cannot open it; ValueError
    if no file can have this name."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if look is not None and size > LARGE:
            look(file.peek(HEAD)[:HEAD])
        if size > MAX_BYTES:
            length = f"{size / 1e6:,.0f} MB".replace(",", " ")
            raise UnfreezeError(f"{length} are more than {MAX_BYTES // 10**6} MB: convert it to JPEG or PNG")
        return file.read(size + 1) or b""


def head(path: Path) -> bytes:
    """The first `HEAD` bytes of a file of any length. Raises as `read` does."""
    with _opened(path) as file:
        return file.read(HEAD) or b""


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    _refuse_kind(os.stat(path))  # opening alone may act on a device
    with open(path, "rb", opener=_without_waiting) as file:
        _refuse_kind(os.fstat(file.fileno()))  # the name may point to another file by now
        yield file


def _refuse_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnfreezeError(f"not a file but {kind}")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
