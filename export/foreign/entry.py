"""What a Keras model from elsewhere takes, and how uint8 RGB images become it, as layers that do what
`export.runtimes.model_input` does with arrays."""

from __future__ import annotations

import keras
import numpy as np

from export.runtimes.loaders.keras import loaded_model
from export.runtimes.model_input import ModelInput
from toolkit.errors import UnfreezeError
from toolkit.models.build import normalised
from toolkit.pixels.grey import LUMA

ADDED = ("grey", "normalise", "reshaped", "channels_first")  # the names of layers that are added


def entry_of(model: keras.Model, pixels: str) -> ModelInput:
    """Raises UnfreezeError if the model takes no square images of a fixed size, or no pixels of this range."""
    entry = loaded_model(model, None).input
    if entry.height is None or entry.width is None:
        raise UnfreezeError(
            "it takes images of any size, and a model to adopt must take one: put it behind an Input of that size, "
            "keras.Sequential([keras.Input((224, 224, 3)), model]), and save that"
        )
    height, width = entry.size
    if height != width:
        raise UnfreezeError(f"it takes images of {height} x {width} px; a model to adopt must take square ones")
    entry.check_pixels(pixels)
    return entry


def as_layers(image: keras.KerasTensor, entry: ModelInput, pixels: str) -> keras.KerasTensor:
    """uint8 [N, S, S, 3] -> what the model takes, as layers. Their names are those that `ADDED` lists."""
    x, named = _grey(image) if entry.channels == 1 else image, entry.check_pixels(pixels)
    if named is not None:
        x = normalised(x, pixels)
    if entry.layout == "NHW":
        x = keras.layers.Reshape(entry.size, name="reshaped")(x)
    elif entry.layout == "NCHW" and entry.channels == 1:
        x = keras.layers.Reshape((1, *entry.size), name="reshaped")(x)
    elif entry.layout == "NCHW":
        x = keras.layers.Permute((3, 1, 2), name="channels_first")(x)
    if named is None:
        return keras.ops.cast(x, "uint8") if entry.channels == 1 else x
    x = keras.ops.round(x) if np.issubdtype(entry.dtype, np.integer) else x
    return x if entry.dtype == np.float32 else keras.ops.cast(x, entry.dtype.name)


def _grey(image: keras.KerasTensor) -> keras.KerasTensor:
    """float32 [N, S, S, 1], to the bit what `to_grey` gives: every number on the way has at most 24 binary digits."""
    half = [0.5, 0.0, 0.0]  # of a level, so that the sum is rounded
    weighted = keras.layers.Rescaling([one / 65536 for one in LUMA], half, dtype="float32", name="grey")(image)
    return keras.ops.floor(keras.ops.sum(weighted, axis=-1, keepdims=True))
