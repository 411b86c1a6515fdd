"""The functions that run in the process of one artefact. The process loads it once and keeps it.

`export.runtimes.processes` calls them. Arguments and results are pickled.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from export.runtimes.inputs_outputs import to_probabilities
from export.runtimes.runners import Runner, import_runtime, load
from export.runtimes.tensors import Tensor, tensors
from export.variants import export_advice
from toolkit.errors import UnfreezeError, short_reason

BATCH = 32

_path: Path
_reload: Callable[[], Runner]
_runner: Runner
_before: float | None
_adapted: Callable[[np.ndarray], np.ndarray]  # of a model from elsewhere: answers -> probabilities


def serve(pipe: Connection) -> None:
    """The main loop of the process: run the functions that come over the pipe, until the parent ends it or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    while True:
        try:
            function, arguments = pipe.recv()
        except EOFError:
            return
        given, error = None, None
        try:
            given = function(*arguments)
        except Exception as raised:  # the parent raises it again
            error = raised
            error.add_note(traceback.format_exc())  # pickling drops the traceback
        pipe.send((given, error))


def start_up(path: Path, threads: int, pixels: str | None) -> tuple[str, ...] | None:
    """Import the runtime, and load the artefact. Returns the class names in its description, or None if it has none."""
    global _path, _reload, _before, _adapted
    _adapted = to_probabilities if pixels is not None else lambda answers: answers
    import_runtime(path)
    _before = _resident("VmRSS")
    _path, _reload = path, partial(load, path, threads, pixels=pixels)
    reload()
    return tuple(_runner.description["class_names"]) if _runner.description else None


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def reload() -> float:
    """Load the artefact again; returns how many seconds that took."""
    global _runner
    started = time.perf_counter()
    _runner = _reload()
    return time.perf_counter() - started


def description_and_shape() -> tuple[dict[str, Any] | None, tuple[Any, ...]]:
    """The description in the artefact, and the shape of its input."""
    return _runner.description, _runner.shape


def predict(images: np.ndarray) -> np.ndarray:
    """uint8 [N, S, S, 3] -> the artefact's answers [N, C]."""
    return np.asarray(_predict(images))


def _batch(images: Path, rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.load(images, mmap_mode="r", allow_pickle=False)[rows])


def _predict(images: np.ndarray) -> np.ndarray:
    try:
        return _runner.predict(images)
    except Exception as error:  # each runtime has exceptions of its own
        raise UnfreezeError(f"it does not run ({short_reason(error)}); {export_advice(_path)}") from None


def answer(images: Path, rows: np.ndarray) -> np.ndarray:
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return _adapted(np.concatenate([_predict(_batch(images, part)) for part in parts]))


def intermediate_tensors(path: Path, images: np.ndarray, pixels: str | None) -> list[Tensor]:
    """Every intermediate tensor that a file computes of `images`, uint8 [N, S, S, 3]; `pixels` as in `load`. `start_up`
    need not have been called."""
    return tensors(path, images if pixels is None else load(path, pixels=pixels).to_input(images))


def times(images: Path, rows: np.ndarray, count: int, calls: int) -> list[float]:
    """Seconds an image of each of `calls` calls, with `count` images a call."""
    taken = []
    for call in range(calls):
        batch = _batch(images, np.resize(np.roll(rows, -call * count), count))
        started = time.perf_counter()
        _predict(batch)
        taken.append((time.perf_counter() - started) / count)
    return taken


def memory(images: Path, rows: np.ndarray) -> float | None:
    """Peak resident memory in MB with one image and with a batch, beyond what the process took before the artefact was
    loaded. None if the system does not tell."""
    for count in (1, BATCH):
        times(images, rows, count, 2)
    peak = _resident("VmHWM")
    return None if peak is None or _before is None else max(0.0, peak - _before)


def _resident(entry: str) -> float | None:
    """MB, from /proc; None if there is no such file. `ru_maxrss` is not used: a child starts with its parent's
    value."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith(entry)), None)
