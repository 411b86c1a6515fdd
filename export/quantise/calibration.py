"""A stratified, seeded choice of images: those that calibrate a quantised file, and those that judge it."""

from __future__ import annotations

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
