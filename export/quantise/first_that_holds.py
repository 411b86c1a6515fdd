"""Several ways to make one int8 file, tried in turn until one holds.

They are judged on images that are neither of the test part nor of the calibration: what was chosen on the test part
could not be proven on it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from export.runtimes.runners import load
from toolkit.errors import UnfreezeError, short_reason
from toolkit.progress import Progress, silent
from toolkit.stats.accuracy_lost import compare_answers
from toolkit.storage.files import atomic

BATCH, TIMED = 32, 20  # images


@dataclass(frozen=True)
class Step:
    """One way to make the file."""

    name: str
    write: Callable[[Path], None]
    float_layers: tuple[str, ...] = ()  # layers of the model that it leaves in float


@dataclass(frozen=True)
class Attempt:
    """What a step gave. Numbers are None where it gave no file that runs."""

    step: str
    holds: bool  # no more accuracy is lost than the margin
    kept: bool = False
    accuracy: float | None = None
    lost: float | None = None  # accuracy, against the model on the same images; negative where it was gained
    difference: float | None = None  # mean absolute difference of the probabilities
    bytes: int | None = None
    latency_ms: float | None = None  # median, an image at a time on one thread
    error: str = ""
    float_layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judge:
    """Images to compare on, and the model's answers to them."""

    images: np.ndarray  # uint8 [N, S, S, 3]
    labels: np.ndarray  # int32 [N]
    answers: np.ndarray  # float32 [N, C]
    margin: float  # accuracy that may be lost, a fraction

    def __call__(self, step: str, path: Path) -> Attempt:
        predict = load(path).predict
        got = np.concatenate([predict(self.images[n : n + BATCH]) for n in range(0, len(self.images), BATCH)])
        if not np.isfinite(got).all():
            raise UnfreezeError("its answers are not finite")
        right = got.argmax(1) == self.labels
        lost = compare_answers(self.answers.argmax(1) == self.labels, right).loss
        return Attempt(
            step,
            holds=lost <= self.margin,
            accuracy=float(right.mean()),
            lost=lost,
            difference=float(np.abs(got - self.answers).mean()),
            bytes=path.stat().st_size,
            latency_ms=_latency(load(path, 1).predict, self.images),
        )


def first_that_holds(
    steps: Iterable[Step], path: Path, judge: Callable[[str, Path], Attempt], progress: Progress = silent
) -> tuple[Attempt, ...]:
    """Write `path` by the first step that holds, the steps coming in the order of what they cost; where none does, by
    the one that loses least. UnfreezeError where no step gave a file that runs."""
    attempts: list[Attempt] = []
    with tempfile.TemporaryDirectory() as folder:
        files: list[Path] = []
        for step in steps:
            what = f"{path.name}, {step.name.partition(':')[0]}"
            progress(what, 0, 1)
            files.append(Path(folder) / f"{len(files)}{path.suffix}")
            attempts.append(_try(step, files[-1], judge))
            progress(what, 1, 1)
            if attempts[-1].holds:
                break
        ran = [number for number, attempt in enumerate(attempts) if not attempt.error]
        if not ran:
            raise UnfreezeError("; ".join(f"{attempt.step}: {attempt.error}" for attempt in attempts))
        kept = min(ran, key=lambda n: (not attempts[n].holds, attempts[n].lost, attempts[n].difference))
        with atomic(path) as temporary:
            temporary.write_bytes(files[kept].read_bytes())
    return tuple(replace(attempt, kept=number == kept) for number, attempt in enumerate(attempts))


def _try(step: Step, path: Path, judge: Callable[[str, Path], Attempt]) -> Attempt:
    try:
        step.write(path)
        attempt = judge(step.name, path)
    except Exception as error:  # converters and runtimes raise classes of their own
        attempt = Attempt(step.name, holds=False, error=short_reason(error))
    return replace(attempt, float_layers=step.float_layers)


def _latency(predict: Callable[[np.ndarray], np.ndarray], images: np.ndarray) -> float:
    times = []
    for row in range(min(TIMED, len(images))):
        started = time.perf_counter()
        predict(images[row : row + 1])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e3
