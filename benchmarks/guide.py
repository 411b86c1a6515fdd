"""A search as a KerasTuner user writes it by hand, after the public transfer-learning guide: what `search_speed.py` and
`search_over_backbones.py` compare Unfreeze with.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from toolkit.data.image_set import ImageSet
from toolkit.settings import Settings


def dataset(images: ImageSet, part: str, side: int, chosen: Settings) -> tf.data.Dataset:
    """Batches of float32 pixels of 0..255 (batch, side, side, 3) and int labels; training images in another order each
    epoch.
    """
    own = images.select(part)

    def decode(path: Any, label: Any) -> tuple[Any, Any]:
        pixels = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(pixels, (side, side)), label

    files = tf.data.Dataset.from_tensor_slices(([str(own.root / path) for path in own.paths], own.labels))
    decoded = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE).cache()
    decoded = decoded.shuffle(len(own.paths), seed=chosen.seed) if part == "train" else decoded
    return decoded.batch(chosen.batch_size).prefetch(tf.data.AUTOTUNE)


def model_on(base: keras.Model, side: int, units: int, dropout: float, scale: bool) -> keras.Model:
    """Augmentation layers, the frozen backbone, a head; `scale` brings pixels to -1..1."""
    base.trainable = False
    entry = keras.Input((side, side, 3))
    x = keras.layers.RandomFlip("horizontal")(entry)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.Rescaling(1 / 127.5, -1)(x) if scale else x
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    x = keras.layers.Dense(units, activation="relu")(x) if units else x
    x = keras.layers.Dropout(dropout)(x)
    model = keras.Model(entry, keras.layers.Dense(2, activation="softmax")(x))
    model.base = base
    return model


class TwoStages(keras_tuner.HyperModel):
    """Fits the head, then, at a lower rate, also what lies behind the layer that `cut` names."""

    def __init__(self, chosen: Settings) -> None:
        super().__init__()
        self.chosen = chosen

    def cut(self, hp: Any) -> str | None:
        raise NotImplementedError

    def compiled(self, model: keras.Model, rate: float) -> keras.Model:
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def fit(self, hp: Any, model: keras.Model, *args: Any, **more: Any) -> Any:
        chosen = self.chosen
        model.fit(*args, epochs=chosen.head_epochs, **more)
        cut, behind = self.cut(hp), False
        for layer in model.base.layers:
            # BatchNormalization too would collapse: `fit` overrides the guide's training=False
            layer.trainable = behind and not isinstance(layer, keras.layers.BatchNormalization)
            behind = behind or layer.name == cut
        self.compiled(model, chosen.tune_rate)
        return model.fit(*args, epochs=chosen.epochs, initial_epoch=chosen.head_epochs, **more)
