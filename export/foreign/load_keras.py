"""A Keras model from elsewhere, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from export.runtimes.loaders.keras import loaded_model
from export.settings import Conversion
from toolkit.errors import UnfreezeError
from toolkit.untrusted.keras_file import read_model


def load_keras(path: Path, what: str) -> keras.Model:
    """Load a Keras file with one input, images, and one output, classes. Nothing in it is executed: it may come from a
    stranger."""
    if not path.is_file():
        raise UnfreezeError(f"{path} does not exist; give {what}, a .keras or .h5 file")
    model = read_model(path)
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UnfreezeError(f"{path} must have one input, images, and one output, the classes")
    return model


def model_and_input(
    model: keras.Model, conversion: Conversion
) -> tuple[keras.Model, Callable[[np.ndarray], np.ndarray]]:
    """The model, and the function from uint8 [N, H, W, 3] to what it takes."""
    entry = loaded_model(model, conversion.output).input.sized(conversion.image_size)
    pixels = entry.check_pixels(conversion.pixels)
    return model, lambda images: entry.convert(images, pixels)
