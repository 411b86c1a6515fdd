"""A Keras file from elsewhere -> a model of images and classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from export.runtimes.kind import kind_of
from export.runtimes.loaders.keras import loaded_model
from export.runtimes.loaders.loaded import output_names, the_output
from export.settings import Conversion
from toolkit.errors import UnfreezeError
from toolkit.untrusted.keras_file import read_model

NAMES = {"tflite": "a TFLite file", "onnx": "an ONNX file"}


def load_keras(path: Path, what: str, output: str | None = None) -> keras.Model:
    """Load a Keras file with one input, images, and one output, classes; each may be in a dict or a list of one.
    Nothing in the file is executed: it may come from a stranger. `what`: what the file is asked for, for messages.
    `output`: the name of the output that gives the classes, of several."""
    if path.is_dir():
        raise UnfreezeError(
            f"{path} is a folder; give {what} as one file. Of a SavedModel: load it in the program that made it, then "
            "model.save('NAME.h5')"
        )
    if (kind := kind_of(path, f"{what}, a .keras or .h5 file")) != "keras":
        raise UnfreezeError(
            f"{path} is no Keras file but {NAMES[kind]}, which runs as it is: give {what} as .keras or .h5, or use "
            "`unfreeze predict` and `unfreeze verify --reference` on it"
        )
    model = read_model(path)
    if len(getattr(model, "inputs", None) or ()) != 1:
        raise UnfreezeError(f"{path} must have one input, images, and one output, the classes")
    if output is None and len(model.outputs) > 1:
        raise UnfreezeError(f"{path} has {len(model.outputs)} outputs; build it with one, the classes")
    place = the_output(output_names(model), output)
    return _plain(model) if len(model.outputs) == 1 else keras.Model(model.inputs[0], model.outputs[place])


def _plain(model: keras.Model) -> keras.Model:
    """The model with a tensor for its input and output, of the same layers, where it has a dict or a list of one."""
    graph = getattr(model, "_functional", model)
    if all(keras.backend.is_keras_tensor(one) for one in (graph._inputs_struct, graph._outputs_struct)):
        return model
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name)


def model_and_input(
    model: keras.Model, conversion: Conversion
) -> tuple[keras.Model, Callable[[np.ndarray], np.ndarray]]:
    """The model, and the function from uint8 [N, H, W, 3] to what it takes."""
    entry = loaded_model(model, None).input.sized(conversion.image_size)
    pixels = entry.check_pixels(conversion.pixels)
    return model, lambda images: entry.convert(images, pixels)
