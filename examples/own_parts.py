"""A search with parts of one's own: hyperparameters, a head, a loss, an optimizer, a metric and an augmentation.

python examples/own_parts.py PHOTOS RUN [TRIALS]

Each part may be left out; the usual one stands for it then. The exported files and every command after the search need
none of this code.
"""

import sys
from collections.abc import Mapping
from typing import Any

import keras
import keras_tuner
import numpy as np

import unfreeze


def space(hp: keras_tuner.HyperParameters) -> None:
    """Hyperparameters of KerasTuner's kinds. A Float needs a step: the search tries a finite list of values."""
    hp.Choice("units", [32, 128])
    hp.Choice("activation", ["relu", "gelu"])
    hp.Float("rate", 0.0, 0.4, step=0.2)
    hp.Float("gamma", 1.0, 4.0, step=2, sampling="log")  # 1, 2, 4


def head(features: keras.KerasTensor, hp: Mapping[str, Any]) -> keras.KerasTensor:
    """Pooled features float32 [N, c] -> float32 [N, k]. The class layer is added to it."""
    x = keras.layers.LayerNormalization()(features)
    x = keras.layers.Dense(hp["units"], activation=hp["activation"])(x)
    return keras.layers.Dropout(hp["rate"])(x)


def loss(hp: Mapping[str, Any]) -> keras.losses.Loss:
    """One-hot labels, because its name does not begin with `sparse`."""
    return keras.losses.CategoricalFocalCrossentropy(gamma=hp["gamma"])


def optimizer(hp: Mapping[str, Any]) -> keras.optimizers.Optimizer:
    """Its learning rates are those of the settings: `head_rate`, then `tune_rate`."""
    return keras.optimizers.AdamW(weight_decay=1e-3)


def erase(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 [S, S, 3] -> uint8 [S, S, 3]: mirrored at random, a square painted over (DeVries and Taylor, Cutout, 2017).
    All chance comes from `rng`, so that the views repeat."""
    if rng.random() < 0.5:
        image = image[:, ::-1].copy()
    side = len(image) // 4
    top, left = rng.integers(0, len(image) - side, 2)
    image[top : top + side, left : left + side] = np.uint8(127)
    return image


def main(photos: str, run: str, trials: int = 8) -> None:
    own = unfreeze.Own(
        space=space,
        head=head,
        loss=loss,
        optimizer=optimizer,
        metrics=[keras.metrics.F1Score(average="macro", name="macro_f1")],  # the column val_macro_f1 of history.csv
        augment=erase,
    )
    finished = unfreeze.run(
        photos,
        run,
        settings=unfreeze.Settings(weights="starter", trials=trials),  # for good accuracy weights="imagenet"
        own=own,
        export=unfreeze.ExportSettings(precisions=["float32"]),
    )
    taken = finished.search.trial(finished.search.taken)
    print(f"taken: {taken.values}")
    print(f"macro F1 of the validation images {finished.search.kept['val_macro_f1']:.3f}")
    print(f"test accuracy {finished.evaluation.accuracy:.2%}, the report is {finished.page}")
    for parity in finished.parities:
        print(parity.artefact.name, parity.verdict)


if __name__ == "__main__":
    photos, run, *trials = sys.argv[1:]
    main(photos, run, *map(int, trials))
