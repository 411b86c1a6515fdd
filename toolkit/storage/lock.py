"""Locks. Only one process at a time writes into a run folder: a second one is refused, with a message that names the
first. In a cache, which runs may share, a second process waits until the first has written what both need.

The locks are those of the system (flock), which releases them when their process ends, also if it is killed. The owner
of a run folder is written into a file beside the lock, so that others can name it.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from toolkit.errors import UnfreezeError
from toolkit.storage.files import remove, sweep, write_json

LOCK, OWNER = ".lock", ".owner.json"
CACHE = "cache"  # in a run folder; other runs may be given it with --cache-dir
COPY = ".run.json"  # of run.json: if both were lost, a search of hours could not be continued


@contextmanager
def alone(run: Path) -> Iterator[None]:
    """Lock the run folder for this thread, and make it if it does not exist. Raises UnfreezeError if another thread or
    process has locked it, or if it cannot be written. The same thread may lock it again. A folder that was made here is
    removed again if it holds no run when the block ends."""
    import filelock  # imported here, because `--help` does not need it

    _check_clock()
    made: list[Path] = []
    try:
        made = _make(run)
        lock = filelock.FileLock(run.resolve() / LOCK, timeout=0, is_singleton=True)
        with _where_there_are_locks():
            lock.acquire()
    except filelock.Timeout:
        raise UnfreezeError(f"{run} is in use{_owner(run)}; wait until it has ended, or stop it") from None
    except (FileExistsError, NotADirectoryError):
        raise UnfreezeError(f"{run} is a file or lies below one; give a folder") from None
    except OSError as error:
        with suppress(OSError):
            _unmake(run, made)
        raise UnfreezeError(f"cannot write to {run} ({error.strerror}); give a folder that can be written") from None
    outermost = lock.lock_counter <= 1
    try:
        if outermost:
            sweep(run, run / CACHE)
            write_json(run / OWNER, _me())
        yield
    finally:
        if outermost:
            with suppress(OSError):
                remove(run / OWNER)
                _unmake(run, made)
        lock.release()


@contextmanager
def in_turn(path: Path, waiting: Callable[[int, int], None]) -> Iterator[None]:
    """Lock the file `path`. If another process has locked it, `waiting(0, 1)` is called, then `waiting(1, 1)`."""
    import filelock

    lock = filelock.FileLock(path)
    with _where_there_are_locks():
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            waiting(0, 1)
            lock.acquire()
            waiting(1, 1)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _where_there_are_locks() -> Iterator[None]:
    """Ignore the errors of network file systems without locks: there the user runs one command at a time."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP):
            raise


def check_run(run: Path) -> None:
    """Raises UnfreezeError if a folder is not a run. It is called before the folder is locked, because locking writes
    into it."""
    if not any((run / name).is_file() for name in ("run.json", COPY)):
        raise UnfreezeError(f"{run} is not a run folder (it has no run.json); `unfreeze run DATA {run}` makes one")


def _check_clock() -> None:
    """Raises UnfreezeError if the clock is before 1980: a .keras file is a zip archive, which cannot hold earlier
    times, so that saving the model would fail."""
    if time.localtime().tm_year < 1980:
        raise UnfreezeError(f"this computer's clock says {time.strftime('%Y-%m-%d')}; set it to today, 1980 or later")


def _me() -> dict[str, object]:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return {"pid": os.getpid(), "host": platform.node(), "since": since, "command": command}


def _owner(run: Path) -> str:
    """The owner in words, or "another process" if its file cannot be read."""
    try:
        told = json.loads((run / OWNER).read_text(encoding="utf-8"))
        if (told["pid"], told["host"]) == (os.getpid(), platform.node()):
            return " by another thread of this program"
        return f" by process {told['pid']} on {told['host']}, since {told['since']} (`{told['command']}`)"
    except (OSError, ValueError, KeyError, TypeError):
        return " by another process"


def _make(run: Path) -> list[Path]:
    """Make the run folder. Returns the paths that did not exist, the deepest first: lock file, folder, its parents."""
    missing = [path for path in (run / LOCK, run, *run.parents) if not path.exists()]
    run.mkdir(parents=True, exist_ok=True)
    return missing


def _unmake(run: Path, made: list[Path]) -> None:
    """Remove the paths that `_make` made, if no run was begun. No other process can have begun one, because the lock is
    still held."""
    if not (run / "run.json").exists():
        for path in made:
            if path.is_dir() and any(path.iterdir()):
                break
            path.rmdir() if path.is_dir() else path.unlink()
