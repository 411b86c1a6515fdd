"""Processes that hold one artefact each: how they are started, called and ended.

They communicate over a pipe. An executor of `concurrent.futures` would need semaphores, which do not work if /dev/shm
is not writable, as in some containers.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from export.runtimes import worker
from export.settings import Conversion
from toolkit.errors import UnfreezeError
from toolkit.process.cores import cores

FIRST_ANSWER_LIMIT = 600.0  # seconds for the first answer of a file: a model may contain an endless loop


_spawn_lock = threading.Lock()  # held while a process is started: that changes state of all threads for a moment


class ArtefactProcess:
    """An artefact in a process of its own, which starts with the first call and may be ended from any thread. One call
    at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.class_names: tuple[str, ...] | None = None
        self.process: SpawnProcess | None = None
        self.lock, self.ended = threading.Lock(), False

    def load(self, threads: int, conversion: Conversion | None) -> None:
        self.class_names = self.call(worker.start_up, self.path, threads, conversion)

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        with self.lock:
            self.ended = True
            if self.process:
                self.process.terminate()

    def end(self) -> None:
        """End the process and wait until it is gone."""
        self.kill()
        if self.process:
            self.process.join()

    def call(self, function: Callable[..., Any], *arguments: Any, limit: float | None = None) -> Any:
        """Run a function in the process and return its result. Raises UnfreezeError if the process ends, or takes more
        than `limit` seconds."""
        ended = UnfreezeError(f"{self.path}: the process that ran it ended: it crashed, or memory ran out")
        with self.lock:
            if self.ended:
                raise ended
            if not self.process:
                self._start()
        try:
            self.pipe.send((function, arguments))
            answered = self.pipe.poll(limit)
            given, error = self.pipe.recv() if answered else (None, None)
        except (EOFError, OSError):  # the process is gone
            raise ended from None
        if not answered:
            self.kill()
            raise UnfreezeError(f"{self.path} does not answer within {limit:g} s")
        if error is not None:
            raise error
        return given

    def _start(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self.pipe, its_end = spawning.Pipe()
        process = spawning.Process(target=worker.serve, args=(its_end,), daemon=True)
        with _spawn_lock, _interrupts_blocked(), _without_main_script(), its_end:
            process.start()
        self.process = process


class ProcessGroup:
    """Several artefact processes, used as a context manager. When the block ends, all of them end, also those that are
    still starting, and no other can be started."""

    def __init__(self) -> None:
        self.held: list[ArtefactProcess] = []
        self.lock, self.ended = threading.Lock(), False

    def __enter__(self) -> ProcessGroup:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def start(self, path: Path, threads: int, conversion: Conversion | None) -> ArtefactProcess:
        with self.lock:
            if self.ended:
                raise UnfreezeError(f"{path}: not run, because the others were ended")
            held = ArtefactProcess(path)
            self.held.append(held)
        held.load(threads, conversion)
        return held

    @contextmanager
    def threads(self) -> Iterator[ThreadPoolExecutor]:
        """A pool of as many threads as there are cores. If the block raises, as on Ctrl-C, all processes are ended
        first: leaving the pool waits for its threads, and these wait for the processes."""
        with ThreadPoolExecutor(cores()) as pool:
            try:
                yield pool
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.end()
                raise

    def end(self) -> None:
        with self.lock:
            self.ended = True
        for held in self.held:
            held.kill()
        for held in self.held:
            held.end()


@contextmanager
def _without_main_script() -> Iterator[None]:
    """Keep a process that is started in this block from running the caller's script again.

    multiprocessing imports the script of `__main__` in each process that it spawns. A script that calls Unfreeze
    without `if __name__ == "__main__"`, as people write them, would then start processes without end. multiprocessing
    has no option against it.
    """
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C in a process that is started in this block. A terminal sends it to all processes; the caller
    ends its processes itself, and their interpreters would print tracebacks."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # its first start, which a spawn brings about, would unblock SIGINT again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
