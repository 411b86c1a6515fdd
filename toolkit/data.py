"""Batches for training and validation, read from decoded arrays on disk.

Decoding is left to `toolkit.arrays`, a single view to `toolkit.augment`. Everything is a function of the seed and the
epoch: the same epoch gives the same batches in the same order, whichever epochs came before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import tensorflow as tf

from toolkit.arrays import decoded
from toolkit.augment import STRENGTHS, augment
from toolkit.progress import Progress, silent
from toolkit.run import Run


@dataclass(frozen=True)
class Part:
    """Decoded images and their labels."""

    images: np.ndarray  # uint8 [N, S, S, 3], memory-mapped
    labels: np.ndarray  # int32 [N]
    antialiased: np.ndarray | None = None  # uint8 [N, S, S, 3]: the same images, resized with antialias


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """float32 [C]: N / (C x images of the class), 1 for each class where all are equal (scikit-learn's "balanced")."""
    counts = np.bincount(labels, minlength=classes)
    return (len(labels) / (classes * np.maximum(counts, 1))).astype(np.float32)


def training_batches(
    part: Part, *, epochs: range, batch_size: int, augmentation: str, class_weights: np.ndarray, seed: int
) -> tf.data.Dataset:
    """(uint8 [B, S, S, 3], int32 [B], float32 [B]) for each step of the given epochs, one epoch after the other."""

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for epoch in epochs:
            order = np.random.default_rng([seed, epoch]).permutation(len(part.labels))
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                images = np.stack([view(part, row, epoch, augmentation, seed) for row in rows])
                yield images, part.labels[rows], class_weights[part.labels[rows]]

    return _dataset(batches, part, weighted=True)


def validation_batches(part: Part, *, batch_size: int) -> tf.data.Dataset:
    """(uint8 [B, S, S, 3], int32 [B]) over the whole part, in order, as they are."""

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(part.labels), batch_size):
            yield part.images[start : start + batch_size], part.labels[start : start + batch_size]

    count = -(-len(part.labels) // batch_size)  # told, or Keras warns that the data ran out
    return _dataset(batches, part, weighted=False).apply(tf.data.experimental.assert_cardinality(count))


def view(part: Part, row: int, number: int, augmentation: str, seed: int) -> np.ndarray:
    """uint8 [S, S, 3]: augmented view `number` of one image. Half of the views start from the antialiased copy, which
    makes the model robust to clients that resize so."""
    if augmentation == "none":
        return part.images[row]
    rng = np.random.default_rng([seed, number, row])
    smooth = part.antialiased is not None and rng.random() < 0.5
    source = part.antialiased if smooth else part.images
    return augment(source[row], STRENGTHS[augmentation], rng)  # type: ignore[index]


def _dataset(batches: object, part: Part, *, weighted: bool) -> tf.data.Dataset:
    image = tf.TensorSpec((None, *part.images.shape[1:]), tf.uint8)
    label = tf.TensorSpec((None,), tf.int32)
    weight = tf.TensorSpec((None,), tf.float32)
    signature = (image, label, weight) if weighted else (image, label)
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)


def load_part(run: Run, name: str, *, antialiased: bool = False, progress: Progress = silent) -> Part:
    """One part ("train", "val", "test") of a run's images, decoded into its cache where it is not there yet."""
    images = run.images.select(name)
    size = run.settings.image_size

    def array(antialias: bool) -> np.ndarray:
        what = f"decoding {name}" + (" with antialias" if antialias else "")
        return decoded(images, run.cache, size, antialias=antialias, progress=partial(progress, what))

    return Part(array(False), images.labels, array(True) if antialiased else None)
