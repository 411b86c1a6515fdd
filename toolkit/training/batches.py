"""What training reads: `Source`, a function from (epoch, rows) to a model's inputs, and batches made of it.

Decoding is left to `toolkit.data.decoded_arrays`, drawing an augmented view to `toolkit.pixels.augment`. The batches of
an epoch are a function of the seed and the epoch's number: they are the same whichever epochs were trained before. No
TensorFlow here.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from toolkit.data.decoded_arrays import decoded, decoded_both, release
from toolkit.own.augmentation import own_view
from toolkit.pixels.augment import STRENGTHS, augment
from toolkit.progress import Progress, silent
from toolkit.run import Run
from toolkit.settings import Settings
from toolkit.training.sampling import epoch_rows, occurrences

PREFETCHED = 3  # batches that are made in advance while the model works on another one


@dataclass(frozen=True)
class Part:
    """The decoded images of one part ("train", "val", "test") and their labels."""

    images: np.ndarray  # uint8 [N, S, S, C], memory-mapped; C: 3 channels, or 1 in grey
    labels: np.ndarray  # int32 [N]
    antialiased: np.ndarray | None = None  # uint8 [N, S, S, C]: the same images, resized with antialias
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None  # the caller's, in place of ours


@dataclass(frozen=True)
class Source:
    """The inputs of a model for one part: images, or the activations that a suffix takes."""

    labels: np.ndarray  # int32 [N]
    inputs: Callable[[int, np.ndarray], np.ndarray]  # (epoch, int rows [B]) -> [B, ...]
    views: int = 1  # different ones that the epochs 0, 1, ... show


def augmented(part: Part, settings: Settings) -> Source:
    """The augmented images: epoch e shows view e modulo `settings.view_count`. Epochs after the schedule, those of a
    refit, show views that no other epoch shows."""

    def inputs(epoch: int, rows: np.ndarray) -> np.ndarray:
        count = settings.view_count
        number = epoch % count if epoch < settings.epochs else count + epoch
        made = np.stack([view(part, row, number, settings) for row in rows])
        for array in (part.images, part.antialiased):
            release(array)
        return made

    return Source(part.labels, inputs, settings.view_count)


def unaugmented(part: Part) -> Source:
    """The images without augmentation, the same in every epoch."""
    return Source(part.labels, lambda epoch, rows: copy_rows(part.images, rows))


def copy_rows(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A copy of some rows of an array in memory. If the array is memory-mapped, its pages are released."""
    copies = np.asarray(array[rows])
    release(array)
    return copies


def shuffled(
    source: Source, *, epoch: int, batch_size: int, seed: int, sampling: str = "natural"
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(inputs [B, ...], labels int32 [B]) over one epoch, in an order that depends on the seed and the epoch. The
    batches are prefetched in a thread. An image that `sampling` has several times in an epoch is shown in other views,
    as far as the source has them."""
    order = epoch_rows(source.labels, epoch=epoch, seed=seed, sampling=sampling)
    return prefetched(_batches(source, order, epoch, batch_size))


def in_order(source: Source, *, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(inputs [B, ...], labels int32 [B]) over the whole part, in its order, prefetched in a thread."""
    return prefetched(_batches(source, np.arange(len(source.labels)), 0, batch_size))


def _batches(source: Source, order: np.ndarray, epoch: int, batch_size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    again = occurrences(order) % source.views
    for start in range(0, len(order), batch_size):
        batch = slice(start, start + batch_size)
        rows = order[batch]
        yield _shown(source, rows, again[batch], epoch), source.labels[rows]


def _shown(source: Source, rows: np.ndarray, again: np.ndarray, epoch: int) -> np.ndarray:
    """The inputs for `rows`: in the epoch's view where `again` is 0, else so many views later, after the last one from
    the first on."""
    if not again.any():
        return source.inputs(epoch, rows)
    made: np.ndarray | None = None
    for later in np.unique(again):
        here = again == later
        some = source.inputs((epoch + int(later)) % source.views if later else epoch, rows[here])
        made = np.empty((len(rows), *some.shape[1:]), some.dtype) if made is None else made
        made[here] = some
    assert made is not None
    return made


def prefetched(items: Iterator[Any]) -> Iterator[Any]:
    """The same items. A thread makes up to `PREFETCHED` of them in advance. An exception in the thread is raised
    here."""
    made: queue.Queue[tuple[str, Any]] = queue.Queue(PREFETCHED)
    ended = threading.Event()

    def put(what: tuple[str, Any]) -> bool:
        while not ended.is_set():
            try:
                made.put(what, timeout=0.1)
                return True
            except queue.Full:
                pass
        return False

    def make() -> None:
        try:
            if all(put(("item", item)) for item in items):
                put(("end", None))
        except BaseException as error:
            put(("error", error))

    threading.Thread(target=make, daemon=True).start()
    try:
        while True:
            kind, value = made.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            yield value
    finally:
        ended.set()


def view(part: Part, row: int, number: int, settings: Settings) -> np.ndarray:
    """uint8 [S, S, C]: the augmented view `number` of one image. Half of the views start from the antialiased copy, so
    that the model is robust to clients that resize with antialias; an augmentation of the caller's gets the image as it
    is decoded."""
    if settings.augment == "none":
        return part.images[row]
    rng = np.random.default_rng([settings.seed, number, row])
    if part.augment is not None:
        return own_view(part.images[row], part.augment, rng)
    smooth = part.antialiased is not None and rng.random() < 0.5
    source = part.antialiased if smooth else part.images
    return augment(source[row], STRENGTHS[settings.augment], rng, flip=settings.flip)  # type: ignore[index]


def load_part(
    run: Run, *names: str, image_size: int | None = None, antialiased: bool = False, progress: Progress = silent
) -> Part:
    """One part ("train", "val", "test") of a run's images, or several in one, decoded into the run's cache if it is not
    there yet.

    `image_size`: pixels; None: that of the run's settings, for training. Code that works with the trained model passes
    that model's own size, from `toolkit.training.stored_spec`. `antialiased`: also load the copies that were resized
    with antialias, for augmented views; an augmentation of the caller's does not use them.
    """
    images, size, channels = run.images.select(*names), image_size or run.settings.image_size, run.settings.channels
    told, own = partial(progress, f"decoding {' and '.join(names)}"), run.own.augment
    if antialiased and own is None:
        plain_copies, smooth = decoded_both(images, run.cache, size, channels=channels, progress=told)
        return Part(plain_copies, images.labels, smooth)
    return Part(decoded(images, run.cache, size, channels=channels, progress=told), images.labels, augment=own)
