"""Artefacts in fresh processes: their answers to many images, their times, load time and memory.

A process of its own gives each runtime the same start, and a file that crashes its runtime crashes only that. Answers
are computed for several artefacts at a time; times are taken with nothing else running, the artefacts in turn, so
that a machine that is busy for a while treats all alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.runtimes import worker
from export.runtimes.processes import ANSWER, Held, Processes
from export.runtimes.runners import NoRuntimeError
from export.runtimes.worker import BATCH
from toolkit.errors import UnfreezeError
from toolkit.progress import Progress, silent

SLACK = 300  # times as long as that may its next 66 images take
ROUNDS = 10  # turns of each artefact
SINGLES = 6  # images, one at a time, in a turn


@dataclass(frozen=True)
class Timing:
    """Milliseconds an image, by the number of threads that the runtime was given."""

    threads: int
    load_ms: float  # reading the file, which the system has in its cache, and setting up; without the runtime's import
    median: float  # one image at a time
    p95: float
    batch_median: float  # in batches of 32
    batch_p95: float


@dataclass(frozen=True)
class Measurement:
    """What one artefact answered, and what it costs."""

    probabilities: np.ndarray  # float32 [N, C]
    timings: tuple[Timing, ...] = ()
    class_names: tuple[str, ...] | None = None  # as the artefact has them; None: it does not say
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

    In place of a Measurement stands an UnfreezeError with what the runtime said where it does not load, does not run,
    or dies. NoRuntimeError where a runtime is not installed."""
    outcomes: dict[Path, Outcome] = {}
    with Processes() as processes:
        alive = _answered(paths, images, rows, pixels, processes, outcomes, progress)
        for done, count in enumerate(threads):
            progress("timing", done, len(threads))
            with Processes() as others:
                loaded = alive if count == 1 else _start(list(alive), count, pixels, others)
                for path, timing in _time_in_turn(loaded, images, rows, count).items():
                    measured = outcomes[path]
                    assert isinstance(measured, Measurement)
                    outcomes[path] = replace(measured, timings=(*measured.timings, timing))
    if threads:
        progress("timing", len(threads), len(threads))
    return outcomes


def _answered(
    paths: Sequence[Path],
    images: Path,
    rows: np.ndarray,
    pixels: str | None,
    processes: Processes,
    outcomes: dict[Path, Outcome],
    progress: Progress,
) -> dict[Path, Held]:
    """Answers into `outcomes`, as many artefacts at a time as there are cores, with a thread each; the processes of
    those that ran."""

    def answer(path: Path) -> tuple[Held, Measurement] | UnfreezeError:
        try:
            held = processes.hold(path, 1, pixels)
            (seconds,) = held.call(worker.times, images, rows, 1, 1, limit=ANSWER)
            memory = held.call(worker.memory, images, rows, limit=max(ANSWER, SLACK * seconds))
            return held, Measurement(held.call(worker.answer, images, rows), (), held.class_names, memory)
        except NoRuntimeError:
            raise
        except UnfreezeError as error:
            return error

    alive = {}
    progress("verifying", 0, len(paths))
    with processes.at_a_time() as pool:
        for path, given in zip(paths, pool.map(answer, paths), strict=True):
            if isinstance(given, UnfreezeError):
                outcomes[path] = given
            else:
                alive[path], outcomes[path] = given
            progress("verifying", len(outcomes), len(paths))
    return alive


def _start(paths: Sequence[Path], threads: int, pixels: str | None, processes: Processes) -> dict[Path, Held]:
    """Those that start; one that answered and does not start again is not timed."""

    def start(path: Path) -> Held | None:
        with suppress(UnfreezeError):
            return processes.hold(path, threads, pixels)
        return None

    with processes.at_a_time() as pool:
        return {path: held for path, held in zip(paths, pool.map(start, paths), strict=True) if held}


def _time_in_turn(loaded: dict[Path, Held], images: Path, rows: np.ndarray, threads: int) -> dict[Path, Timing]:
    """Of those whose processes live to the end."""
    going = dict(loaded)
    loads: dict[Path, list[float]] = {path: [] for path in loaded}
    singles: dict[Path, list[float]] = {path: [] for path in loaded}
    batches: dict[Path, list[float]] = {path: [] for path in loaded}
    for turn in range(-1, ROUNDS):  # the first is to warm up
        for path, held in list(going.items()):
            try:
                load = held.call(worker.load_again) if turn < 0 else 0.0
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
    """Seconds an image -> milliseconds."""
    medians = [1e3 * float(np.percentile(times, q)) for times in (singles, batches) for q in (50, 95)]
    return Timing(threads, 1e3 * load_seconds, *medians)
