"""A Keras file from elsewhere -> a model of images and classes."""

from __future__ import annotations

from pathlib import Path

import keras

from toolkit.errors import UnfreezeError
from toolkit.untrusted.keras_file import read_model


def load_keras(path: Path, what: str) -> keras.Model:
    """Load a Keras file with one input, images, and one output, classes. Nothing in it is executed: it may come from a
    stranger. `what`: what the file is asked for, for messages."""
    if not path.is_file():
        raise UnfreezeError(f"{path} does not exist; give {what}, a .keras file")
    model = read_model(path)
    if len(getattr(model, "inputs", None) or ()) != 1 or len(model.outputs) != 1:
        raise UnfreezeError(f"{path} must have one input, images, and one output, the classes")
    return model
