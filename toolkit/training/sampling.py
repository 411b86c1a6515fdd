"""Which images an epoch shows, and in which order. It is a function of the seed and the epoch's number alone."""

from __future__ import annotations

import numpy as np


def epoch_rows(labels: np.ndarray, *, epoch: int, seed: int, sampling: str = "natural") -> np.ndarray:
    """int64 [N]: the rows of an epoch in their order. `labels`: int32 [N].

    "natural": every image once. "balanced": as many rows, of each class that has images as many as of any other, or one
    more or less. A class takes its images in turn, in an order that is drawn anew whenever all were taken, and goes on
    in the next epoch where it stopped. So none is shown a second time more often than another of its class.
    """
    order = np.random.default_rng([seed, epoch])
    if sampling == "natural":
        return order.permutation(len(labels))
    return order.permutation(_balanced(labels, epoch, seed))


def occurrences(rows: np.ndarray) -> np.ndarray:
    """int64 [N]: how many times the row at each place occurs before it."""
    by_row = np.argsort(rows, kind="stable")
    ordered = rows[by_row]
    first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]][: len(rows)])
    starts = np.repeat(first, np.diff(np.r_[first, len(rows)]))
    counts = np.empty(len(rows), np.int64)
    counts[by_row] = np.arange(len(rows)) - starts
    return counts


def _balanced(labels: np.ndarray, epoch: int, seed: int) -> np.ndarray:
    classes = np.unique(labels)
    taken = [
        _in_turn(np.flatnonzero(labels == label), [seed, int(label)], *_span(number, len(classes), len(labels), epoch))
        for number, label in enumerate(classes)
    ]
    return np.concatenate(taken) if taken else np.zeros(0, np.int64)


def _span(number: int, classes: int, total: int, epoch: int) -> tuple[int, int]:
    """(first, end) of a class's places in the endless sequence of its images, for one epoch. The places of all epochs
    are dealt out to the classes in turn, so that the one more or less wanders, too."""
    first, end = (-((number - total * e) // classes) for e in (epoch, epoch + 1))
    return first, end


def _in_turn(own: np.ndarray, seed: list[int], first: int, end: int) -> np.ndarray:
    """The places `first` to `end` of the sequence: all of `own` in one order, then in another, and so on."""
    rounds = range(first // len(own), -(-end // len(own)))
    drawn = [own[np.random.default_rng([*seed, number]).permutation(len(own))] for number in rounds]
    start = first - rounds.start * len(own)
    return np.concatenate(drawn)[start : start + end - first] if drawn else own[:0]
