"""One artefact in a fresh process: its answers to the whole test part, its latency and its load time.

A process of its own gives each runtime the same start, and a file that crashes its runtime crashes only that.
"""

from __future__ import annotations

import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.runners import Predict, load, said
from toolkit.errors import UnfreezeError

BATCH = 32
WARM_UP, TIMED = 5, 60  # images, one at a time


@dataclass(frozen=True)
class Measurement:
    """What one artefact answered and how long it took."""

    probabilities: np.ndarray  # float32 [N, C]
    load_seconds: float  # reading the file and its runtime's set-up; the runtime's import is not counted
    latency_median: float  # seconds an image, batch 1
    latency_p95: float
    threads: int


def measure(path: Path, images: Path, rows: np.ndarray, threads: int) -> Measurement:
    """Run the artefact over `images[rows]`, an .npy file of uint8 [N, S, S, 3], in a fresh process.

    UnfreezeError with what the runtime said where it does not load, does not run, or dies.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, path, images, rows, threads).result()
        except BrokenProcessPool:
            raise UnfreezeError(f"{path}: its runtime crashed on it; export it again") from None


def _measure(path: Path, images: Path, rows: np.ndarray, threads: int) -> Measurement:
    pixels = np.load(images, mmap_mode="r", allow_pickle=False)
    load(path, threads)  # imports the runtime, which is not to be counted
    started = time.perf_counter()
    runner = load(path, threads)
    loaded = time.perf_counter() - started
    try:
        answers = [runner.predict(pixels[rows[start : start + BATCH]]) for start in range(0, len(rows), BATCH)]
        times = [_time(runner.predict, pixels[row : row + 1]) for row in rows[: WARM_UP + TIMED]]
    except Exception as error:  # each runtime has exceptions of its own
        raise UnfreezeError(f"{path} does not run ({said(error)}); export it again") from None
    timed = times[WARM_UP:] or times
    return Measurement(
        probabilities=np.concatenate(answers),
        load_seconds=loaded,
        latency_median=float(np.median(timed)),
        latency_p95=float(np.percentile(timed, 95)),
        threads=threads,
    )


def _time(predict: Predict, image: np.ndarray) -> float:
    started = time.perf_counter()
    predict(image)
    return time.perf_counter() - started
