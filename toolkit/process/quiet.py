"""Hold back what native libraries write to standard error.

If a library fails, its exception says what went wrong.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_blocks = 0  # `hushed` blocks that are running, in all threads
_kept = -1  # while one runs: a duplicate of the standard error that the first one found


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Send file descriptor 2 to the null device while the block runs.

    The descriptor belongs to the whole process, so blocks may be nested and may overlap in several threads: the first
    one to begin redirects it, and the last one to end restores it.
    """
    _redirect()
    try:
        yield
    finally:
        _restore()


def _redirect() -> None:
    global _blocks, _kept
    with _lock:
        if not _blocks:
            sys.stderr.flush()
            kept = os.dup(2)
            try:
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), 2)
            except OSError:
                os.close(kept)
                raise
            _kept = kept
        _blocks += 1


def _restore() -> None:
    global _blocks
    with _lock:
        _blocks -= 1
        if not _blocks:
            with contextlib.suppress(OSError, ValueError):  # a stream that cannot be flushed is restored all the same
                sys.stderr.flush()
            os.dup2(_kept, 2)
            os.close(_kept)
