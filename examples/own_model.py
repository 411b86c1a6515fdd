"""A Keras model of one's own: trained here by plain Keras, then adopted, exported and verified.

python examples/own_model.py PHOTOS RUN [EPOCHS]

PHOTOS has a sub-folder per class. The model takes pixels of -1 to 1 and gives logits; what is exported takes uint8 and
gives probabilities. Training leaves out the images that `adopt` tests on, because both use the same split.
"""

import sys
from pathlib import Path

import keras
import numpy as np

import unfreeze
from toolkit.pixels.decode import decode

SIZE = 64  # pixels


def network(classes: int) -> keras.Model:
    layers = keras.layers
    stages = [layers.Conv2D(filters, 3, strides=2, padding="same", activation="relu") for filters in (16, 32, 64)]
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.RandomFlip("horizontal"),
            *stages,
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes),  # logits
        ],
        name="own",
    )


def train(photos: str, epochs: int) -> keras.Model:
    images = unfreeze.scan(photos)  # every image with its class and part: train, val or test
    chosen = images.select("train")
    pixels = np.stack([decode((chosen.root / path).read_bytes(), SIZE) for path in chosen.paths])
    model = network(len(images.class_names))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(pixels / np.float32(127.5) - 1, chosen.labels, batch_size=16, epochs=epochs, verbose=2)
    return model


def main(photos: str, run: str, epochs: int = 20) -> None:
    model = train(photos, epochs)
    unfreeze.adopt(model, photos, run, pixels="-1..1")
    print(f"test accuracy {unfreeze.evaluate(run).accuracy:.2%}")
    unfreeze.export(run, unfreeze.ExportSettings(precisions=["float32"]))
    for parity in unfreeze.verify(run, unfreeze.VerifySettings(threads=())):
        print(parity.artefact.name, parity.verdict, f"largest difference {parity.max_difference:.1e}")
    (first, *_) = sorted(Path(photos).rglob("*.jpg"))
    print(next(unfreeze.predict(run, first)))


if __name__ == "__main__":
    photos, run, *epochs = sys.argv[1:]
    main(photos, run, *map(int, epochs))
