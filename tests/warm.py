"""Processes in which TensorFlow has started, kept for the next file: its start takes most of the time of a test that
runs many Keras files and SavedModels one after the other. What is loaded in them is loaded anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from export.runtimes import worker
from export.runtimes.kind import kind_of
from export.runtimes.processes import ArtefactProcess
from export.runtimes.runners import RUNTIMES

KEPT = 2  # at most, for each number of threads, which TensorFlow cannot change later
OWN = {name: getattr(ArtefactProcess, name) for name in ("load", "call", "kill")}


@contextmanager
def warm_processes() -> Iterator[None]:
    """In this block, such processes are used again."""
    idle: dict[int, list[Any]] = {}

    def load(self: Any, threads: int, conversion: Any) -> None:
        self.threads = threads if _needs_tensorflow(self.path) else None
        if idle.get(threads) and self.threads is not None:
            self.process, self.pipe = idle[threads].pop()
            self.call(worker._answers_to_noise.cache_clear)
        OWN["load"](self, threads, conversion)

    def call(self: Any, function: Callable[..., Any], *arguments: Any, limit: float | None = None) -> Any:
        self.busy = True
        try:
            return OWN["call"](self, function, *arguments, limit=limit)
        finally:
            self.busy = False

    def kill(self: Any) -> None:
        threads = getattr(self, "threads", None)
        kept = idle.setdefault(threads, []) if threads is not None else None
        if kept is not None and len(kept) < KEPT and not self.busy and self.process and self.process.is_alive():
            kept.append((self.process, self.pipe))
            self.process, self.ended = None, True
        else:
            OWN["kill"](self)

    with pytest.MonkeyPatch.context() as patch:
        for name, function in {"load": load, "call": call, "kill": kill}.items():
            patch.setattr(ArtefactProcess, name, function)
        yield
    for process, _ in [one for kept in idle.values() for one in kept]:
        process.terminate()
        process.join()


def _needs_tensorflow(path: Path) -> bool:
    return kind_of(path) not in RUNTIMES
