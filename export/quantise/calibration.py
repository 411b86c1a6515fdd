"""A stratified, seeded choice of images: those that calibrate a quantised file, and those that judge it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def stratified_rows(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """int64 [min(count, N)], ascending: rows of `labels`, int32 [N]. Each class has its share of them, and at least one
    where `count` allows it."""
    if count >= len(labels):
        return np.arange(len(labels))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    place = np.empty(
        len(labels)
    )  # of each image in its class, as a fraction: the first images of all classes come first
    for label in np.unique(labels):
        own = order[labels[order] == label]
        place[own] = np.arange(len(own)) / len(own)
    return np.sort(order[np.argsort(place[order], kind="stable")][:count])


@dataclass(frozen=True)
class Judged:
    """Images on which files are judged. Weights that differ make them fewer than they are: see `effective`."""

    rows: np.ndarray  # int64 [N]
    labels: np.ndarray  # int32 [N]: what is right; -1: nothing
    weights: np.ndarray  # float64 [N]

    @property
    def effective(self) -> float:
        """How many images of equal weight say as much (Kish, "Survey sampling", 1965)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def all_alike(rows: np.ndarray, labels: np.ndarray) -> Judged:
    """Images on which the model was not trained: `rows`, int64 [N], with the labels int32 [N]."""
    return Judged(rows, labels, np.ones(len(rows)))


def as_unseen(trained: np.ndarray, unseen: np.ndarray, labels: np.ndarray) -> Judged:
    """The images of `trained` that stand for unseen ones, each weighed by how many.

    A model is surer of images that it was trained on, so that rounding turns fewer of its answers round there. Whether
    it does depends on how far the two largest probabilities lie apart, so each unseen image is represented by the
    trained one whose distance is the nearest. `trained`: float32 [N, C], the model's answers to images that it was
    trained on; `unseen`: float32 [M, C], answers out of fold, to images with the labels int32 [M]. Where the unseen
    answer is wrong, none is right: a file cannot gain there, only lose elsewhere.
    """
    distances, wanted = _top_distances(trained), _top_distances(unseen)
    order = np.argsort(distances, kind="stable")
    after = np.clip(np.searchsorted(distances[order], wanted), 1, len(order) - 1)
    nearer_below = wanted - distances[order[after - 1]] <= distances[order[after]] - wanted
    right = (unseen.argmax(axis=1) == labels).astype(np.int64)
    pairs, counts = np.unique(np.stack([order[after - nearer_below], right]), axis=1, return_counts=True)
    answered = np.where(pairs[1] > 0, trained[pairs[0]].argmax(axis=1), -1)
    return Judged(pairs[0], answered.astype(np.int32), counts.astype(np.float64))


def _top_distances(answers: np.ndarray) -> np.ndarray:
    """float64 [N], nats: the logarithm of the ratio of the two largest probabilities."""
    top = np.sort(np.log(np.maximum(answers.astype(np.float64), 1e-30)), axis=1)
    distances: np.ndarray = top[:, -1] - top[:, -2]
    return distances
