"""The classifier of `tests.elsewhere` as Keras 2 saves it, by tf_keras in a process of its own:
`python -m tests.keras2_classifier FOLDER WEIGHTS.npz` writes keras2.h5 and keras2.keras."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np


def main(folder: Path, weights: Path) -> None:
    """`weights`: arrays in the order of `keras.Model.get_weights`, without names."""
    import tf_keras as keras

    warnings.simplefilter("ignore")
    layers = keras.layers
    x = entry = keras.Input((32, 32, 3), name="photograph")
    for name, filters in {"first": 8, "second": 12, "third": 16}.items():
        x = layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=name)(x)
        x = layers.ReLU(name=f"{name}_relu")(layers.BatchNormalization(name=f"{name}_norm")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(entry, layers.Dense(2, activation="softmax", name="answer")(x))
    stored = np.load(weights)
    for layer in model.layers:
        layer.set_weights([stored[f"{layer.name}.{place}"] for place in range(len(layer.weights))])
    model.save(folder / "keras2.h5")
    model.save(folder / "keras2.keras")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
