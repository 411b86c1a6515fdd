"""A backbone of three small convolutions, so that whole runs take seconds. As a program: `unfreeze` that knows it."""

from __future__ import annotations

import sys
from unittest.mock import patch

from toolkit.models.applications import BACKBONES, Backbone
from toolkit.settings import Settings

ROW = Backbone("Tiny", 32, "-1..1", ("second_relu", "first_relu"))
with patch.dict(BACKBONES, Tiny=ROW):  # a record is checked when it is made
    SETTINGS = Settings(
        backbone="Tiny",
        image_size=32,
        weights="none",
        head_units=(0, 4),
        dropout=(0.0, 0.2),
        unfreeze=(0, 2),
        head_epochs=1,
        tune_epochs=1,
        head_rate=0.01,
        batch_size=8,
        oracle="random",
        trials=3,
        folds=1,
    )
OPTIONS = [  # the same settings, as they are typed
    *("--backbone", "Tiny", "--weights", "none", "--image-size", "32", "--batch-size", "8"),
    *("--head-units", "0,4", "--dropout", "0,0.2", "--unfreeze", "0,2"),
    *("--head-epochs", "1", "--tune-epochs", "1", "--head-rate", "0.01", "--folds", "1"),
    *("--oracle", "random"),
]


def tiny(input_tensor=None, input_shape=None, include_top=False, weights=None):
    """As a constructor of keras.applications: convolution, BatchNormalization and ReLU, three times."""
    import keras

    entry = x = keras.Input(input_shape) if input_tensor is None else input_tensor
    for name, filters in {"first": 8, "second": 12, "third": 16}.items():
        x = keras.layers.Conv2D(filters, 3, strides=2, padding="same", use_bias=False, name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{name}_bn")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
    return keras.Model(keras.utils.get_source_inputs(entry) if input_tensor is not None else entry, x)


def register() -> None:
    """Put it into the table and beside Keras' own."""
    BACKBONES["Tiny"] = ROW
    import keras

    keras.applications.Tiny = tiny


if __name__ == "__main__":
    from toolkit.process.interrupt import own_temporary_folder
    from toolkit.process.keras_start import start_keras
    from unfreeze.cli import main

    own_temporary_folder()  # Keras imports matplotlib, which may make a temporary folder at once
    start_keras()
    register()
    sys.argv[0] = "unfreeze"
    main()
