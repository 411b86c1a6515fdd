"""Pre-trains the starter backbone, MobileNetV2 alpha 0.35, on computed pictures, and writes it in float16.

    python scripts/pretrain_starter.py toolkit/models/starter.npz --work /tmp/starter

About an hour on two CPU cores; the pictures take 1.6 GB in the work folder, from which an interrupted training goes on,
with the crops of its first epochs once more. The result stands in benchmarks/RESULTS.md. The starter is for trying
out, teaching and testing: it has never seen a photograph.
"""

from __future__ import annotations

import os
from multiprocessing import Pool
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import keras
import numpy as np
import procedural

from toolkit.storage.files import atomic

SIZE = 96  # pixels
ROOM = 8  # pixels by which stored pictures are larger, for a random crop
CHUNK = 500  # pictures that a process draws at a time
ALPHA = 0.35


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Folder for pictures and checkpoints.")
@click.option("--count", default=48_000, show_default=True, help="Pictures to train on.")
@click.option("--epochs", default=10, show_default=True)
@click.option("--batch", default=128, show_default=True)
@click.option("--rate", default=3e-3, show_default=True, help="Peak learning rate of AdamW.")
@click.option("--seed", default=0, show_default=True)
def main(target: Path, work: Path, count: int, epochs: int, batch: int, rate: float, seed: int) -> None:
    """Draw, train, write the backbone to TARGET."""
    work.mkdir(parents=True, exist_ok=True)
    images, labels = drawn(work / f"train_{count}_{seed}.npy", count, [seed, 0])
    held_images, held_labels = drawn(work / f"val_{seed}.npy", 4_000, [seed, 1])
    keras.utils.set_random_seed(seed)
    model = classifier(len(procedural.CLASSES))
    steps = epochs * (count // batch)
    schedule = keras.optimizers.schedules.CosineDecay(
        rate / 10, steps - steps // 20, warmup_target=rate, warmup_steps=steps // 20
    )
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.01), smooth, metrics=["accuracy"], jit_compile=False)
    edge = ROOM // 2
    model.fit(
        Crops(images, labels, batch, seed),
        epochs=epochs,
        validation_data=(held_images[:, edge:-edge, edge:-edge], one_hot(held_labels)),
        validation_batch_size=batch,
        callbacks=[keras.callbacks.BackupAndRestore(str(work / "backup"), delete_checkpoint=False)],
        verbose=2,
    )
    write(model, target)


def classifier(classes: int) -> keras.Model:
    """uint8 [96, 96, 3] -> logits; the backbone is `keras.applications.MobileNetV2`'s, from random weights."""
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    scaled = keras.layers.Rescaling(1 / 127.5, -1)(pixels)
    backbone = keras.applications.MobileNetV2(input_tensor=scaled, alpha=ALPHA, include_top=False, weights=None)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.99  # Keras' 0.999 wants ten times as many steps as there are in an epoch
    pooled = keras.layers.GlobalAveragePooling2D()(backbone.output)
    return keras.Model(pixels, keras.layers.Dense(classes)(pooled))


class Crops(keras.utils.PyDataset):
    """Batches in an order of each epoch's own; each picture cropped at random, with other light and contrast."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, batch: int, seed: int) -> None:
        super().__init__(workers=1)
        self.images, self.labels, self.batch, self.seed = images, labels, batch, seed
        self.epoch = 0
        self.order = np.random.default_rng([seed, 0]).permutation(len(labels))

    def __len__(self) -> int:
        return len(self.labels) // self.batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        rows = self.order[index * self.batch :][: self.batch]
        return np.stack([self._crop(row, rng) for row in rows]), one_hot(self.labels[rows])

    def _crop(self, row: int, rng: np.random.Generator) -> np.ndarray:
        x, y = rng.integers(0, ROOM + 1, 2)
        crop = self.images[row, y : y + SIZE, x : x + SIZE].astype(np.float32)
        crop = (crop - 127.5) * rng.uniform(0.7, 1.3) + 127.5 + rng.uniform(-25, 25)
        return np.clip(crop, 0, 255).astype(np.uint8)

    def on_epoch_end(self) -> None:
        self.epoch += 1
        self.order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.labels))


def one_hot(labels: np.ndarray) -> np.ndarray:
    return np.eye(len(procedural.CLASSES), dtype=np.float32)[labels]


def drawn(path: Path, count: int, seed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 [N, 104, 104, 3], memory-mapped, and int [N]: pictures of all classes in turn, drawn where they are not
    there yet."""
    labels = np.arange(count) % len(procedural.CLASSES)
    if not path.exists():
        with atomic(path) as temporary:
            side = SIZE + ROOM
            array = np.lib.format.open_memmap(temporary, "w+", np.uint8, (count, side, side, 3))
            with Pool() as pool:
                starts = range(0, count, CHUNK)
                for start, chunk in zip(
                    starts, pool.imap(_chunk, [(seed, start, count) for start in starts]), strict=True
                ):
                    array[start : start + len(chunk)] = chunk
            array.flush()
    return np.load(path, mmap_mode="r"), labels


def _chunk(what: tuple[list[int], int, int]) -> np.ndarray:
    seed, start, count = what
    numbers = range(start, min(start + CHUNK, count))
    return np.stack(
        [
            procedural.picture(n % len(procedural.CLASSES), SIZE + ROOM, np.random.default_rng([*seed, n]))
            for n in numbers
        ]
    )


def write(model: keras.Model, target: Path) -> None:
    """The backbone's weights in float16, by names as `block_1_expand/kernel`: what `toolkit.models.weights` reads."""
    arrays = {
        f"{layer.name}/{weight.name}": np.asarray(weight).astype(np.float16)
        for layer in model.layers[:-1]
        for weight in layer.weights
    }
    with atomic(target) as temporary:
        np.savez_compressed(temporary, **arrays)
    click.echo(f"{target}: {len(arrays)} arrays, {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
