"""Several ways to make one int8 file, tried in turn until one is accepted.

The files are judged on validation images, which neither training nor calibration used; if the trials had folds, on all
images that are no test and that calibration did not use. The test part is left out: a file that was chosen on it could
not be proven on it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, sqrt
from pathlib import Path

import numpy as np

from export.limits import NO_LIMITS, Limits, Probe, scaled
from export.quantise.calibration import Judged
from export.runtimes.runners import load
from toolkit.errors import UnfreezeError, short_reason
from toolkit.progress import Progress, silent
from toolkit.stats.accuracy_lost import HOLDS, UNDECIDED, PairedAnswers
from toolkit.storage.files import atomic

BATCH, TIMED = 32, 20  # images
SLOWER = 2.0  # times the latency of the float32 file: an int8 file that takes longer is of no use
LEAST_DELAY = 1.0  # ms: an int8 file that takes no more than this longer than the float32 file is never too slow
NEAREST = 1.05  # where all files break the limits: how far from them one may be, in times what the nearest one is
EQUALLY_FAST = 1.5  # latencies that differ by no more than this factor count as equal: a machine may be busy


@dataclass(frozen=True)
class Way:
    """One way to make the file."""

    name: str
    write: Callable[[Path], None]
    float_layers: tuple[str, ...] = ()  # layers of the model that it leaves in float


@dataclass(frozen=True)
class Attempt:
    """The result of one way. Numbers are None if it gave no file that runs."""

    step: str  # name of the way
    accepted: bool = False  # `is_accepted`, and not too slow: then no other way is tried
    verdict: str = ""  # with 95 % confidence: "holds", "fails" or "undecided", too few images to tell
    kept: bool = False  # whether it became the file
    images: int = 0  # that it was judged on; with folds as many unseen ones as would say as much
    accuracy: float | None = None
    lost: float | None = None  # accuracy, against the model on the same images; negative: gained
    lost_at_most: float | None = None  # one-sided 95 % bound on it
    lost_error: float | None = None  # its standard error
    difference: float | None = None  # mean absolute difference of the probabilities
    bytes: int | None = None
    latency_ms: float | None = None  # median, an image at a time on one thread
    float32_latency_ms: float | None = None  # of the float32 file, measured in turn with it
    excess: float = 0.0  # how many times a limit of the device its worst value is; 0: there is none
    note: str = ""  # what limits the verdict, as words
    error: str = ""  # why there is no file that runs
    float_layers: tuple[str, ...] = ()

    @property
    def slowdown(self) -> float:
        """Its latency as a multiple of that of the float32 file."""
        return (self.latency_ms or 1.0) / (self.float32_latency_ms or 1.0)

    @property
    def is_too_slow(self) -> bool:
        if self.latency_ms is None or self.float32_latency_ms is None:
            return False
        return self.latency_ms > max(SLOWER * self.float32_latency_ms, self.float32_latency_ms + LEAST_DELAY)


@dataclass(frozen=True)
class Int8Judge:
    """Compares int8 files with the model, on images and the model's answers to them."""

    images: np.ndarray  # uint8 [M, S, S, channels], may be a file that is mapped into memory
    judged: Judged  # those that are used
    answers: np.ndarray  # float32 [N, C]: to these
    margin: float  # accuracy that may be lost, a fraction
    float32_file: Path  # whose latency the others are compared with
    within: Limits = NO_LIMITS  # of the device

    def __call__(self, way: str, path: Path) -> Attempt:
        """Run the file over the images. Raises UnfreezeError if its answers are not numbers, and what its runtime
        raises if it does not run."""
        predict = load(path).predict
        rows, labels, weights = self.judged.rows, self.judged.labels, self.judged.weights
        batches = (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))
        got = np.concatenate([predict(np.asarray(self.images[batch])) for batch in batches])
        if not np.isfinite(got).all():
            raise UnfreezeError("its answers are not numbers")
        right = got.argmax(1) == labels
        pair = _weighted_pair(self.answers.argmax(1) == labels, right, self.judged)
        latency, float32_latency = _latencies(
            [load(path, 1).predict, load(self.float32_file, 1).predict],
            np.asarray(self.images[rows[:TIMED]]),
        )
        size = path.stat().st_size
        attempt = Attempt(
            way,
            verdict=pair.verdict(self.margin),
            images=pair.images,
            accuracy=float(np.average(right, weights=weights)),
            lost=pair.loss,
            lost_at_most=pair.lost_at_most,
            lost_error=standard_error(pair),
            difference=float(np.abs(got - self.answers).mean()),
            bytes=size,
            latency_ms=latency,
            float32_latency_ms=float32_latency,
        )
        estimated = attempt.verdict == UNDECIDED and not can_tell(pair.images, self.margin)
        notes = ["judged by the estimate alone"] if estimated else []
        notes += ["too slow"] if attempt.is_too_slow else []
        accepted = is_accepted(pair, self.margin) and not attempt.is_too_slow
        probe = scaled(Probe(size / 1e6, latency), self.within.latency_scale)
        notes += self.within.broken(probe)
        return replace(attempt, accepted=accepted, excess=self.within.excess(probe), note="; ".join(notes))


