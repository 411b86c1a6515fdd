"""Ctrl-C, and a scheduler's SIGTERM, end a command in order, and soon.

The first one raises in the main thread, so that processes end and temporary files go. Where that thread is deep in a
library's C++ and does not come back within `GRACE`, or when a second signal comes, the process is left as it stands:
what is on disk is whole at any moment (`toolkit.storage.files`), and what a killed process leaves
behind is swept by the next.
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

GRACE = 2.5  # seconds; a converter may hold the interpreter's lock for as long again, and 5 are promised
AT_LEAVING: list[Callable[[], None]] = []  # what has to be done even when nothing is waited for
NAMES = tuple(name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code, as shells count: 130 after Ctrl-C."""
        return 128 + self.number

    def __str__(self) -> str:
        return "interrupted" if self.number == signal.SIGINT else f"ended by {signal.Signals(self.number).name}"


def listen(tell: Callable[[Interrupted], None]) -> None:
    """Have signals end this process as said above. `tell` says so where the main thread could not.

    Signals that the caller had ignored, as `nohup` does, stay so. For the main thread of a program.
    """
    numbers = [number for name in NAMES if signal.getsignal(number := getattr(signal, name)) is not signal.SIG_IGN]
    read, write = socket.socketpair()  # a pipe does not do on Windows
    write.setblocking(False)
    signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
    handle = _once()
    for number in numbers:
        signal.signal(number, handle)
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")  # of helpers: what is left as it stands is swept
    stderr = os.dup(2)
    threading.Thread(target=_watch, args=(read, numbers, stderr, tell), daemon=True).start()


def own_temporary_folder() -> None:
    """Have this process, and those that it starts, keep temporary files in a folder that goes when it leaves. Libraries
    remove theirs only where Python ends in its own way, and of ours some are in use when a signal does not wait.

    Where no such folder can be made, whatever needs one will say so.
    """
    with suppress(OSError):
        folder = tempfile.mkdtemp(prefix="unfreeze-")
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        AT_LEAVING.append(lambda: shutil.rmtree(folder, ignore_errors=True))


def leave(code: int) -> None:
    """End the process, without waiting for its threads: nothing that they are at is wanted any more."""
    for last in AT_LEAVING:
        with suppress(OSError):
            last()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)


def _once() -> Callable[[int, FrameType | None], None]:
    """A handler that raises for the first signal. A second one is heard by `_watch` alone."""
    raised = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        if not raised:
            raised = True
            raise Interrupted(number)

    return handle


def _watch(read: socket.socket, numbers: list[int], stderr: int, tell: Callable[[Interrupted], None]) -> None:
    """Hears of a signal even while the main thread is busy elsewhere."""
    first = _heard(read, numbers)
    read.settimeout(GRACE)
    with suppress(TimeoutError):
        _heard(read, numbers)
    ended = Interrupted(first)
    os.dup2(stderr, 2)  # what a library says may just be held back
    tell(ended)
    leave(ended.code)


def _heard(read: socket.socket, numbers: list[int]) -> int:
    while True:
        number = read.recv(1)[0]
        if number in numbers:
            return number
