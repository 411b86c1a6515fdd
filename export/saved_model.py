"""keras.Model -> SavedModel: one signature, `serve`, with the input `image` and the output `probabilities`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from export.artefacts import INPUT, OUTPUT
from toolkit.run import atomic, write_json, write_text

DESCRIPTION = "unfreeze.json"


def write_saved_model(model: keras.Model, path: Path, description: dict[str, Any]) -> None:
    """Write the folder `path`: uint8 [N, S, S, 3] -> float32 [N, C], with `unfreeze.json` and `labels.txt` inside.

    `Model.export` would store every weight twice, under two names.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, *model.input_shape[1:]), tf.uint8, name=INPUT)])
    def serve(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {OUTPUT: model(image, training=False)}

    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    module.serve = serve
    with atomic(path) as temporary:
        tf.saved_model.save(module, str(temporary), signatures={"serve": serve.get_concrete_function()})
        write_json(temporary / DESCRIPTION, description)
        write_text(temporary / "labels.txt", "\n".join(description["class_names"]) + "\n")
