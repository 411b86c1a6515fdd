"""Ctrl-C, SIGTERM and SIGHUP end a command in an orderly way, within seconds.

The first signal raises `Interrupted` in the main thread, so that helper processes end and temporary files are removed.
If the main thread is in a library's C++ code and does not return within `GRACE` seconds, or if a second signal comes,
the process ends at once. That damages nothing: no file is ever half written (`toolkit.storage.files`), and the next
command removes leftover temporary files.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

GRACE = 2.5  # seconds; then a converter may hold the interpreter lock for 2.5 more, and the docs promise 5 in all
AT_LEAVING: list[Callable[[], None]] = []  # called before the process ends at once
NAMES = tuple(name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code that shells use, 128 + the signal's number: 130 after Ctrl-C."""
        return 128 + self.number

    def __str__(self) -> str:
        return "interrupted" if self.number == signal.SIGINT else f"ended by {signal.Signals(self.number).name}"


def listen(tell: Callable[[Interrupted], None]) -> None:
    """Handle signals as described above; call it in the main thread. `tell` shows the message if that thread cannot.

    A signal that is ignored already, as `nohup` does, stays ignored.
    """
    numbers = [number for name in NAMES if signal.getsignal(number := getattr(signal, name)) is not signal.SIG_IGN]
    read, write = socket.socketpair()  # on Windows set_wakeup_fd takes no pipe
    write.setblocking(False)
    signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
    handle = _once()
    for number in numbers:
        signal.signal(number, handle)
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # helper processes warn of files that `sweep` removes
    stderr = os.dup(2)
    threading.Thread(target=_watch, args=(read, numbers, stderr, tell), daemon=True).start()


def own_temporary_folder() -> None:
    """Give this process and its children a temporary folder (TMPDIR) that `leave` deletes. `leave` uses os._exit, after
    which libraries do not remove their own temporary files.

    If the folder cannot be made, nothing happens here; code that needs temporary files reports it.
    """
    with suppress(OSError):
        folder = tempfile.mkdtemp(prefix="unfreeze-")
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        AT_LEAVING.append(lambda: shutil.rmtree(folder, ignore_errors=True))


def leave(code: int) -> None:
    """End the process at once, without waiting for its threads."""
    for last in AT_LEAVING:
        with suppress(OSError):
            last()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader may be gone
            stream.flush()
    os._exit(code)


def _once() -> Callable[[int, FrameType | None], None]:
    """A handler that raises for the first signal only; the second one is handled in `_watch`."""
    raised = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise Interrupted(number)

    return handle


def _watch(read: socket.socket, numbers: list[int], stderr: int, tell: Callable[[Interrupted], None]) -> None:
    """Wait for signals in a thread of its own, which also receives them while the main thread is in C++ code."""
    first = _heard(read, numbers)
    read.settimeout(GRACE)
    with suppress(TimeoutError):
        _heard(read, numbers)
    ended = Interrupted(first)
    os.dup2(stderr, 2)  # `hushed` may be redirecting it at the moment
    tell(ended)
    leave(ended.code)


def _heard(read: socket.socket, numbers: list[int]) -> int:
    while True:
        number = read.recv(1)[0]
        if number in numbers:
            return number
