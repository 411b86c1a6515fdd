"""keras.Model -> SavedModel: one signature, with the input `image` and the output `probabilities`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from export.artefacts import INPUT, OUTPUT
from toolkit.storage.files import atomic, write_json, write_text

DESCRIPTION = "unfreeze.json"
SIGNATURE = "serving_default"  # what TensorFlow Serving, tfjs and saved_model_cli ask for; coremltools takes one alone


def write_saved_model(model: keras.Model, path: Path, description: dict[str, Any]) -> None:
    """Write the folder `path`: uint8 [N, S, S, channels] -> float32 [N, C], with `unfreeze.json` and `labels.txt`
    inside.

    `Model.export` would store every weight twice, under two names.
    """
    with atomic(path) as temporary:
        _save(model, temporary, lambda image: model(image, training=False), tf.uint8)
        write_json(temporary / DESCRIPTION, description)
        write_text(temporary / "labels.txt", "\n".join(description["class_names"]) + "\n")


def write_float_saved_model(model: keras.Model, path: Path) -> None:
    """Write a SavedModel that takes float32 pixels of 0 to 255. int8 TFLite is converted from it, so that its uint8
    input is the pixel itself."""
    # `_run_through_graph`: a call of the model would first convert the floats to its uint8.
    _save(model, path, model._run_through_graph, tf.float32)


def _save(model: keras.Model, path: Path, answer: Callable[[tf.Tensor], Any], entry: tf.DType) -> None:
    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), entry, name=INPUT)], autograph=False)
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        (probabilities,) = tf.nest.flatten(answer(image))
        return {OUTPUT: probabilities}

    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    module.serve = serve
    with _no_generated_source():
        tf.saved_model.save(module, str(path), signatures={SIGNATURE: serve.get_concrete_function()})


@contextmanager
def _no_generated_source() -> Iterator[None]:
    """Remove the module that AutoGraph writes into the temporary folder, and keep Python from compiling it into
    `__pycache__` there. `autograph=False` does not reach TensorFlow's own wrapper of a signature."""
    loaded, compiles = set(sys.modules), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield
    finally:
        sys.dont_write_bytecode = compiles
        for name in set(sys.modules) - loaded:
            if name.startswith("__autograph_generated_file") and (file := sys.modules[name].__file__):
                Path(file).unlink(missing_ok=True)
