"""Files that are never half written: each is written under a temporary name beside it, synced, and renamed."""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from toolkit.errors import UnfreezeError
from toolkit.storage.safe_read import read

# Errors of file systems that cannot allocate space.
CANNOT_RESERVE = (errno.EBADF, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)
DAY = 86_400  # seconds
_OWNER = re.compile(r"\..*\.((?P<host>[0-9a-f]{8})-)?(?P<pid>[0-9]{1,9})", re.DOTALL)  # before .tmp


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path, which is renamed to `path` when the block ends, and removed if the block raises.

    The block writes a file or makes a folder there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(temporary_name(path.stem, path.suffix))
    try:
        yield temporary
        if temporary.is_dir():
            remove(path)
        else:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    finally:
        remove(temporary)


def temporary_name(stem: str, suffix: str = "") -> str:
    """The name of a file or folder that only this process writes. It is hidden and contains the host and the process,
    so that `sweep` can tell when it is left over."""
    return f".{stem}.{_host()}-{os.getpid()}.tmp{suffix}"


def sweep(folder: Path, shared: Path | None = None) -> None:
    """Remove the temporary files that killed processes left below `folder`. This process must hold the folder's lock.

    A file of this host is removed if its process has ended, or if its process has the same number as this one: in
    containers every command may be process 1. A file of another host is removed at once, because nobody else can write
    into a locked folder; but below `shared`, the cache into which runs on other hosts may write, only when it is a day
    old. A name without a host, as older versions wrote it, counts as one of this host, and below `shared` as one of
    another host.
    """
    for path in folder.rglob(".*.tmp*"):
        found = _OWNER.fullmatch(path.name.partition(".tmp")[0])
        if not found:
            continue
        host, pid = found["host"], int(found["pid"])
        in_shared = shared is not None and path.is_relative_to(shared)
        if host == _host() or (host is None and not in_shared):
            left = pid == os.getpid() or not _alive(pid)
        else:
            left = not in_shared or _age(path) > DAY
        if left:
            remove(path)


@functools.cache
def _host() -> str:
    """Eight hex digits that differ between hosts, between containers, and between two starts of a host."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:  # not Linux
        boot = ""
    return hashlib.sha256(f"{platform.node()} {boot}".encode()).hexdigest()[:8]


def _age(path: Path) -> float:
    """Seconds since the file was last written; 0 if it does not exist any more."""
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:
        return 0


def _alive(pid: int) -> bool:
    if os.name == "nt":
        return True  # where `os.kill` would interrupt the process
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _sync_folder(folder: Path) -> None:
    """Sync the folder itself: otherwise a power cut may undo the renaming."""
    with contextlib.suppress(OSError):  # not every file system allows it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, removed when the block ends. If the process is killed, `sweep` removes it."""
    path = folder / temporary_name("scratch")
    remove(path)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        remove(path)


def reserve(path: Path, size: int) -> None:
    """Allocate `size` bytes on disk for a file, on systems that can (posix_fallocate). Raises OSError if the disk is
    full."""
    if not hasattr(os, "posix_fallocate"):  # not on macOS and Windows
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        before = os.fstat(handle).st_size
        os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno in CANNOT_RESERVE:
            return
        os.ftruncate(handle, before)  # give back the part that was allocated
        error.filename = str(path)
        raise
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file of a run. Raises UnfreezeError if the file is missing or damaged."""
    try:
        return json.loads(read(path).decode())
    except FileNotFoundError:
        raise UnfreezeError(f"{path} is missing; is {path.parent} a run folder whose step was completed?") from None
    except (ValueError, OSError, RecursionError, UnfreezeError) as error:
        raise UnfreezeError(f"{path} cannot be read ({error}); remove it and repeat the step that writes it") from None


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hex; "" if there is no such file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
