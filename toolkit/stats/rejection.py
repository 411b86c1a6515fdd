"""Answering only where the top probability is high enough: how many images are answered then, and how many of those
answers are right (selective classification: Geifman and El-Yaniv, "Selective classification for deep neural networks",
NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONFIDENCE = 0.95  # of the bound by which a threshold is chosen
TABLE = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)  # thresholds of the table, as far as they differ
MOST_DIGITS = 9  # decimals of a threshold: float32 has no more between 0.1 and 1


@dataclass(frozen=True)
class Coverage:
    """What a threshold does on one part of the data."""

    threshold: float  # an image whose top probability is below it is not answered
    images: int
    answered: int
    wrong: int  # of those that are answered

    @property
    def share(self) -> float:
        """The coverage: which part of the images is answered."""
        return self.answered / self.images

    @property
    def accuracy(self) -> float | None:
        """Of what is answered; None if nothing is."""
        return 1 - self.wrong / self.answered if self.answered else None

    @property
    def accuracy_at_least(self) -> float:
        """The one-sided 95 % bound on the accuracy of what is answered (Clopper and Pearson, Biometrika 26, 1934)."""
        return float(_at_least(np.array([self.answered]), np.array([self.wrong]))[0])

    def to_json(self) -> dict[str, float | int | None]:
        """A row in metrics.json."""
        counts = {"threshold": self.threshold, "answered": self.answered, "wrong": self.wrong}
        return counts | {"coverage": self.share, "accuracy": self.accuracy}


def coverage(probabilities: np.ndarray, labels: np.ndarray, threshold: float) -> Coverage:
    """float32 [N, C] and int32 [N] -> what this threshold does."""
    answered = ~unsure(probabilities, threshold)
    wrong = answered & (probabilities.argmax(axis=1) != labels)
    return Coverage(threshold, len(labels), int(answered.sum()), int(wrong.sum()))


def coverage_table(probabilities: np.ndarray, labels: np.ndarray, more: Sequence[float] = ()) -> tuple[Coverage, ...]:
    """A row for each threshold of TABLE and of `more`, in rising order. One of TABLE that answers the same images as
    the row before it is left out."""
    rows: list[Coverage] = []
    for threshold in sorted({*TABLE, *more}):
        row = coverage(probabilities, labels, threshold)
        if not rows or threshold in more or row.answered != rows[-1].answered:
            rows.append(row)
    return tuple(rows)


def unsure(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """bool [N]: which images are not answered."""
    below: np.ndarray = probabilities.max(axis=1) < np.float32(threshold)
    return below


@dataclass(frozen=True)
class Choice:
    """The threshold for a wanted accuracy of what is answered. False if none reaches it; `best` is then the one that
    comes nearest."""

    best: Coverage
    reached: bool

    def __bool__(self) -> bool:
        return self.reached


def choose_threshold(probabilities: np.ndarray, labels: np.ndarray, wanted: float) -> Choice:
    """The lowest threshold at which the accuracy of what is answered is at least `wanted` with 95 % confidence: by its
    bound, not by its estimate, which the choice of the best of many thresholds would flatter. The bound is that of each
    threshold by itself. It is the number with the fewest decimals that answers these images and no others.

    `probabilities`: float32 [N, C], answers to images on which the model was not trained; `labels`: int32 [N]. Raises
    ValueError if there is no image.
    """
    if not len(labels):
        raise ValueError("no images to choose a threshold on")
    top = probabilities.max(axis=1)
    order = np.argsort(-top, kind="stable")
    wrong = np.cumsum((probabilities.argmax(axis=1) != labels)[order])
    last = np.flatnonzero(np.append(np.diff(top[order]) != 0, True))  # equal ones are answered together or not at all
    bounds = _at_least(last + 1, wrong[last])
    enough = np.flatnonzero(bounds >= wanted)
    place = int(enough[-1]) if len(enough) else int(bounds.argmax())
    rejected = float(top[order][last[place + 1]]) if place + 1 < len(last) else 0.0
    threshold = _between(rejected, float(top[order][last[place]])) if place + 1 < len(last) else 0.0
    return Choice(Coverage(threshold, len(labels), int(last[place]) + 1, int(wrong[last[place]])), bool(len(enough)))


def _at_least(answered: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """float64 [N]: the lower bound of Clopper and Pearson on the share that is right; 0 where all are wrong."""
    from scipy.special import betaincinv

    right = answered - wrong
    bound: np.ndarray = np.where(right > 0, betaincinv(np.maximum(right, 1), wrong + 1, 1 - CONFIDENCE), 0.0)
    return bound


def _between(low: float, high: float) -> float:
    """The number with the fewest decimals above `low` and at most `high`."""
    for digits in range(2, MOST_DIGITS):
        number = np.floor(high * 10**digits) / 10**digits
        if np.float32(low) < np.float32(number) <= np.float32(high):
            return round(float(number), digits)
    return high
