"""What a model from elsewhere takes, and how uint8 RGB images become it: as arrays, and as layers.

Both do what `export.runtimes.inputs_outputs.to_model_input` does; greyscale models get the luma of the images first.
"""

from __future__ import annotations

from dataclasses import dataclass

import keras
import numpy as np

from export.runtimes.inputs_outputs import SCALES, square_size, to_model_input
from toolkit.errors import UnfreezeError
from toolkit.pixels.grey import LUMA, to_grey


@dataclass(frozen=True)
class Entry:
    """The input of a model: square images."""

    size: int  # of a side, in pixels
    grey: bool
    shape: tuple[int, ...]  # of one image
    dtype: str


def entry_of(model: keras.Model, pixels: str) -> Entry:
    """Raises UnfreezeError if the model takes no square images of a fixed size, or greyscale ones in a range that has
    three channels."""
    shape, dtype = tuple(model.inputs[0].shape), keras.backend.standardize_dtype(model.inputs[0].dtype)
    sides = shape[1:] if len(shape) == 3 else shape[1:3] if shape[-1] == 1 else shape[2:] if shape[1] == 1 else ()
    grey = len(shape) in (3, 4) and len(sides) == 2 and sides[0] == sides[1] and isinstance(sides[0], int)
    if grey and dtype != "uint8" and np.size(SCALES[pixels][1]) > 1:
        raise UnfreezeError(f"a greyscale model has no pixel range of three channels; give another than {pixels}")
    size = int(sides[0]) if grey else square_size(shape)
    return Entry(size, grey, tuple(map(int, shape[1:])), dtype)


def as_arrays(images: np.ndarray, entry: Entry, pixels: str) -> np.ndarray:
    """uint8 [N, S, S, 3] -> what the model takes."""
    if not entry.grey:
        return to_model_input(images, (None, *entry.shape), entry.dtype, pixels)
    grey = to_grey(images)
    return to_model_input(grey, (None, *grey.shape[1:]), entry.dtype, pixels).reshape(len(grey), *entry.shape)


def as_layers(image: keras.KerasTensor, entry: Entry, pixels: str) -> keras.KerasTensor:
    """uint8 [N, S, S, 3] -> what the model takes, as layers. Their names are those that `ADDED` lists."""
    x = _grey(image) if entry.grey else image
    if entry.dtype != "uint8":
        multiplier, offset = (np.broadcast_to(one, 3) for one in SCALES[pixels])
        count = 1 if entry.grey else 3
        scale, shift = [one / 255 for one in multiplier.tolist()][:count], offset.tolist()[:count]
        x = keras.layers.Rescaling(scale, shift, dtype="float32", name="normalise")(x)
        x = x[..., ::-1] if pixels == "caffe" else x
    if (entry.grey and len(entry.shape) < 3) or entry.shape[0] == 1:
        x = keras.layers.Reshape(entry.shape, name="reshaped")(x)
    elif entry.shape[0] == 3 and entry.shape[2] != 3:
        x = keras.layers.Permute((3, 1, 2), name="channels_first")(x)
    if entry.dtype == "uint8":
        return keras.ops.cast(x, "uint8") if entry.grey else x
    x = keras.ops.round(x) if "int" in entry.dtype else x
    return x if entry.dtype == "float32" else keras.ops.cast(x, entry.dtype)


ADDED = ("grey", "normalise", "reshaped", "channels_first")


def _grey(image: keras.KerasTensor) -> keras.KerasTensor:
    """float32 [N, S, S, 1], to the bit what `to_grey` gives: every number on the way has at most 24 binary digits."""
    half = [0.5, 0.0, 0.0]  # of a level, so that the sum is rounded
    weighted = keras.layers.Rescaling([one / 65536 for one in LUMA], half, dtype="float32", name="grey")(image)
    return keras.ops.floor(keras.ops.sum(weighted, axis=-1, keepdims=True))
