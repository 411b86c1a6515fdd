"""Artefacts in processes of their own: their answers to many images, their latency, load time and memory.

In a process of its own each runtime starts alike, and a file that crashes its runtime ends only that process. Answers
are computed for several artefacts at a time. Times are taken while nothing else runs; the artefacts take turns, so that
a machine that is busy for a while slows all of them down alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from export.runtimes import worker
from export.runtimes.processes import FIRST_ANSWER_LIMIT, ArtefactProcess, ProcessGroup
from export.runtimes.runners import NoRuntimeError
from export.runtimes.worker import BATCH
from export.settings import Conversion
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
    repeated: float = 0.0  # largest difference between two answers to the same images


Outcome = Measurement | UnfreezeError


@dataclass(frozen=True)
class Task:
    """An artefact and the images that it is run on."""

    path: Path
    images: tuple[Path, ...]  # .npy files, uint8 [N, H, W, 3]; times are taken on the first
    conversion: Conversion | None = None  # of an artefact from elsewhere


def measure(
    tasks: Sequence[Task],
    *,
    threads: Sequence[int] = (),
    started: Mapping[Task, ArtefactProcess] = MappingProxyType({}),
    progress: Progress = silent,
) -> dict[Path, Outcome]:
    """Run each artefact over all its images; time it with each number of `threads`. `started`: processes that have
    loaded theirs already, with one thread.

    If an artefact does not load or run, or its process dies, its outcome is an UnfreezeError with what the runtime
    said. Raises NoRuntimeError if a runtime is not installed."""
    outcomes: dict[Path, Outcome] = {}
    with ProcessGroup() as processes:
        alive = {}
        for task, given in _answers(tasks, started, processes, progress):
            if isinstance(given, UnfreezeError):
                outcomes[task.path] = given
            else:
                alive[task], outcomes[task.path] = given
        for done, count in enumerate(threads):
            progress("timing", done, len(threads))
            with ProcessGroup() as others:
                loaded = alive if count == 1 else _start(list(alive), count, others)
                for path, timing in _time_in_turn(loaded, count).items():
                    measured = outcomes[path]
                    assert isinstance(measured, Measurement)
                    outcomes[path] = replace(measured, timings=(*measured.timings, timing))
    if threads:
        progress("timing", len(threads), len(threads))
    return outcomes


def _answers(
    tasks: Sequence[Task], started: Mapping[Task, ArtefactProcess], processes: ProcessGroup, progress: Progress
) -> Iterator[tuple[Task, tuple[ArtefactProcess, Measurement] | UnfreezeError]]:
    """Each artefact with its process and its answers, or with the error. As many run at a time as there are cores, each
    with one thread."""

    def answer(task: Task) -> tuple[ArtefactProcess, Measurement] | UnfreezeError:
        try:
            process = started.get(task) or processes.start(task.path, 1, task.conversion)
            over = task.images[0], _rows(task.images[0])
            (seconds,) = process.call(worker.times, *over, 1, 1, limit=FIRST_ANSWER_LIMIT)
            memory = process.call(worker.memory, *over, limit=max(FIRST_ANSWER_LIMIT, SLACK * seconds))
            answers, repeated = process.call(worker.answer, [(file, _rows(file)) for file in task.images])
            return process, Measurement(answers, (), process.class_names, memory, repeated)
        except NoRuntimeError:
            raise
        except UnfreezeError as error:
            return error

    progress("verifying", 0, len(tasks))
    with processes.threads() as pool:
        for done, (task, given) in enumerate(zip(tasks, pool.map(answer, tasks), strict=True), 1):
            yield task, given
            progress("verifying", done, len(tasks))


def _rows(file: Path) -> np.ndarray:
    """int64 [N]: the numbers of all images in a file."""
    return np.arange(len(np.load(file, mmap_mode="r", allow_pickle=False)))


Loaded = dict[Task, ArtefactProcess]


def _start(tasks: Sequence[Task], threads: int, processes: ProcessGroup) -> Loaded:
    """A process for each artefact. An artefact whose process does not start is left out, and so not timed."""

    def start(task: Task) -> ArtefactProcess | None:
        with suppress(UnfreezeError):
            return processes.start(task.path, threads, task.conversion)
        return None

    with processes.threads() as pool:
        return {task: held for task, held in zip(tasks, pool.map(start, tasks), strict=True) if held}


def _time_in_turn(loaded: Loaded, threads: int) -> dict[Path, Timing]:
    """The times of each artefact. One whose process ends meanwhile is left out."""
    going = dict(loaded)
    loads: dict[Task, list[float]] = {task: [] for task in loaded}
    singles: dict[Task, list[float]] = {task: [] for task in loaded}
    batches: dict[Task, list[float]] = {task: [] for task in loaded}
    for turn in range(-1, ROUNDS):  # the first turn warms up and is not counted
        for task, held in list(going.items()):
            images, rows = task.images[0], _rows(task.images[0])
            try:
                load = held.call(worker.reload) if turn < 0 else 0.0
                one = held.call(worker.times, images, np.roll(rows, -SINGLES * turn), 1, SINGLES)
                many = held.call(worker.times, images, np.roll(rows, -BATCH * turn), BATCH, 1)
            except UnfreezeError:
                del going[task]
                continue
            if turn < 0:
                loads[task].append(load)
            else:
                singles[task] += one
                batches[task] += many
    return {task.path: _timing(threads, loads[task][0], singles[task], batches[task]) for task in going}


def _timing(threads: int, load_seconds: float, singles: Sequence[float], batches: Sequence[float]) -> Timing:
    """Times in seconds an image -> a Timing in milliseconds."""
    medians = [1e3 * float(np.percentile(times, q)) for times in (singles, batches) for q in (50, 95)]
    return Timing(threads, 1e3 * load_seconds, *medians)
