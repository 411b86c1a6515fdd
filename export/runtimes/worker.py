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
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from export.description import levels, profiles, reject_below
from export.runtimes.answers import to_probabilities
from export.runtimes.runners import Runner, import_runtime, load
from export.runtimes.tensors import Tensor, tensors
from export.settings import Conversion
from export.variants import export_advice
from toolkit.errors import UnfreezeError, short_reason

BATCH = 32
REPEATED = 1e-3  # the most by which two answers to the same images may differ

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


def start_up(path: Path, threads: int, conversion: Conversion | None) -> tuple[str, ...] | None:
    """Import the runtime, and load the artefact. Returns the class names that the file has, or None if it has none."""
    global _path, _reload, _before, _adapted
    import_runtime(path)
    _before = _resident("VmRSS")
    _path, _reload = path, partial(load, path, threads, conversion=conversion)
    reload()
    own = conversion is None or _runner.loaded.description is not None
    _adapted = (lambda answers: answers) if own else to_probabilities
    return _class_names(_runner)


def _class_names(runner: Runner) -> tuple[str, ...] | None:
    described = runner.loaded.description
    return tuple(described["class_names"]) if described else runner.loaded.labels


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


def image_size() -> tuple[int, int]:
    """Height and width in pixels of the images that the artefact takes."""
    return _runner.input.size


def image_recipe() -> tuple[str, str] | None:
    """How the artefact takes 16-bit images, as `toolkit.pixels.levels` names it, and colours, as
    `toolkit.pixels.colour` does; None if it has no description."""
    description = _runner.loaded.description
    return None if description is None else (levels(description), profiles(description))


def threshold() -> float:
    """The top probability below which the artefact is unsure; 0 if it always answers."""
    return reject_below(_runner.loaded.description)


def predict(images: np.ndarray) -> np.ndarray:
    """uint8 [N, H, W, 3] -> probabilities float32 [N, C].

    A single answer may not show whether it is a probability or a logit. So the answers are converted together with
    those to a few images of noise and of one grey each.
    """
    raw = np.asarray(_predict(images))
    if _runner.loaded.description is not None:
        return _adapted(raw)
    return _adapted(np.concatenate([raw, _answers_to_noise(images.shape[1:])]))[: len(images)]


def largest_difference(first: np.ndarray, again: np.ndarray) -> float:
    """Of two answers to the same images; where both are no numbers there is none."""
    return float(np.nan_to_num(np.abs(first.astype(np.float64) - again), nan=0.0).max())


def not_repeated(difference: float) -> str:
    """What is wrong with a model whose answers to the same images differ by more than REPEATED."""
    return (
        f"its answers to the same images differ from one call to the next, by up to {difference:.2g}: something "
        "random was left active, such as augmentation or dropout; export it in inference mode (training=False)"
    )


@lru_cache(1)
def _answers_to_noise(shape: tuple[int, ...]) -> np.ndarray:
    """To noise and to images of one grey each. Raises UnfreezeError if the model, asked again, answers otherwise."""
    noise = np.random.default_rng(0).integers(0, 256, (4, *shape), np.uint8)
    plain = np.stack([np.full(shape, level, np.uint8) for level in (0, 64, 128, 255)])
    first, again = (np.asarray(_predict(np.concatenate([noise, plain]))) for _ in range(2))
    if (difference := largest_difference(_adapted(first), _adapted(again))) > REPEATED:
        raise UnfreezeError(f"{_path}: {not_repeated(difference)}")
    return first


def _batch(images: Path, rows: np.ndarray) -> np.ndarray:
    return np.asarray(np.load(images, mmap_mode="r", allow_pickle=False)[rows])


def _predict(images: np.ndarray) -> np.ndarray:
    try:
        return _runner.predict(images)
    except Exception as error:  # each runtime has exceptions of its own
        advice = f"; {export_advice(_path)}" if _runner.loaded.description else ""
        raise UnfreezeError(f"it does not run ({short_reason(error)}){advice}") from None


def answer(images: Sequence[tuple[Path, np.ndarray]]) -> tuple[np.ndarray, float]:
    """(the answers to all rows of all files, one after the other; the largest difference from them if the first batch
    is asked again). A model in which something random was left active does not repeat itself."""
    parts = [(file, rows[start : start + BATCH]) for file, rows in images for start in range(0, len(rows), BATCH)]
    raw = [_predict(_batch(file, part)) for file, part in parts]
    again = [_predict(_batch(*parts[0])), *raw[1:]]
    answers, others = (_adapted(np.concatenate(one)) for one in (raw, again))
    return answers, largest_difference(answers, others)


def intermediate_tensors(path: Path, images: np.ndarray, conversion: Conversion | None) -> list[Tensor]:
    """Every intermediate tensor that a file computes of `images`, uint8 [N, H, W, 3]; `conversion` as in `load`.
    `start_up` need not have been called."""
    fed = load(path, conversion=conversion).to_input(images)
    return tensors(path, fed, conversion.output if conversion else None)


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