def can_tell(images: int, margin: float) -> bool:
    """Whether so many images are enough to show that at most `margin`, a fraction, is lost, if no answer differs."""
    return PairedAnswers(images, 0, 0).lost_at_most <= margin


def is_accepted(pair: PairedAnswers, margin: float) -> bool:
    """Whether a file is good enough to be kept without trying others.

    The one-sided 95 % bound on the accuracy lost has to be within `margin`, a fraction. If there are too few images for
    any file to pass that, the accuracy lost on these images has to be.
    """
    return pair.verdict(margin) == HOLDS if can_tell(pair.images, margin) else pair.loss <= margin


def _weighted_pair(before: np.ndarray, after: np.ndarray, judged: Judged) -> PairedAnswers:
    """What is lost and gained, on as many images of equal weight as say as much. Where they are no whole numbers, what
    is lost is rounded up and what is gained down. `before`, `after`: bool [N], which images are answered rightly."""
    scale = judged.effective / judged.weights.sum()
    lost = round(float(judged.weights[before & ~after].sum()) * scale, 6)
    gained = round(float(judged.weights[after & ~before].sum()) * scale, 6)
    return PairedAnswers(max(1, round(judged.effective)), ceil(lost), floor(gained))


def standard_error(pair: PairedAnswers) -> float:
    """Standard error of the accuracy lost, a fraction; without any flip, as if there were one."""
    flips, net = max(1.0, pair.lost + pair.gained), pair.lost - pair.gained
    return sqrt(max(flips - net**2 / pair.images, 0.0)) / pair.images


def first_that_holds(
    ways: Iterable[Way], path: Path, judge: Callable[[str, Path], Attempt], progress: Progress = silent
) -> tuple[Attempt, ...]:
    """Write `path` by the first way that is accepted, or else by the one that `best_of` names; so, too, if that one
    breaks a limit of the device: those before it are smaller, or as small. The cheapest ways come first. Raises
    UnfreezeError if no way gave a file that runs."""
    attempts: list[Attempt] = []
    with tempfile.TemporaryDirectory() as folder:
        files: list[Path] = []
        for way in ways:
            what = f"{path.name}, {way.name.partition(':')[0]}"
            progress(what, 0, 1)
            files.append(Path(folder) / f"{len(files)}{path.suffix}")
            try:
                way.write(files[-1])
                attempt = judge(way.name, files[-1])
            except Exception as error:  # converters and runtimes raise classes of their own
                attempt = Attempt(way.name, error=short_reason(error))
            attempts.append(replace(attempt, float_layers=way.float_layers))
            progress(what, 1, 1)
            if attempt.accepted:
                break
        holds = attempts and attempts[-1].accepted and attempts[-1].excess <= 1
        kept = len(attempts) - 1 if holds else best_of(attempts)
        with atomic(path) as temporary:
            temporary.write_bytes(files[kept].read_bytes())
    return tuple(replace(attempt, kept=number == kept) for number, attempt in enumerate(attempts))


def best_of(attempts: Sequence[Attempt]) -> int:
    """The index of the attempt that is kept if none is accepted: the fastest of those that lose least. Those that break
    a limit of the device count only if all do, and then the nearest ones; too slow ones only if all are.

    An attempt loses as little as the best one if it loses no more than one standard error of the best one's loss beyond
    it (the one-standard-error rule: Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984). Of
    those equally fast the one that loses least is kept. Raises UnfreezeError if none gave a file that runs.
    """
    ran = [number for number, attempt in enumerate(attempts) if not attempt.error]
    if not ran:
        raise UnfreezeError("; ".join(f"{attempt.step}: {attempt.error}" for attempt in attempts))
    most = max(1.0, NEAREST * min(attempts[number].excess for number in ran))
    within = [number for number in ran if attempts[number].excess <= most]
    usable = [number for number in within if not attempts[number].is_too_slow] or within

    def loss(number: int) -> tuple[float, float]:
        return attempts[number].lost or 0.0, attempts[number].difference or 0.0

    best = attempts[min(usable, key=loss)]
    near = [number for number in usable if loss(number)[0] <= (best.lost or 0.0) + (best.lost_error or 0.0)]
    fastest = min(attempts[number].slowdown for number in near)
    return min((number for number in near if attempts[number].slowdown <= EQUALLY_FAST * fastest), key=loss)


def _latencies(predicts: Sequence[Callable[[np.ndarray], np.ndarray]], images: np.ndarray) -> list[float]:
    """Milliseconds, the median of each over one image at a time. They take turns, so that a machine that is busy for a
    while slows all of them down alike."""
    seconds = np.empty((len(images), len(predicts)))
    for row in range(len(images)):
        for column, predict in enumerate(predicts):
            started = time.perf_counter()
            predict(images[row : row + 1])
            seconds[row, column] = time.perf_counter() - started
    return [1e3 * float(median) for median in np.median(seconds, axis=0)]
