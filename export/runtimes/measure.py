"""Artefacts in processes of their own: their answers to many images, their latency, load time and memory.

In a process of its own each runtime starts alike, and a file that crashes its runtime ends only that process. Answers
are computed for several artefacts at a time. Times are taken while nothing else runs; the artefacts take turns, so that
a machine that is busy for a while slows all of them down alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.runtimes import worker
from export.runtimes.processes import FIRST_ANSWER_LIMIT, ArtefactProcess, ProcessGroup
from export.runtimes.runners import NoRuntimeError
from export.runtimes.worker import BATCH
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent

# `worker.memory` runs 66 images and may take so many times the first image's seconds, at least FIRST_ANSWER_LIMIT
SLACK = 300
ROUNDS = 10  # turns that each artefact gets
SINGLES = 6  # images, one at a time, in a turn


@dataclass(frozen=True)
class Timing:
    """Milliseconds an image, by the number of threads that the runtime was given."""

    threads: int
    load_ms: float  # reading the file from the system's cache and preparing it; without the import of the runtime
    median: float  # one image at a time
    p95: float
    batch_median: float  # in batches of 32
    batch_p95: float


@dataclass(frozen=True)
class Measurement:
    """The answers of one artefact, its times and its memory."""

    probabilities: np.ndarray  # float32 [N, C]
    timings: tuple[Timing, ...] = ()
    class_names: tuple[str, ...] | None = None  # as the artefact has them; None: it names none
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
    `pixels` as in `export.runtimes.runners.load`.

    If an artefact does not load or run, or its process dies, its outcome is an UnfreezeError with what the runtime
    said. Raises NoRuntimeError if a runtime is not installed."""
    outcomes: dict[Path, Outcome] = {}
    with ProcessGroup() as processes:
        alive = {}
        for path, given in _answers(paths, _Images(images, rows, pixels), processes, progress):
            if isinstance(given, UnfreezeError):
                outcomes[path] = given
            else:
                alive[path], outcomes[path] = given
        for done, count in enumerate(threads):
            progress("timing", done, len(threads))
            with ProcessGroup() as others:
                loaded = alive if count == 1 else _start(list(alive), count, pixels, others)
                for path, timing in _time_in_turn(loaded, images, rows, count).items():
                    measured = outcomes[path]
                    assert isinstance(measured, Measurement)
                    outcomes[path] = replace(measured, timings=(*measured.timings, timing))
    if threads:
        progress("timing", len(threads), len(threads))
    return outcomes


@dataclass(frozen=True)
class _Images:
    """The images that the artefacts are run on."""

    file: Path  # .npy, uint8 [N, S, S, 3]
    rows: np.ndarray  # int64: the images that are used
    pixels: str | None  # the range that an artefact from elsewhere takes


def _answers(
    paths: Sequence[Path], images: _Images, processes: ProcessGroup, progress: Progress
) -> Iterator[tuple[Path, tuple[ArtefactProcess, Measurement] | UnfreezeError]]:
    """Each artefact with its process and its answers, or with the error. As many run at a time as there are cores, each
    with one thread."""

    def answer(path: Path) -> tuple[ArtefactProcess, Measurement] | UnfreezeError:
        try:
            process, over = processes.start(path, 1, images.pixels), (images.file, images.rows)
            (seconds,) = process.call(worker.times, *over, 1, 1, limit=FIRST_ANSWER_LIMIT)
            memory = process.call(worker.memory, *over, limit=max(FIRST_ANSWER_LIMIT, SLACK * seconds))
            return process, Measurement(process.call(worker.answer, *over), (), process.class_names, memory)
        except NoRuntimeError:
            raise
        except UnfreezeError as error:
            return error

    progress("verifying", 0, len(paths))
    with processes.threads() as pool:
        for done, (path, given) in enumerate(zip(paths, pool.map(answer, paths), strict=True), 1):
            yield path, given
            progress("verifying", done, len(paths))


Loaded = dict[Path, ArtefactProcess]


def _start(paths: Sequence[Path], threads: int, pixels: str | None, processes: ProcessGroup) -> Loaded:
    """A process for each artefact. An artefact whose process does not start is left out, and so not timed."""

    def start(path: Path) -> ArtefactProcess | None:
        with suppress(UnfreezeError):
            return processes.start(path, threads, pixels)
        return None

    with processes.threads() as pool:
        return {path: held for path, held in zip(paths, pool.map(start, paths), strict=True) if held}


def _time_in_turn(loaded: Loaded, images: Path, rows: np.ndarray, threads: int) -> dict[Path, Timing]:
    """The times of each artefact. One whose process ends meanwhile is left out."""
    going = dict(loaded)
    loads: dict[Path, list[float]] = {path: [] for path in loaded}
    singles: dict[Path, list[float]] = {path: [] for path in loaded}
    batches: dict[Path, list[float]] = {path: [] for path in loaded}
    for turn in range(-1, ROUNDS):  # the first turn warms up and is not counted
        for path, held in list(going.items()):
            try:
                load = held.call(worker.reload) if turn < 0 else 0.0
                one = held.call(worker.times, images, np.roll(rows, -SINGLES * turn), 1, SINGLES)
                many = held.call(worker.times, images, np.roll(rows, -BATCH * turn), BATCH, 1)
            except UnfreezeError:
                del going[path]
                continue
            if turn < 0:
                loads[path].append(load)
            else:
                singles[path] += one
                batches[path] += many
    return {path: _timing(threads, loads[path][0], singles[path], batches[path]) for path in going}


def _timing(threads: int, load_seconds: float, singles: Sequence[float], batches: Sequence[float]) -> Timing:
    """Times in seconds an image -> a Timing in milliseconds."""
    medians = [1e3 * float(np.percentile(times, q)) for times in (singles, batches) for q in (50, 95)]
    return Timing(threads, 1e3 * load_seconds, *medians)
