"""Artefacts in fresh processes: their answers to many images, their times, load time and memory.

A process of its own gives each runtime the same start, and a file that crashes its runtime crashes only that. Answers
are computed for several artefacts at a time; times are taken with nothing else running, the artefacts in turn, so
that a machine that is busy for a while treats all alike.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from export.adapt import shares
from export.runners import NoRuntimeError, Runner, import_runtime, load, said
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent

BATCH = 32
ROUNDS = 6  # turns of each artefact
SINGLES = 10  # images, one at a time, in a turn


@dataclass(frozen=True)
class Timing:
    """Milliseconds an image, by the number of threads that the runtime was given."""

    threads: int
    load_ms: float  # reading the file and setting its runtime up; the runtime's import is not counted
    median: float  # one image at a time
    p95: float
    batch_median: float  # in batches of 32
    batch_p95: float


@dataclass(frozen=True)
class Measurement:
    """What one artefact answered, and what it costs."""

    probabilities: np.ndarray  # float32 [N, C]
    timings: tuple[Timing, ...] = ()
    memory_mb: float | None = None  # peak resident memory beyond what the imported runtime takes; None: not known here


Outcome = Measurement | UnfreezeError


def measure(
    paths: Sequence[Path],
    images: Path,
    rows: np.ndarray,
    *,
    threads: Sequence[int] = (),
    pixels: str | None = None,
    progress: Progress = silent,
) -> dict[Path, Outcome]:
    """Run each artefact over `images[rows]`, an .npy file of uint8 [N, S, S, 3]; time it with each number of `threads`.
    `pixels` as in `export.runners.load`.

    In place of a Measurement stands an UnfreezeError with what the runtime said where it does not load, does not run,
    or dies. NoRuntimeError where a runtime is not installed."""
    outcomes: dict[Path, Outcome] = {}
    with ExitStack() as stack:
        alive = _answered(paths, images, rows, pixels, stack, outcomes, progress)
        for done, count in enumerate(threads):
            progress("timing", done, len(threads))
            with ExitStack() as others:
                loaded = alive if count == 1 else _start(list(alive), count, pixels, others)
                for path, timing in _time_in_turn(loaded, images, rows, count).items():
                    measured = outcomes[path]
                    assert isinstance(measured, Measurement)
                    outcomes[path] = replace(measured, timings=(*measured.timings, timing))
    if threads:
        progress("timing", len(threads), len(threads))
    return outcomes


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Held:
    """An artefact, loaded in a process of its own. Use as a context manager: the process ends with it."""

    def __init__(self, path: Path, threads: int, pixels: str | None) -> None:
        self.path = path
        self.pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))
        self.call(_start_up, path, threads, pixels)

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *error: object) -> None:
        self.pool.shutdown()

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return self.pool.submit(function, *arguments).result()
        except BrokenProcessPool:
            raise UnfreezeError(f"{self.path}: its runtime crashed on it; export it again") from None


def _answered(
    paths: Sequence[Path],
    images: Path,
    rows: np.ndarray,
    pixels: str | None,
    stack: ExitStack,
    outcomes: dict[Path, Outcome],
    progress: Progress,
) -> dict[Path, Held]:
    """Answers into `outcomes`, as many artefacts at a time as there are cores, with a thread each; the processes of
    those that ran, which end with the stack."""

    def answer(path: Path) -> tuple[Held, Measurement] | UnfreezeError:
        try:
            held = stack.enter_context(Held(path, 1, pixels))
            memory = held.call(_memory, images, rows)
            return held, Measurement(held.call(_answer, images, rows), memory_mb=memory)
        except NoRuntimeError:
            raise
        except UnfreezeError as error:
            return error

    alive = {}
    progress("verifying", 0, len(paths))
    with ThreadPoolExecutor(cores()) as pool:
        for path, given in zip(paths, pool.map(answer, paths), strict=True):
            if isinstance(given, UnfreezeError):
                outcomes[path] = given
            else:
                alive[path], outcomes[path] = given
            progress("verifying", len(outcomes), len(paths))
    return alive


def _start(paths: Sequence[Path], threads: int, pixels: str | None, stack: ExitStack) -> dict[Path, Held]:
    with ThreadPoolExecutor(cores()) as pool:
        held = pool.map(lambda path: stack.enter_context(Held(path, threads, pixels)), paths)
        return dict(zip(paths, held, strict=True))


def _time_in_turn(loaded: dict[Path, Held], images: Path, rows: np.ndarray, threads: int) -> dict[Path, Timing]:
    loads = {path: held.call(_load) for path, held in loaded.items()}
    singles: dict[Path, list[float]] = {path: [] for path in loaded}
    batches: dict[Path, list[float]] = {path: [] for path in loaded}
    for turn in range(-1, ROUNDS):  # the first is to warm up
        for path, held in loaded.items():
            one = held.call(_times, images, np.roll(rows, -SINGLES * turn), 1, SINGLES)
            many = held.call(_times, images, np.roll(rows, -BATCH * turn), BATCH, 1)
            if turn >= 0:
                singles[path] += one
                batches[path] += many
    return {path: _timing(threads, loads[path], singles[path], batches[path]) for path in loaded}


def _timing(threads: int, load_seconds: float, singles: Sequence[float], batches: Sequence[float]) -> Timing:
    """Seconds an image -> milliseconds."""
    medians = [1e3 * float(np.percentile(times, q)) for times in (singles, batches) for q in (50, 95)]
    return Timing(threads, 1e3 * load_seconds, *medians)


# What runs in the process of an artefact.

_again: Callable[[], Runner]
_runner: Runner
_before: float | None
_adapted: Callable[[np.ndarray], np.ndarray]  # of a model from elsewhere: answers -> probabilities


def _start_up(path: Path, threads: int, pixels: str | None) -> None:
    """Import the runtime, and load the artefact."""
    global _again, _before, _adapted
    _adapted = shares if pixels is not None else lambda answers: answers
    import_runtime(path)
    _before = _resident("VmRSS")
    _again = partial(load, path, threads, pixels=pixels)
    _load()


def _load() -> float:
    """Load it, again; seconds."""
    global _runner
    started = time.perf_counter()
    _runner = _again()
    return time.perf_counter() - started


def _batch(images: Path, rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.load(images, mmap_mode="r", allow_pickle=False)[rows])


def _predict(images: np.ndarray) -> np.ndarray:
    try:
        return _runner.predict(images)
    except Exception as error:  # each runtime has exceptions of its own
        raise UnfreezeError(f"it does not run ({said(error)}); export it again") from None


def _answer(images: Path, rows: np.ndarray) -> np.ndarray:
    parts = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    return _adapted(np.concatenate([_predict(_batch(images, part)) for part in parts]))


def _times(images: Path, rows: np.ndarray, count: int, calls: int) -> list[float]:
    """Seconds an image, of calls with `count` images each."""
    times = []
    for call in range(calls):
        batch = _batch(images, np.resize(np.roll(rows, -call * count), count))
        started = time.perf_counter()
        _predict(batch)
        times.append((time.perf_counter() - started) / count)
    return times


def _memory(images: Path, rows: np.ndarray) -> float | None:
    """MB of resident memory, at its peak with one image and with a batch, beyond what the runtime took before the
    artefact was loaded."""
    for count in (1, BATCH):
        _times(images, rows, count, 2)
    peak = _resident("VmHWM")
    return None if peak is None or _before is None else max(0.0, peak - _before)


def _resident(entry: str) -> float | None:
    """MB, as Linux says; `ru_maxrss` would give the parent's where that is larger."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1e3 for line in lines if line.startswith(entry)), None)
