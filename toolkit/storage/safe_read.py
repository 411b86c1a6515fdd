"""Read a file whose name came with the data: only a regular file, only up to `MAX_BYTES`, and without waiting.

A folder from elsewhere may hold a pipe, a device or a socket with an image's name, or a link to one. Opening a pipe
waits until somebody writes into it, and reading `/dev/zero` goes on until memory is full.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from toolkit.errors import UnfreezeError

MAX_BYTES = 500_000_000  # of one file; 100 million pixels without compression are 300 MB

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read(path: Path) -> bytes:
    """The bytes of the whole file; links are followed. Raises UnfreezeError with the reason, without the path, if it is
    not a regular file or too large; OSError if the system cannot open it; ValueError if no file can have this name."""
    _refuse(os.stat(path))  # opening alone may act on a device
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())  # the name may point to another file by now
        _refuse(status)
        return file.read(status.st_size + 1) or b""


def _refuse(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise UnfreezeError(f"not a file but {kind}")
    if status.st_size > MAX_BYTES:
        size = f"{status.st_size / 1e6:,.0f} MB".replace(",", " ")
        raise UnfreezeError(f"{size} are more than {MAX_BYTES // 10**6} MB: convert it to JPEG or PNG")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0))
